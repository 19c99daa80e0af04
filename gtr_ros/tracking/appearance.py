# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The appearance of tracks, and how much evidence a detection's similarity to them provides."""

from __future__ import annotations

import numpy as np
import torch

from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.gallery import fisher_z
from gtr_ros.tracking.gallery import SimilarityStatistics
from gtr_ros.tracking.past import Past
from gtr_ros.tracking.window import WindowView

_MOST_AVERAGED = 9  # number of boxes in a running mean: from then on, a new box has the weight 0.1

_LEAST_DEVIATION = 0.05  # of cosines

_INITIAL_DEVIATION = 0.3  # of Fisher's z, before anything has been measured

_LEAST_PROBABILITY = 1e-7


class AppearanceModel:
    """
    A mean feature for each of K tracks, and similarity statistics learnt online.

    How similar different people appear depends on the place and the camera. Objects in the same
    frame are known to be different, so the statistics are learnt from the camera's own images:
    where all people have a similar appearance, similarity is no evidence. With means s and d of
    the cosines of the same and of different objects, and one deviation for both, the root mean
    square of their deviations, the evidence of a cosine c is
    (s - d) / deviation^2 * (c - (s + d) / 2): the log-ratio of two normal distributions. While an
    object is out of sight, it turns and moves, so s falls with the time since it was last seen.

    :param calibration: prior of the statistics
    :param memory: time constant, seconds, with which older samples lose weight
    :param drift: time constant, seconds, with which the similarity of an object out of sight falls
        by the calibration's `drop`
    """

    def __init__(self, calibration: Calibration, memory: float, drift: float) -> None:
        self.calibration = calibration
        self.memory = memory
        self.drift = drift
        self._mean: torch.Tensor | None = None  # (K, D), mean of unit features; None: K = 0
        self._count = np.zeros(0)
        self._cosines = np.zeros((0, 0))
        # Weighted sums over the pairs of the same and of different objects.
        self._same, self._different = _PairSums(), _PairSums()

    def __len__(self) -> int:
        """Return K."""
        return 0 if self._mean is None else len(self._mean)

    @property
    def same(self) -> float:
        """Mean cosine between a track and its object after an absence."""
        prior = self.calibration.same + self.calibration.drop
        return self._same.mean(prior, self.calibration.trust) - self.calibration.drop

    @property
    def different(self) -> float:
        """Mean cosine between a track and another object."""
        return self._different.mean(self.calibration.different, self.calibration.trust)

    @property
    def deviation(self) -> float:
        """Standard deviation of both cosines."""
        prior = self.calibration
        same = self._same.variance(prior.same + prior.drop, prior.deviation, prior.trust)
        different = self._different.variance(prior.different, prior.deviation, prior.trust)
        return max(((same + different) / 2) ** 0.5, _LEAST_DEVIATION)

    def scale(self, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return how cosines become evidence, for each track.

        :param hidden: (K,) float, seconds between the track's last box and the previous frame
        :return: evidence, in natural units, per unit of cosine, and the cosine at which it is 0,
            both (K,)
        """
        same = self.same + self.calibration.drop * np.exp(-hidden / self.drift)
        slope = np.maximum(same - self.different, 0.0) / self.deviation**2
        return slope, (same + self.different) / 2

    def unit(self, features: torch.Tensor) -> torch.Tensor:
        """Normalise features, (M, D), on the host; those that are not finite become 0."""
        features = features.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
        return torch.nn.functional.normalize(features, dim=1)

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
        mean = torch.nn.functional.normalize(self._mean, dim=1)
        self._cosines = (features @ mean.T).numpy().astype(np.float64)
        return self._cosines

    def update(
        self, rows: np.ndarray, detections: np.ndarray, features: torch.Tensor, seconds: float
    ) -> None:
        """
        Add features to R tracks, and their cosines to the statistics.

        :param rows: (R,) int, indices of the tracks
        :param detections: (R,) int, indices of their detections among the M compared detections
        :param features: (M, D), of all compared detections
        :param seconds: since the previous frame
        """
        if not len(rows):
            return
        cosines = self._cosines[np.ix_(detections, rows)]
        same = np.eye(len(rows), dtype=bool)
        decay = np.exp(-seconds / self.memory)
        self._same.add(cosines[same], decay)
        self._different.add(cosines[~same], decay)
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

    @property
    def statistics(self) -> SimilarityStatistics:
        """The statistics in Fisher's z of the cosines."""
        prior = self.calibration
        same, _ = self._same.z(prior.same + prior.drop, prior.trust)
        different, deviation = self._different.z(prior.different, prior.trust)
        return SimilarityStatistics(same, different, deviation)


class _PairSums:
    """Sums over the cosines of pairs, in which older pairs have less weight."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)  # sums of 1, the cosine, its z, z^2, and the cosine's square

    def add(self, cosines: np.ndarray, decay: float) -> None:
        """Add pairs after multiplying the previous sums by `decay`."""
        z = fisher_z(cosines)
        self._sums *= decay
        squares = (cosines * cosines).sum()
        self._sums += len(cosines), cosines.sum(), z.sum(), (z * z).sum(), squares

    def mean(self, prior: float, trust: float) -> float:
        """Return the mean cosine; the prior weighs as much as `trust` pairs."""
        return float((self._sums[1] + trust * prior) / (self._sums[0] + trust))

    def variance(self, prior: float, deviation: float, trust: float) -> float:
        """Return the variance of the cosine; `trust` pairs have the prior's mean and deviation."""
        count, squares = self._sums[0] + trust, self._sums[4]
        squares += trust * (prior**2 + deviation**2)
        return max(float(squares / count - self.mean(prior, trust) ** 2), 0.0)

    def z(self, prior: float, trust: float) -> tuple[float, float]:
        """Return z's mean and standard deviation; the prior, a cosine, counts as `trust` pairs."""
        mean = float(fisher_z(prior))
        count, _, total, squares = self._sums[:4] + trust * np.array(
            [1, prior, mean, mean**2 + _INITIAL_DEVIATION**2]
        )
        mean = total / count
        return float(mean), float(np.sqrt(max(squares / count - mean**2, 0.0)))


def best_logits(view: WindowView, ids: np.ndarray) -> np.ndarray:
    """
    Return the transformer's logit G between each detection and the best box of each track.

    The best box, because the mean over a track's boxes is lowered by old boxes and partly hidden
    ones. P_A is a softmax over the boxes of a frame and "none", whose logit is 0; therefore, G is
    log P_A - log P("none").

    :param view: of the frame
    :param ids: (K,) int64, the tracks
    :return: (M, K); 0, no evidence, for a track without a box in the window
    """
    if not len(view) or not len(view.past.ids):
        return np.zeros((len(view.now), len(ids)))
    past = view.past
    logits = np.log(past.best_by_track(association_odds(view.likelihoods, past)))
    column = np.searchsorted(past.ids, ids).clip(0, len(past.ids) - 1)
    return np.where(past.ids[column] == ids, logits[:, column], 0.0)


def association_odds(likelihoods: np.ndarray, past: Past) -> np.ndarray:
    """Return exp(G) from P_A, (M, P): the paper's Eq. 1 inverted, within float32's range."""
    begins = np.flatnonzero(np.diff(past.age, prepend=past.age[0] + 1))
    counts = np.diff(begins, append=len(past.age))
    likelihoods = likelihoods.astype(np.float64)
    frame_sums = np.repeat(np.add.reduceat(likelihoods, begins, axis=1), counts, axis=1)
    least = _LEAST_PROBABILITY
    return np.maximum(likelihoods, least) / np.maximum(1 - frame_sums, least)
