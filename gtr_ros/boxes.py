# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Box arithmetic in numpy: boxes are xyxy with x1 <= x2 and y1 <= y2, in any unit."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """Return the areas of (N, 4) boxes, (N,)."""
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_centres(boxes: np.ndarray) -> np.ndarray:
    """Return the centres of (N, 4) boxes, (N, 2)."""
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def box_intersection(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the areas of the intersections of (M, 4) with (K, 4) boxes, (M, K)."""
    overlap = np.minimum(a[:, None, 2:], b[:, 2:]) - np.maximum(a[:, None, :2], b[:, :2])
    return overlap.clip(0).prod(axis=2)


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the intersection over union of (M, 4) with (K, 4) boxes, (M, K)."""
    shared = box_intersection(a, b)
    area_a, area_b = ((x[:, 2:] - x[:, :2]).prod(axis=1) for x in (a, b))
    return shared / np.maximum(area_a[:, None] + area_b - shared, 1e-9)


def clip_boxes(boxes: np.ndarray, image_size: tuple[int, int]) -> np.ndarray:
    """
    Clip (N, 4) boxes to an image.

    :param boxes: pixels
    :param image_size: (height, width), pixels
    """
    height, width = image_size
    return boxes.clip(0, [width, height, width, height])


def match_boxes(iou: np.ndarray, threshold: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """
    Match boxes one to one, maximising the sum of their IoU.

    :param iou: (M, N) in [0, 1]
    :param threshold: minimum IoU of a match
    :return: rows and columns of the matched pairs, (K,) int64 each
    """
    # The tolerance is TrackEval's: an IoU of exactly the threshold matches.
    iou = np.where(iou < threshold - np.finfo(float).eps, 0, iou)
    rows, columns = linear_sum_assignment(-iou)
    keep = iou[rows, columns] > np.finfo(float).eps
    return rows[keep], columns[keep]


def centre_to_corners(
    x: float, y: float, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return x1, y1, x2, y2 of a box given by its centre and size, as in ROS messages."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


def corners_to_centre(
    x1: float, y1: float, x2: float, y2: float
) -> tuple[float, float, float, float]:
    """Return the centre x, y and the width and height of a box."""
    return (x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1
