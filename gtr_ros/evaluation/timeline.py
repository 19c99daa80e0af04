# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The track id of each ground truth object over time, and the id switches."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from gtr_ros.boxes import box_iou
from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.metrics import Result

#: id in frames in which an object has no track
LOST = -1


class Span(NamedTuple):
    """Frames `begin` <= t < `end` in which an object has the track id `id`, or is `LOST`."""

    begin: int
    end: int
    id: int


class Switch(NamedTuple):
    """
    A change of an object's track id.

    :param object: id in the ground truth
    :param label: of its class
    :param before: last frame with the old id
    :param frame: first frame with the new id
    :param old_id: track id before
    :param new_id: track id after
    """

    object: int
    label: int
    before: int
    frame: int
    old_id: int
    new_id: int


class Timeline(NamedTuple):
    """
    The track ids of every ground truth object.

    :param spans: by label and ground truth id, in order of first appearance; frames without the
        object are in no span
    :param switches: in order of frames; as many as CLEAR counts
    """

    spans: dict[tuple[int, int], list[Span]]
    switches: list[Switch]


def make_timeline(sequence: Sequence, results: SequenceOf[Result]) -> Timeline:
    """
    Match ground truth and results of every frame as the CLEAR metrics do, at IoU 0.5.

    A pair matched in the previous frame stays matched while its IoU is high enough.

    :param results: of each frame
    """
    spans: dict[tuple[int, int], list[Span]] = {}
    switches = []
    last: dict[tuple[int, int], tuple[int, int]] = {}  # newest id of an object, and its frame
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
            matched = dict.fromkeys(objects, LOST)
            for a, b in zip(*linear_sum_assignment(-score)):
                if score[a, b] > 0:
                    matched[objects[a]] = ids[b]
            for key, identity in matched.items():
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
    """Append a frame to the last span, or start a new span."""
    if spans and spans[-1].end == frame and spans[-1].id == identity:
        spans[-1] = spans[-1]._replace(end=frame + 1)
    else:
        spans.append(Span(frame, frame + 1, identity))
