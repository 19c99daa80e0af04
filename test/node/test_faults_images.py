# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of images, against the node in its own process: see the table in docs/trust.md."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from io import BytesIO

import numpy as np
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import ids_of
from faults import OBJECTS
from faults import Rig
from faults import rig
from faults import scene
from faults import SIZE
from node_processes import ros_environment
from robot import corners
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.node.messages.images import array_to_image

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = SIZE
MANY = 2_000


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def raw() -> Iterator[Rig]:
    with rig('/raw') as made:
        yield made


@pytest.fixture(scope='module')
def compressed() -> Iterator[Rig]:
    with rig('/compressed', compressed=True) as made:
        yield made


def image(**changes: object) -> Image:
    """Return the message of the scene with some fields changed."""
    message = array_to_image(scene(), Header(frame_id='optical'))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


def encoded(picture: np.ndarray, kind: str = 'JPEG') -> bytes:
    buffer = BytesIO()
    Picture.fromarray(picture).save(buffer, kind, **({'quality': 95} if kind == 'JPEG' else {}))
    return buffer.getvalue()


def package(data: bytes, kind: str = 'jpeg') -> CompressedImage:
    return CompressedImage(header=Header(frame_id='optical'), format=kind, data=array('B', data))


def test_the_resolution_changes_mid_stream(raw):
    with raw.survives():
        ids = raw.ids('left')
        for size in ((128, 192), (65, 97), (480, 640), (64, 96)):
            message = raw.exchange('left', scene(size=size))
            assert ids_of(message) == ids
            np.testing.assert_allclose(sorted(corners(message).tolist()), sorted(OBJECTS), atol=4)


def test_the_encoding_changes_mid_stream(raw):
    rgb = scene()
    forms = {
        'bgr8': rgb[:, :, ::-1],
        'rgba8': np.concatenate([rgb, rgb[:, :, :1]], 2),
        'mono8': rgb[:, :, 0],
        'rgb8': rgb,
    }
    with raw.survives():
        ids = raw.ids('left')
        for encoding, pixels in forms.items():
            message = array_to_image(pixels, Header(frame_id='optical'), encoding)
            assert ids_of(raw.exchange('left', message)) == ids, encoding


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        ({'encoding': 'no such encoding'}, "encoding 'no such encoding'"),
        ({'encoding': ''}, "encoding ''"),
        ({'height': 0}, 'height 0'),
        ({'width': 2**32 - 1}, 'is too small for 4294967295 pixels'),
        ({'height': 2**32 - 1}, 'truncated'),
        ({'step': 1}, 'step 1 is too small'),
        ({'step': 2**32 - 1}, 'truncated'),
        ({'data': array('B')}, '0 bytes of data'),
    ],
)
def test_fields_that_do_not_fit_together(raw, changes, words):
    with raw.survives():
        raw.fails('left', image(**changes), words)


def test_an_encoding_of_a_megabyte_is_quoted_in_short(raw):
    with raw.survives():
        status = raw.fails('left', image(encoding='x' * 1_000_000), 'characters left out')
        assert len(status['last_error']) < 1000
        assert len(raw.node.output) < 100_000


def test_more_data_than_the_fields_say_is_left_alone(raw):
    longer = image()
    longer.data.extend(b'rest')
    with raw.survives():
        assert len(raw.exchange('left', longer).detections) == len(OBJECTS)


def test_an_image_of_one_pixel(raw):
    with raw.survives():
        assert not raw.exchange('left', np.zeros((1, 1, 3), np.uint8)).detections


def test_a_frame_id_of_ten_thousand_characters_comes_back(raw):
    message = image()
    message.header.frame_id = 'f' * 10_000
    with raw.survives():
        assert raw.exchange('left', message).header.frame_id == message.header.frame_id


@pytest.mark.parametrize('count', [200, MANY])
def test_many_objects_in_a_frame(raw, count):
    # To the right of the two objects whose ids must go on.
    columns = range(104, 424, 8)
    objects = [(x, y, x + 4, y + 4) for y in range(8, 408, 8) for x in columns][:count]
    crowd = scene(objects=objects, size=(412, 440))
    with raw.survives():
        first = raw.exchange('left', crowd, timeout=90.0)
        again = raw.exchange('left', crowd, timeout=90.0)
        for message in (first, again):
            assert len(message.detections) == count
            assert len({detection.id for detection in message.detections}) == count
        assert [d.id for d in first.detections] == [d.id for d in again.detections]


def test_bytes_that_are_no_message(raw):
    with raw.survives():
        raw.exchange('left', scene())
        for garbage in (
            b'',
            b'\0\1\0\0',
            b'\0\1\0\0' + b'\xff' * 40,
            bytes(100),
            b'\0\1\0\0a\xff',
        ):
            raw.publish_bytes('left', garbage)
        raw.exchange('left', scene())
        raw.recount('left')
        status = raw.counted('left')
        assert int(status['processed']) > 0


@pytest.mark.parametrize(
    'data',
    [
        encoded(scene())[:-200],
        encoded(scene(), 'PNG')[:-60],
        b'\xff\xd8\xff' + bytes(300),
        b'\x89PNG\r\n\x1a\n' + bytes(300),
        b'',
        b'RIFF, a video or a document',
    ],
    ids=['cut JPEG', 'cut PNG', 'damaged JPEG', 'damaged PNG', 'nothing', 'no image'],
)
def test_a_compressed_image_that_is_damaged(compressed, data):
    with compressed.survives():
        compressed.fails('left', package(data), "format 'jpeg' cannot be decoded")


def test_a_compressed_image_of_an_unknown_format(compressed):
    with compressed.survives():
        compressed.fails('left', package(b'\0\0\0\1g', 'h264'), "format 'h264' cannot be decoded")


def test_a_compressed_image_that_claims_to_be_immense(compressed):
    header = encoded(scene(), 'PNG')
    claim = (60_000).to_bytes(4, 'big')
    bomb = header[:16] + claim + claim + header[24:]
    with compressed.survives():
        compressed.fails('left', package(bomb, 'png'), "format 'png' cannot be decoded")


def test_grey_images_of_16_bits_are_refused_not_shown_as_white(compressed):
    deep = encoded(np.full((HEIGHT, WIDTH), 4000, np.uint16), 'PNG')
    with compressed.survives():
        compressed.fails('left', package(deep, '16UC1; png'), '8 bits per channel')


def test_the_compression_changes_mid_stream(compressed):
    with compressed.survives():
        ids = compressed.ids('left')
        message = package(encoded(scene(), 'PNG'), 'png')
        assert ids_of(compressed.exchange('left', message)) == ids


@pytest.mark.parametrize('size', [(1, 1), (4320, 7680)])
def test_compressed_images_of_extreme_sizes(compressed, size):
    seen = 2 if size > SIZE else 0
    picture = scene(size=size) if seen else np.zeros((*size, 3), np.uint8)
    with compressed.survives():
        message = compressed.exchange('left', package(encoded(picture)), 90.0)
        assert len(message.detections) == seen
