# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who a tracker took the people of a synthetic scene for, before and after they were hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np

from gtr_ros.boxes import box_iou
from gtr_ros.boxes import match_boxes
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic.scene import Hiding
from gtr_ros.data.synthetic.scene import SEEN
from gtr_ros.stamps import NANOSECONDS

#: frames that say which identity a person has
VOTES = 5


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
        for i, j in zip(*match_boxes(iou)):
            given.setdefault(int(truth.ids[i]), []).append((stamp, int(ids[j])))
    return given


def vote(ids: list[int]) -> int:
    """Return the most frequent of ids, of equally frequent ones the latest."""
    counts = Counter(ids)
    return max(reversed(ids), key=counts.__getitem__)


def largest_share(
    sequence: Sequence, results: Iterable[tuple[np.ndarray, np.ndarray]]
) -> tuple[float, float]:
    """
    Say how much of its time an object has the one identity that it has most often.

    :param sequence: the truth; distractors do not count
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; they are matched
        with the truth where their IoU is 0.5 or more, whatever the labels
    :return: the share in [0, 1] of an object's matched frames, and its number of identities, means
        over the objects that were matched at all; 0, 0 without any
    """
    counted = {int(i) for truth in sequence.truth for i in truth.ids[truth.counted]}
    counts = [
        Counter(identity for _, identity in seen)
        for i, seen in identities_given(sequence, results).items()
        if i in counted
    ]
    if not counts:
        return 0.0, 0.0
    shares = [max(one.values()) / one.total() for one in counts]
    return float(np.mean(shares)), float(np.mean([len(one) for one in counts]))
