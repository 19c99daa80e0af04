# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of a measure of similarity, learnt online, and the evidence that follows."""

from __future__ import annotations

import numpy as np

from gtr_ros.model.calibration import SimilarityPrior
from gtr_ros.tracking.gallery import fisher_z
from gtr_ros.tracking.gallery import SimilarityStatistics

_INITIAL_DEVIATION = 0.3  # of Fisher's z, before anything has been measured


class LearntSimilarity:
    """
    The similarity of the same and of different objects, as normal distributions.

    How similar different people appear depends on the place and the camera. Objects in the same
    frame are known to be different, so the statistics are learnt from the camera's own images:
    where all people have a similar appearance, similarity is no evidence. With means s and d of
    the similarity of the same and of different objects, and one deviation for both, the root mean
    square of theirs, the evidence of a similarity c is (s - d) / deviation^2 * (c - (s + d) / 2):
    the log-ratio of two normal distributions. While an object is out of sight, it turns and moves,
    so s falls with the time since it was last seen.

    :param prior: the statistics before anything was learnt
    :param drift: time constant, seconds, with which the similarity of an object out of sight falls
        by the prior's `drop`
    :param least_deviation: minimum of the deviation
    """

    def __init__(self, prior: SimilarityPrior, drift: float, least_deviation: float) -> None:
        self.prior = prior
        self.drift = drift
        self.least_deviation = least_deviation
        # Weighted sums over the pairs of the same and of different objects.
        self._same, self._different = _PairSums(), _PairSums()

    def add(self, similarity: np.ndarray, decay: float) -> None:
        """
        Add the pairs of a frame.

        :param similarity: (R, R), of R detections and their tracks, in the same order
        :param decay: factor of the weight of earlier pairs
        """
        self._same.add(similarity.diagonal(), decay)
        self._different.add(similarity[~np.eye(len(similarity), dtype=bool)], decay)

    @property
    def same(self) -> float:
        """Mean similarity between a track and its object after an absence."""
        prior = self.prior.same + self.prior.drop
        return self._same.mean(prior, self.prior.trust) - self.prior.drop

    @property
    def different(self) -> float:
        """Mean similarity between a track and another object."""
        return self._different.mean(self.prior.different, self.prior.trust)

    @property
    def deviation(self) -> float:
        """Standard deviation of both."""
        prior = self.prior
        same = self._same.variance(prior.same + prior.drop, prior.deviation, prior.trust)
        different = self._different.variance(prior.different, prior.deviation, prior.trust)
        return max(((same + different) / 2) ** 0.5, self.least_deviation)

    def scale(self, hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """
        Return how similarity becomes evidence, for each track.

        :param hidden: (K,) float, seconds between the track's last box and the previous frame
        :return: evidence, in natural units, per unit of similarity, and the similarity at which it
            is 0, both (K,)
        """
        same = self.same + self.prior.drop * np.exp(-hidden / self.drift)
        slope = np.maximum(same - self.different, 0.0) / self.deviation**2
        return slope, (same + self.different) / 2

    @property
    def statistics(self) -> SimilarityStatistics:
        """The statistics in Fisher's z; for cosines only."""
        prior = self.prior
        same, _ = self._same.z(prior.same + prior.drop, prior.trust)
        different, deviation = self._different.z(prior.different, prior.trust)
        return SimilarityStatistics(same, different, deviation)


class _PairSums:
    """Sums over the similarities of pairs, in which older pairs have less weight."""

    def __init__(self) -> None:
        self._sums = np.zeros(5)  # of 1, the similarity c, z, z^2 and c^2

    def add(self, similarity: np.ndarray, decay: float) -> None:
        """Add pairs after multiplying the previous sums by `decay`."""
        z = fisher_z(similarity)
        self._sums *= decay
        squares = (similarity * similarity).sum()
        self._sums += len(similarity), similarity.sum(), z.sum(), (z * z).sum(), squares

    def mean(self, prior: float, trust: float) -> float:
        """Return the mean; the prior weighs as much as `trust` pairs."""
        return float((self._sums[1] + trust * prior) / (self._sums[0] + trust))

    def variance(self, prior: float, deviation: float, trust: float) -> float:
        """Return the variance; `trust` pairs have the prior's mean and deviation."""
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
