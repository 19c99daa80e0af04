# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The appearance of lost tracks, kept for minutes to re-identify them when they come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_DISTINCT = 0.8  # cosine below which a box shows another side and becomes a separate prototype
_MOST_AVERAGED = 20  # boxes of a running mean: the weight of a new box is at least 1 / 21
_CLOSEST = 0.99  # largest cosine: Fisher's transform diverges at 1


@dataclass(frozen=True)
class GalleryOptions:
    """
    Which lost tracks are kept, and when a new track is re-identified as one of them.

    :param size: maximum number of lost tracks; the one that was lost first is removed. 0: no
        gallery
    :param seconds: time for which a lost track is kept
    :param prototypes: P, number of features kept for a track, one for each side of the object that
        was visible
    :param least_boxes: minimum boxes of a new track before it is compared, and of a lost track to
        be kept
    :param wait: seconds, from its first box, for which a new track is compared, and remains
        unconfirmed while it is likely to be a lost one
    :param threshold: appearance evidence at which a lost track and a new object are equally likely
    :param certainty: minimum probability for a re-identification
    :param drop: decrease in an object's similarity to itself after an absence, in Fisher's z
    :param deviation: lower limit of the standard deviation of similarities, in Fisher's z
    """

    size: int = 1000
    seconds: float = 900.0
    prototypes: int = 4
    least_boxes: int = 3
    wait: float = 2.0
    threshold: float = 3.0
    certainty: float = 0.95
    drop: float = 0.3
    deviation: float = 0.25


class SimilarityStatistics(NamedTuple):
    """
    Similarity statistics of one camera's objects, as Fisher's z of the cosine of their features.

    :param same: mean over boxes and their own tracks
    :param different: mean over boxes and the tracks of other objects
    :param deviation: standard deviation of the latter
    """

    same: float
    different: float
    deviation: float


def fisher_z(cosine: np.ndarray) -> np.ndarray:
    """Return Fisher's z = artanh(cosine), nearly Gaussian; the cosine is clipped to +-0.99."""
    return np.arctanh(np.clip(cosine, -_CLOSEST, _CLOSEST))


