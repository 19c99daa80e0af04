# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of any size, row length, encoding and byte order, against the layout byte by byte."""

from __future__ import annotations

import math
import struct

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip('sensor_msgs', reason='needs the messages')

from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import depth_to_metres
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import image_to_array

SETTINGS = settings(derandomize=True, max_examples=150, deadline=None)
#: places of red, green and blue in a pixel, after its number of bytes
PLACES = {
    'rgb8': (3, 0, 1, 2),
    'bgr8': (3, 2, 1, 0),
    'rgba8': (4, 0, 1, 2),
    'bgra8': (4, 2, 1, 0),
    'mono8': (1, 0, 0, 0),
    '8UC1': (1, 0, 0, 0),
    '8UC3': (3, 2, 1, 0),
    '8UC4': (4, 2, 1, 0),
}
SIDES = st.integers(1, 24)
PADDING = st.integers(0, 9)
SEEDS = st.integers(0, 10_000)


def message(height: int, width: int, encoding: str, pixel: int, padding: int, seed: int) -> Image:
    step = width * pixel + padding
    data = np.random.default_rng(seed).integers(0, 256, height * step + padding, np.uint8)
    return Image(height=height, width=width, encoding=encoding, step=step, data=data.tobytes())


@SETTINGS
@given(SIDES, SIDES, st.sampled_from(sorted(PLACES)), PADDING, SEEDS)
def test_every_byte_of_an_image_is_where_its_encoding_says(height, width, encoding, padding, seed):
    pixel, *places = PLACES[encoding]
    made = message(height, width, encoding, pixel, padding, seed)
    expected = [
        [[made.data[y * made.step + x * pixel + place] for place in places] for x in range(width)]
        for y in range(height)
    ]
    assert image_to_array(made).tolist() == expected


@SETTINGS
@given(SIDES, SIDES, st.sampled_from(sorted(PLACES)), SEEDS, st.booleans())
def test_what_is_written_is_read_again(height, width, encoding, seed, flat):
    pixel, *places = PLACES[encoding]
    shape = (height, width) if pixel == 1 and flat else (height, width, pixel)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    header = Header(frame_id='camera')
    made = array_to_image(pixels, header, encoding)
    assert (made.height, made.width, made.step) == (height, width, width * pixel)
    assert made.header == header
    found = image_to_array(made)
    np.testing.assert_array_equal(found, pixels.reshape(height, width, pixel)[:, :, places])


@SETTINGS
@given(SIDES, SIDES, st.sampled_from(sorted(PLACES)), st.integers(1, 60))
def test_an_image_without_its_last_bytes_is_refused(height, width, encoding, missing):
    pixel = PLACES[encoding][0]
    made = message(height, width, encoding, pixel, 0, 0)
    made.data = made.data[: max(0, len(made.data) - missing)]
    with pytest.raises(ImageError, match='is truncated'):
        image_to_array(made)


@SETTINGS
@given(SIDES, SIDES, st.sampled_from(['32FC1', '16UC1']), PADDING, st.booleans(), SEEDS)
def test_every_depth_is_where_its_encoding_says(height, width, encoding, padding, big, seed):
    size, form = {'32FC1': (4, 'f'), '16UC1': (2, 'H')}[encoding]
    made = message(height, width, encoding, size, padding, seed)
    made.is_bigendian = int(big)
    found = depth_to_metres(made)
    data = bytes(made.data)
    for y in range(height):
        for x in range(width):
            [value] = struct.unpack_from(f'{"><"[not big]}{form}', data, y * made.step + x * size)
            if encoding == '16UC1':
                expected = value / 1000 if value else math.nan
            else:
                expected = value if 0 < value < math.inf else math.nan
            np.testing.assert_allclose(found[y, x], expected, rtol=1e-6)
