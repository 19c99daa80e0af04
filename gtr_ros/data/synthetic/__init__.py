# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Drawn scenes of walking people with exact ground truth.

They vary one difficulty at a time: the duration of occlusions, the number of people, the
similarity of their appearance, or the frame rate. The simulation runs in continuous time, and each
aspect has its own random stream, so scenes that differ in one parameter differ in nothing else.
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
from gtr_ros.data.synthetic.world import choose_hidings
from gtr_ros.data.synthetic.world import simulate_detections
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.data.synthetic.world import World
from gtr_ros.structures import Detections

__all__ = ['Generated', 'Hiding', 'Scene', 'generate']


@dataclass(frozen=True)
class Generated:
    """
    A generated scene.

    :param sequence: ground truth of each of T frames, and their images, which are drawn when read
    :param detections: of each frame, by a simulated imperfect detector; features are zeros
    :param hidings: by person, then in order of time
    """

    sequence: Sequence
    detections: list[Detections]
    hidings: tuple[Hiding, ...]


def generate(scene: Scene) -> Generated:
    """Generate a scene; the same parameters always produce the same scene."""
    frames = max(1, round(scene.duration * scene.rate))
    stamps = regular_stamps(frames, scene.rate)
    hidings = choose_hidings(scene)
    world = World.at(scene, stamps, hidings)
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = clip_boxes(world.boxes[t], scene.size)
        inside = box_areas(boxes) >= 0.5 * box_areas(world.boxes[t])
        present = np.flatnonzero(~world.hidden[t] & inside)
        truth.append(Truth.of(present + 1, boxes[present]))
        visible = visibility(boxes[present], nearness=world.boxes[t, present, 3])
        detections.append(simulate_detections(scene, stamp, boxes, present, visible))
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
