# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that stand on the ground and hide people, and seats."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import PLACES
from gtr_ros.data.people.scene import stream_of
from gtr_ros.data.people.script import make_script

#: length, depth and height of each kind, metres: smallest and largest
KINDS = {
    'pillar': ((0.35, 0.7), (0.35, 0.7), (2.4, 4.0)),
    'hedge': ((1.5, 3.0), (0.5, 0.8), (0.8, 1.5)),
    'bench': ((1.3, 1.8), (0.5, 0.5), (0.9, 0.9)),
    'crate': ((0.6, 1.3), (0.5, 1.0), (0.6, 1.4)),
    'board': ((0.8, 1.5), (0.08, 0.12), (1.6, 2.1)),
    'car': ((3.8, 4.4), (1.65, 1.8), (1.4, 1.5)),
    'tree': ((0.3, 0.5), (0.3, 0.5), (4.6, 6.0)),
}
_SHARES = (0.25, 0.15, 0.18, 0.16, 0.12, 0.06, 0.08)

_CLEAR = 1.1  # metres, from the camera's path to the nearest point of anything
_TRIES = 60


@dataclass(frozen=True)
class Place:
    """
    A thing that stands on the ground.

    :param kind: one of `KINDS`
    :param centre: (2,) x, y, metres
    :param turn: of its length against the x axis, radians; a bench faces to the left of that
    :param size: (3,) length, depth, height, metres
    :param number: of this thing, which its colours are drawn from
    """

    kind: str
    centre: np.ndarray
    turn: float
    size: np.ndarray
    number: int

    @property
    def radius(self) -> float:
        """Of the circle around its ground plan, metres."""
        return float(np.hypot(self.size[0], self.size[1]) / 2)

    def circles(self) -> np.ndarray:
        """Return (K, 3) circles x, y, radius that cover the ground plan, metres."""
        length, depth = float(self.size[0]), float(self.size[1])
        count = max(1, math.ceil(length / max(depth, 0.4)))
        along = (np.arange(count) + 0.5) / count - 0.5
        axis = np.array([math.cos(self.turn), math.sin(self.turn)])
        centres = self.centre + along[:, None] * length * axis
        radius = math.hypot(length / count, depth) / 2
        return np.column_stack([centres, np.full(count, radius)])

    def seats(self) -> np.ndarray:
        """Return (K, 3) where the feet of sitting people are, x, y, metres, and their heading."""
        if self.kind != 'bench':
            return np.zeros((0, 3))
        count = int(self.size[0] / 0.65)
        along = ((np.arange(count) + 0.5) / count - 0.5) * self.size[0]
        axis = np.array([math.cos(self.turn), math.sin(self.turn)])
        facing = np.array([-axis[1], axis[0]])
        feet = self.centre + along[:, None] * axis + 0.44 * facing
        return np.column_stack([feet, np.full(count, self.turn + math.pi / 2)])


def make_places(scene: PeopleScene, camera: Camera) -> tuple[Place, ...]:
    """Return the occluders of a scene; they stand between the camera and most of the people."""
    path = camera.place(np.arange(0, scene.duration + 0.25, 0.25))[:, :2]
    near, far = camera.view.distance_of(260), camera.view.distance_of(90)
    places = _walls(scene, camera)
    for number in range(scene.occluders):
        stream = stream_of(scene, PLACES, number)
        for _ in range(_TRIES):
            kind = str(stream.choice(list(KINDS), p=_SHARES))
            size = np.array([stream.uniform(*sides) for sides in KINDS[kind]])
            distance = math.exp(stream.uniform(math.log(near), math.log(far)))
            bearing = stream.uniform(-0.85, 0.85) * camera.view.half_angle
            centre = camera.ground(stream.uniform(0, scene.duration), distance, bearing)
            place = Place(kind, centre, stream.uniform(0, 2 * math.pi), size, number)
            reach = np.hypot(*(path - centre).T).min() - place.radius
            apart = [
                np.hypot(*(other.centre - centre)) - other.radius - place.radius
                for other in places
            ]
            if reach > _CLEAR and min(apart, default=math.inf) > 0.9:
                places.append(place)
                break
    return tuple(places)


def _walls(scene: PeopleScene, camera: Camera) -> list[Place]:
    """Return the wall of a scene's script, if there is one."""
    script = make_script(scene, camera)
    if script is None or script.wall is None:
        return []
    return [Place('crate', *script.wall_box(), scene.occluders)]
