# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The setting of a visit: ground, walls, things, and what is behind everything."""

from __future__ import annotations

from dataclasses import dataclass
import math
from pathlib import Path

import numpy as np

from gtr_ros.data.people import things
from gtr_ros.data.people.backdrop import paint_panorama
from gtr_ros.data.people.backdrop import photo_panorama
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.lighting import Light
from gtr_ros.data.people.materials import INSIDE
from gtr_ros.data.people.materials import LAYERS
from gtr_ros.data.people.materials import OUTSIDE
from gtr_ros.data.people.places import KINDS
from gtr_ros.data.people.places import Place
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import SCENERY
from gtr_ros.data.people.scene import visit_stream

_CLUTTER = ('car', 'tree', 'hedge', 'crate', 'board')
_CLUTTER_INSIDE = ('crate', 'board', 'pillar')


@dataclass(frozen=True, eq=False)
class Setting:
    """
    What is drawn besides the people.

    :param things: (V, things.WIDTH) float32, triangles that cast shadows
    :param flats: (V, things.WIDTH) float32, ground and ceiling, which cast none
    :param backdrop: (V, 5) float32, triangles of walls around: position and place in the panorama
    :param panorama: (H, W, 3) uint8 RGB
    :param glow: (3,) light on the panorama
    :param above: (3,) linear RGB of what is above the panorama
    :param solid: whether the walls have a distance, as those of a hall do
    """

    things: np.ndarray
    flats: np.ndarray
    backdrop: np.ndarray
    panorama: np.ndarray
    glow: np.ndarray
    above: np.ndarray
    solid: bool


def make_setting(
    scene: PeopleScene, camera: Camera, places: tuple[Place, ...], light: Light
) -> Setting:
    """Draw the setting of a visit."""
    stream = visit_stream(scene, SCENERY)
    inside = light.kind == 'indoor'
    path = camera.place(np.linspace(0, scene.duration, 60))[:, :2]
    middle = (path.min(axis=0) + path.max(axis=0)) / 2
    spread = float(np.hypot(*(path - middle).T).max())
    far = camera.view.distance_of(45)
    if inside:
        reach = spread + stream.uniform(0.75, 1.3) * min(far, 16) + 3
        height = stream.uniform(3, 5)
        walls = _walls(middle, reach, height, 4, 0.0)
        length = 8 * reach
    else:
        reach = spread + max(45.0, 1.4 * far)
        height = stream.uniform(20, 30)
        walls = _walls(middle, reach, height, 32, stream.uniform(0, 2 * math.pi))
        length = 2 * math.pi * reach
    if scene.backgrounds:
        panorama = photo_panorama(Path(scene.backgrounds), stream)
    else:
        kind = 'hall' if inside else str(stream.choice(('street', 'park'), p=(0.6, 0.4)))
        panorama = paint_panorama(kind, stream, length, height, light.zenith)
    material = LAYERS.index(str(stream.choice(INSIDE if inside else OUTSIDE)))
    tint = stream.uniform(0.6, 1.25) * stream.uniform(0.85, 1.1, 3)
    flats = [
        things.ground(middle, reach * 1.5, material, tint, float(stream.choice((0.7, 1, 1.4))))
    ]
    if inside:
        flats += _ceiling(middle, reach, height, stream)
    meshes = [
        things.build(place, visit_stream(scene, SCENERY, place.number), inside) for place in places
    ]
    meshes += _clutter(scene, camera, inside, stream)
    return Setting(
        things=np.concatenate([*meshes, np.zeros((0, things.WIDTH))]).astype(np.float32),
        flats=np.concatenate(flats),
        backdrop=walls,
        panorama=panorama,
        glow=_glow(light, inside),
        above=np.square(panorama[0].mean(axis=0) / 255),
        solid=inside,
    )


def _ceiling(
    middle: np.ndarray, reach: float, height: float, stream: np.random.Generator
) -> list[np.ndarray]:
    """Return a ceiling with rows of lamps."""
    plain = stream.uniform(0.6, 1.1) * np.ones(3)
    layer = LAYERS.index(str(stream.choice(('tiles', 'plaster', 'concrete'))))
    meshes = [things.ceiling(middle, (reach * 1.1, reach * 1.1), height, layer, plain)]
    paint, bright = LAYERS.index('paint'), np.full(3, 9.0)
    size = np.array([stream.uniform(0.1, 0.4), stream.uniform(0.4, 0.8)])
    step = stream.uniform(2.5, 5)
    count = int(min(reach, 16) / step)
    for x in range(-count, count + 1):
        for y in range(-count, count + 1):
            at = middle + np.array([x, y]) * step
            meshes.append(things.ceiling(at, size, height - 0.02, paint, bright))
    return meshes


def _glow(light: Light, inside: bool) -> np.ndarray:
    """Return the light on upright walls."""
    level = light.sky + light.ground + 0.35 * light.main
    return level * (0.8 if inside else 0.75)


def _walls(middle: np.ndarray, reach: float, height: float, count: int, turn: float) -> np.ndarray:
    """
    Return walls around a point, (count * 6, 5) float32: position and place in the panorama.

    :param reach: distance of the walls, metres
    """
    angle = turn + math.pi / count + np.arange(count + 1) * 2 * math.pi / count
    rim = np.column_stack([np.cos(angle), np.sin(angle)]) * reach / math.cos(math.pi / count)
    rim += middle
    rows = []
    for k in range(count):
        left, right = k / count, (k + 1) / count
        corners = [
            (*rim[k], 0, left, 1),
            (*rim[k + 1], 0, right, 1),
            (*rim[k + 1], height, right, 0),
            (*rim[k], height, left, 0),
        ]
        rows += [corners[i] for i in (0, 1, 2, 0, 2, 3)]
    return np.array(rows, np.float32)


def _clutter(
    scene: PeopleScene, camera: Camera, inside: bool, stream: np.random.Generator
) -> list[np.ndarray]:
    """Return things behind the people, which nobody walks through because nobody is there."""
    far = camera.view.distance_of(45)
    kinds = _CLUTTER_INSIDE if inside else _CLUTTER
    meshes = []
    for number in range(int(stream.integers(3, 9))):
        kind = str(stream.choice(kinds))
        size = np.array([stream.uniform(*sides) for sides in KINDS[kind]])
        t = stream.uniform(0, scene.duration)
        distance = stream.uniform(1.05, 1.25 if inside else 1.9) * far + 1
        bearing = stream.uniform(-1, 1) * camera.view.half_angle
        centre = camera.ground(t, distance, bearing)
        if (
            camera.travels
            and np.hypot(
                *(camera.place(np.linspace(0, scene.duration, 50))[:, :2] - centre).T
            ).min()
            < 4
        ):
            continue
        place = Place(kind, centre, stream.uniform(0, 2 * math.pi), size, number)
        meshes.append(things.build(place, stream, inside))
    return meshes
