# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is known of the objects that several cameras share: appearance, tracks, and places."""

from __future__ import annotations

import numpy as np

from gtr_ros.stamps import CLOCK_JUMP
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.gallery import SimilarityStatistics

_GROUND = np.array([0, 1, 3, 4])  # x, y and their velocities in the state of a filter
_AHEAD = 3.0  # seconds for which an object is assumed to keep its velocity
_LEAST_EVIDENCE = -20.0  # of a place


class SharedObjects:
    """
    The K objects of C cameras, in the order of their ids; each array has a row for each object.

    :param cameras: C
    :param drop: decrease in an object's similarity to itself in another camera, in Fisher's z

    :ivar published: (K,) bool, whether its id may not change any more
    :ivar confirmed_at: (K,) float64, seconds, when a tracker first confirmed it; inf: not yet
    :ivar boxes: (K,) int64, number of boxes
    :ivar members: (K, C) int64, its track in each camera; 0: none
    :ivar alive: (K, C) bool, whether that track can be continued
    :ivar seen: (K, C) float64, seconds, time of the last box in each camera; -inf: none
    :ivar placed: (K,) int64, number of positions
    """

    def __init__(self, cameras: int, drop: float) -> None:
        self.cameras = cameras
        # The gallery keeps all, because objects that are in view must not be removed.
        self._known = Gallery(GalleryOptions(2**62, drop=drop))
        self.published = np.zeros(0, bool)
        self.confirmed_at = np.zeros(0)
        self.boxes = np.zeros(0, np.int64)
        self.members = np.zeros((0, cameras), np.int64)
        self.alive = np.zeros((0, cameras), bool)
        self.seen = np.zeros((0, cameras))
        self.placed = np.zeros(0, np.int64)
        self._sums = np.zeros((0, 0), np.float32)  # (K, D), of features until it is published
        self._when = np.zeros(0)  # seconds, time of the newest position
        self._states = np.zeros((0, 4))  # x, y, metres; their velocities, m/s
        self._spreads = np.zeros((0, 4, 4))
        self._accelerations = np.zeros(0)  # m^2 / s^3, spectral density

    def __len__(self) -> int:
        """Return K."""
        return len(self._known)

    @property
    def ids(self) -> np.ndarray:
        """(K,) int64, ascending."""
        return self._known.ids

    @property
    def labels(self) -> np.ndarray:
        """(K,) int64, of the newest boxes; they may be set."""
        return self._known.labels

    @property
    def last_seen(self) -> np.ndarray:
        """(K,) float64, seconds, time of the last box in any camera."""
        return self.seen.max(axis=1, initial=-np.inf)

    def begin(
        self, camera: int, now: float, ids: np.ndarray, members: np.ndarray, features: np.ndarray
    ) -> None:
        """
        Append an object for each of N tracks of a camera.

        :param ids: (N,) int64, of the objects, ascending
        :param members: (N,) int64, the tracks
        :param features: (N, D) float32, of unit length
        """
        count, first = len(members), not len(self)
        if not count:
            return
        prototypes = Prototypes(self._known.rule.prototypes)
        prototypes.begin(features)
        selected = prototypes.select(np.arange(count))
        self._known.add(ids, selected, np.zeros(count, np.int64), np.full(count, now))
        own = np.arange(self.cameras) == camera
        new = {
            'published': np.zeros(count, bool),
            'confirmed_at': np.full(count, np.inf),
            'boxes': np.ones(count, np.int64),
            'members': members[:, None] * own,
            'alive': np.tile(own, (count, 1)),
            'seen': np.tile(np.where(own, now, -np.inf), (count, 1)),
            'placed': np.zeros(count, np.int64),
            '_sums': features,
            '_when': np.zeros(count),
            '_states': np.zeros((count, 4)),
            '_spreads': np.zeros((count, 4, 4)),
            '_accelerations': np.zeros(count),
        }
        for name, values in new.items():
            before = () if first else (getattr(self, name),)
            setattr(self, name, np.concatenate([*before, values]))

    def update(self, rows: np.ndarray, features: np.ndarray) -> None:
        """Add one box to each of R objects; features are (R, D) float32 of unit length."""
        if len(rows):
            self._known.prototypes.update(rows, features)
            self._sums[rows] += features * ~self.published[rows, None]
            self.boxes[rows] += 1

    def put(
        self, row: int, now: float, state: np.ndarray, spread: np.ndarray, acceleration: float
    ) -> None:
        """
        Set where an object is; one that is older than what is known is only counted.

        :param now: seconds
        :param state: (6,) position and velocity, metres, m/s
        :param spread: (6, 6) covariance
        :param acceleration: spectral density, m^2 / s^3
        """
        later = now - self._when[row]
        if not self.placed[row] or later >= 0 or later < -CLOCK_JUMP / NANOSECONDS:
            self._when[row], self._states[row] = now, state[_GROUND]
            self._spreads[row] = spread[np.ix_(_GROUND, _GROUND)]
            self._accelerations[row] = acceleration
        self.placed[row] += 1

    def join(self, row: int, other: int) -> None:
        """Give the tracks of an object, which was not published, to another."""
        own = self.alive[row]
        self.members[other, own], self.alive[other, own] = self.members[row, own], True
        self.seen[other] = np.maximum(self.seen[other], self.seen[row])
        self.members[row], self.alive[row] = 0, False

    def keep(self, chosen: np.ndarray) -> None:
        """Keep only some of the objects, (K,) bool."""
        if chosen.all():
            return
        for row in np.flatnonzero(~chosen)[::-1].tolist():
            self._known.remove(row)
        for name, values in list(vars(self).items()):
            if isinstance(values, np.ndarray):
                setattr(self, name, values[chosen])

    def appearance_evidence(
        self, rows: np.ndarray, similarity: SimilarityStatistics, limit: float
    ) -> np.ndarray:
        """
        Return the evidence of appearance that N objects are each of those with their label.

        :param rows: (N,) of objects that are not published
        :param similarity: of the camera that sees them
        :param limit: largest absolute evidence
        :return: (N, K) float64
        """
        sums = self._sums[rows]
        length = np.linalg.norm(sums, axis=1, keepdims=True)
        features = sums / np.maximum(length, 1e-12)
        evidence = self._known.evidence(features, self.labels[rows], similarity, 1.0)
        return np.clip(evidence, -limit, limit)

    def place_evidence(self, row: int, others: np.ndarray, reach: float) -> np.ndarray:
        """
        Return the evidence of an object's place that it is each of M others, (M,).

        It is the log-ratio of two densities: where the other object is predicted at the time of
        this one's position, and where any object is, which is a normal distribution with the
        deviation `reach` that is taken at its peak.

        :param others: (M,) int; all have positions
        :param reach: metres
        """
        later = self._when[row] - self._when[others]
        ahead = np.clip(later, -_AHEAD, _AHEAD)
        states, spreads = self._states[others], self._spreads[others]
        step = ahead[:, None, None]
        crossed = spreads[:, :2, 2:]
        spread = spreads[:, :2, :2] + step * (crossed + crossed.swapaxes(1, 2))
        spread = spread + step**2 * spreads[:, 2:, 2:] + self._spreads[row, :2, :2]
        moved = np.minimum(self._accelerations[others] * np.abs(later) ** 3 / 3, reach**2)
        spread += moved[:, None, None] * np.eye(2)
        gap = self._states[row, :2] - states[:, :2] - ahead[:, None] * states[:, 2:]
        distance = np.einsum('ni,ni->n', gap, np.linalg.solve(spread, gap[..., None])[..., 0])
        peak = 2 * np.log(reach) - np.log(np.linalg.det(spread)) / 2
        return np.maximum(peak - distance / 2, _LEAST_EVIDENCE)
