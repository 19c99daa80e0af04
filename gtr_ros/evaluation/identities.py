# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities that a tracker assigns to the objects of a scene, and whether it keeps them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from gtr_ros.boxes import box_iou
from gtr_ros.boxes import match_boxes
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic.scene import Hiding
from gtr_ros.data.synthetic.scene import SEEN
from gtr_ros.evaluation.gaps import Gap
from gtr_ros.stamps import NANOSECONDS

#: number of frames whose majority decides which id a person has
MAJORITY_FRAMES = 5
#: number of these in which a person must have an id, so that it is this person's
MAJORITY = 3


def identities_kept(
    sequence: Sequence,
    hidings: Iterable[Hiding | Gap],
    results: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[int, int]:
    """
    Count the hidings after which a person has the same id as before.

    The id before a hiding is the most frequent one in the last 5 matched frames, at most 2 s
    before it; the id after a hiding is the most frequent one in the first 5 matched frames, at
    most 2 s after it. Among equally frequent ids, the latest counts.

    :param sequence: the ground truth
    :param hidings: in the sequence
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; matched with the
        ground truth at IoU 0.5
    :return: hidings with the same id before and after; hidings with matched frames on both sides
    """
    assigned = identities_given(sequence, results)
    kept = total = 0
    reach = round(SEEN * NANOSECONDS)
    for hiding in hidings:
        seen = assigned.get(hiding.id, [])
        before = [i for stamp, i in seen if hiding.begin - reach <= stamp < hiding.begin]
        after = [i for stamp, i in seen if hiding.end <= stamp < hiding.end + reach]
        if before and after:
            total += 1
            kept += majority(before[-MAJORITY_FRAMES:]) == majority(after[:MAJORITY_FRAMES])
    return kept, total


def identities_given(
    sequence: Sequence, results: Iterable[tuple[np.ndarray, np.ndarray]]
) -> dict[int, list[tuple[int, int]]]:
    """
    Match results with the ground truth at IoU 0.5.

    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels
    :return: by ground truth id, in order of time, stamps in nanoseconds and the assigned ids
    """
    assigned: dict[int, list[tuple[int, int]]] = {}
    for truth, stamp, (ids, boxes) in zip(
        sequence.truth, sequence.stamps.tolist(), results, strict=True
    ):
        iou = box_iou(truth.boxes, np.asarray(boxes, np.float64).reshape(-1, 4))
        for i, j in zip(*match_boxes(iou)):
            assigned.setdefault(int(truth.ids[i]), []).append((stamp, int(ids[j])))
    return assigned


def majority(ids: list[int]) -> int:
    """Return the most frequent id; among equally frequent ones, the latest."""
    counts = Counter(ids)
    return max(reversed(ids), key=counts.__getitem__)


def false_joins(
    sequence: Sequence, results: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[int, int]:
    """
    Count the track ids that go on to another person.

    An id belongs to a person who has it in at least 3 of 5 consecutive frames in which the person
    is matched. It went on to another person if it belongs to more than one.

    :param sequence: the ground truth
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; matched with the
        ground truth at IoU 0.5
    :return: ids that belong to more than one person; ids that belong to anybody
    """
    owners: Counter[int] = Counter()
    for seen in identities_given(sequence, results).values():
        ids = [identity for _, identity in seen]
        parts = [ids[k : k + MAJORITY_FRAMES] for k in range(len(ids))]
        owners.update({i for part in parts for i in set(part) if part.count(i) >= MAJORITY})
    return sum(count > 1 for count in owners.values()), len(owners)


def largest_share(
    sequence: Sequence, results: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """
    Return the share of an object's frames that have its most frequent id.

    :param sequence: the ground truth; distractors do not count
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; matched with the
        ground truth at IoU 0.5, whatever the labels
    :return: the share in [0, 1] of an object's matched frames, and its number of ids, as means
        over the objects with at least one match; 0, 0 if there are none
    """
    counted = {int(i) for truth in sequence.truth for i in truth.ids[truth.counted]}
    counts = [
        Counter(identity for _, identity in seen)
        for i, seen in identities_given(sequence, results).items()
        if i in counted
    ]
    if not counts:
        return 0.0, 0.0
    shares = [max(count.values()) / count.total() for count in counts]
    return float(np.mean(shares)), float(np.mean([len(count) for count in counts]))
