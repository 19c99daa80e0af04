# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities for minutes: what lost tracks looked like, so that who comes back is known again."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_DISTINCT = 0.8  # cosine below which a box shows another side, which gets a prototype of its own
_OLD = 20  # boxes whose mean a new one is averaged with
_CLOSEST = 0.99  # cosine at most: beyond it Fisher's transform says too much


@dataclass(frozen=True)
class GalleryOptions:
    """
    Who is remembered, and what it takes to be known again.

    :param size: identities at most; the one lost longest ago goes. 0: nobody is remembered
    :param seconds: for which an identity is remembered
    :param prototypes: P, features that are kept of an identity, one for each side that it showed
    :param least_boxes: boxes of a track before it is compared, and of an identity that is kept
    :param wait: seconds from its first box for which a track is compared, and is not confirmed
        while it may be somebody
    :param threshold: evidence of appearance at which a track is as likely new as somebody
    :param certainty: probability from which on it is somebody
    :param drop: how much less alike an object looks to itself after it was away, in Fisher's z
    :param deviation: standard deviation at least of how alike objects look, in Fisher's z
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


def fisher(cosine: np.ndarray) -> np.ndarray:
    """Return Fisher's z = artanh(cosine), whose noise is about normal; of cosines up to 0.99."""
    return np.arctanh(np.clip(cosine, -_CLOSEST, _CLOSEST))


class Prototypes:
    """
    Some features for each of K identities: one for each side that it showed.

    :param most: P, of an identity
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.features = np.zeros((0, most, 0), np.float32)  # (K, P, D), of unit length
        self.counts = np.zeros((0, most))  # boxes behind each; 0: there is none
        self.own = np.zeros(0)  # mean z of an identity's boxes with its own prototypes: its spread
        self.boxes = np.zeros(0)  # of which that is the mean

    def __len__(self) -> int:
        return len(self.features)

    def begin(self, features: np.ndarray) -> None:
        """Append identities that were seen once, (N, D) float32 of unit length."""
        count, width = features.shape
        new = np.zeros((count, self.most, width), np.float32)
        new[:, 0] = features
        counts = np.zeros((count, self.most))
        counts[:, 0] = 1
        self.append(new, counts, np.zeros(count), np.zeros(count))

    def append(
        self, features: np.ndarray, counts: np.ndarray, own: np.ndarray, boxes: np.ndarray
    ) -> None:
        """Append identities: what `select` gave."""
        if not len(features):
            return
        known = (self.features,) if len(self.features) else ()
        self.features = np.concatenate([*known, features])
        self.counts = np.concatenate([self.counts, counts])
        self.own, self.boxes = np.append(self.own, own), np.append(self.boxes, boxes)

    def select(self, rows: np.ndarray) -> tuple[np.ndarray, ...]:
        """Return what is of the identities of these indices."""
        return self.features[rows], self.counts[rows], self.own[rows], self.boxes[rows]

    def keep(self, rows: np.ndarray) -> None:
        """Keep the identities of these indices, in their order."""
        self.features, self.counts, self.own, self.boxes = self.select(rows)

    def update(self, rows: np.ndarray, features: np.ndarray) -> None:
        """
        Put a box to each of some identities: to the prototype that is nearest, or to a new one.

        :param rows: (R,) int, which
        :param features: (R, D) float32, of unit length
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
        old = np.minimum(counts[each, slot], _OLD)[:, None]
        mean = (old * self.features[rows, slot] + features) / (old + 1)
        length = np.linalg.norm(mean, axis=1, keepdims=True)
        self.features[rows, slot] = mean / np.maximum(length, 1e-12)
        self.counts[rows, slot] += 1
        self.own[rows] += (fisher(best) - self.own[rows]) / (self.boxes[rows] + 1)
        self.boxes[rows] += 1

    def compare(self, features: np.ndarray) -> np.ndarray:
        """
        Compare features with the nearest prototype of every identity.

        :param features: (N, D) float32, of unit length
        :return: (N, K) float64, cosines
        """
        # Not numpy's product of matrices, whose threads would take the cores from torch's.
        cosine = np.stack([np.einsum('kpd,d->kp', self.features, f) for f in features])
        return np.where(self.counts > 0, cosine, -1.0).max(axis=2).astype(np.float64)


