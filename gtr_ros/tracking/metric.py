# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks in metres: a constant-velocity Kalman filter for each, in a frame that does not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.stamps import CLOCK_JUMP
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.placement import Kind
from gtr_ros.tracking.placement import Positions

#: squared Mahalanobis distance of a position that is not the object's: 1 in 100 (chi^2, 3)
GATE = 11.34
#: seconds without a position that is used, after which the filter begins again at the newest; also
#: the time constant with which positions that were used are forgotten
STUBBORN = 1.0
#: how much more objects accelerate while they are not measured: people who are hidden by others
#: walk around them
HIDDEN = 2.0

_RISE = 0.02  # m^2 / s^3, spectral density of the vertical acceleration
_RISING = 0.3  # m/s, standard deviation of the vertical velocity before it is measured
_SIZE_GAIN = 0.1  # smallest share of a new size in the mean
_FEWEST = 2  # positions that contradict a track together


@dataclass(frozen=True, eq=False)
class Objects:
    """
    The N confirmed tracks of an image, with what their filters need.

    :param ids: (N,) int64
    :param labels: (N,) int64
    :param scores: (N,) float32
    :param kinds: of each object
    """

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    kinds: list[Kind]


@dataclass(frozen=True, eq=False)
class MetricState:
    """
    The K objects at the time of an image, including those that are coasted.

    :param ids: (K,) int64
    :param labels: (K,) int64
    :param scores: (K,) float32, of the newest detections
    :param positions: (K, 3) float64, metres
    :param velocities: (K, 3) float64, m/s
    :param covariances: (K, 6, 6) float64, of position and velocity
    :param sizes: (K, 2) float64, width and height, metres; nan: not known yet
    :param unobserved: (K,) float64, seconds since the position was measured; 0: in this image
    :param ages: (K,) float64, seconds since the filter began: at the first position, or at the
        newest one that contradicted it
    """

    ids: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    covariances: np.ndarray
    sizes: np.ndarray
    unobserved: np.ndarray
    ages: np.ndarray


