# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The existence probability of tracks: whether they show an object or false detections."""

from __future__ import annotations

import numpy as np

#: existence probability at which a track is confirmed
CONFIRMED = 0.9

#: time constant, seconds, after which false detections change: boxes that follow each other sooner
#: are not independent
_INDEPENDENT = 0.1

#: time constant, seconds, with which missed frames reduce the evidence for a track; a confirmed
#: track stays confirmed
_FORGOTTEN = 0.5

#: probability that a box with a score at the threshold is an object: the threshold is chosen such
#: that most are
_AT_THRESHOLD = 0.7

_LEAST, _MOST = 0.01, 0.99  # limits of the probability that one box can contribute


class Existence:
    """
    The probability that each track shows an object, 1 - prod_i (1 - p_i)^(w_i).

    p_i is the probability that box i is an object: 0.7 for a score at the threshold; otherwise its
    odds are proportional to the odds of the score. w_i = 1 - exp(-t / 0.1 s), t seconds after the
    previous box, is its weight; that of the first box is 1. A track is confirmed once the
    probability is above 0.9, and stays confirmed.

    :param threshold: minimum score of boxes that start tracks, chosen for the detector; 0: scores
        are probabilities
    :param min_hits: confirm tracks after this many boxes instead; None: by the probability
    """

    def __init__(self, threshold: float = 0.0, min_hits: int | None = None) -> None:
        self.threshold = threshold
        self.min_hits = min_hits
        self.clear()

    def __len__(self) -> int:
        """Return the number of tracks."""
        return len(self._ids)

    @property
    def ids(self) -> np.ndarray:
        """(K,) int64, ascending: the tracks."""
        return self._ids

    def clear(self) -> None:
        """Remove all tracks."""
        self._ids = np.zeros(0, np.int64)  # ascending
        self._doubt = np.zeros(0)  # log of the probability that no box was an object
        self._hits = np.zeros(0, np.int64)
        self._last_seen = np.zeros(0)  # seconds
        self._confirmed = np.zeros(0, bool)
        self._time = -np.inf  # of the previous frame, seconds

    def update(
        self, ids: np.ndarray, scores: np.ndarray, seconds: float, held: np.ndarray
    ) -> np.ndarray:
        """
        Update the tracks with the boxes of a frame.

        :param ids: (M,) int64, all different
        :param scores: (M,) float
        :param seconds: time of the frame
        :param held: (H,) int64, tracks that must not be confirmed yet
        :return: (M,) bool, which of them are confirmed
        """
        rows = np.searchsorted(self._ids, ids)
        known = np.append(self._ids, -1)[rows] == ids
        if not known.all():
            self._begin(ids[~known], seconds)
            rows = np.searchsorted(self._ids, ids)
        elapsed = seconds - self._last_seen[rows]
        weight = np.where(self._hits[rows] == 0, 1.0, 1 - np.exp(-elapsed / _INDEPENDENT))
        missed = np.maximum(self._time - self._last_seen[rows], 0)
        self._time = seconds
        doubt = self._doubt[rows] * np.exp(-missed / _FORGOTTEN)
        self._doubt[rows] = doubt + weight * np.log1p(-self.probability(scores))
        self._hits[rows] += 1
        self._last_seen[rows] = seconds
        if self.min_hits is None:
            certain = 1 - np.exp(self._doubt[rows]) >= CONFIRMED
        else:
            certain = self._hits[rows] >= self.min_hits
        self._confirmed[rows] |= certain & ~np.isin(ids, held) if len(held) else certain
        return self._confirmed[rows]

    def reidentify(self, provisional_id: int, identity: int) -> None:
        """Replace the id of a new track with that of a lost one, which was confirmed before."""
        # The linker may have removed the lost track in this very frame, but it is still here.
        self._select(np.flatnonzero(self._ids != identity))
        if provisional_id not in self._ids:  # the track began in this frame
            self._begin(np.array([provisional_id]), self._time)
        row = np.searchsorted(self._ids, provisional_id)
        self._ids[row], self._confirmed[row] = identity, True
        self._select(np.argsort(self._ids, kind='stable'))

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability that boxes with these scores are objects; for NaN, the lowest."""
        scores = np.clip(np.nan_to_num(scores.astype(np.float64)), _LEAST, _MOST)
        if not self.threshold:
            return scores
        threshold = min(max(self.threshold, _LEAST), _MOST)
        odds = _AT_THRESHOLD / (1 - _AT_THRESHOLD) * (1 - threshold) / threshold
        odds = odds * scores / (1 - scores)
        return np.clip(odds / (1 + odds), _LEAST, _MOST)

    def keep(self, ids: np.ndarray) -> None:
        """Remove all tracks but these."""
        if not np.array_equal(self._ids, np.sort(ids)):  # most frames end no track
            self._select(np.flatnonzero(np.isin(self._ids, ids)))

    def _begin(self, ids: np.ndarray, seconds: float) -> None:
        count = len(ids)
        self._ids = np.append(self._ids, ids)
        self._doubt = np.append(self._doubt, np.zeros(count))
        self._hits = np.append(self._hits, np.zeros(count, np.int64))
        self._last_seen = np.append(self._last_seen, np.full(count, seconds))
        self._confirmed = np.append(self._confirmed, np.zeros(count, bool))
        self._select(np.argsort(self._ids, kind='stable'))

    def _select(self, rows: np.ndarray) -> None:
        for name in ('_ids', '_doubt', '_hits', '_last_seen', '_confirmed'):
            setattr(self, name, getattr(self, name)[rows])
