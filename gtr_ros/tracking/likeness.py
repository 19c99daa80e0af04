# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tracks look like, and what it says if a detection looks like one of them."""

from __future__ import annotations

import numpy as np
import torch

from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.gallery import fisher
from gtr_ros.tracking.recognition import Cosines
from gtr_ros.tracking.window import Past
from gtr_ros.tracking.window import WindowView

_OLD = 9  # boxes whose mean a new one is averaged with: 0.9 old + 0.1 new

_FIRST_DEVIATION = 0.3  # of Fisher's z, until it is known

_LEAST_PROBABILITY = 1e-7


class Likeness:
    """
    A mean feature for each of K tracks, and how alike the same and different objects look here.

    How alike different people look depends on the place and on the camera. Objects that are seen
    in one frame are different ones, so a camera learns from what it sees: where everybody looks
    alike, that two look alike says nothing. With means s and d of the cosines of the same and of
    different objects, and one deviation for both, the evidence of a cosine c is
    (s - d) / deviation^2 * (c - (s + d) / 2): the log-ratio of two normal distributions.

    :param calibration: what is believed at first
    :param memory: seconds in which what was seen goes 1 / e down
    """

    def __init__(self, calibration: Calibration, memory: float) -> None:
        self.calibration = calibration
        self.memory = memory
        self._mean: torch.Tensor | None = None  # (K, D), of unit features
        self._count = np.zeros(0)
        self._cosines = np.zeros((0, 0))
        # Of the same and of different objects: how many pairs were seen, and sums of what was.
        self._same, self._different = _Sums(), _Sums()

    def __len__(self) -> int:
        return len(self._count)

    @property
    def same(self) -> float:
        """Mean cosine of a track and its object, after it was out of sight."""
        first = self.calibration.same + self.calibration.drop
        return self._same.mean(first, self.calibration.trust) - self.calibration.drop

    @property
    def different(self) -> float:
        """Mean cosine of a track and another object."""
        return self._different.mean(self.calibration.different, self.calibration.trust)

    @property
    def slope(self) -> float:
        """Evidence, in natural units, that 1 more of a cosine is."""
        return max(self.same - self.different, 0.0) / self.calibration.deviation**2

    @property
    def level(self) -> float:
        """Cosine that says nothing either way."""
        return (self.same + self.different) / 2

    def unit(self, features: torch.Tensor) -> torch.Tensor:
        """Bring features, (M, D), to the host and to unit length; what is not finite is 0."""
        features = features.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
        return torch.nn.functional.normalize(features, dim=1)

    def compare(self, features: torch.Tensor) -> np.ndarray:
        """
        Compare a frame's features with every track; then `update`.

        :param features: (M, D) float32, of unit length, on the host
        :return: (M, K) float64, cosines
        :raises ValueError: if features are of another length than the tracks'
        """
        width = 0 if self._mean is None else self._mean.shape[1]
        if features.shape[1] != width:
            raise ValueError(
                f'features are {features.shape[1]} numbers wide, those before {width}: features '
                'of one camera must be of one network'
            )
        # Not numpy's product, whose threads would take the cores from torch's.
        mean = torch.nn.functional.normalize(self._mean, dim=1)
        self._cosines = (features @ mean.T).numpy().astype(np.float64)
        return self._cosines

    def update(
        self, rows: np.ndarray, found: np.ndarray, features: torch.Tensor, seconds: float
    ) -> None:
        """
        Put features to tracks, and learn of how alike they are.

        :param rows: (R,) int, of the tracks
        :param found: (R,) int, of the detections that were compared, in the same order
        :param features: (M, D), of all that were compared
        :param seconds: since the frame before
        """
        if not len(rows):
            return
        cosines = self._cosines[np.ix_(found, rows)]
        own = np.eye(len(rows), dtype=bool)
        kept = np.exp(-seconds / self.memory)
        self._same.add(cosines[own], kept)
        self._different.add(cosines[~own], kept)
        old = np.minimum(self._count[rows], _OLD)
        share = torch.from_numpy((1 / (1 + old)).astype(np.float32))[:, None]
        tracks = torch.from_numpy(rows)
        news = features[torch.from_numpy(found)]
        self._mean[tracks] = torch.lerp(self._mean[tracks], news, share)
        self._count[rows] += 1

    def begin(self, features: torch.Tensor) -> None:
        """Append tracks that look like this, (N, D), of unit length."""
        if not len(features):
            return
        known = () if self._mean is None else (self._mean,)
        self._mean = torch.cat([*known, features])
        self._count = np.append(self._count, np.ones(len(features)))

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks of these indices, in their order."""
        if self._mean is None:
            return
        self._mean = self._mean[torch.from_numpy(rows)] if len(rows) else None
        self._count = self._count[rows]

    @property
    def in_z(self) -> Cosines:
        """How alike objects look, as Fisher's z of their cosines."""
        own = self.calibration
        different, deviation = self._different.z(own.different, own.trust)
        return Cosines(self._same.z(own.same + own.drop, own.trust)[0], different, deviation)


class _Sums:
    """Cosines of pairs, added up; older ones weigh less."""

    def __init__(self) -> None:
        self._sums = np.zeros(4)  # of 1, the cosine, its z, and z^2

    def add(self, cosines: np.ndarray, kept: float) -> None:
        """Add pairs; what was added before counts `kept` times as much."""
        z = fisher(cosines)
        self._sums *= kept
        self._sums += len(cosines), cosines.sum(), z.sum(), (z * z).sum()

    def mean(self, first: float, trust: float) -> float:
        """Return the mean cosine; first: what is believed of so many pairs as `trust` says."""
        return float((self._sums[1] + trust * first) / (self._sums[0] + trust))

    def z(self, first: float, trust: float) -> tuple[float, float]:
        """Return mean and standard deviation of z; first: the cosine that is believed at first."""
        mean = float(fisher(first))
        count, _, total, squares = self._sums + trust * np.array(
            [1, first, mean, mean**2 + _FIRST_DEVIATION**2]
        )
        mean = total / count
        return float(mean), float(np.sqrt(max(squares / count - mean**2, 0.0)))


def best_logits(view: WindowView, ids: np.ndarray) -> np.ndarray:
    """
    Return the transformer's logit G of each detection with the best box of each track.

    The best one, as the mean over a track's boxes is dragged down by those that are old, or in
    which the object is half hidden. Of P_A, which is a softmax over the boxes of a frame and
    "none" with the logit 0, G is log P_A - log P("none").

    :param view: of the frame
    :param ids: (K,) int64, the tracks
    :return: (M, K); 0, which says nothing, where a track has no box in the window
    """
    if not len(view) or not len(view.past.ids):
        return np.zeros((len(view.now), len(ids)))
    past = view.past
    logits = np.log(past.best_by_track(association_odds(view.likelihoods, past)))
    column = np.searchsorted(past.ids, ids).clip(0, len(past.ids) - 1)
    return np.where(past.ids[column] == ids, logits[:, column], 0.0)


def association_odds(likelihoods: np.ndarray, past: Past) -> np.ndarray:
    """Return exp(G) of P_A, (M, P): the paper's Eq. 1 inverted, within float32's reach."""
    begins = np.flatnonzero(np.diff(past.age, prepend=past.age[0] + 1))
    counts = np.diff(begins, append=len(past.age))
    likelihoods = likelihoods.astype(np.float64)
    together = np.repeat(np.add.reduceat(likelihoods, begins, axis=1), counts, axis=1)
    least = _LEAST_PROBABILITY
    return np.maximum(likelihoods, least) / np.maximum(1 - together, least)
