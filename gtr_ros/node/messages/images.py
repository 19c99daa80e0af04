# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages and arrays: the plain 8-bit encodings are views, nothing is copied."""

from __future__ import annotations

from array import array
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from gtr_ros.media.pixels import CHANNELS
from gtr_ros.media.pixels import decompress
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import PLAIN_ENCODINGS
from gtr_ros.media.pixels import view_pixels

if TYPE_CHECKING:
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header


def image_to_array(message: Image | CompressedImage) -> np.ndarray:
    """
    Show the pixels of an image message as RGB.

    :param message: a plain 8-bit encoding, its rows padded or not; any other encoding goes
        through cv_bridge, where that is installed; a compressed image is decoded
    :return: (height, width, 3) uint8, RGB: for the plain encodings a view of the message's data
        with whatever strides that takes (negative for bgr8, zero for mono8), not to be written to
    :raises ImageError: if the message does not hold an image of a readable encoding
    """
    if not hasattr(message, 'encoding'):
        return decompress(message)
    pixels = view_pixels(message)
    return _by_cv_bridge(message) if pixels is None else pixels


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

    if encoding not in CHANNELS:
        raise ImageError(
            f'cannot write encoding {encoding!r}; expected one of {", ".join(PLAIN_ENCODINGS)}'
        )
    channels = CHANNELS[encoding][0]
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


def compress(pixels: np.ndarray, header: Header, quality: int = 80) -> CompressedImage:
    """
    Put an array into a compressed image message, as a JPEG.

    :param pixels: (height, width, 3) uint8, RGB
    :param quality: of the JPEG, 1 to 95
    """
    from PIL import Image as Picture
    from sensor_msgs.msg import CompressedImage

    buffer = BytesIO()
    Picture.fromarray(pixels).save(buffer, 'JPEG', quality=quality)
    data = array('B')
    data.frombytes(buffer.getbuffer())
    # As image_transport names it: of what it was made, and what a decoder makes of it.
    return CompressedImage(header=header, format='rgb8; jpeg compressed bgr8', data=data)


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
