# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The appearance of tracks, and how much evidence a detection's similarity to them provides."""

from __future__ import annotations

import numpy as np
import torch

from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.past import Past
from gtr_ros.tracking.similarity import LearntSimilarity
from gtr_ros.tracking.window import WindowView

_MOST_AVERAGED = 9  # number of boxes in a running mean: from then on, a new box has the weight 0.1

_LEAST_DEVIATION = 0.05  # of cosines

_LEAST_LOGIT_DEVIATION = 0.3

_LEAST_LOGIT = -4.0  # of one box of a track

_LEAST_PROBABILITY = 1e-7


class AppearanceModel:
    """
    A mean feature for each of K tracks, and what the similarity to tracks says in this camera.

    :param calibration: prior of the statistics
    :param memory: time constant, seconds, with which older samples lose weight
    :param drift: time constant, seconds, with which the similarity of an object out of sight falls
        by the calibration's `drop` and `logit_drop`
    """

    def __init__(self, calibration: Calibration, memory: float, drift: float) -> None:
        self.memory = memory
        #: statistics of cosines between features and the tracks' mean features
        self.cosines = LearntSimilarity(calibration.cosines, drift, _LEAST_DEVIATION)
        #: statistics of the transformer's logits, where these are the cue
        self.logits = LearntSimilarity(calibration.logits, drift, _LEAST_LOGIT_DEVIATION)
        self._mean: torch.Tensor | None = None  # (K, D), mean of unit features; None: K = 0
        self._count = np.zeros(0)
        self._similarity: list[tuple[LearntSimilarity, np.ndarray]] = []  # of this frame

    def __len__(self) -> int:
        """Return K."""
        return 0 if self._mean is None else len(self._mean)

    def unit(self, features: torch.Tensor) -> torch.Tensor:
        """Normalise features, (M, D), on the host; those that are not finite become 0."""
        features = features.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
        return _unit(features)

    def compare(self, features: torch.Tensor) -> np.ndarray:
        """
        Compare the features of a frame with every track; call `update` afterwards.

        :param features: (M, D) float32, unit length, on the host
        :return: (M, K) float64, cosines
        :raises ValueError: if the length of the features differs from that of the tracks
        """
        width = 0 if self._mean is None else self._mean.shape[1]
        if features.shape[1] != width:
            raise ValueError(
                f'features have length {features.shape[1]}, the previous ones {width}; all '
                'features of one camera must come from one network'
            )
        # Not numpy's matrix product: its threads would compete with torch's for the cores.
        cosines = (features @ _unit(self._mean).T).numpy().astype(np.float64)
        self._similarity = [(self.cosines, cosines)]
        return cosines

    def compare_logits(self, view: WindowView, ids: np.ndarray) -> np.ndarray:
        """
        Compare the detections of a frame with every track by the transformer's logit.

        :param view: of the frame, whose features were compared before
        :param ids: (K,) int64, of the tracks
        :return: (M, K) float64, see `mean_logits`
        """
        logits = mean_logits(view, ids)
        self._similarity.append((self.logits, logits))
        return logits

    def update(
        self, rows: np.ndarray, detections: np.ndarray, features: torch.Tensor, seconds: float
    ) -> None:
        """
        Add features to R tracks, and what was compared to the statistics.

        :param rows: (R,) int, indices of the tracks
        :param detections: (R,) int, indices of their detections among the M compared detections
        :param features: (M, D), of all compared detections
        :param seconds: since the previous frame
        """
        if not len(rows):
            return
        decay = np.exp(-seconds / self.memory)
        for learnt, similarity in self._similarity:
            learnt.add(similarity[np.ix_(detections, rows)], decay)
        old = np.minimum(self._count[rows], _MOST_AVERAGED)
        weight = torch.from_numpy((1 / (1 + old)).astype(np.float32))[:, None]
        tracks = torch.from_numpy(rows)
        new = features[torch.from_numpy(detections)]
        self._mean[tracks] = torch.lerp(self._mean[tracks], new, weight)
        self._count[rows] += 1

    def begin(self, features: torch.Tensor) -> None:
        """Append tracks with one box each; features are (N, D), unit length."""
        if not len(features):
            return
        known = () if self._mean is None else (self._mean,)
        self._mean = torch.cat([*known, features])
        self._count = np.append(self._count, np.ones(len(features)))

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the tracks with these indices, in this order."""
        if self._mean is None:
            return
        self._mean = self._mean[torch.from_numpy(rows)] if len(rows) else None
        self._count = self._count[rows]


def _unit(features: torch.Tensor) -> torch.Tensor:
    """Normalise rows, as `torch.nn.functional.normalize` does in three times the time."""
    return features / torch.linalg.vector_norm(features, dim=1, keepdim=True).clamp_min(1e-12)


def mean_logits(view: WindowView, ids: np.ndarray) -> np.ndarray:
    """
    Return the transformer's logit G between each detection and each track: the mean of its boxes.

    P_A is a softmax over the boxes of a frame and "none", whose logit is 0; therefore, G is
    log P_A - log P("none"). Where a box shows mostly something else, or the window has two boxes
    of the object in one frame, G has no lower bound, so a box counts as at least -4.

    :param view: of the frame
    :param ids: (K,) int64, the tracks
    :return: (M, K); 0 for a track without a box in the window
    """
    if not len(view) or not len(view.past.ids):
        return np.zeros((len(view.now), len(ids)))
    past = view.past
    logits = np.maximum(np.log(association_odds(view.likelihoods, past)), _LEAST_LOGIT)
    means = past.sum_by_track(logits) / past.lengths
    column = np.searchsorted(past.ids, ids).clip(0, len(past.ids) - 1)
    return np.where(past.ids[column] == ids, means[:, column], 0.0)


def association_odds(likelihoods: np.ndarray, past: Past) -> np.ndarray:
    """Return exp(G) from P_A, (M, P): the paper's Eq. 1 inverted, within float32's range."""
    begins = np.flatnonzero(np.diff(past.age, prepend=past.age[0] + 1))
    counts = np.diff(begins, append=len(past.age))
    likelihoods = likelihoods.astype(np.float64)
    frame_sums = np.repeat(np.add.reduceat(likelihoods, begins, axis=1), counts, axis=1)
    least = _LEAST_PROBABILITY
    return np.maximum(likelihoods, least) / np.maximum(1 - frame_sums, least)
