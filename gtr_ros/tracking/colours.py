# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The colours of objects, as histograms: how a person is dressed.

They tell people apart whom the features of a small network confuse.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from PIL import Image

_SIZE = (24, 48)  # width, height to which objects are averaged, pixels
_ROWS = slice(7, 43)  # below the head, and above the feet
_UPPER = 17  # of these rows
_COLUMNS = slice(6, 18)  # what is beside them is often background
_BINS = (4, 9, 9)  # of Y, Cb and Cr
_RANGES = ((0.0, 255.0), (78.0, 178.0), (78.0, 178.0))

#: length of a histogram
WIDTH = 2 * int(np.prod(_BINS))


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
    height, width = image.shape[:2]
    corners = np.nan_to_num(boxes.astype(np.float64)).round().clip(0, [width, height] * 2)
    seen = (corners[:, 2:] > corners[:, :2]).all(axis=1)
    pictures = np.zeros((seen.sum(), *_SIZE[::-1], 3), np.uint8)
    for picture, (x1, y1, x2, y2) in zip(pictures, corners[seen].astype(int).tolist()):
        crop = Image.fromarray(np.ascontiguousarray(image[y1:y2, x1:x2]))
        picture[:] = crop.resize(_SIZE, Image.Resampling.BOX)
    colours = np.zeros((len(boxes), WIDTH), np.float32)
    if len(pictures):
        colours[seen] = np.sqrt(_histograms(pictures))
    return colours


def _histograms(pictures: np.ndarray) -> np.ndarray:
    """
    Return the histograms of objects, whose sums are 1.

    :param pictures: (N, h, w, 3) uint8 RGB, of the size `_SIZE`
    :return: (N, `WIDTH`) float64
    """
    converted = Image.fromarray(pictures.reshape(-1, _SIZE[0], 3)).convert('YCbCr')
    pixels = np.asarray(converted).reshape(pictures.shape)[:, _ROWS, _COLUMNS]
    lower, share = ([table[pixels[..., c]] for c, table in enumerate(t)] for t in (_LOWER, _SHARE))
    band = (np.arange(pixels.shape[1]) >= _UPPER).astype(np.int64)[:, None]
    weight = 0.5 / np.bincount(band[:, 0])[band] / pixels.shape[2]
    shape = (len(pictures), 2, *_BINS)
    first = np.arange(len(pictures))[:, None, None] * 2 + band
    for bins, of_channel in zip(_BINS, lower):
        first = first * bins + of_channel
    histograms = np.zeros(int(np.prod(shape)))
    # Each pixel counts in eight bins: the lower and the upper one of each channel.
    parts = [(1 - value, value) for value in share]
    for y, cb, cr in product((0, 1), repeat=3):
        index = first + (y * _BINS[1] + cb) * _BINS[2] + cr
        value = weight * parts[0][y] * parts[1][cb] * parts[2][cr]
        histograms += np.bincount(index.ravel(), value.ravel(), len(histograms))
    return histograms.reshape(-1, WIDTH)


def _tables(bins: int, limits: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return, for each value of a byte, its lower bin and its share in the one above it."""
    low, high = limits
    position = ((np.arange(256) - low) / (high - low)).clip(0, 1) * (bins - 1)
    lower = np.minimum(position.astype(np.int64), bins - 2)
    return lower, position - lower


_LOWER, _SHARE = zip(*(_tables(*of_channel) for of_channel in zip(_BINS, _RANGES)))
