# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Where the upper bodies of people are in their boxes, by depth.

While people walk, the middle of their boxes sways by a decimetre: a foot stays where it is while
the body goes on, then swings past it. The upper body does not.
"""

from __future__ import annotations

import numpy as np

_NEAR = 0.3  # metres, between a point of the body and its surface
_FEWEST = 12  # points of a body
_SAMPLES = 64  # for each side of half a box: more pixels add no information


def upper_middles(
    depth: np.ndarray, boxes: np.ndarray, depths: np.ndarray, image_size: tuple[int, int]
) -> np.ndarray:
    """
    Return the median column of what is as far away as an object in the upper half of its box.

    :param depth: (h, w) float32, metres, nan: unknown; the view of the image in any resolution
    :param boxes: (N, 4) float, xyxy, pixels of the image
    :param depths: (N,) float64, of the surfaces of the objects, metres; nan: unknown
    :param image_size: (height, width), pixels
    :return: (N,) float64, pixels of the image from the edge of its first one; nan: unknown
    """
    scale = np.array(depth.shape[::-1]) / image_size[::-1]
    middles = np.full(len(boxes), np.nan)
    for i in np.flatnonzero(np.isfinite(depths)).tolist():
        corners = boxes[i].astype(np.float64).reshape(2, 2) * scale
        corners[1, 1] = corners[:, 1].mean()
        # The pixels whose centres are inside.
        (x1, y1), (x2, y2) = np.ceil(corners - 0.5).clip(0).astype(int).tolist()
        pixels = depth[y1:y2, x1:x2]
        stride = 1 + pixels.shape[1] // _SAMPLES
        pixels = pixels[:: 1 + pixels.shape[0] // _SAMPLES, ::stride]
        columns = np.nonzero(np.abs(pixels - depths[i]) < _NEAR)[1]
        if len(columns) >= _FEWEST:
            middles[i] = (x1 + stride * np.median(columns) + 0.5) / scale[0]
    return middles
