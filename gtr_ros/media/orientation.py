# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How stored pixels are turned to stand upright: EXIF of photos, display matrix of videos."""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np


class Orientation(NamedTuple):
    """
    How an image is stored; `upright` applies the three steps in this order.

    :param transposed: whether rows and columns are exchanged
    :param mirrored: whether each row is reversed
    :param flipped: whether the order of the rows is reversed
    """

    transposed: bool = False
    mirrored: bool = False
    flipped: bool = False

    def upright(self, image: np.ndarray) -> np.ndarray:
        """
        Return an image as it is meant to be seen.

        :param image: (H, W, 3) uint8, as stored
        :return: (H, W, 3) or (W, H, 3) uint8, contiguous; the image itself if it stands upright
        """
        if self == UPRIGHT:
            return image
        if self.transposed:
            image = image.swapaxes(0, 1)
        if self.mirrored:
            image = image[:, ::-1]
        if self.flipped:
            image = image[::-1]
        return np.ascontiguousarray(image)

    def upright_size(self, width: int, height: int) -> tuple[int, int]:
        """Return (width, height) of the upright image from those of the stored one, pixels."""
        return (height, width) if self.transposed else (width, height)


UPRIGHT = Orientation()

# By the value of the EXIF tag: where row 0 and column 0 of the stored pixels belong.
_EXIF = {
    1: UPRIGHT,
    2: Orientation(mirrored=True),
    3: Orientation(mirrored=True, flipped=True),
    4: Orientation(flipped=True),
    5: Orientation(transposed=True),
    6: Orientation(transposed=True, mirrored=True),
    7: Orientation(transposed=True, mirrored=True, flipped=True),
    8: Orientation(transposed=True, flipped=True),
}


def exif_orientation(value: object) -> Orientation:
    """Return the orientation of an EXIF tag, 1 to 8; any other value means upright."""
    return _EXIF.get(value, UPRIGHT) if isinstance(value, int) else UPRIGHT


def display_orientation(matrix: bytes | memoryview) -> Orientation:
    """
    Return the orientation that a video's display matrix describes.

    :param matrix: 36 bytes, 3 x 3 int32 of the machine's byte order, as FFmpeg exports it. A pixel
        at (x, y) is displayed at (a x + c y, b x + d y), with a, b first in row 0 and c, d in
        row 1; other angles than multiples of 90 degrees are rounded to the nearest
    """
    a, b, _, c, d, *_ = struct.unpack('=9i', matrix)
    if abs(b) + abs(c) > abs(a) + abs(d):
        return Orientation(True, mirrored=c < 0, flipped=b < 0)
    return Orientation(False, mirrored=a < 0, flipped=d < 0)
