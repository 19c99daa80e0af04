# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Camera motion in the image, computed from the poses of the camera instead of from its images.

Only the rotation counts. The image motion that a translation causes depends on the distance of
each object. It changes slowly, so that the motion filter of a track learns it as velocity, while a
rotation may begin and end from one image to the next. Translation at one typical distance, or at
the distance of each object, does not link better than none: see docs/linking.md and
`benchmarks/ego_motion.py`.
"""

from __future__ import annotations

import math

import numpy as np

from gtr_ros.tracking.placement import Pinhole

#: radians per second: no camera turns faster, so that the transforms have jumped
FASTEST = 2 * math.pi

_COLUMNS, _ROWS = 9, 7  # of the grid of points that the motion is fitted to
_FEWEST = 0.2  # of the points that must be in both images: then they are not in one line


def image_motion(
    turn: np.ndarray, before: Pinhole, now: Pinhole, offset: np.ndarray | None = None
) -> np.ndarray | None:
    """
    Return how far points move from an image to the next one because the camera moves.

    The exact motion, K R K^-1, is fitted by an affine one where both images see the points, with
    an error of about a tenth of the motion. Ids are not better with the exact one.

    :param turn: (3, 3) float64, R, from the optical frame of the previous image to that of this
        one
    :param before: the camera of the previous image
    :param now: the camera of this image
    :param offset: (3,) float64, the position of the previous optical frame in this one, in units
        of the distance of the points along the previous optical axis; None: they are far away
    :return: (2, 3) float64, as `Detections.camera`; None: hardly anything is in both images
    """
    height, width = before.size
    x, y = np.meshgrid(np.linspace(0, width, _COLUMNS), np.linspace(0, height, _ROWS))
    starts = np.column_stack([x.ravel(), y.ravel()])
    rays = before.rays(starts) @ turn.T
    if offset is not None:
        rays += offset
    ahead = rays[:, 2] > 0
    ends = np.full_like(starts, np.inf)
    ends[ahead] = rays[ahead, :2] / rays[ahead, 2:] * now.focal + now.centre
    inside = ((ends >= 0) & (ends <= now.size[::-1])).all(axis=1)
    if inside.sum() < _FEWEST * len(starts):
        return None
    points = np.column_stack([starts[inside], np.ones(inside.sum())])
    return np.linalg.lstsq(points, ends[inside], rcond=None)[0].T


def angle_of(turn: np.ndarray) -> float:
    """Return the angle of a (3, 3) rotation, radians, 0 to pi."""
    return math.acos(min(max((np.trace(turn) - 1) / 2, -1.0), 1.0))
