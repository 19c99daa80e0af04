# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes of walking people with exact truth, drawn as pixels.

They measure one difficulty at a time: how long people are hidden, how many there are, how alike
they look, how seldom they are seen. The world runs in continuous time and each of its aspects has
a random stream of its own, so that scenes that differ in one parameter differ in nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import clip_boxes
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic.drawing import Renderer
from gtr_ros.data.synthetic.scene import Hiding
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.world import detect
from gtr_ros.data.synthetic.world import hide
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.data.synthetic.world import World
from gtr_ros.structures import Detections

__all__ = ['Generated', 'Hiding', 'Scene', 'generate']


@dataclass(frozen=True)
class Generated:
    """
    A scene, made.

    :param sequence: the truth of each of T frames, and their images, which are drawn when read
    :param detections: of each frame, as an imperfect detector finds them; features are zeros
    :param hidings: by person, then in order of time
    """

    sequence: Sequence
    detections: list[Detections]
    hidings: tuple[Hiding, ...]


def generate(scene: Scene) -> Generated:
    """Make a scene; the same parameters always give the same."""
    frames = max(1, round(scene.duration * scene.rate))
    stamps = regular_stamps(frames, scene.rate)
    hidings = hide(scene)
    world = World.at(scene, stamps, hidings)
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = clip_boxes(world.boxes[t], scene.size)
        inside = box_areas(boxes) >= 0.5 * box_areas(world.boxes[t])
        present = np.flatnonzero(~world.hidden[t] & inside)
        truth.append(Truth.of(present + 1, boxes[present]))
        visible = visibility(boxes[present], nearness=world.boxes[t, present, 3])
        detections.append(detect(scene, stamp, boxes, present, visible))
    sequence = Sequence(
        name=str(scene),
        class_names=('person',),
        image_size=scene.size,
        frame_rate=scene.rate,
        truth=tuple(truth),
        stamps=stamps,
        images=Renderer(scene, world),
        image_key=scene.image_key,
    )
    return Generated(sequence, detections, hidings)
