# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The colours of objects, as histograms: how a person is dressed.

They say what the features of a small network say less well, and cost a tenth of a millisecond for
each object.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_SIZE = (24, 48)  # width, height to which objects are averaged, pixels
_BANDS = (slice(7, 24), slice(24, 43))  # rows: below the head, and above the feet
_MIDDLE = slice(6, 18)  # columns: what is beside them is often background
_LIGHTNESS = 4  # bins
_CHROMA = 9  # bins of each of Cb and Cr
_RANGE = 50.0  # of Cb and Cr, on each side of grey

#: length of a histogram
WIDTH = len(_BANDS) * _LIGHTNESS * _CHROMA**2


def box_colours(image: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """
    Return the square roots of colour histograms of objects, of unit length.

    The upper and the lower part of each box have a histogram over Y, Cb and Cr, to whose bins
    pixels are assigned linearly. The scalar product of two of these vectors is the mean of the
    parts' Bhattacharyya coefficients.

    :param image: (H, W, 3) uint8 RGB
    :param boxes: (N, 4), xyxy, pixels of the image
    :return: (N, `WIDTH`) float32; zeros for a box without a pixel in the image
    """
    colours = np.zeros((len(boxes), WIDTH), np.float32)
    height, width = image.shape[:2]
    corners = np.nan_to_num(boxes.astype(np.float64)).round().clip(0, [width, height] * 2)
    for i, (x1, y1, x2, y2) in enumerate(corners.astype(int).tolist()):
        if x2 > x1 and y2 > y1:
            crop = Image.fromarray(np.ascontiguousarray(image[y1:y2, x1:x2]))
            small = crop.resize(_SIZE, Image.Resampling.BOX).convert('YCbCr')
            colours[i] = _histograms(np.asarray(small)).ravel()
    return colours


def _histograms(pixels: np.ndarray) -> np.ndarray:
    """Return the square roots of the histograms of an averaged object, (bands, bins)."""
    y, cb, cr = np.moveaxis(pixels[:, _MIDDLE].astype(np.float64), 2, 0)
    lightness = _weights(y / 255, _LIGHTNESS)
    blue, red = (_weights(0.5 + (c - 128) / (2 * _RANGE), _CHROMA) for c in (cb, cr))
    chroma = blue[..., :, None] * red[..., None, :]
    chroma = chroma.reshape(*y.shape, -1)
    bands = []
    for rows in _BANDS:
        a, b = lightness[rows].reshape(-1, _LIGHTNESS), chroma[rows].reshape(-1, _CHROMA**2)
        bands.append((a.T @ b).ravel() / (len(_BANDS) * len(a)))
    return np.sqrt(np.stack(bands))


def _weights(value: np.ndarray, bins: int) -> np.ndarray:
    """Return the shares of values in [0, 1] in the two nearest of bins, (..., bins)."""
    position = (value * (bins - 1)).clip(0, bins - 1)
    return np.maximum(1 - np.abs(position[..., None] - np.arange(bins)), 0)
