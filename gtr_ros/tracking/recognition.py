# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who comes back: tracks that begin, compared with everybody who was lost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.gallery import who

#: probability of being somebody from which on a track waits, with enough boxes and with too few
_LIKELY, _POSSIBLE = 0.5, 0.05


class Cosines(NamedTuple):
    """
    How alike objects look to a camera, as Fisher's z of their cosine.

    :param same: mean, of boxes with their own track
    :param different: mean, of boxes with other objects' tracks
    :param deviation: standard deviation of the latter
    """

    same: float
    different: float
    deviation: float


class Return(NamedTuple):
    """
    An identity that came back.

    :param row: of the track that it is
    :param began: the identity that it had until now
    :param id: the identity that it has
    :param away: seconds since it was seen last
    """

    row: int
    began: int
    id: int
    away: float


class Recognition:
    """
    Keeps what K tracks look like, and a gallery of those that were lost.

    A track is compared once it has some boxes, until it is known again or `GalleryOptions.wait` is
    over; while it may be somebody it should not be published, as its identity may change.

    :param rule: what it takes to be known again
    """

    def __init__(self, rule: GalleryOptions) -> None:
        self.rule = rule
        self.gallery = Gallery(rule)
        self._tracks = Prototypes(rule.prototypes)
        self._sums = np.zeros((0, 0), np.float32)  # (K, D), of the first boxes' features
        self._boxes = np.zeros(0, np.int64)
        self._began = np.zeros(0)  # seconds
        self._open = np.zeros(0, bool)  # whether a track may still be known again
        self.pending = np.zeros(0, bool)  # (K,), whether it looks as if it will be

    def begin(self, features: np.ndarray, now: float) -> None:
        """Append tracks that look like this, (N, D) float32 of unit length."""
        count = len(features)
        if not count:
            return
        self._tracks.begin(features)
        known = (self._sums,) if len(self._sums) else ()
        self._sums = np.concatenate([*known, features])
        self._boxes = np.append(self._boxes, np.ones(count, np.int64))
        self._began = np.append(self._began, np.full(count, now))
        self._open = np.append(self._open, np.ones(count, bool))
        self.pending = np.append(self.pending, np.zeros(count, bool))

    def update(self, rows: np.ndarray, features: np.ndarray) -> None:
        """Put a box to each of some tracks, (R, D) float32 of unit length."""
        if not len(rows):
            return
        self._tracks.update(rows, features)
        self._sums[rows] += features * self._open[rows, None]
        self._boxes[rows] += 1

    def lose(
        self,
        rows: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        seen: np.ndarray,
    ) -> None:
        """Remember tracks that are lost, if enough of them was seen; see `Gallery.add`."""
        enough = self._boxes[rows] >= self.rule.least_boxes
        prototypes = self._tracks.select(rows[enough])
        self.gallery.add(ids[enough], prototypes, labels[enough], seen[enough])

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks of these indices, in their order."""
        self._tracks.keep(rows)
        for name in ('_sums', '_boxes', '_began', '_open', 'pending'):
            setattr(self, name, getattr(self, name)[rows])

    def settle(self, rows: np.ndarray) -> None:
        """Let tracks, (K,) bool, be who they are: what was published does not change."""
        self._open &= ~rows

    def recognise(
        self,
        now: float,
        ids: np.ndarray,
        labels: np.ndarray,
        alike: Cosines,
        label_error: float,
    ) -> list[Return]:
        """
        Compare the tracks that began lately with everybody who was lost.

        :param now: seconds
        :param ids: (K,) int64, of all tracks
        :param labels: (K,) int64, likewise
        :param alike: how alike objects look here
        :param label_error: probability that an object has another label than before
        :return: of those who are back; they leave the gallery
        """
        self.gallery.forget(now)
        self._open &= now - self._began <= self.rule.wait
        self.pending[:] = False
        rows = np.flatnonzero(self._open)
        returns: list[Return] = []
        if not len(rows) or not len(self.gallery):
            return returns
        length = np.linalg.norm(self._sums[rows], axis=1, keepdims=True)
        features = self._sums[rows] / np.maximum(length, 1e-12)
        different = alike.different, alike.deviation
        evidence = self.gallery.evidence(
            features, labels[rows], alike.same, different, label_error
        )
        best, certainty = who(evidence, self.rule.threshold)
        enough = self._boxes[rows] >= self.rule.least_boxes
        self.pending[rows] = certainty >= np.where(enough, _LIKELY, _POSSIBLE)
        sure = (certainty >= self.rule.certainty) & enough
        for i in np.argsort(-certainty, kind='stable'):  # few: tracks that began just now
            identity = int(self.gallery.ids[best[i]])
            if sure[i] and identity not in [r.id for r in returns]:
                away = now - float(self.gallery.seen[best[i]])
                began = int(ids[rows[i]])
                returns.append(Return(int(rows[i]), began, identity, away))
        for back in returns:
            self.gallery.remove(int(np.flatnonzero(self.gallery.ids == back.id)[0]))
            self._open[back.row] = self.pending[back.row] = False
        return returns
