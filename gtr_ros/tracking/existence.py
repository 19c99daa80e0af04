# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a track is of an object at all, or of what a detector mistook for one."""

from __future__ import annotations

import numpy as np

#: probability from which on a track is believed
CONFIRMED = 0.9

#: seconds in which what a detector mistakes for an object looks different: boxes that follow each
#: other sooner are not independent
_INDEPENDENT = 0.1

#: seconds of missing frames in which what spoke for a track goes 1 / e down; what was once
#: confirmed stays so
_FORGOTTEN = 0.5

#: probability that a box at the threshold is of an object: it was chosen so that most are
_AT_THRESHOLD = 0.7

_LEAST, _MOST = 0.01, 0.99  # what one box can say


class Existence:
    """
    The probability that each track is of an object, 1 - prod_i (1 - p_i)^(w_i).

    p_i is the probability that box i is of an object: 0.7 for a score at the threshold, and as
    much more likely as the odds of its score are higher. w_i = 1 - exp(-t / 0.1 s) is how much of
    it is news, t seconds after the box before; the first counts whole. Once it is above 0.9 a
    track is confirmed, and stays so.

    :param threshold: score from which on boxes begin tracks, chosen for the detector; 0: scores
        are probabilities
    :param min_hits: boxes from which on a track is confirmed instead; None: by that probability
    """

    def __init__(self, threshold: float = 0.0, min_hits: int | None = None) -> None:
        self.threshold = threshold
        self.min_hits = min_hits
        self.clear()

    def __len__(self) -> int:
        return len(self._ids)

    def clear(self) -> None:
        """Forget every track."""
        self._ids = np.zeros(0, np.int64)  # ascending
        self._doubt = np.zeros(0)  # log of the probability that no box was of an object
        self._hits = np.zeros(0, np.int64)
        self._seen = np.zeros(0)  # seconds
        self._confirmed = np.zeros(0, bool)
        self._time = -np.inf  # of the frame before, seconds

    def update(
        self, ids: np.ndarray, scores: np.ndarray, seconds: float, held: np.ndarray
    ) -> np.ndarray:
        """
        Take in the boxes of a frame.

        :param ids: (M,) int64, different ones
        :param scores: (M,) float
        :param seconds: time of the frame
        :param held: (H,) int64, those that must not be confirmed yet
        :return: (M,) bool, which of them are confirmed
        """
        known = np.isin(ids, self._ids)
        self._begin(ids[~known], seconds)
        rows = np.searchsorted(self._ids, ids)
        elapsed = seconds - self._seen[rows]
        news = np.where(self._hits[rows] == 0, 1.0, 1 - np.exp(-elapsed / _INDEPENDENT))
        missed = np.maximum(self._time - self._seen[rows], 0)
        self._time = seconds
        doubt = self._doubt[rows] * np.exp(-missed / _FORGOTTEN)
        self._doubt[rows] = doubt + news * np.log1p(-self.probability(scores))
        self._hits[rows] += 1
        self._seen[rows] = seconds
        if self.min_hits is None:
            believed = 1 - np.exp(self._doubt[rows]) >= CONFIRMED
        else:
            believed = self._hits[rows] >= self.min_hits
        self._confirmed[rows] |= believed & ~np.isin(ids, held)
        return self._confirmed[rows]

    def resume(self, began: int, identity: int) -> None:
        """Let a track that began be one that was confirmed before, under the latter's identity."""
        # Who came back in the very frame in which it was given up is still here.
        self._select(np.flatnonzero(self._ids != identity))
        if began not in self._ids:  # it began in this frame
            self._begin(np.array([began]), self._time)
        row = np.searchsorted(self._ids, began)
        self._ids[row], self._confirmed[row] = identity, True
        self._select(np.argsort(self._ids, kind='stable'))

    def probability(self, scores: np.ndarray) -> np.ndarray:
        """Return the probability that boxes of these scores are of objects; of NaN it is least."""
        scores = np.clip(np.nan_to_num(scores.astype(np.float64)), _LEAST, _MOST)
        if not self.threshold:
            return scores
        threshold = min(max(self.threshold, _LEAST), _MOST)
        odds = _AT_THRESHOLD / (1 - _AT_THRESHOLD) * (1 - threshold) / threshold
        odds = odds * scores / (1 - scores)
        return np.clip(odds / (1 + odds), _LEAST, _MOST)

    def keep(self, ids: np.ndarray) -> None:
        """Forget all tracks but these."""
        self._select(np.flatnonzero(np.isin(self._ids, ids)))

    def _begin(self, ids: np.ndarray, seconds: float) -> None:
        count = len(ids)
        if not count:
            return
        self._ids = np.append(self._ids, ids)
        self._doubt = np.append(self._doubt, np.zeros(count))
        self._hits = np.append(self._hits, np.zeros(count, np.int64))
        self._seen = np.append(self._seen, np.full(count, seconds))
        self._confirmed = np.append(self._confirmed, np.zeros(count, bool))
        self._select(np.argsort(self._ids, kind='stable'))

    def _select(self, rows: np.ndarray) -> None:
        for name in ('_ids', '_doubt', '_hits', '_seen', '_confirmed'):
            setattr(self, name, getattr(self, name)[rows])
