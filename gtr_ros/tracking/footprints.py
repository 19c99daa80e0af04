# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The outlines of tracks in metres, where they are and where they will be, as points to avoid."""

from __future__ import annotations

import numpy as np

from gtr_ros.tracking.metric import MetricState

#: of a point: metres; the track that it belongs to; seconds ahead, 0: where the object is now
POINT = np.dtype([('x', '<f4'), ('y', '<f4'), ('z', '<f4'), ('id', '<u4'), ('time', '<f4')])
#: width and height of objects that were not seen whole yet, metres
UNKNOWN_SIZE = (0.6, 1.0)
#: heights of the points, as a share of that of the object
LEVELS = np.array([0.25, 0.5, 0.75])
#: largest distance between neighbouring points of a circle, metres
SPACING = 0.1
#: seconds between the circles of a path, at most
STEP = 0.25
#: squared Mahalanobis distance of the 95 % ellipse (chi^2, 2)
ELLIPSE_95 = 5.99

_FEWEST = 8  # points of a circle


def outlines(state: MetricState, seconds: float) -> np.ndarray:
    """
    Return points on the outlines of all objects, and of their predicted paths.

    An object is an upright cylinder as wide and as high as the object. A path is that of constant
    velocity along the ground: a cylinder every 0.25 s, wider by the largest standard deviation of
    the position that is predicted. Only moving objects have one, see `moving`.

    :param state: in a frame whose z axis is up
    :param seconds: length of the paths, 0 or more; 0: none
    :return: (P,) POINT, those of time 0 first; empty if there are no objects
    """
    times = np.linspace(0, seconds, int(np.ceil(seconds / STEP)) + 1)[1:]
    count, movers = len(state.ids), np.flatnonzero(moving(state))
    rows = np.concatenate([np.arange(count), np.repeat(movers, len(times))])
    ahead = np.concatenate([np.zeros(count), np.tile(times, len(movers))])
    centres = state.positions[rows, :2] + ahead[:, None] * state.velocities[rows, :2]
    sizes = np.where(np.isfinite(state.sizes), state.sizes, UNKNOWN_SIZE)
    radii = sizes[rows, 0] / 2 + np.where(ahead > 0, _deviations(state, rows, ahead), 0.0)
    counts = np.maximum(np.ceil(2 * np.pi * radii / SPACING), _FEWEST).astype(np.int64)
    circles = np.repeat(np.arange(len(rows)), counts)
    angles = 2 * np.pi * np.arange(len(circles)) / counts[circles]
    rims = centres[circles] + radii[circles, None] * np.stack([np.cos(angles), np.sin(angles)], 1)
    owners = rows[circles]
    heights = state.positions[owners, 2:] + sizes[owners, 1:] * (LEVELS - 0.5)
    points = np.empty((len(circles), len(LEVELS)), POINT)
    points['x'], points['y'], points['z'] = rims[:, :1], rims[:, 1:], heights
    points['id'] = state.ids[owners, None]
    points['time'] = ahead[circles, None]
    return points.ravel()


def moving(state: MetricState) -> np.ndarray:
    """Return which objects certainly move, (K,) bool: 0 is outside the velocity's 95 % ellipse."""
    velocities = state.velocities[:, :2]
    solved = np.linalg.solve(state.covariances[:, 3:5, 3:5], velocities[..., None])[..., 0]
    return np.einsum('ki,ki->k', velocities, solved) > ELLIPSE_95


def _deviations(state: MetricState, rows: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """
    Return how sure predicted places are: standard deviations along their worst axis, metres.

    :param rows: (C,) of the objects
    :param ahead: (C,) seconds
    """
    covariances, t = state.covariances[rows], ahead[:, None, None]
    cross = covariances[:, :2, 3:5]
    spread = (
        covariances[:, :2, :2]
        + t * (cross + cross.swapaxes(1, 2))
        + t**2 * covariances[:, 3:5, 3:5]
    )
    return np.sqrt(np.maximum(np.linalg.eigvalsh(spread)[:, -1], 0))
