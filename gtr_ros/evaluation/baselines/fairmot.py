# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local baselines of the paper (Table 1, rows 1 to 3): FairMOT's association rules."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from gtr_ros.boxes import box_iou
from gtr_ros.evaluation.baselines.kalman import GATE
from gtr_ros.evaluation.baselines.kalman import KalmanBoxes
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks

_SMOOTHING = 0.9  # of a track's feature
_MOTION_WEIGHT = 0.02  # of the Mahalanobis distance, against that of the cosine distance
_DUPLICATE_IOU = 0.85


class FairMOT:
    """
    A local tracker: each frame is associated with the last state of each track only.

    Detections are first assigned by appearance, gated by motion; then by overlap, to tracks that
    were detected in the previous frame. A lost track can be continued by appearance for some
    frames. With `overlap` alone, it is the paper's row "IoU" (SORT); with `appearance` alone,
    "ReID"; with both, "IoU+ReID". A track is confirmed by its second box; in the first frame, at
    once.

    :param overlap: whether boxes are linked by overlap
    :param appearance: whether boxes are linked by their features
    :param rebirth: frames for which a lost track is kept
    :param max_distance: largest feature distance (1 - cosine, mixed with a little of the motion
        distance) for a link
    :param min_overlap: minimum IoU with the predicted box for a link
    :param max_first_distance: largest 1 - IoU (with `overlap`), or feature distance, for a link
        with a track that has only one box so far
    :raises ValueError: if overlap and appearance are both off
    """

    def __init__(
        self,
        overlap: bool = True,
        appearance: bool = True,
        rebirth: int = 30,
        max_distance: float = 0.4,
        min_overlap: float = 0.5,
        max_first_distance: float = 0.7,
    ) -> None:
        if not (overlap or appearance):
            raise ValueError('overlap and appearance are both off; expected at least one')
        self.overlap = overlap
        self.appearance = appearance
        self.rebirth = rebirth
        self.max_distance = max_distance
        self.max_first_distance = max_first_distance
        self.min_overlap = min_overlap
        self._last_id = 0
        self.reset()

    def reset(self) -> None:
        """End all tracks; ids continue to count up."""
        self._frame = 0
        self._kalman = KalmanBoxes(np.zeros((0, 4)))
        self._features: np.ndarray | None = None
        self._ids, self._labels, self._seen, self._began = (np.zeros(0, np.int64) for _ in '1234')
        self._confirmed = np.zeros(0, bool)

    def update(self, detections: Detections) -> Tracks:
        """
        Assign a track id to each detection of the next frame.

        :param detections: of one frame, in any order; features are needed only for appearance
        :return: tracks, in the order of the detections; unconfirmed ones are not for output
        """
        self._frame += 1
        boxes, labels = detections.boxes.astype(np.float64), detections.labels
        features = self._unit_features(detections)
        known = len(self._ids)
        track = np.full(len(boxes), -1)  # of each detection
        tracked = self._seen == self._frame - 1
        pool = np.flatnonzero(self._confirmed)
        self._kalman.predict(pool, steady_height=~tracked[pool])

        def link(rows: np.ndarray, cost: np.ndarray, limit: float) -> None:
            different = self._labels[rows, None] != labels[columns]
            a, b = _assign(np.where(different, np.inf, cost), limit)
            track[columns[b]] = rows[a]

        columns = np.arange(len(boxes))
        if self.appearance:
            link(pool, self._feature_cost(pool, features, boxes), self.max_distance)
        if self.overlap:
            columns = np.flatnonzero(track < 0)
            rows = pool[tracked[pool] & ~np.isin(pool, track)]
            link(rows, 1 - self._iou(rows, boxes[columns]), 1 - self.min_overlap)
        columns = np.flatnonzero(track < 0)
        new = np.flatnonzero(~self._confirmed)
        if self.overlap:
            cost = 1 - self._iou(new, boxes[columns])
        else:
            cost = self._feature_cost(new, features[columns], boxes[columns])
        link(new, cost, self.max_first_distance)

        found = np.flatnonzero(track >= 0)
        self._continue(track[found], boxes[found], features[found])
        begin = np.flatnonzero(track < 0)
        track[begin] = known + np.arange(len(begin))
        self._begin(boxes[begin], labels[begin], features[begin])
        ids, confirmed = self._ids[track], self._confirmed[track]
        duplicates = self._forget()
        return Tracks(
            ids=ids,
            boxes=detections.boxes,
            scores=detections.scores,
            labels=labels,
            confirmed=confirmed & ~np.isin(ids, duplicates),
        )

    def _unit_features(self, detections: Detections) -> np.ndarray:
        if not self.appearance:
            return np.zeros((len(detections), 0))
        features = detections.features.cpu().numpy().astype(np.float64)
        return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)

    def _iou(self, rows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
        return box_iou(self._kalman.boxes[rows], boxes)

    def _feature_cost(
        self, rows: np.ndarray, features: np.ndarray, boxes: np.ndarray
    ) -> np.ndarray:
        """Return 1 - cosine, mixed with the motion distance; infinite outside the motion gate."""
        if not (len(rows) and len(boxes)):
            return np.zeros((len(rows), len(boxes)))
        cosine = (1 - self._features[rows] @ features.T).clip(0)
        distance = self._kalman.distances(rows, boxes)
        mixed = (1 - _MOTION_WEIGHT) * cosine + _MOTION_WEIGHT * distance
        return np.where(distance > GATE, np.inf, mixed)

    def _continue(self, rows: np.ndarray, boxes: np.ndarray, features: np.ndarray) -> None:
        """Continue tracks with boxes, (R, 4), and features, (R, D)."""
        self._kalman.update(rows, boxes)
        if len(rows):
            smooth = _SMOOTHING * self._features[rows] + (1 - _SMOOTHING) * features
            length = np.linalg.norm(smooth, axis=1, keepdims=True)
            self._features[rows] = smooth / np.maximum(length, 1e-12)
        self._seen[rows] = self._frame
        self._confirmed[rows] = True

    def _begin(self, boxes: np.ndarray, labels: np.ndarray, features: np.ndarray) -> None:
        """Append new tracks."""
        count = len(boxes)
        self._kalman.extend(KalmanBoxes(boxes))
        before = features[:0] if self._features is None else self._features
        self._features = np.concatenate([before, features])
        self._ids = np.append(self._ids, self._last_id + 1 + np.arange(count))
        self._last_id += count
        self._labels = np.append(self._labels, labels)
        now = np.full(count, self._frame)
        self._seen, self._began = np.append(self._seen, now), np.append(self._began, now)
        self._confirmed = np.append(self._confirmed, np.full(count, self._frame == 1))

    def _forget(self) -> np.ndarray:
        """Remove old, unconfirmed and duplicate tracks; return the ids of the duplicates."""
        seen = self._seen == self._frame
        # An unconfirmed track without a detection is removed at once.
        alive = seen | (self._confirmed & (self._frame - self._seen <= self.rebirth))
        now, lost = np.flatnonzero(seen), np.flatnonzero(alive & ~seen)
        boxes, age = self._kalman.boxes, self._seen - self._began
        a, b = np.nonzero(box_iou(boxes[now], boxes[lost]) > _DUPLICATE_IOU)
        older = age[now[a]] > age[lost[b]]
        duplicates = np.append(lost[b[older]], now[a[~older]])
        alive[duplicates] = False
        ids = self._ids[duplicates]
        rows = np.flatnonzero(alive)
        self._kalman.keep(rows)
        for name in ('_features', '_ids', '_labels', '_seen', '_began', '_confirmed'):
            setattr(self, name, getattr(self, name)[rows])
        return ids


def _assign(cost: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the assignment with the largest total of limit - cost."""
    gain = np.maximum(limit - cost, 0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    keep = gain[rows, columns] > 0
    return rows[keep], columns[keep]