class Prototypes:
    """
    A few features for each of K tracks, one for each side of the object that was visible.

    :param most: P, maximum number of prototypes of a track
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.features = np.zeros((0, most, 0), np.float32)  # (K, P, D), unit length
        self.counts = np.zeros((0, most))  # boxes averaged in each prototype; 0: unused
        self.self_similarity = np.zeros(0)  # mean z of a track's boxes with its own prototypes
        self.boxes = np.zeros(0)  # number of boxes in that mean

    def __len__(self) -> int:
        return len(self.features)

    @property
    def nbytes(self) -> int:
        """Memory used by the arrays, bytes."""
        arrays = (self.features, self.counts, self.self_similarity, self.boxes)
        return sum(array.nbytes for array in arrays)

    def begin(self, features: np.ndarray) -> None:
        """Append tracks with one box each; features are (N, D) float32 of unit length."""
        count, width = features.shape
        new = np.zeros((count, self.most, width), np.float32)
        new[:, 0] = features
        counts = np.zeros((count, self.most))
        counts[:, 0] = 1
        self.append(new, counts, np.zeros(count), np.zeros(count))

    def append(
        self,
        features: np.ndarray,
        counts: np.ndarray,
        self_similarity: np.ndarray,
        boxes: np.ndarray,
    ) -> None:
        """Append tracks from the arrays that `select` returned."""
        if not len(features):
            return
        known = (self.features,) if len(self.features) else ()
        self.features = np.concatenate([*known, features])
        self.counts = np.concatenate([self.counts, counts])
        self.self_similarity = np.append(self.self_similarity, self_similarity)
        self.boxes = np.append(self.boxes, boxes)

    def select(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return the arrays of the tracks with these indices, in the order of `append`."""
        arrays = (self.features, self.counts, self.self_similarity, self.boxes)
        return tuple(array[rows] for array in arrays)

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the tracks with these indices, in this order."""
        self.features, self.counts, self.self_similarity, self.boxes = self.select(rows)

    def update(self, rows: np.ndarray, features: np.ndarray) -> None:
        """
        Add one box to each of R tracks: to its nearest prototype, or as a new one.

        :param rows: (R,) int, indices of the tracks
        :param features: (R, D) float32, unit length
        """
        if not len(rows):
            return
        counts = self.counts[rows]
        cosine = np.einsum('rpd,rd->rp', self.features[rows], features)
        cosine = np.where(counts > 0, cosine, -np.inf)
        nearest, each = cosine.argmax(axis=1), np.arange(len(rows))
        best = cosine[each, nearest]
        free = counts.min(axis=1) == 0
        slot = np.where((best < _DISTINCT) & free, counts.argmin(axis=1), nearest)
        old = np.minimum(counts[each, slot], _MOST_AVERAGED)[:, None]
        mean = (old * self.features[rows, slot] + features) / (old + 1)
        length = np.sqrt((mean * mean).sum(axis=1, keepdims=True))
        self.features[rows, slot] = mean / np.maximum(length, 1e-12)
        self.counts[rows, slot] += 1
        self.self_similarity[rows] += (fisher_z(best) - self.self_similarity[rows]) / (
            self.boxes[rows] + 1
        )
        self.boxes[rows] += 1

    def compare(self, features: np.ndarray) -> np.ndarray:
        """
        Compare features with the nearest prototype of every track.

        :param features: (N, D) float32, unit length
        :return: (N, K) float64, cosines
        """
        # Not numpy's matrix product: its threads would compete with torch's for the cores.
        cosine = np.stack([np.einsum('kpd,d->kp', self.features, f) for f in features])
        return np.where(self.counts > 0, cosine, -1.0).max(axis=2).astype(np.float64)


class Gallery:
    """
    The lost tracks of a camera, kept for `GalleryOptions.seconds`.

    :param rule: which tracks are kept
    """

    def __init__(self, rule: GalleryOptions) -> None:
        self.rule = rule
        self.clear()

    def __len__(self) -> int:
        return len(self.ids)

    def clear(self) -> None:
        """Remove all tracks."""
        self.prototypes = Prototypes(self.rule.prototypes)
        self.ids = np.zeros(0, np.int64)
        self.labels = np.zeros(0, np.int64)
        self.last_seen = np.zeros(0)  # seconds, time of each track's last box

    def add(
        self,
        ids: np.ndarray,
        prototypes: tuple[np.ndarray, ...],
        labels: np.ndarray,
        last_seen: np.ndarray,
    ) -> None:
        """
        Add lost tracks.

        :param ids: (N,) int64
        :param prototypes: from `Prototypes.select`
        :param labels: (N,) int64
        :param last_seen: (N,) float, seconds, time of each track's last box
        """
        if not self.rule.size:
            return
        self.prototypes.append(*prototypes)
        self.ids, self.labels = np.append(self.ids, ids), np.append(self.labels, labels)
        self.last_seen = np.append(self.last_seen, last_seen)
        if len(self) > self.rule.size:
            newest = np.argsort(self.last_seen, kind='stable')[-self.rule.size :]
            self._keep(np.sort(newest))

    def remove_expired(self, now: float) -> None:
        """Remove the tracks whose time in the gallery has expired; now is in seconds."""
        fresh = now - self.last_seen <= self.rule.seconds
        if not fresh.all():
            self._keep(np.flatnonzero(fresh))

    def remove(self, index: int) -> None:
        """Remove a track that was re-identified."""
        self._keep(np.delete(np.arange(len(self)), index))

    def evidence(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        similarity: SimilarityStatistics,
        label_error: float,
    ) -> np.ndarray:
        """
        Compute the evidence that new tracks are lost ones, from appearance and class only.

        With means s_k and d of z = artanh(cosine), between track k and itself and between
        different objects in this camera, and their deviation t, the evidence is
        (s_k - d) / t^2 (z - (s_k + d) / 2).

        :param features: (N, D) float32, unit length
        :param labels: (N,) int64
        :param similarity: statistics of all tracks of this camera
        :param label_error: probability of another label
        :return: (N, G)
        """
        rule, known = self.rule, self.prototypes
        z = fisher_z(known.compare(features))
        # A track with few boxes is assumed to vary as much as the others.
        same = (known.boxes * known.self_similarity + rule.prototypes * similarity.same) / (
            known.boxes + rule.prototypes
        )
        same = same - rule.drop
        different = similarity.different
        deviation = max(similarity.deviation, rule.deviation)
        slope = np.maximum(same - different, 0) / deviation**2
        evidence = slope * (z - (same + different) / 2)
        return evidence + np.where(labels[:, None] == self.labels, 0.0, np.log(label_error))

    def _keep(self, rows: np.ndarray) -> None:
        self.prototypes.keep(rows)
        self.ids, self.labels = self.ids[rows], self.labels[rows]
        self.last_seen = self.last_seen[rows]


def most_likely(evidence: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Choose the most likely lost track for each new track, and compute its posterior probability.

    The alternatives are all other lost tracks and a new object.

    :param evidence: (N, G), of N new tracks being each of G lost ones
    :param threshold: evidence at which a lost track and a new object are equally likely
    :return: (N,) int64, index of the most likely lost track; (N,) float64, its probability
    """
    best = evidence.argmax(axis=1)
    largest = np.maximum(evidence.max(axis=1), threshold)[:, None]
    weights = np.exp(evidence - largest)
    total = weights.sum(axis=1) + np.exp(threshold - largest[:, 0])
    return best, weights[np.arange(len(best)), best] / total
