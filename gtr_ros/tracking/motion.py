# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where tracks are going: Kalman filters in box heights and seconds, several for each track."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_LEAST_DENSITY = 1e-8  # of a box, a square height, that a hypothesis explains


@dataclass(frozen=True)
class MotionModel:
    """
    One hypothesis of how things move: at constant velocity, but for random accelerations.

    Lengths are in heights of the track's box, so that near and far things are alike, and time is
    in seconds, so that no constant depends on the frame rate.

    :param acceleration: q, spectral density of white acceleration, heights^2 / s^3
    :param measurement: r, standard deviation of a detected box's centre, heights
    :param velocity: standard deviation of the velocity of a track with one box, heights / s
    :param prior: probability of the hypothesis for a new track
    :param with_background: whether the track is carried along where the camera's motion is known;
        False: it moves in the image as it did before, as what a camera follows does
    """

    acceleration: float
    measurement: float
    velocity: float
    prior: float
    with_background: bool = False


class MotionFilters:
    """
    The positions and velocities of K tracks under each of J hypotheses.

    Both axes have the same noise, so three numbers are the covariance of a filter: of the
    position, of position and velocity, of the velocity.

    :param models: the J hypotheses
    :param memory: seconds in which the probabilities of a track's hypotheses go 1 / e of the way
        back to what they were at first
    """

    def __init__(self, models: tuple[MotionModel, ...], memory: float) -> None:
        self.models = models
        self.memory = memory
        self._q = np.array([m.acceleration for m in models])
        self._noise = np.array([m.measurement for m in models]) ** 2
        self._first_velocity = np.array([m.velocity for m in models]) ** 2
        prior = np.array([m.prior for m in models])
        self._prior = prior / prior.sum()
        self._carried = np.array([m.with_background for m in models])
        count = len(models)
        self.position = np.zeros((0, count, 2))  # pixels
        self.velocity = np.zeros((0, count, 2))  # pixels / s
        self.covariance = np.zeros((0, count, 3))  # heights^2, heights^2 / s, heights^2 / s^2
        self.weight = np.zeros((0, count))  # probability of each hypothesis

    def __len__(self) -> int:
        return len(self.position)

    def begin(self, centre: np.ndarray) -> None:
        """
        Append tracks that were seen once.

        :param centre: (N, 2) float, pixels
        """
        count, models = len(centre), len(self.models)
        covariance = np.zeros((count, models, 3))
        covariance[..., 0] = self._noise
        covariance[..., 2] = self._first_velocity
        position = np.repeat(centre[:, None].astype(np.float64), models, axis=1)
        self.position = np.concatenate([self.position, position])
        self.velocity = np.concatenate([self.velocity, np.zeros_like(position)])
        self.covariance = np.concatenate([self.covariance, covariance])
        self.weight = np.concatenate([self.weight, np.tile(self._prior, (count, 1))])

    def keep(self, rows: np.ndarray) -> None:
        """Keep the tracks of these indices, in their order."""
        self.position, self.velocity = self.position[rows], self.velocity[rows]
        self.covariance, self.weight = self.covariance[rows], self.weight[rows]

    def predict(self, seconds: float, camera: np.ndarray | None = None) -> None:
        """
        Move all tracks on in time.

        :param seconds: since the last time
        :param camera: (2, 3) float, maps the previous image's pixels to this one's; None: unknown
        """
        t = seconds
        a, b, c = np.moveaxis(self.covariance, -1, 0)
        self.covariance = np.stack(
            [
                a + 2 * t * b + t**2 * c + self._q * t**3 / 3,
                b + t * c + self._q * t**2 / 2,
                c + self._q * t,
            ],
            axis=-1,
        )
        self.position = self.position + t * self.velocity
        if camera is not None and np.isfinite(camera).all():
            carried = self._carried
            turn, shift = camera[:, :2], camera[:, 2]
            self.position[:, carried] = self.position[:, carried] @ turn.T + shift
            self.velocity[:, carried] = self.velocity[:, carried] @ turn.T
        self.weight = self._prior + (self.weight - self._prior) * np.exp(-t / self.memory)

    def spread(self, limit: float) -> np.ndarray:
        """
        Return the standard deviation of where each track's box will be seen, (K, J), heights.

        :param limit: of it, heights: what is lost for long is not anywhere
        """
        return np.minimum(np.sqrt(self.covariance[..., 0] + self._noise), limit)

    def density(self, centre: np.ndarray, height: np.ndarray, limit: float) -> np.ndarray:
        """
        Compute how likely each track's box is seen at each place, sum_j w_j N_j.

        :param centre: (M, 2) float, pixels
        :param height: (K,) float, pixels, of the tracks' boxes
        :param limit: see `spread`
        :return: (M, K) float64, a square pixel
        """
        deviation = self.spread(limit) * height[:, None]
        total = np.zeros((len(centre), len(self)))
        # By hypothesis and axis: numpy is slow at sums over the few numbers of a last axis.
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
        Correct tracks by where they were seen.

        :param rows: (R,) int, which
        :param centre: (R, 2) float, pixels
        :param height: (R,) float, pixels, of their boxes
        :param limit: see `spread`
        """
        deviation = self.spread(limit)[rows]  # heights, as are distances here
        offset = centre[:, None] - self.position[rows]  # RxJx2
        distance = (offset**2).sum(axis=-1) / height[:, None] ** 2
        likelihood = self.weight[rows] * np.exp(-distance / (2 * deviation**2))
        likelihood /= 2 * np.pi * deviation**2
        # What no hypothesis explains says nothing about which of them is true.
        total = likelihood.sum(axis=1, keepdims=True)
        explained = total > _LEAST_DENSITY
        weight = np.where(explained, likelihood / np.maximum(total, 1e-300), self.weight[rows])
        self.weight[rows] = weight
        a, b, c = np.moveaxis(self.covariance[rows], -1, 0)
        of_position, of_velocity = a / (a + self._noise), b / (a + self._noise)
        self.position[rows] += of_position[..., None] * offset
        self.velocity[rows] += of_velocity[..., None] * offset
        self.covariance[rows] = np.stack(
            [a * (1 - of_position), b * (1 - of_position), c - of_velocity * b], axis=-1
        )
