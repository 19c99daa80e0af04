# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Photos and videos that are stored turned or mirrored, as phones write them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
import struct

import numpy as np
from PIL import ExifTags
from PIL import Image

from gtr_ros.media.video import VideoWriter

#: each EXIF orientation and the steps that turn the stored pixels upright, as Pillow names them
EXIF = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What turns an upright image into the stored one.
_INVERSE = {**EXIF, 6: EXIF[8], 8: EXIF[6]}

#: a, b, c, d of the display matrix that stands for each EXIF orientation
MATRICES = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}


def corner_image(width: int = 64, height: int = 48) -> np.ndarray:
    """Return an image whose four quarters have different colours, (H, W, 3) uint8 RGB."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = 230, 20, 20
    image[: height // 2, width // 2 :] = 20, 200, 20
    image[height // 2 :, : width // 2] = 30, 30, 220
    image[height // 2 :, width // 2 :] = 220, 220, 220
    return image


def as_stored(image: np.ndarray, orientation: int) -> np.ndarray:
    """Return the pixels that a camera stores for an upright image, with an EXIF orientation."""
    step = _INVERSE[orientation]
    return image if step is None else np.array(Image.fromarray(image).transpose(step))


def photo(image: np.ndarray, orientation: int, kind: str = 'JPEG') -> bytes:
    """Return the content of a file of an upright image that is stored with an orientation."""
    exif, buffer = Image.Exif(), BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    options = {'quality': 95} if kind == 'JPEG' else {}
    Image.fromarray(as_stored(image, orientation)).save(buffer, kind, exif=exif, **options)
    return buffer.getvalue()


def phone_video(path: Path, images: Sequence[np.ndarray], orientation: int) -> Path:
    """Write a video of upright images that is stored turned, with a display matrix."""
    height, width = as_stored(images[0], orientation).shape[:2]
    with VideoWriter(path, 10, (width, height)) as writer:
        for image in images:
            writer.write(as_stored(image, orientation))
    content = bytearray(path.read_bytes())
    # The matrix of the track's header, 44 bytes behind its name in version 0 (ISO 14496-12).
    header = content.index(b'tkhd')
    assert content[header + 4] == 0
    a, b, c, d = (value << 16 for value in MATRICES[orientation])
    content[header + 44 : header + 80] = struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path
