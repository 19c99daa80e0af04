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
#: seconds without a position within the gate, after which the filter begins again at the newest
STUBBORN = 1.0

_RISE = 0.02  # m^2 / s^3, spectral density of the vertical acceleration
_RISING = 0.3  # m/s, standard deviation of the vertical velocity before it is measured
_SIZE_GAIN = 0.1  # smallest share of a new size in the mean


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

    The model is constant velocity with white-noise acceleration. The z axis of the frame is up:
    objects accelerate less along it. A position outside the gate is ignored; if no other one
    arrives for a second, the object is where it says, and its velocity unknown.

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
        if self._newest is not None:
            self._predict((now - self._newest) / NANOSECONDS)
        self._newest = now
        known = np.flatnonzero(positions.known)
        row_of = {track_id: row for row, track_id in enumerate(self._ids.tolist())}
        rows = np.array([row_of.get(i, -1) for i in objects.ids[known].tolist()], np.int64)
        old = rows >= 0
        self._correct(rows[old], known[old], positions, now)
        self._begin(known[~old], objects, positions, now)
        self._describe(objects)
        self._keep(now - self._last <= self._coast)
        return self._state(now)

    def _predict(self, t: float) -> None:
        step = np.eye(6)
        step[:3, 3:] = t * np.eye(3)
        self._mean = self._mean @ step.T
        self._covariance = step @ self._covariance @ step.T
        for (i, j), factor in {(0, 0): t**3 / 3, (0, 3): t**2 / 2, (3, 3): t}.items():
            for axis in range(3):
                self._covariance[:, i + axis, j + axis] += factor * self._noise[:, axis]
                if i != j:
                    self._covariance[:, j + axis, i + axis] += factor * self._noise[:, axis]

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
        spread = covariance[:, :3, :3] + noise + positions.lasting[measured]
        distance = np.einsum(
            'ni,ni->n', innovation, np.linalg.solve(spread, innovation[..., None])[..., 0]
        )
        outside = distance > GATE
        lost = outside & (now - self._last[rows] >= STUBBORN * NANOSECONDS)
        used = ~outside
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
        used |= lost
        self._lasting[rows[used]] = positions.lasting[measured[used]]
        self._last[rows[used]] = now
        self._add_sizes(rows[used], positions.sizes[measured[used]])

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
