# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who each true object was taken for, frame by frame, and where that changed."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gtr_ros.boxes import box_iou
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.metrics import Result

#: in the place of an id
LOST = -1


class Span(NamedTuple):
    """Frames `begin` <= t < `end` in which an object was taken for `id`; `LOST`: for nobody."""

    begin: int
    end: int
    id: int


class Switch(NamedTuple):
    """
    An object that was taken for another.

    :param object: its true id
    :param label: of its class
    :param before: frame in which it had its old id last
    :param frame: frame in which it has the new one
    :param old_id: who it was taken for
    :param new_id: who it is taken for now
    """

    object: int
    label: int
    before: int
    frame: int
    old_id: int
    new_id: int


class Timeline(NamedTuple):
    """
    The story of every true object.

    :param spans: by label and true id, in order of first appearance; frames in which the object
        is not there are in none
    :param switches: in order of frames; as many as CLEAR counts
    """

    spans: dict[tuple[int, int], list[Span]]
    switches: list[Switch]


def make_timeline(sequence: Sequence, results: SequenceOf[Result]) -> Timeline:
    """
    Match truth and results of every frame as the CLEAR metrics do, at IoU 0.5.

    A pair that was matched in the frame before is matched again if it still can be.

    :param results: of each frame
    """
    spans: dict[tuple[int, int], list[Span]] = {}
    switches = []
    last: dict[tuple[int, int], tuple[int, int]] = {}  # of an object: its id, and when
    previous: dict[tuple[int, int], int] = {}
    for t, (truth, result) in enumerate(zip(sequence.truth, results, strict=True)):
        current: dict[tuple[int, int], int] = {}
        for label in np.unique(truth.labels[truth.counted]).tolist():
            rows = np.flatnonzero((truth.labels == label) & truth.counted)
            columns = np.flatnonzero(result.labels == label)
            objects = [(label, i) for i in truth.ids[rows].tolist()]
            ids = result.ids[columns].tolist()
            iou = box_iou(truth.boxes[rows], result.boxes[columns].astype(np.float64))
            kept = np.array([[previous.get(o) == i for i in ids] for o in objects], float)
            score = iou + 1000 * kept.reshape(iou.shape)
            score[iou < 0.5 - np.finfo(float).eps] = 0
            taken = dict.fromkeys(objects, LOST)
            for a, b in zip(*linear_sum_assignment(-score)):
                if score[a, b] > 0:
                    taken[objects[a]] = ids[b]
            for key, identity in taken.items():
                _extend(spans.setdefault(key, []), t, identity)
                if identity == LOST:
                    continue
                current[key] = identity
                if key in last and last[key][0] != identity:
                    switches.append(Switch(key[1], label, last[key][1], t, last[key][0], identity))
                last[key] = (identity, t)
        if len(result) and len(truth):
            previous = current
    return Timeline(spans, switches)


def _extend(spans: list[Span], frame: int, identity: int) -> None:
    """Append a frame to the last span, or begin one."""
    if spans and spans[-1].end == frame and spans[-1].id == identity:
        spans[-1] = spans[-1]._replace(end=frame + 1)
    else:
        spans.append(Span(frame, frame + 1, identity))
