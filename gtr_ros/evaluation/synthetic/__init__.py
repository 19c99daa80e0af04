# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes of walking people with exact truth, drawn as pixels.

They measure one difficulty at a time: how long people are hidden, how many there are, how alike
they look, how seldom they are seen. The world runs in continuous time and each of its aspects has
a random stream of its own, so that scenes that differ in one parameter differ in nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gtr_ros.evaluation.metrics import match
from gtr_ros.evaluation.sequence import NANOSECONDS
from gtr_ros.evaluation.sequence import regular_stamps
from gtr_ros.evaluation.sequence import Sequence
from gtr_ros.evaluation.sequence import Truth
from gtr_ros.evaluation.synthetic.drawing import Renderer
from gtr_ros.evaluation.synthetic.scene import Hiding
from gtr_ros.evaluation.synthetic.scene import Scene
from gtr_ros.evaluation.synthetic.scene import SEEN
from gtr_ros.evaluation.synthetic.world import areas
from gtr_ros.evaluation.synthetic.world import clip_boxes
from gtr_ros.evaluation.synthetic.world import detect
from gtr_ros.evaluation.synthetic.world import hide
from gtr_ros.evaluation.synthetic.world import visibility
from gtr_ros.evaluation.synthetic.world import World
from gtr_ros.structures import Detections
from gtr_ros.tracking.linking import box_iou

__all__ = ['Generated', 'Hiding', 'Scene', 'generate', 'identities_kept']

#: frames that say which identity a person has
VOTES = 5


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
        inside = areas(boxes) >= 0.5 * areas(world.boxes[t])
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


def identities_kept(
    sequence: Sequence,
    hidings: Iterable[Hiding],
    results: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[int, int]:
    """
    Count the hidings over which a tracker knew who it was.

    A person's identity before a hiding is the one it was given most often in its last 5 frames
    there, of those at most 2 s before; after a hiding, likewise in its first 5. Of identities that
    were given equally often, the latest counts.

    :param sequence: the truth
    :param hidings: of the sequence
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; they are matched
        with the truth where their IoU is 0.5 or more
    :return: hidings after which the identity is that of before; all hidings but those that have no
        matched frame on one side
    """
    given = identities_given(sequence, results)
    kept = total = 0
    reach = round(SEEN * NANOSECONDS)
    for hiding in hidings:
        seen = given.get(hiding.id, [])
        before = [i for stamp, i in seen if hiding.begin - reach <= stamp < hiding.begin]
        after = [i for stamp, i in seen if hiding.end <= stamp < hiding.end + reach]
        if before and after:
            total += 1
            kept += vote(before[-VOTES:]) == vote(after[:VOTES])
    return kept, total


def identities_given(
    sequence: Sequence, results: Iterable[tuple[np.ndarray, np.ndarray]]
) -> dict[int, list[tuple[int, int]]]:
    """
    Match results with the truth where their IoU is 0.5 or more.

    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels
    :return: by true id, in order of time, the stamp in nanoseconds and the identity that was given
    """
    given: dict[int, list[tuple[int, int]]] = {}
    for truth, stamp, (ids, boxes) in zip(
        sequence.truth, sequence.stamps.tolist(), results, strict=True
    ):
        iou = box_iou(truth.boxes, np.asarray(boxes, np.float64).reshape(-1, 4))
        for i, j in zip(*match(iou)):
            given.setdefault(int(truth.ids[i]), []).append((stamp, int(ids[j])))
    return given


def vote(ids: list[int]) -> int:
    """Return the most frequent of ids, of equally frequent ones the latest."""
    counts = Counter(ids)
    return max(reversed(ids), key=counts.__getitem__)