class MetricTracks:
    """
    The filters of one camera's objects; an object ends if it was not measured for a while.

    The model is constant velocity with white-noise acceleration, which is larger while an object
    is not measured. The z axis of the frame is up: objects accelerate less along it.

    A position outside the gate is refused, and so is one that is nearer to what was refused before
    than to the track. The filter begins again there, with unknown velocity, as soon as the refused
    positions that agree with each other outnumber those that were used lately, or if none was used
    for a second. So the depth of something else at a track's first image does not last, but an
    object that was seen for a second is not given up for the one that walks in front of it.

    The published covariance is that of the filter plus that of the lasting errors of the newest
    position, which the filter does not average out.

    :param coast: seconds for which an object is predicted without being measured
    """

    def __init__(self, coast: float) -> None:
        self._coast = round(coast * NANOSECONDS)
        self._newest: int | None = None
        self.clear()

    def __len__(self) -> int:
        return len(self._ids)

    def clear(self) -> None:
        """End all tracks."""
        self._newest = None
        self._ids, self._labels = np.zeros((2, 0), np.int64)
        self._scores = np.zeros(0, np.float32)
        self._noise = np.zeros((0, 3))  # spectral densities of the acceleration
        self._speed = np.zeros(0)
        self._mean = np.zeros((0, 6))
        self._covariance = np.zeros((0, 6, 6))
        self._lasting = np.zeros((0, 3, 3))
        self._sizes = np.zeros((0, 2))
        self._sized = np.zeros((0, 2))  # number of sizes in the mean
        self._first, self._last = np.zeros((2, 0), np.int64)
        self._support = np.zeros(0)  # number of positions that were used; older ones count less
        self._against = np.zeros(0)  # number of refused positions that agree with the newest
        self._refused = np.zeros((0, 3))  # the newest of them; nan: none since one was used
        self._refused_at = np.zeros(0, np.int64)

    def update(self, stamp: int, objects: Objects, positions: Positions) -> MetricState:
        """
        Return where all objects are at the time of an image.

        :param stamp: of the image, nanoseconds. One that is not after the newest is taken as the
            same time; one more than a second before it ends all tracks, because the clock was
            reset
        :param objects: in the image
        :param positions: of these objects
        """
        if self._newest is not None and stamp < self._newest - CLOCK_JUMP:
            self.clear()
        now = stamp if self._newest is None else max(stamp, self._newest)
        known = np.flatnonzero(positions.known)
        row_of = {track_id: row for row, track_id in enumerate(self._ids.tolist())}
        rows = np.array([row_of.get(i, -1) for i in objects.ids[known].tolist()], np.int64)
        old = rows >= 0
        if self._newest is not None:
            seen = np.zeros(len(self), bool)
            seen[rows[old]] = True
            hidden = ~seen | (self._last < self._newest)
            self._predict((now - self._newest) / NANOSECONDS, hidden)
        self._newest = now
        self._correct(rows[old], known[old], positions, now)
        self._begin(known[~old], objects, positions, now)
        self._describe(objects)
        self._keep(now - self._last <= self._coast)
        return self._state(now)

    def _predict(self, t: float, hidden: np.ndarray) -> None:
        """
        Predict all tracks.

        :param t: seconds
        :param hidden: (K,) bool, those that were not measured, or not before
        """
        step = np.eye(6)
        step[:3, 3:] = t * np.eye(3)
        self._mean = self._mean @ step.T
        self._covariance = step @ self._covariance @ step.T
        noise = self._noise.copy()
        noise[hidden, :2] *= HIDDEN
        growth = np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        axes = np.arange(3)
        blocks = self._covariance.reshape(-1, 2, 3, 2, 3)
        blocks[:, :, axes, :, axes] += noise.T[..., None, None] * growth
        self._support *= np.exp(-t / STUBBORN)

    def _correct(
        self, rows: np.ndarray, measured: np.ndarray, positions: Positions, now: int
    ) -> None:
        """
        Correct tracks by their positions.

        :param rows: (M,) of the tracks
        :param measured: (M,) of their positions
        """
        points, noise = positions.points[measured], positions.covariances[measured]
        covariance = self._covariance[rows]
        innovation = points - self._mean[rows, :3]
        error = noise + positions.lasting[measured]
        distance = _squared(innovation, covariance[:, :3, :3] + error)
        refused, lost = self._contradict(rows, points, error, distance, now)
        used = ~refused
        gain = covariance[:, :, :3] @ np.linalg.inv(covariance[:, :3, :3] + noise)
        # Joseph's form stays positive definite.
        rest = np.eye(6) - np.concatenate([gain, np.zeros_like(gain)], axis=2)
        corrected = rest @ covariance @ rest.swapaxes(1, 2) + gain @ noise @ gain.swapaxes(1, 2)
        moved = self._mean[rows] + np.einsum('nij,nj->ni', gain, innovation)
        self._mean[rows[used]], self._covariance[rows[used]] = moved[used], corrected[used]
        restarted = rows[lost]
        self._mean[restarted] = np.pad(points[lost], ((0, 0), (0, 3)))
        self._covariance[restarted] = self._initial(noise[lost], self._speed[restarted])
        self._first[restarted] = now
        self._support[restarted] = self._against[restarted] - 1
        used |= lost
        self._support[rows[used]] += 1
        self._against[rows[used]], self._refused[rows[used]] = 0, np.nan
        self._lasting[rows[used]] = positions.lasting[measured[used]]
        self._last[rows[used]] = now
        self._add_sizes(rows[used], positions.sizes[measured[used]])

    def _contradict(
        self,
        rows: np.ndarray,
        points: np.ndarray,
        error: np.ndarray,
        distance: np.ndarray,
        now: int,
    ) -> tuple[np.ndarray, np.ndarray]:
        """
        Decide which positions are refused, and which of these tracks begin again there.

        :param rows: (M,) of the tracks
        :param points: (M, 3) of their positions
        :param error: (M, 3, 3) covariances of the positions
        :param distance: (M,) squared Mahalanobis distances from the tracks
        :return: two (M,) bool
        """
        refused = distance > GATE
        if not refused.any() and np.isnan(self._refused[rows, 0]).all():
            return refused, refused
        t = (now - self._refused_at[rows]) / NANOSECONDS
        walked = np.column_stack([self._speed[rows], self._speed[rows], np.full(len(t), _RISING)])
        spread = 2 * error + ((walked * t[:, None]) ** 2)[:, None] * np.eye(3)
        apart = _squared(points - self._refused[rows], spread)
        agrees = apart <= GATE  # not if nothing was refused: nan
        refused |= agrees & (apart < distance)
        against = np.where(agrees, self._against[rows] + 1, 1)
        outnumbered = (against >= _FEWEST) & (against > self._support[rows])
        late = now - self._last[rows] >= STUBBORN * NANOSECONDS
        chosen = rows[refused]
        self._against[chosen], self._refused[chosen] = against[refused], points[refused]
        self._refused_at[chosen] = now
        return refused, refused & (outnumbered | late)

    def _begin(
        self, measured: np.ndarray, objects: Objects, positions: Positions, now: int
    ) -> None:
        """Begin tracks at positions."""
        kinds = [objects.kinds[i] for i in measured.tolist()]
        speed = np.array([kind.speed for kind in kinds], np.float64)
        noise = np.array([(k.acceleration, k.acceleration, _RISE) for k in kinds], np.float64)
        count = len(measured)
        times = np.full(count, now)

        def join(values: np.ndarray, more: np.ndarray) -> np.ndarray:
            return np.concatenate([values, more])

        self._ids = join(self._ids, objects.ids[measured])
        self._labels = join(self._labels, objects.labels[measured])
        self._scores = join(self._scores, objects.scores[measured])
        self._speed = join(self._speed, speed)
        self._noise = join(self._noise, noise.reshape(-1, 3))
        self._mean = join(self._mean, np.pad(positions.points[measured], ((0, 0), (0, 3))))
        initial = self._initial(positions.covariances[measured], speed)
        self._covariance = join(self._covariance, initial)
        self._lasting = join(self._lasting, positions.lasting[measured])
        self._first, self._last = join(self._first, times), join(self._last, times)
        self._support = join(self._support, np.ones(count))
        self._against = join(self._against, np.zeros(count))
        self._refused = join(self._refused, np.full((count, 3), np.nan))
        self._refused_at = join(self._refused_at, times)
        self._sizes = join(self._sizes, np.full((count, 2), np.nan))
        self._sized = join(self._sized, np.zeros((count, 2)))
        rows = np.arange(len(self._ids) - count, len(self._ids))
        self._add_sizes(rows, positions.sizes[measured])

    @staticmethod
    def _initial(noise: np.ndarray, speed: np.ndarray) -> np.ndarray:
        """Return the covariances of tracks with one position each, (N, 6, 6)."""
        covariance = np.zeros((len(noise), 6, 6))
        covariance[:, :3, :3] = noise
        covariance[:, 3, 3] = covariance[:, 4, 4] = speed**2
        covariance[:, 5, 5] = _RISING**2
        return covariance

    def _add_sizes(self, rows: np.ndarray, sizes: np.ndarray) -> None:
        """Average the sizes of tracks; nan adds nothing."""
        seen = np.isfinite(sizes)
        self._sized[rows] += seen
        gain = np.maximum(1 / np.maximum(self._sized[rows], 1), _SIZE_GAIN)
        before = np.where(self._sized[rows] > 1, self._sizes[rows], sizes)
        self._sizes[rows] = np.where(seen, before + gain * (sizes - before), self._sizes[rows])

    def _describe(self, objects: Objects) -> None:
        """Take over labels and scores, also of objects whose position is not known now."""
        places = {track_id: i for i, track_id in enumerate(objects.ids.tolist())}
        for row, track_id in enumerate(self._ids.tolist()):
            if (i := places.get(track_id)) is not None:
                self._labels[row], self._scores[row] = objects.labels[i], objects.scores[i]

    def _keep(self, kept: np.ndarray) -> None:
        if kept.all():
            return
        for name, values in list(vars(self).items()):
            if isinstance(values, np.ndarray):
                setattr(self, name, values[kept])

    def _state(self, now: int) -> MetricState:
        covariances = self._covariance.copy()
        covariances[:, :3, :3] += self._lasting
        return MetricState(
            ids=self._ids.copy(),
            labels=self._labels.copy(),
            scores=self._scores.copy(),
            positions=self._mean[:, :3].copy(),
            velocities=self._mean[:, 3:].copy(),
            covariances=covariances,
            sizes=self._sizes.copy(),
            unobserved=(now - self._last) / NANOSECONDS,
            ages=(now - self._first) / NANOSECONDS,
        )


def _squared(vectors: np.ndarray, covariances: np.ndarray) -> np.ndarray:
    """Return squared Mahalanobis distances, (M,), of (M, 3) vectors."""
    return np.einsum('ni,ni->n', vectors, np.linalg.solve(covariances, vectors[..., None])[..., 0])
