# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Motion of tracks: several Kalman filters for each track, in box heights and seconds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST_DENSITY = 1e-8  # 1 / heights^2, density below which no hypothesis explains a box


@dataclass(frozen=True)
class MotionModel:
    """
    One motion hypothesis: constant velocity with white-noise acceleration.

    Lengths are in heights of the track's box, so that the constants hold for near and far objects,
    and time is in seconds, so that they do not depend on the frame rate.

    :param acceleration: q, spectral density of the acceleration, heights^2 / s^3
    :param measurement: r, standard deviation of a detected box's centre, heights
    :param velocity: standard deviation of the velocity of a track with one box, heights / s
    :param prior: probability of the hypothesis for a new track
    :param with_background: whether known camera motion is compensated; False: the track keeps its
        velocity in the image, like an object that the camera follows
    """

    acceleration: float
    measurement: float
    velocity: float
    prior: float
    with_background: bool = False


class MotionFilters:
    """
    The positions and velocities of K tracks under each of J hypotheses.

    Both axes have the same noise, so the covariance of a filter is three numbers: position
    variance, covariance of position and velocity, velocity variance.

    :param models: the J hypotheses
    :param memory: time constant, seconds, with which the probabilities of a track's hypotheses
        return to the prior
    """

    def __init__(self, models: tuple[MotionModel, ...], memory: float) -> None:
        self.models = models
        self.memory = memory
        self._q = np.array([m.acceleration for m in models])
        self._noise = np.array([m.measurement for m in models]) ** 2
        self._initial_velocity = np.array([m.velocity for m in models]) ** 2
        prior = np.array([m.prior for m in models])
        self._prior = prior / prior.sum()
        self._with_background = np.array([m.with_background for m in models])
        count = len(models)
        self.position = np.zeros((0, count, 2))  # pixels
        self.velocity = np.zeros((0, count, 2))  # pixels / s
        self.covariance = np.zeros((0, count, 3))  # heights^2, heights^2 / s, heights^2 / s^2
        self.weight = np.zeros((0, count))  # probability of each hypothesis

    def __len__(self) -> int:
        return len(self.position)

    def begin(self, centre: np.ndarray) -> None:
        """
        Append tracks with one box each.

        :param centre: (N, 2) float, pixels
        """
        count, models = len(centre), len(self.models)
        covariance = np.zeros((count, models, 3))
        covariance[..., 0] = self._noise
        covariance[..., 2] = self._initial_velocity
        position = np.repeat(centre[:, None].astype(np.float64), models, axis=1)
        self.position = np.concatenate([self.position, position])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(position)])
        self.covariance = np.concatenate([self.covariance, covariance])
        self.weight = np.concatenate([self.weight, np.tile(self._prior, (count, 1))])

    def keep(self, rows: np.ndarray) -> None:
        """Keep only the tracks with these indices, in this order."""
        self.position, self.velocity = self.position[rows], self.velocity[rows]
        self.covariance, self.weight = self.covariance[rows], self.weight[rows]

    def predict(self, seconds: float, camera: np.ndarray | None = None) -> None:
        """
        Predict all tracks.

        :param seconds: since the previous frame
        :param camera: (2, 3) float, maps the previous image's pixels to this one's; None: unknown
        """
        t = seconds
        a, b, c = self.covariance.transpose(2, 0, 1)  # views
        a[:] = a + 2 * t * b + t**2 * c + self._q * t**3 / 3
        b[:] = b + t * c + self._q * t**2 / 2
        c[:] = c + self._q * t
        self.position = self.position + t * self.velocity
        if camera is not None and np.isfinite(camera).all():
            moved = self._with_background
            linear, shift = camera[:, :2], camera[:, 2]
            self.position[:, moved] = self.position[:, moved] @ linear.T + shift
            self.velocity[:, moved] = self.velocity[:, moved] @ linear.T
        self.weight = self._prior + (self.weight - self._prior) * np.exp(-t / self.memory)

    def spread(self, limit: float) -> np.ndarray:
        """
        Return the standard deviation of the position of each track's next box, (K, J), heights.

        :param limit: its upper limit, heights: even a lost track is not arbitrarily far away
        """
        return np.minimum(np.sqrt(self.covariance[..., 0] + self._noise), limit)

    def density(self, centre: np.ndarray, height: np.ndarray, limit: float) -> np.ndarray:
        """
        Compute the predicted density of each track's box at each position, sum_j w_j N_j.

        :param centre: (M, 2) float, pixels
        :param height: (K,) float, pixels, of the tracks' boxes
        :param limit: see `spread`
        :return: (M, K) float64, 1 / pixels^2
        """
        deviation = self.spread(limit) * height[:, None]
        total = np.zeros((len(centre), len(self)))
        # This loops over hypotheses and axes because numpy is slow at sums over a short last axis.
        for j in range(len(self.models)):
            x, y = self.position[:, j].T
            factor = -0.5 / deviation[:, j] ** 2
            exponent = (centre[:, :1] - x) ** 2
            exponent += (centre[:, 1:] - y) ** 2
            exponent *= factor
            np.exp(exponent, out=exponent)
            exponent *= self.weight[:, j] * -factor / np.pi
            total += exponent
        return total

    def update(
        self, rows: np.ndarray, centre: np.ndarray, height: np.ndarray, limit: float
    ) -> None:
        """
        Update R tracks with one box each.

        :param rows: (R,) int, indices of the tracks
        :param centre: (R, 2) float, pixels
        :param height: (R,) float, pixels, of the boxes
        :param limit: see `spread`
        """
        deviation = self.spread(limit)[rows]  # heights, as are distances here
        offset = centre[:, None] - self.position[rows]  # RxJx2
        distance = (offset**2).sum(axis=-1) / height[:, None] ** 2
        likelihood = self.weight[rows] * np.exp(-distance / (2 * deviation**2))
        likelihood /= 2 * np.pi * deviation**2
        # A box that no hypothesis explains does not change their probabilities.
        total = likelihood.sum(axis=1, keepdims=True)
        explained = total > _LEAST_DENSITY
        weight = np.where(explained, likelihood / np.maximum(total, 1e-300), self.weight[rows])
        self.weight[rows] = weight
        covariance = self.covariance[rows]
        a, b, c = covariance.transpose(2, 0, 1)  # views
        gain, velocity_gain = a / (a + self._noise), b / (a + self._noise)
        self.position[rows] += gain[..., None] * offset
        self.velocity[rows] += velocity_gain[..., None] * offset
        c[:] = c - velocity_gain * b
        a[:], b[:] = a * (1 - gain), b * (1 - gain)
        self.covariance[rows] = covariance
