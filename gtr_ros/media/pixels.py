# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images to pixels: messages of nodes and bags, files, JPEG encoding; needs no ROS."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags
from PIL import Image

from gtr_ros.media.orientation import exif_orientation
from gtr_ros.media.orientation import Orientation
from gtr_ros.media.orientation import UPRIGHT

# Bytes per pixel, and the positions of red, green and blue.
CHANNELS = {
    'rgb8': (3, slice(None)),
    'bgr8': (3, slice(None, None, -1)),
    'rgba8': (4, slice(0, 3)),
    'bgra8': (4, slice(2, None, -1)),
    'mono8': (1, slice(None)),
    '8UC1': (1, slice(None)),
    '8UC3': (3, slice(None, None, -1)),
    '8UC4': (4, slice(2, None, -1)),
}
PLAIN_ENCODINGS = tuple(CHANNELS)

# Modes of Pillow that convert to RGB without loss; 16-bit and float images would saturate.
_MODES = ('1', 'L', 'LA', 'P', 'PA', 'RGB', 'RGBA', 'CMYK', 'YCbCr')


class ImageError(ValueError):
    """An invalid image; the message states why, and what to publish instead."""


def read_pixels(message: Any) -> np.ndarray | None:
    """
    Return the pixels of an image message as RGB.

    :param message: has the fields of sensor_msgs/Image or CompressedImage; its data is a buffer
        of bytes
    :return: (height, width, 3) uint8, RGB; for an Image a view, see `view_pixels`. None if its
        encoding is not a plain 8-bit one
    :raises ImageError: if the message has no valid image
    """
    return view_pixels(message) if hasattr(message, 'encoding') else decompress(message)


def view_pixels(message: Any) -> np.ndarray | None:
    """
    Return the pixels of a message with a plain 8-bit encoding as RGB, without a copy.

    :param message: has the fields of sensor_msgs/Image; its data is a buffer of bytes
    :return: (height, width, 3) uint8, RGB: a view of the message's data with any strides (negative
        for bgr8, zero for mono8), not to be written to; None: another encoding
    :raises ImageError: if the message has no valid image
    """
    pixel_bytes, order = CHANNELS.get(message.encoding, (1, None))
    check_layout(message, pixel_bytes)
    if order is None:
        return None
    height, width, step = message.height, message.width, message.step
    # Arrays from node messages stay writeable, because torch warns about read-only ones.
    if pixel_bytes == 1:
        return np.ndarray((height, width, 3), np.uint8, message.data, strides=(step, 1, 0))
    shape, strides = (height, width, pixel_bytes), (step, pixel_bytes, 1)
    return np.ndarray(shape, np.uint8, message.data, strides=strides)[:, :, order]


def check_layout(message: Any, pixel_bytes: int) -> None:
    """
    Check that an image message has enough bytes for its size.

    :param message: has the fields of sensor_msgs/Image
    :param pixel_bytes: minimum number of bytes per pixel
    :raises ImageError: names the field that is wrong
    """
    height, width, step = message.height, message.width, message.step
    encoding = message.encoding
    if height == 0 or width == 0:
        raise ImageError(
            f'the {encoding!r} image is empty: width {width}, height {height}; both must be at '
            'least 1. Check the driver that publishes it'
        )
    if step < width * pixel_bytes:
        raise ImageError(
            f'step {step} is too small for {width} pixels of {encoding!r}: a row takes '
            f'{width * pixel_bytes} bytes or more. Set step to the bytes of a whole row'
        )
    if len(message.data) < height * step:
        raise ImageError(
            f'the {encoding!r} image is truncated: {len(message.data)} bytes of data, but '
            f'{height} rows of {step} bytes take {height * step}. Publish whole images'
        )


def decompress(message: Any) -> np.ndarray:
    """
    Decode a compressed image message.

    :param message: has the fields of sensor_msgs/CompressedImage; its data, a buffer of bytes, is
        JPEG, PNG, or another format that Pillow reads
    :return: (height, width, 3) uint8, RGB, contiguous, a new array
    :raises ImageError: if it cannot be decoded, or does not have 8 bits per channel
    """
    try:
        return read_picture(BytesIO(memoryview(message.data)))
    except ImageError as error:
        raise ImageError(
            f'format {message.format!r} cannot be decoded; expected a complete JPEG or PNG of '
            f'8 bits per channel ({error})'
        ) from None


def read_picture(
    source: str | Path | BytesIO, stored_size: tuple[int, int] | None = None
) -> np.ndarray:
    """
    Read an image file: JPEG, PNG, or another format that Pillow reads.

    The image stands upright: it is turned and mirrored as its EXIF orientation says, which
    browsers and tools for annotation do, too. Colour images of 16 bits are scaled by their full
    range, as PNG and TIFF define it; transparency is ignored.

    :param source: path or content of the file
    :param stored_size: (height, width), pixels: an image that is stored with this size, and has
        another one upright, is returned as it is stored
    :return: (H, W, 3) uint8, RGB, contiguous, a new array
    :raises ImageError: if it cannot be decoded, or does not have 8 bits per channel
    """
    try:
        with Image.open(source) as image:
            if image.mode not in _MODES:
                raise ImageError(
                    f'its pixels have mode {image.mode}; expected 8 bits per channel. Grey images '
                    'of 16 or 32 bits, such as thermal and depth images, do not say which values '
                    'are black and white: convert them with the range that is used'
                )
            pixels = np.array(image.convert('RGB'))
            # After the conversion: a PNG may have its EXIF data behind the pixels.
            orientation = _orientation(image)
    except ImageError:
        raise
    except Exception as error:  # a damaged file can raise anything
        raise ImageError(str(error) or type(error).__name__) from error
    height, width = pixels.shape[:2]
    if stored_size == (height, width) != orientation.upright_size(width, height)[::-1]:
        return pixels
    return orientation.upright(pixels)


def _orientation(image: Image.Image) -> Orientation:
    """Return how an image is stored; upright if its EXIF data are missing or damaged."""
    try:
        return exif_orientation(image.getexif().get(ExifTags.Base.Orientation))
    except Exception:
        return UPRIGHT


def encode_jpeg(image: np.ndarray, quality: int) -> bytes:
    """
    Encode an image as JPEG.

    :param image: (H, W, 3) uint8, RGB
    :param quality: 1 to 95, as in Pillow
    """
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, 'JPEG', quality=quality)
    return buffer.getvalue()
