# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How people avoid each other and things."""

from __future__ import annotations

import numpy as np

#: smallest distance between two people, metres
APART = 0.48

_NEAR = 2.0  # metres, distance at which people begin to avoid each other
_SOFT = 0.3  # metres, over which avoidance falls to 1/e


def steer_around_people(positions: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """
    Return what people add to their velocities to avoid each other, (N, 2), m/s.

    :param positions: (N, 2), metres
    :param wanted: (N, 2), velocities without the others, m/s
    """
    away = positions[:, None] - positions[None]  # [N,N,2]
    far = np.hypot(away[..., 0], away[..., 1])
    np.fill_diagonal(far, np.inf)
    near = far < _NEAR
    far = np.maximum(far, 1e-6)
    unit = away / far[..., None]
    strength = np.where(near, np.exp(-(far - APART) / _SOFT), 0)
    # Those ahead are passed on the right hand side.
    speed = np.hypot(*wanted.T)
    direction = wanted / np.maximum(speed, 1e-6)[:, None]
    ahead = np.maximum(0, -np.einsum('ijk,ik->ij', unit, direction)) * (speed > 0.2)[:, None]
    right = np.stack([direction[:, 1], -direction[:, 0]], axis=1)
    wide = np.where(near, np.exp(-(far - APART) / (2 * _SOFT)), 0) * ahead
    return np.einsum('ij,ijk->ik', strength, unit) + 0.7 * wide.sum(axis=1)[:, None] * right


def steer_around(positions: np.ndarray, wanted: np.ndarray, circles: np.ndarray) -> np.ndarray:
    """
    Return what people add to their velocities to avoid things, (N, 2), m/s.

    :param circles: (K, 3) x, y, radius, metres
    """
    away = positions[:, None] - circles[None, :, :2]  # [N,K,2]
    far = np.maximum(np.hypot(away[..., 0], away[..., 1]), 1e-6)
    unit = away / far[..., None]
    strength = np.minimum(np.exp(-(far - circles[:, 2] - 0.35) / _SOFT), 2.5)
    # Along the circle, to the side that is nearer to the wanted direction.
    tangent = np.stack([-unit[..., 1], unit[..., 0]], axis=-1)
    side = np.sign(np.einsum('ijk,ik->ij', tangent, wanted) + 1e-9)
    towards = np.maximum(0, -np.einsum('ijk,ik->ij', unit, wanted))
    around = strength * towards * side
    return np.einsum('ij,ijk->ik', strength, unit) + np.einsum('ij,ijk->ik', around, tangent)


def push_apart(positions: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """
    Return positions that are moved so that people are at least `APART` from each other.

    :param fixed: (N,) bool, those that are not moved
    """
    away = positions[:, None] - positions[None]
    far = np.hypot(away[..., 0], away[..., 1])
    np.fill_diagonal(far, np.inf)
    overlap = np.maximum(0, APART - far)
    if not overlap.any():
        return positions
    unit = away / np.maximum(far, 1e-6)[..., None]
    share = np.where(fixed[None], 1.0, 0.5) * ~fixed[:, None]
    return positions + np.einsum('ij,ijk->ik', overlap * share, unit)


def push_out(positions: np.ndarray, circles: np.ndarray, radius: float) -> np.ndarray:
    """Return positions moved to outside of (K, 3) circles by a person's radius, metres."""
    away = positions[:, None] - circles[None, :, :2]
    far = np.maximum(np.hypot(away[..., 0], away[..., 1]), 1e-6)
    overlap = np.maximum(0, circles[:, 2] + radius - far)
    return positions + np.einsum('ij,ijk->ik', overlap, away / far[..., None])
