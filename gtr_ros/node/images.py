# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages and arrays: the plain 8-bit encodings are views, nothing is copied."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header

# Bytes a pixel, and where its red, green and blue lie.
_CHANNELS = {
    'rgb8': (3, slice(None)),
    'bgr8': (3, slice(None, None, -1)),
    'rgba8': (4, slice(0, 3)),
    'bgra8': (4, slice(2, None, -1)),
    'mono8': (1, slice(None)),
    '8UC1': (1, slice(None)),
    '8UC3': (3, slice(None, None, -1)),
    '8UC4': (4, slice(2, None, -1)),
}
PLAIN_ENCODINGS = tuple(_CHANNELS)


class ImageError(ValueError):
    """An image that cannot be used; the message says why and what to publish instead."""


def image_to_array(message: Image) -> np.ndarray:
    """
    Show the pixels of an image message as RGB.

    :param message: a plain 8-bit encoding, its rows padded or not; any other encoding goes
        through cv_bridge, where that is installed
    :return: (height, width, 3) uint8, RGB: for the plain encodings a view of the message's data
        with whatever strides that takes (negative for bgr8, zero for mono8), not to be written to
    :raises ImageError: if the message does not hold an image of a readable encoding
    """
    height, width, step = message.height, message.width, message.step
    if height == 0 or width == 0:
        raise ImageError(
            f'the image is empty: width {width}, height {height}; both must be at least 1. '
            'Check the driver that publishes it'
        )
    encoding = message.encoding
    pixel_bytes, order = _CHANNELS.get(encoding, (1, None))
    if step < width * pixel_bytes:
        raise ImageError(
            f'step {step} is too small for {width} pixels of {encoding!r}: a row takes '
            f'{width * pixel_bytes} bytes or more. Set step to the bytes of a whole row'
        )
    if len(message.data) < height * step:
        raise ImageError(
            f'the image is truncated: {len(message.data)} bytes of data, but {height} rows of '
            f'{step} bytes take {height * step}. Publish whole images'
        )
    if order is None:
        return _by_cv_bridge(message)
    # Writeable, because torch warns of arrays that are not.
    if pixel_bytes == 1:
        return np.ndarray((height, width, 3), np.uint8, message.data, strides=(step, 1, 0))
    shape, strides = (height, width, pixel_bytes), (step, pixel_bytes, 1)
    return np.ndarray(shape, np.uint8, message.data, strides=strides)[:, :, order]


def array_to_image(pixels: np.ndarray, header: Header, encoding: str = 'rgb8') -> Image:
    """
    Put an array into an image message, by one copy.

    :param pixels: (height, width, channels) or, for one channel, (height, width), uint8, its
        channels in the order of the encoding
    :param header: the header for the message
    :param encoding: one of `PLAIN_ENCODINGS`
    :raises ImageError: if the array is no image of that encoding
    """
    from sensor_msgs.msg import Image

    if encoding not in _CHANNELS:
        raise ImageError(
            f'cannot write encoding {encoding!r}; expected one of {", ".join(PLAIN_ENCODINGS)}'
        )
    channels = _CHANNELS[encoding][0]
    shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != channels:
        raise ImageError(
            f'an array of shape {pixels.shape} and type {pixels.dtype} is no {encoding!r} image; '
            f'expected (height, width, {channels}) uint8'
        )
    # rclpy takes an array.array as it is; bytes or an ndarray it copies item by item.
    data = array('B')
    data.frombytes(np.ascontiguousarray(pixels))
    return Image(
        header=header,
        height=shape[0],
        width=shape[1],
        encoding=encoding,
        step=shape[1] * channels,
        data=data,
    )


def _by_cv_bridge(message: Image) -> np.ndarray:
    # Imported late: it is optional, and its binary part fails to import beside NumPy 2.
    try:
        from cv_bridge import CvBridge
        from cv_bridge import CvBridgeError
    except (ImportError, AttributeError) as error:
        raise ImageError(
            f'encoding {message.encoding!r} is not one this node reads by itself; publish one of '
            f'{", ".join(PLAIN_ENCODINGS)}, or make cv_bridge importable ({error})'
        ) from None
    try:
        return CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except (CvBridgeError, ValueError, TypeError, KeyError) as error:
        raise ImageError(
            f'cv_bridge cannot turn encoding {message.encoding!r} into rgb8: {error}. '
            f'Publish one of {", ".join(PLAIN_ENCODINGS)}'
        ) from error
