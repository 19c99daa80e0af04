# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of rendered people for `benchmarks.cameras`: one world, seen by several cameras."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np

from benchmarks.metric_scenes import stereo
from benchmarks.metric_scenes import surfaces_of
from gtr_ros import TrackingPipeline
from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.sequence import Truth
from gtr_ros.structures import Detections

#: of the scenes without seed; people walk where its own camera, which has no image, sees them: up
#: to 10 m ahead of the origin, 50 degrees to each side
SCENE = 'people:objects=8,camera=wall,height=2.4,fov=100,rate=5,duration=24,size=360x480'
#: cameras by layout: x, y, metres; yaw to the left, and field of view, degrees. 'overlapping':
#: both see most of the place; 'apart': side by side, with 17 degrees between their views; 'four':
#: from four sides, all see the middle
LAYOUTS = {
    'overlapping': ((0.0, 2.5, -25.0, 69.0), (0.0, -2.5, 25.0, 69.0)),
    'apart': ((0.0, 0.3, 31.0, 45.0), (0.0, -0.3, -31.0, 45.0)),
    'four': (
        (0.0, 0.0, 0.0, 60.0),
        (9.0, 0.0, 180.0, 60.0),
        (4.5, 4.5, -90.0, 60.0),
        (4.5, -4.5, 90.0, 60.0),
    ),
}
#: of all cameras: height, metres, and tilt, degrees
_ABOVE, _TILT = 2.3, 14.0


@dataclass(frozen=True, eq=False)
class View:
    """
    One image of one camera: what was found, and what is true.

    :param camera: number of the camera
    :param stamp: nanoseconds
    :param pose: (4, 4), from the optical frame to the world
    :param focal: pixels; the principal point is the middle of the image
    :param detections: of people, with features
    :param surfaces: by kind of depth, (N, 3): distance and extent of each one's surface, metres; x
        of its upper body, pixels
    :param truth: the people in the image
    """

    camera: int
    stamp: int
    pose: np.ndarray
    focal: float
    detections: Detections
    surfaces: dict[str, np.ndarray]
    truth: Truth


def record(scene: PeopleScene, layout: str, pipeline: TrackingPipeline) -> Iterator[View]:
    """Render a scene from all cameras of a layout, and detect the people, in order of time."""
    world, stream = generate(scene), np.random.default_rng([scene.seed, 1])
    person = pipeline.class_names.index('person')
    seen = [
        world.seen_by(
            Camera.fixed(
                (x, y, _ABOVE, math.radians(yaw), math.radians(_TILT), 0.0), fov, scene.size
            ),
            visit=number,
        )
        for number, (x, y, yaw, fov) in enumerate(LAYOUTS[layout])
    ]
    for t in range(len(world)):
        stamp = int(world.stamps[t])
        for number, people in enumerate(seen):
            frame = people.frame(t)
            [found] = pipeline.detect([frame.image], [stamp])
            found = found.select(found.labels == person)
            focal = float(frame.intrinsics[0, 0])
            depths = {
                'depth': np.where(np.isfinite(frame.depth), frame.depth, np.nan),
                'stereo': stereo(frame.depth, focal, stream),
            }
            yield View(
                camera=number,
                stamp=stamp,
                pose=frame.camera,
                focal=focal,
                detections=found,
                surfaces={
                    kind: surfaces_of(d.astype(np.float32), found.boxes)
                    for kind, d in depths.items()
                },
                truth=frame.labels(),
            )
