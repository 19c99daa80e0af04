# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Re-identification: new tracks are compared with the gallery of lost ones."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import most_likely
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.gallery import SimilarityStatistics

#: probability of being a lost track at which a new track is held back, with enough boxes and with
#: too few
_LIKELY, _POSSIBLE = 0.5, 0.05


class Reidentification(NamedTuple):
    """
    A lost track that came back and got its id again.

    :param row: index of the track
    :param provisional_id: the id that the track had before
    :param id: the id of the lost track
    :param away: seconds since the last box of the lost track
    :param probability: that it is the lost track
    """

    row: int
    provisional_id: int
    id: int
    away: float
    probability: float = 1.0


class Reidentifier:
    """
    Keeps the appearance of K tracks, and a gallery of those that were lost.

    A new track is compared once it has enough boxes, until it is re-identified or
    `GalleryOptions.wait` is over. While it is likely to be a lost one it should not be published,
    as its id may change.

    :param rule: when a track is re-identified
    """

    def __init__(self, rule: GalleryOptions) -> None:
        self.rule = rule
        self.gallery = Gallery(rule)
        self._tracks = Prototypes(rule.prototypes)
        self._sums = np.zeros((0, 0), np.float32)  # (K, D), sum of the first boxes' features
        self._boxes = np.zeros(0, np.int64)
        self._start = np.zeros(0)  # seconds, time of the first box
        self.provisional = np.zeros(0, bool)  # (K,), whether the id may still change
        self.pending = np.zeros(0, bool)  # (K,), whether the track is likely to be a lost one

    def __len__(self) -> int:
        """Return K."""
        return len(self._boxes)

    @property
    def track_bytes(self) -> int:
        """Memory used for the K tracks, bytes, without the gallery."""
        arrays = (self._sums, self._boxes, self._start, self.provisional, self.pending)
        return self._tracks.nbytes + sum(array.nbytes for array in arrays)

    def begin(self, features: np.ndarray, now: float) -> None:
        """Append tracks with one box each; features are (N, D) float32 of unit length."""
        count = len(features)
        if not count:
            return
        self._tracks.begin(features)
        known = (self._sums,) if len(self._sums) else ()
        self._sums = np.concatenate([*known, features])
        self._boxes = np.append(self._boxes, np.ones(count, np.int64))
        self._start = np.append(self._start, np.full(count, now))
        self.provisional = np.append(self.provisional, np.ones(count, bool))
        self.pending = np.append(self.pending, np.zeros(count, bool))

    def update(self, rows: np.ndarray, features: np.ndarray) -> None:
        """Add one box to each of R tracks; features are (R, D) float32 of unit length."""
        if not len(rows):
            return
        self._tracks.update(rows, features)
        self._sums[rows] += features * self.provisional[rows, None]
        self._boxes[rows] += 1

    def add_lost(
        self,
        rows: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        last_seen: np.ndarray,
    ) -> None:
        """Add lost tracks that have enough boxes to the gallery; see `Gallery.add`."""
        enough = self._boxes[rows] >= self.rule.least_boxes
        prototypes = self._tracks.select(rows[enough])
        self.gallery.add(ids[enough], prototypes, labels[enough], last_seen[enough])

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the tracks with these indices, in this order."""
        self._tracks.keep(rows)
        for name in ('_sums', '_boxes', '_start', 'provisional', 'pending'):
            setattr(self, name, getattr(self, name)[rows])

    def fix_ids(self, rows: np.ndarray) -> None:
        """Fix the ids of these tracks, (K,) bool: they have been published."""
        self.provisional &= ~rows

    def reidentify(
        self,
        now: float,
        ids: np.ndarray,
        labels: np.ndarray,
        similarity: SimilarityStatistics,
        label_error: float,
    ) -> list[Reidentification]:
        """
        Compare the new tracks with the gallery.

        :param now: seconds
        :param ids: (K,) int64, of all tracks
        :param labels: (K,) int64, of all tracks
        :param similarity: similarity statistics of this camera
        :param label_error: probability that an object has another label than before
        :return: the re-identified tracks, which are removed from the gallery
        """
        self.gallery.remove_expired(now)
        self.provisional &= now - self._start <= self.rule.wait
        self.pending[:] = False
        rows = np.flatnonzero(self.provisional)
        found: list[Reidentification] = []
        if not len(rows) or not len(self.gallery):
            return found
        length = np.linalg.norm(self._sums[rows], axis=1, keepdims=True)
        features = self._sums[rows] / np.maximum(length, 1e-12)
        evidence = self.gallery.evidence(features, labels[rows], similarity, label_error)
        best, probability = most_likely(evidence, self.rule.threshold)
        enough = self._boxes[rows] >= self.rule.least_boxes
        self.pending[rows] = probability >= np.where(enough, _LIKELY, _POSSIBLE)
        certain = (probability >= self.rule.certainty) & enough
        for i in np.argsort(-probability, kind='stable'):  # only a few tracks are new
            lost_id = int(self.gallery.ids[best[i]])
            if certain[i] and lost_id not in [r.id for r in found]:
                away = now - float(self.gallery.last_seen[best[i]])
                own_id = int(ids[rows[i]])
                sure = float(probability[i])
                found.append(Reidentification(int(rows[i]), own_id, lost_id, away, sure))
        for track in found:
            self.gallery.remove(int(np.flatnonzero(self.gallery.ids == track.id)[0]))
            self.provisional[track.row] = self.pending[track.row] = False
        return found
