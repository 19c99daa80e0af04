# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The Kalman filter of DeepSORT and FairMOT: boxes that move at constant velocity."""

from __future__ import annotations

import numpy as np

#: gate: the 95 % quantile of the chi-square distribution with four degrees of freedom
GATE = 9.4877

_POSITION, _VELOCITY = 1 / 20, 1 / 160
_MOTION = np.eye(8) + np.eye(8, k=4)  # over one frame


class KalmanBoxes:
    """
    The states of K boxes: centre x and y, aspect ratio w / h and height, and their velocities.

    Noise is relative to a box's height; time is counted in frames.

    :param measured: (K, 4) float, xyxy, pixels: the first measurements
    """

    def __init__(self, measured: np.ndarray) -> None:
        centred = to_xyah(measured)
        height = centred[:, 3]
        self.mean = np.concatenate([centred, np.zeros_like(centred)], axis=1)  # Kx8
        std = _std(height, 2 * _POSITION, 1e-2, 10 * _VELOCITY, 1e-5)
        self.covariance = std[:, :, None] ** 2 * np.eye(8)  # Kx8x8

    def __len__(self) -> int:
        return len(self.mean)

    @property
    def boxes(self) -> np.ndarray:
        """(K, 4) float64, xyxy, pixels: the estimated boxes."""
        centre, height = self.mean[:, :2], self.mean[:, 3:4]
        half = np.concatenate([self.mean[:, 2:3] * height, height], axis=1) / 2
        return np.concatenate([centre - half, centre + half], axis=1)

    def extend(self, other: KalmanBoxes) -> None:
        """Append the states of another filter."""
        self.mean = np.concatenate([self.mean, other.mean])
        self.covariance = np.concatenate([self.covariance, other.covariance])

    def keep(self, rows: np.ndarray) -> None:
        """Keep the boxes with these indices, in this order."""
        self.mean, self.covariance = self.mean[rows], self.covariance[rows]

    def predict(self, rows: np.ndarray, steady_height: np.ndarray) -> None:
        """
        Predict boxes in the next frame.

        :param rows: (R,) int, indices of the boxes
        :param steady_height: (R,) bool, whether the velocity of the height is set to 0
        """
        mean = self.mean[rows]
        mean[steady_height, 7] = 0
        noise = _std(mean[:, 3], _POSITION, 1e-2, _VELOCITY, 1e-5)
        self.mean[rows] = mean @ _MOTION.T
        moved = _MOTION @ self.covariance[rows] @ _MOTION.T
        self.covariance[rows] = moved + noise[:, :, None] ** 2 * np.eye(8)

    def update(self, rows: np.ndarray, measured: np.ndarray) -> None:
        """
        Correct boxes with measurements.

        :param rows: (R,) int, indices of the boxes
        :param measured: (R, 4) float, xyxy, pixels
        """
        mean, covariance = self.mean[rows], self.covariance[rows]
        innovation = to_xyah(measured) - mean[:, :4]
        spread = covariance[:, :4, :4] + _measurement_noise(mean)
        gain = np.linalg.solve(spread, covariance[:, :4]).transpose(0, 2, 1)  # Rx8x4
        self.mean[rows] = mean + (gain @ innovation[:, :, None])[:, :, 0]
        self.covariance[rows] = covariance - gain @ spread @ gain.transpose(0, 2, 1)

    def distances(self, rows: np.ndarray, measured: np.ndarray) -> np.ndarray:
        """
        Compute squared Mahalanobis distances.

        :param rows: (R,) int, indices of the boxes
        :param measured: (N, 4) float, xyxy, pixels
        :return: (R, N) float64
        """
        mean, covariance = self.mean[rows], self.covariance[rows]
        spread = covariance[:, :4, :4] + _measurement_noise(mean)
        offset = to_xyah(measured)[None] - mean[:, None, :4]  # RxNx4
        solved = np.linalg.solve(spread[:, None], offset[..., None])[..., 0]
        return (offset * solved).sum(axis=2)


def to_xyah(boxes: np.ndarray) -> np.ndarray:
    """Return centre, aspect ratio w / h and height of xyxy boxes, (N, 4) float64."""
    boxes = boxes.astype(np.float64)
    size = boxes[:, 2:] - boxes[:, :2]
    aspect = size[:, 0] / np.maximum(size[:, 1], 1e-6)
    return np.column_stack([(boxes[:, :2] + boxes[:, 2:]) / 2, aspect, size[:, 1]])


def _std(
    height: np.ndarray, position: float, aspect: float, velocity: float, aspect_velocity: float
) -> np.ndarray:
    """Return the standard deviations of a state, (K, 8); all but the aspect relative to height."""
    std = np.empty((len(height), 8))
    std[:, [0, 1, 3]] = position * height[:, None]
    std[:, [4, 5, 7]] = velocity * height[:, None]
    std[:, 2], std[:, 6] = aspect, aspect_velocity
    return std


def _measurement_noise(mean: np.ndarray) -> np.ndarray:
    """Return the covariance of measurements of boxes in these states, (R, 4, 4)."""
    std = _std(mean[:, 3], _POSITION, 1e-1, 0, 0)[:, :4]
    return std[:, :, None] ** 2 * np.eye(4)