class Gallery:
    """
    The identities that a camera has lost, for `GalleryOptions.seconds`.

    :param rule: who is remembered
    """

    def __init__(self, rule: GalleryOptions) -> None:
        self.rule = rule
        self.clear()

    def __len__(self) -> int:
        return len(self.ids)

    def clear(self) -> None:
        """Forget everybody."""
        self.prototypes = Prototypes(self.rule.prototypes)
        self.ids = np.zeros(0, np.int64)
        self.labels = np.zeros(0, np.int64)
        self.seen = np.zeros(0)  # seconds, when each was seen last

    def add(
        self,
        ids: np.ndarray,
        prototypes: tuple[np.ndarray, ...],
        labels: np.ndarray,
        seen: np.ndarray,
    ) -> None:
        """
        Remember identities that were lost.

        :param ids: (N,) int64
        :param prototypes: of `Prototypes.select`
        :param labels: (N,) int64
        :param seen: (N,) float, seconds, when each was seen last
        """
        if not self.rule.size:
            return
        self.prototypes.append(*prototypes)
        self.ids, self.labels = np.append(self.ids, ids), np.append(self.labels, labels)
        self.seen = np.append(self.seen, seen)
        if len(self) > self.rule.size:
            newest = np.argsort(self.seen, kind='stable')[-self.rule.size :]
            self._keep(np.sort(newest))

    def forget(self, now: float) -> None:
        """Forget who was lost too long before a time in seconds."""
        fresh = now - self.seen <= self.rule.seconds
        if not fresh.all():
            self._keep(np.flatnonzero(fresh))

    def remove(self, index: int) -> None:
        """Let an identity go that came back."""
        self._keep(np.delete(np.arange(len(self)), index))

    def evidence(
        self,
        features: np.ndarray,
        labels: np.ndarray,
        same: float,
        different: tuple[float, float],
        label_error: float,
    ) -> np.ndarray:
        """
        Say what speaks for tracks being those who were lost, by their looks and class alone.

        With means s_k and d of z = artanh(cosine) of identity k with itself and of different
        objects here, and their deviation t, the evidence is (s_k - d) / t^2 (z - (s_k + d) / 2).

        :param features: (N, D) float32, of unit length
        :param labels: (N,) int64
        :param same: mean z of boxes with their own track, of all tracks
        :param different: mean and standard deviation of z of different objects
        :param label_error: probability of another label
        :return: (N, G)
        """
        rule, own = self.rule, self.prototypes
        z = fisher(own.compare(features))
        # An identity of which little was seen is taken to be as steady as the others.
        alike = (own.boxes * own.own + rule.prototypes * same) / (own.boxes + rule.prototypes)
        alike = alike - rule.drop
        mean, deviation = different
        deviation = max(deviation, rule.deviation)
        slope = np.maximum(alike - mean, 0) / deviation**2
        evidence = slope * (z - (alike + mean) / 2)
        return evidence + np.where(labels[:, None] == self.labels, 0.0, np.log(label_error))

    def _keep(self, rows: np.ndarray) -> None:
        self.prototypes.keep(rows)
        self.ids, self.labels = self.ids[rows], self.labels[rows]
        self.seen = self.seen[rows]


def who(evidence: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """
    Weigh everybody in a gallery against each other and against somebody new.

    :param evidence: (N, G), of N tracks for G identities
    :param threshold: evidence at which somebody and somebody new are equally likely
    :return: (N,) int64, who it is most likely; (N,) float64, the probability of that
    """
    best = evidence.argmax(axis=1)
    largest = np.maximum(evidence.max(axis=1), threshold)[:, None]
    weights = np.exp(evidence - largest)
    total = weights.sum(axis=1) + np.exp(threshold - largest[:, 0])
    return best, weights[np.arange(len(best)), best] / total
