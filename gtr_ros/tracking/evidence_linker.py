# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Links the detections of one camera with an `EvidenceRule`; a track's state has a fixed size."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
import torch

from gtr_ros.boxes import box_centres
from gtr_ros.model.calibration import Calibration
from gtr_ros.structures import Detections
from gtr_ros.tracking.appearance import AppearanceModel
from gtr_ros.tracking.evidence import appearance_evidence
from gtr_ros.tracking.evidence import class_evidence
from gtr_ros.tracking.evidence import motion_evidence
from gtr_ros.tracking.evidence import size_evidence
from gtr_ros.tracking.evidence_rule import EvidenceRule
from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.motion import MotionFilters
from gtr_ros.tracking.reidentification import Reidentification
from gtr_ros.tracking.reidentification import Reidentifier
from gtr_ros.tracking.window import WindowView

_LEAST_HEIGHT = 0.01  # of a box, pixels: its logarithm must be finite


class EvidenceLinker:
    """
    Links the detections of a frame to the tracks of one camera.

    The state of each of the K tracks has the same size, however long the track is; all tracks are
    updated together.

    :param rule: the constants
    :param calibration: of the network that computes the features
    """

    def __init__(self, rule: EvidenceRule, calibration: Calibration) -> None:
        self.rule = rule
        self.calibration = calibration
        self.cue = rule.cue(calibration)
        self.last_id = 0
        self.clear()

    @property
    def needs_likelihoods(self) -> bool:
        """Whether P_A is needed for every frame."""
        return self.cue == 'transformer'

    @property
    def ids(self) -> np.ndarray:
        """(K,) int64: the tracks that can be continued."""
        return self._ids

    @property
    def pending(self) -> np.ndarray:
        """(Q,) int64: tracks that may still be re-identified as lost ones."""
        pending = self._reidentifier.pending
        return self._ids[pending] if len(pending) else self._ids[:0]

    @property
    def gallery(self) -> Gallery:
        """The lost tracks that can be re-identified."""
        return self._reidentifier.gallery

    @property
    def log_heights(self) -> tuple[np.ndarray, np.ndarray]:
        """(K,) and (K,) float64: mean and variance of the logarithm of each box height, pixels."""
        return self._log_height, self._size_variance

    def state_sizes(self) -> dict[str, int]:
        """Return the number of tracks in each part of the state: K, or 0 for an unused cue."""
        parts = {
            'ids': self._ids,
            'motion': self.motion.position,
            'log_height': self._log_height,
            'size_variance': self._size_variance,
            'gap': self._gap,
            'votes': self._votes,
            'away': self._away,
            'appearance': self.appearance,
            'reidentification': self._reidentifier,
        }
        return {name: len(part) for name, part in parts.items()}

    def time_away(self, ids: np.ndarray) -> np.ndarray:
        """Return the seconds for which tracks were lost before their last re-identification."""
        if not self._away.any():
            return np.zeros(len(ids))
        order = np.argsort(self._ids)
        return self._away[order[np.searchsorted(self._ids, ids, sorter=order)]]

    def fix_ids(self, ids: np.ndarray) -> None:
        """Fix these ids: the tracks have been published."""
        if self._reidentifier.provisional.any():
            self._reidentifier.fix_ids(np.isin(self._ids, ids))

    def clear(self) -> None:
        """End all tracks. Their ids are not reused."""
        self.motion = MotionFilters(self.rule.motions, self.rule.motion_memory)
        self.appearance = AppearanceModel(
            self.calibration, self.rule.appearance_memory, self.rule.appearance_drift
        )
        self._ids = np.zeros(0, np.int64)
        self._log_height = np.zeros(0)
        self._size_variance = np.zeros(0)
        self._gap = np.zeros(0)  # seconds since the last box
        self._votes = np.zeros((0, 1))  # boxes of each label
        self._label_counts = np.ones(1)  # boxes of each label in this camera
        self._time = 0.0  # seconds
        self._interval = 0.0  # seconds between the last two frames
        self._away = np.zeros(0)  # seconds lost before the last re-identification; 0: none
        self._width: int | None = None  # D, of features; None: not known yet
        self._reidentifier = Reidentifier(self.rule.gallery)
        #: tracks that were re-identified in the newest frame
        self.reidentified: list[Reidentification] = []

    def link(self, view: WindowView, seconds: float, may_begin: np.ndarray) -> np.ndarray:
        """
        Assign a track id to each detection of a frame.

        :param view: of the frame
        :param seconds: since the previous frame
        :param may_begin: (M,) bool: detections that start a track if they do not continue one
        :return: (M,) int64; 0: no track, also for boxes that are not finite
        :raises ValueError: if the length of the features differs from that of the previous ones
        """
        now = view.now
        features = self._unit_features(now)
        self._predict(seconds, now)
        boxes = now.boxes.astype(np.float64)
        finite = np.isfinite(boxes).all(axis=1)
        boxes, may_begin = np.where(finite[:, None], boxes, 0.0), may_begin & finite
        centre = box_centres(boxes)
        log_height = np.log(np.maximum(boxes[:, 3] - boxes[:, 1], _LEAST_HEIGHT))
        self._count_labels(now.labels)
        track = np.full(len(now), -1)
        if len(now) and len(self._ids):
            evidence = self._evidence(view, centre, log_height, features)
            evidence[~finite] = -np.inf
            threshold = np.where(may_begin, self.rule.threshold, self.rule.weak_threshold)
            gain = np.maximum(evidence - threshold[:, None], 0)
            rows, columns = linear_sum_assignment(gain, maximize=True)
            linked = gain[rows, columns] > 0
            track[rows[linked]] = columns[linked]
        known = len(self._ids)
        linked, new = np.flatnonzero(track >= 0), np.flatnonzero((track < 0) & may_begin)
        self._continue(track[linked], centre[linked], log_height[linked], now.labels[linked])
        if len(new):
            self._begin(centre[new], log_height[new], now.labels[new])
        if features is not None:
            self.appearance.update(track[linked], linked, features, seconds)
            if len(new):
                self.appearance.begin(features[torch.from_numpy(new)])
            self._reidentify(track[linked], linked, new, features.numpy())
        track[new] = known + np.arange(len(new))
        ids = np.zeros(len(now), np.int64)
        ids[track >= 0] = self._ids[track[track >= 0]]
        return ids

    def _unit_features(self, now: Detections) -> torch.Tensor | None:
        """Return a frame's features, unit length, on the host; None: appearance is not a cue."""
        if self.cue == 'none':
            return None
        if len(now):
            width = now.features.shape[1]
            if self._width not in (None, width):
                raise ValueError(
                    f'features have length {width}, the previous ones {self._width}; all features '
                    'of one camera must come from one network, or the tracker must be reset'
                )
            self._width = width
        return self.appearance.unit(now.features) if self._width else None

    def _predict(self, seconds: float, now: Detections) -> None:
        """Predict every track to the time of a frame; remove those lost for too long."""
        self._time += seconds
        self._interval = seconds
        self.motion.predict(seconds, now.camera)
        self._gap += seconds
        self._size_variance += self.rule.size_drift**2 * seconds
        lost = self._gap > self.rule.memory
        if lost.any():
            alive = np.flatnonzero(~lost)
            self._remove_lost(np.flatnonzero(lost))
            self.motion.keep(alive)
            for name in ('_ids', '_log_height', '_size_variance', '_gap', '_votes', '_away'):
                setattr(self, name, getattr(self, name)[alive])

    def _remove_lost(self, rows: np.ndarray) -> None:
        """Move the appearance of lost tracks to the gallery."""
        if not len(self.appearance):
            return
        labels, last_seen = self._votes[rows].argmax(axis=1), self._time - self._gap[rows]
        self._reidentifier.add_lost(rows, self._ids[rows], labels, last_seen)
        alive = np.delete(np.arange(len(self._ids)), rows)
        self.appearance.keep(alive)
        self._reidentifier.keep(alive)

    def _reidentify(
        self, rows: np.ndarray, linked: np.ndarray, new: np.ndarray, features: np.ndarray
    ) -> None:
        """Give new tracks the ids of the lost tracks that they are re-identified as."""
        self._reidentifier.update(rows, features[linked])
        self._reidentifier.begin(features[new], self._time)
        labels = self._votes.argmax(axis=1)
        self.reidentified = self._reidentifier.reidentify(
            self._time,
            self._ids,
            labels,
            self.appearance.cosines.statistics,
            self.rule.label_error,
        )
        for track in self.reidentified:
            self._ids[track.row], self._away[track.row] = track.id, track.away

    def _evidence(
        self,
        view: WindowView,
        centre: np.ndarray,
        log_height: np.ndarray,
        features: torch.Tensor | None,
    ) -> np.ndarray:
        """Sum the evidence that each detection continues each track, (M, K)."""
        rule, now = self.rule, view.now
        evidence = size_evidence(
            log_height,
            self._log_height,
            self._size_variance + rule.size_noise**2,
            rule.size_spread,
            rule.outlier,
        )
        if rule.location:
            height, area = np.exp(self._log_height), float(np.prod(now.image_size))
            density = self.motion.density(centre, height, rule.position_limit)
            evidence += motion_evidence(density, area, rule.outlier)
        evidence += class_evidence(
            self._votes.T[now.labels],
            self._votes.sum(axis=1),
            (self._label_counts / self._label_counts.sum())[now.labels],
            rule.label_prior,
            rule.label_error,
        )
        if features is not None:
            appearance = self.appearance
            similarity, learnt = appearance.compare(features), appearance.cosines
            if self.cue == 'transformer':  # the gallery needs the statistics of cosines, too
                similarity, learnt = appearance.compare_logits(view, self._ids), appearance.logits
            slope, level = learnt.scale(np.maximum(self._gap - self._interval, 0))
            from_appearance = appearance_evidence(similarity, slope, level, rule.appearance_limit)
            valid = features.any(dim=1).numpy()[:, None]  # non-finite features are 0
            evidence += np.where(valid, from_appearance, 0.0)
        return evidence - rule.fading * self._gap

    def _count_labels(self, labels: np.ndarray) -> None:
        more = int(labels.max(initial=0)) + 1 - len(self._label_counts)
        if more > 0:
            self._label_counts = np.pad(self._label_counts, (0, more))
            self._votes = np.pad(self._votes, ((0, 0), (0, more)))
        self._label_counts += np.bincount(labels, minlength=len(self._label_counts))

    def _continue(
        self, rows: np.ndarray, centre: np.ndarray, log_height: np.ndarray, labels: np.ndarray
    ) -> None:
        """Update R tracks with one box each."""
        rule, height = self.rule, np.exp(self._log_height[rows])
        self.motion.update(rows, centre, height, rule.position_limit)
        variance = self._size_variance[rows]
        gain = variance / (variance + rule.size_noise**2)
        self._log_height[rows] += gain * (log_height - self._log_height[rows])
        self._size_variance[rows] = variance * (1 - gain)
        self._gap[rows] = 0
        self._votes[rows, labels] += 1

    def _begin(self, centre: np.ndarray, log_height: np.ndarray, labels: np.ndarray) -> None:
        """Append a track for each of N boxes."""
        count = len(centre)
        self.motion.begin(centre)
        self._ids = np.append(self._ids, self.last_id + 1 + np.arange(count))
        self.last_id += count
        self._log_height = np.append(self._log_height, log_height)
        variance = np.full(count, self.rule.size_noise**2)
        self._size_variance = np.append(self._size_variance, variance)
        self._gap = np.append(self._gap, np.zeros(count))
        self._away = np.append(self._away, np.zeros(count))
        self._votes = np.concatenate([self._votes, np.eye(self._votes.shape[1])[labels]])
