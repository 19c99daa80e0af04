# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the first two people of a scene go so that the first one is covered for a while.

In 'crossing', the second person passes in front of the first. In 'company', the second one walks
in front of the first for `HIDDEN` seconds. In 'wall', the first person is behind a wall for that
long, and the second one, who was there from the start, comes out where the first is expected.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import SCRIPT
from gtr_ros.data.people.scene import stream_of
from gtr_ros.data.people.schedule import STEP

#: number of people who follow the script
ACTORS = 2
#: seconds for which the first person is covered in 'company' and 'wall'
HIDDEN = 5.0
#: when that begins, or the two are in one line with the camera in 'crossing', seconds
START = 3.5

_HEIGHTS = (110, 150)  # pixels of 480 rows, of the first person
_GAP = (0.8, 1.1)  # metres between the two, or between person and wall
_PACE = (0.7, 1.05)  # m/s
_FASTER = (1.0, 1.6)  # how many times as fast the second person crosses
_SLOW = 0.5  # share of the pace at which the two walk together
_EDGE = 0.8  # share of the half view, where people turn round
_WALL = (0.3, 0.38)  # half of the wall's length, share of the half view
_HEIGHT, _THICK = 2.4, 0.2  # of the wall, metres
_MARGIN = 0.3  # metres that the wall is longer than the way behind it, at both ends


@dataclass(frozen=True, eq=False)
class Script:
    """
    The ways of the two people.

    :param bearings: (T, 2) radians to the left of the middle of the view, in steps of `STEP`
    :param distances: (2,) from the camera, metres
    :param camera: it stays where it is
    :param wall: bearing, distance, length, metres; None: there is none
    """

    bearings: np.ndarray
    distances: np.ndarray
    camera: Camera
    wall: tuple[float, float, float] | None = None

    def at(self, t: float) -> np.ndarray:
        """Return the places of the two on the ground, (2, 2), metres."""
        index = min(max(round(t / STEP), 0), len(self.bearings) - 1)
        return np.array(
            [
                self.camera.ground(0.0, distance, bearing)
                for distance, bearing in zip(self.distances, self.bearings[index], strict=True)
            ]
        )

    def wall_box(self) -> tuple[np.ndarray, float, np.ndarray]:
        """Return centre, (2,), turn, radians, and length, depth and height of the wall."""
        bearing, distance, length = self.wall
        centre = self.camera.ground(0.0, distance, bearing)
        across = float(self.camera.place(0.0)[3]) + bearing + np.pi / 2
        return centre, across, np.array([length, _THICK, _HEIGHT])


def make_script(scene: PeopleScene, camera: Camera) -> Script | None:
    """Return the script of a scene; None: it has none."""
    if not scene.script:
        return None
    stream, view = stream_of(scene, SCRIPT), camera.view
    edge = _EDGE * view.half_angle
    after = np.arange(int(scene.duration / STEP) + 40) * STEP - START
    far = view.distance_of(stream.uniform(*_HEIGHTS))
    gap = stream.uniform(*_GAP)
    side, turn = stream.choice((-1, 1), 2)
    pace = side * stream.uniform(*_PACE) / far  # radians a second
    meeting = stream.uniform(-0.15, 0.15) * view.half_angle
    bearings = np.empty((len(after), ACTORS))
    before, during = np.minimum(after, 0), np.clip(after, 0, HIDDEN)
    end = np.maximum(after - HIDDEN, 0)
    wall, distances = None, np.array([far, far - gap])
    if scene.script == 'crossing':
        bearings[:, 0] = meeting + pace * after
        bearings[:, 1] = meeting - stream.uniform(*_FASTER) * pace * after
    elif scene.script == 'company':
        place = meeting + _SLOW * pace * (during - HIDDEN / 2)
        bearings[:, 0] = place + pace * (before + turn * end)
        bearings[:, 1] = place - pace * (1.3 * before + 1.4 * turn * end)
    else:
        length = 2 * (far - gap) * math.tan(stream.uniform(*_WALL) * view.half_angle)
        wall = meeting, far - gap, length
        half = side * (length / 2 - _MARGIN) / (far - gap)
        # Through to the other end; or to the middle, and back.
        inward = during if turn > 0 else HIDDEN / 2 - np.abs(during - HIDDEN / 2)
        bearings[:, 0] = meeting - half + 2 * half * inward / HIDDEN + pace * (before + turn * end)
        leaves = np.maximum(after - stream.uniform(0.5, HIDDEN - 2.0), 0)
        bearings[:, 1] = meeting + half / 2 + pace * leaves
        distances[1] = far + 0.5
    return Script(_reflect(bearings, edge), distances, camera, wall)


def _reflect(bearings: np.ndarray, edge: float) -> np.ndarray:
    """Keep people in view: they turn round at its edges, which are -edge and edge."""
    return edge - np.abs((bearings + edge) % (4 * edge) - 2 * edge)
