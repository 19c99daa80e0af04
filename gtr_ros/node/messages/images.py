# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert between image messages and arrays; plain 8-bit encodings are not copied."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

import numpy as np

from gtr_ros.media.pixels import CHANNELS
from gtr_ros.media.pixels import encode_jpeg
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import PLAIN_ENCODINGS
from gtr_ros.media.pixels import read_pixels

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header


def image_to_array(message: Image | CompressedImage) -> np.ndarray:
    """
    Return the pixels of an image message as RGB.

    :param message: a plain 8-bit encoding, with or without row padding; other encodings are
        converted by cv_bridge if it is installed; compressed images are decoded
    :return: (height, width, 3) uint8, RGB. For plain encodings a view of the message's data with
        any strides (negative for bgr8, zero for mono8), not to be written to
    :raises ImageError: if the message has no valid image of a supported encoding
    """
    pixels = read_pixels(message)
    return _by_cv_bridge(message) if pixels is None else pixels


def array_to_image(pixels: np.ndarray, header: Header, encoding: str = 'rgb8') -> Image:
    """
    Convert an array to an image message; the data is copied once.

    :param pixels: (height, width, channels) or, for one channel, (height, width), uint8, with
        channels in the order of the encoding
    :param header: of the message
    :param encoding: one of `PLAIN_ENCODINGS`
    :raises ImageError: if the array does not fit the encoding
    """
    from sensor_msgs.msg import Image

    if encoding not in CHANNELS:
        raise ImageError(
            f'cannot write encoding {encoding!r}; expected one of {", ".join(PLAIN_ENCODINGS)}'
        )
    channels = CHANNELS[encoding][0]
    shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
    if pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] != channels:
        raise ImageError(
            f'shape {pixels.shape} and type {pixels.dtype} do not fit encoding {encoding!r}; '
            f'expected (height, width, {channels}) uint8'
        )
    # rclpy uses an array.array directly, but copies bytes or an ndarray item by item.
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


def compress(pixels: np.ndarray, header: Header, quality: int = 80) -> CompressedImage:
    """
    Convert an array to a compressed image message, as JPEG.

    :param pixels: (height, width, 3) uint8, RGB
    :param header: of the message
    :param quality: of the JPEG, 1 to 95
    """
    from sensor_msgs.msg import CompressedImage

    data = array('B')
    data.frombytes(encode_jpeg(pixels, quality))
    # As in image_transport: the encoding before compression, then that of a decoded image.
    return CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=data)


def _by_cv_bridge(message: Image) -> np.ndarray:
    # Imported here because it is optional, and its extension module fails with NumPy 2.
    try:
        from cv_bridge import CvBridge
        from cv_bridge import CvBridgeError
    except (ImportError, AttributeError) as error:
        raise ImageError(
            f'encoding {message.encoding!r} needs cv_bridge, which cannot be imported ({error}). '
            f'Publish one of {", ".join(PLAIN_ENCODINGS)}, or install cv_bridge'
        ) from None
    try:
        return CvBridge().imgmsg_to_cv2(message, 'rgb8')
    except (CvBridgeError, ValueError, TypeError, KeyError) as error:
        raise ImageError(
            f'cv_bridge cannot convert encoding {message.encoding!r} to rgb8: {error}. '
            f'Publish one of {", ".join(PLAIN_ENCODINGS)}'
        ) from error
