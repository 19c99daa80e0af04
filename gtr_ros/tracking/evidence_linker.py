# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracks of one camera, linked by evidence: a state of fixed size for each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch

from gtr_ros.model.calibration import Calibration
from gtr_ros.structures import Detections
from gtr_ros.tracking.evidence import appearance_evidence
from gtr_ros.tracking.evidence import class_evidence
from gtr_ros.tracking.evidence import motion_evidence
from gtr_ros.tracking.evidence import size_evidence
from gtr_ros.tracking.likeness import best_logits
from gtr_ros.tracking.likeness import Likeness
from gtr_ros.tracking.motion import MotionFilters
from gtr_ros.tracking.recognition import Recognition
from gtr_ros.tracking.recognition import Return
from gtr_ros.tracking.window import WindowView

if TYPE_CHECKING:
    from gtr_ros.tracking.evidence_rule import EvidenceRule


class EvidenceLinker:
    """
    Links the detections of a frame to the tracks of one camera, as an `EvidenceRule` says.

    The state of each of the K tracks is of one size, however long it lasts; all are updated
    together.

    :param rule: the constants
    :param calibration: of the network that makes the features
    """

    def __init__(self, rule: EvidenceRule, calibration: Calibration) -> None:
        self.rule = rule
        self.calibration = calibration
        self.cue = rule.cue(calibration)
        self._last_id = 0
        self.clear()

    @property
    def asks(self) -> bool:
        """Whether P_A is needed of every frame."""
        return self.cue == 'transformer'

    @property
    def ids(self) -> np.ndarray:
        """(K,) int64: the tracks that can be continued."""
        return self._ids

    @property
    def pending(self) -> np.ndarray:
        """(Q,) int64: tracks that may turn out to be somebody who was here before."""
        pending = self._recognition.pending
        return self._ids[pending] if len(pending) else self._ids[:0]

    def away(self, ids: np.ndarray) -> np.ndarray:
        """Return for how many seconds tracks were away when they last came back; 0: never."""
        order = np.argsort(self._ids)
        return self._away[order[np.searchsorted(self._ids, ids, sorter=order)]]

    def settle(self, ids: np.ndarray) -> None:
        """Let these tracks keep their identities: they are published."""
        if len(self._likeness):  # otherwise nobody is known again
            self._recognition.settle(np.isin(self._ids, ids))

    def clear(self) -> None:
        """Forget every track. Identities given so far are not given again."""
        self._motion = MotionFilters(self.rule.motions, self.rule.motion_memory)
        self._likeness = Likeness(self.calibration, self.rule.likeness_memory)
        self._ids = np.zeros(0, np.int64)
        self._log_height = np.zeros(0)
        self._size_variance = np.zeros(0)
        self._gap = np.zeros(0)  # seconds since the last box
        self._votes = np.zeros((0, 1))  # boxes of each label
        self._labels = np.ones(1)  # boxes of each label that this camera has seen
        self._time = 0.0  # seconds
        self._away = np.zeros(0)  # seconds for which a track was away when it last came back
        self._width: int | None = None  # D, of features; None: there were none yet
        self._recognition = Recognition(self.rule.gallery)
        #: those who came back in the newest frame
        self.returns: list[Return] = []

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """
        Say whose each detection of a frame is.

        :param view: of the frame
        :param seconds: since the frame before
        :param may_begin: (M,) bool: those that begin a track where they continue none
        :return: (M,) int64; 0: of nobody, as boxes are that are not finite
        :raises ValueError: if features are of another length than those before
        """
        now = view.now
        features = self._features(now)
        self._predict(seconds, now)
        boxes = now.boxes.astype(np.float64)
        sound = np.isfinite(boxes).all(axis=1)
        boxes, may_begin = np.where(sound[:, None], boxes, 0.0), may_begin & sound
        centre, log_height = (boxes[:, :2] + boxes[:, 2:]) / 2, np.log(heights(boxes))
        self._count_labels(now.labels)
        track = np.full(len(now), -1)
        if len(now) and len(self._ids):
            evidence = self._evidence(view, centre, log_height, features)
            evidence[~sound] = -np.inf
            threshold = np.where(may_begin, self.rule.threshold, self.rule.weak_threshold)
            gain = np.maximum(evidence - threshold[:, None], 0)
            rows, columns = linear_sum_assignment(gain, maximize=True)
            linked = gain[rows, columns] > 0
            track[rows[linked]] = columns[linked]
        known = len(self._ids)
        found, new = np.flatnonzero(track >= 0), np.flatnonzero((track < 0) & may_begin)
        self._continue(track[found], centre[found], log_height[found], now.labels[found])
        self._begin(centre[new], log_height[new], now.labels[new])
        if features is not None:
            self._likeness.update(track[found], found, features, seconds)
            self._likeness.begin(features[torch.from_numpy(new)])
            self._recognise(track[found], found, new, features.numpy())
        track[new] = known + np.arange(len(new))
        ids = np.zeros(len(now), np.int64)
        ids[track >= 0] = self._ids[track[track >= 0]]
        return ids

    def _features(self, now: Detections) -> torch.Tensor | None:
        """Return a frame's features, of unit length, on the host; None: appearance is no cue."""
        if self.cue == 'none':
            return None
        if len(now):
            width = now.features.shape[1]
            if self._width not in (None, width):
                raise ValueError(
                    f'features are {width} numbers wide, those before {self._width}: features of '
                    'one camera must be of one network; a reset lets those of another come'
                )
            self._width = width
        return self._likeness.unit(now.features) if self._width else None

    def _predict(self, seconds: float, now: Detections) -> None:
        """Move every track on to the time of a frame; those lost for too long go."""
        self._time += seconds
        self._motion.predict(seconds, now.camera)
        self._gap += seconds
        self._size_variance += self.rule.size_drift**2 * seconds
        alive = np.flatnonzero(self._gap <= self.rule.memory)
        if len(alive) < len(self._ids):
            self._lose(np.flatnonzero(self._gap > self.rule.memory))
            self._motion.keep(alive)
            for name in ('_ids', '_log_height', '_size_variance', '_gap', '_votes', '_away'):
                setattr(self, name, getattr(self, name)[alive])

    def _lose(self, rows: np.ndarray) -> None:
        """Remember what tracks looked like that are lost."""
        if not len(self._likeness):
            return
        labels, seen = self._votes[rows].argmax(axis=1), self._time - self._gap[rows]
        self._recognition.lose(rows, self._ids[rows], labels, seen)
        alive = np.delete(np.arange(len(self._ids)), rows)
        self._likeness.keep(alive)
        self._recognition.keep(alive)

    def _recognise(
        self, rows: np.ndarray, found: np.ndarray, new: np.ndarray, features: np.ndarray
    ) -> None:
        """Give tracks that began lately the identities of those who came back."""
        self._recognition.update(rows, features[found])
        self._recognition.begin(features[new], self._time)
        labels = self._votes.argmax(axis=1)
        alike, error = self._likeness.in_z, self.rule.label_error
        self.returns = self._recognition.recognise(self._time, self._ids, labels, alike, error)
        for back in self.returns:
            self._ids[back.row], self._away[back.row] = back.id, back.away

    def _evidence(
        self,
        view: WindowView,
        centre: np.ndarray,
        log_height: np.ndarray,
        features: torch.Tensor | None,
    ) -> np.ndarray:
        """Add up what speaks for each detection being each track, (M, K)."""
        rule, now = self.rule, view.now
        evidence = size_evidence(
            log_height,
            self._log_height,
            self._size_variance + rule.size_noise**2,
            rule.size_anything,
            rule.outlier,
        )
        if rule.location:
            height, area = np.exp(self._log_height), float(np.prod(now.image_size))
            density = self._motion.density(centre, height, rule.position_limit)
            evidence += motion_evidence(density, area, rule.outlier)
        evidence += class_evidence(
            self._votes.T[now.labels],
            self._votes.sum(axis=1),
            (self._labels / self._labels.sum())[now.labels],
            rule.label_doubt,
            rule.label_error,
        )
        if features is not None:
            likeness = self._likeness.compare(features)  # it learns of the cosines in any case
            slope, level = self._likeness.slope, self._likeness.level
            if self.cue == 'transformer':
                likeness = best_logits(view, self._ids)
                slope, level = self.calibration.logit_slope, self.calibration.logit_level
            alike = appearance_evidence(likeness, slope, level, rule.appearance_limit)
            seen = features.any(dim=1).numpy()[:, None]  # not a feature that was not finite
            evidence += np.where(seen, alike, 0.0)
        return evidence - rule.fading * self._gap

    def _count_labels(self, labels: np.ndarray) -> None:
        more = int(labels.max(initial=0)) + 1 - len(self._labels)
        if more > 0:
            self._labels = np.pad(self._labels, (0, more))
            self._votes = np.pad(self._votes, ((0, 0), (0, more)))
        self._labels += np.bincount(labels, minlength=len(self._labels))

    def _continue(
        self, rows: np.ndarray, centre: np.ndarray, log_height: np.ndarray, labels: np.ndarray
    ) -> None:
        """Put a box to each of some tracks."""
        rule, height = self.rule, np.exp(self._log_height[rows])
        self._motion.update(rows, centre, height, rule.position_limit)
        variance = self._size_variance[rows]
        gain = variance / (variance + rule.size_noise**2)
        self._log_height[rows] += gain * (log_height - self._log_height[rows])
        self._size_variance[rows] = variance * (1 - gain)
        self._gap[rows] = 0
        self._votes[rows, labels] += 1

    def _begin(self, centre: np.ndarray, log_height: np.ndarray, labels: np.ndarray) -> None:
        """Append a track for each of some boxes."""
        count = len(centre)
        self._motion.begin(centre)
        self._ids = np.append(self._ids, self._last_id + 1 + np.arange(count))
        self._last_id += count
        self._log_height = np.append(self._log_height, log_height)
        variance = np.full(count, self.rule.size_noise**2)
        self._size_variance = np.append(self._size_variance, variance)
        self._gap = np.append(self._gap, np.zeros(count))
        self._away = np.append(self._away, np.zeros(count))
        self._votes = np.concatenate([self._votes, np.eye(self._votes.shape[1])[labels]])


def heights(boxes: np.ndarray) -> np.ndarray:
    """Return the heights of xyxy boxes, at least a hundredth of a pixel, (N,)."""
    return np.maximum(boxes[:, 3] - boxes[:, 1], 0.01)
