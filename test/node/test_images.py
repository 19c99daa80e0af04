# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image messages become arrays and back; plain encodings are not copied."""

from array import array
from io import BytesIO
import sys
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip('sensor_msgs.msg', reason='needs the ROS 2 messages')

from PIL import Image as Picture
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.images import ImageError
from gtr_ros.node.messages.images import PLAIN_ENCODINGS

HEIGHT, WIDTH = 5, 7


def encoded(rgb: np.ndarray, encoding: str) -> np.ndarray:
    """Convert RGB pixels to an encoding, by its definition."""
    red, green, blue = np.moveaxis(rgb, 2, 0)
    alpha = np.full_like(red, 77)
    return np.stack(
        {
            'rgb8': (red, green, blue),
            'bgr8': (blue, green, red),
            '8UC3': (blue, green, red),
            'rgba8': (red, green, blue, alpha),
            'bgra8': (blue, green, red, alpha),
            '8UC4': (blue, green, red, alpha),
            'mono8': (red,),
            '8UC1': (red,),
        }[encoding],
        axis=2,
    )


def message_of(pixels: np.ndarray, encoding: str, padding: int = 0) -> Image:
    """Return a message whose rows are followed by padding."""
    height, width, channels = pixels.shape
    rows = np.full((height, width * channels + padding), 201, np.uint8)
    rows[:, : width * channels] = pixels.reshape(height, -1)
    return Image(
        height=height,
        width=width,
        encoding=encoding,
        step=rows.shape[1],
        data=array('B', rows.tobytes()),
    )


@pytest.fixture
def rgb() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


@pytest.mark.parametrize('padding', [0, 1, 13])
@pytest.mark.parametrize('encoding', PLAIN_ENCODINGS)
def test_plain_encodings_give_the_same_pixels_with_and_without_padding(rgb, encoding, padding):
    if encoding in ('mono8', '8UC1'):
        rgb = np.repeat(rgb[:, :, :1], 3, axis=2)
    view = image_to_array(message_of(encoded(rgb, encoding), encoding, padding))
    assert view.shape == (HEIGHT, WIDTH, 3)
    assert view.dtype == np.uint8
    np.testing.assert_array_equal(view, rgb)


@pytest.mark.parametrize('encoding', PLAIN_ENCODINGS)
def test_plain_encodings_are_views_of_the_message(rgb, encoding):
    message = message_of(encoded(rgb, encoding), encoding, padding=3)
    view = image_to_array(message)
    assert np.shares_memory(view, np.frombuffer(message.data, np.uint8))


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8', 'rgba8', 'bgra8'])
def test_an_array_becomes_a_message_with_the_same_pixels(rgb, encoding):
    header = Header(frame_id='camera')
    header.stamp.sec = 12
    pixels = encoded(rgb, encoding)
    message = array_to_image(pixels, header, encoding)
    assert message.header == header
    assert isinstance(message.data, array)
    assert (message.height, message.width, message.encoding) == (HEIGHT, WIDTH, encoding)
    assert message.step == WIDTH * pixels.shape[2]
    np.testing.assert_array_equal(np.frombuffer(message.data, np.uint8), pixels.ravel())


def test_a_view_with_negative_strides_becomes_a_message(rgb):
    message = array_to_image(rgb[:, :, ::-1], Header(), 'bgr8')
    np.testing.assert_array_equal(image_to_array(message), rgb)


def test_a_flat_gray_array_becomes_mono8(rgb):
    message = array_to_image(rgb[:, :, 0], Header(), 'mono8')
    np.testing.assert_array_equal(image_to_array(message)[:, :, 2], rgb[:, :, 0])


@pytest.mark.parametrize(
    ('change', 'words'),
    [
        ({'encoding': '16UC1'}, ["encoding '16UC1'", 'rgb8', 'cv_bridge']),
        ({'encoding': ''}, ["encoding ''", 'rgb8']),
        ({'step': WIDTH * 3 - 1}, [f'step {WIDTH * 3 - 1}', f'{WIDTH * 3} bytes', "'rgb8'"]),
        ({'step': 0}, ['step 0']),
        (
            {'data': array('B', bytes(HEIGHT * WIDTH * 3 - 1))},
            ['truncated', f'{HEIGHT * WIDTH * 3 - 1} bytes', str(HEIGHT * WIDTH * 3)],
        ),
        ({'data': array('B')}, ['truncated', '0 bytes']),
        ({'height': HEIGHT + 1}, ['truncated']),
        ({'width': 0}, ['empty', 'width 0']),
        ({'height': 0}, ['empty', 'height 0']),
    ],
)
def test_an_invalid_image_is_refused_with_value_and_hint(rgb, change, words, monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    message = message_of(rgb, 'rgb8')
    for name, value in change.items():
        setattr(message, name, value)
    with pytest.raises(ImageError) as refusal:
        image_to_array(message)
    for word in words:
        assert word in str(refusal.value)


def test_other_encodings_are_converted_by_cv_bridge_if_it_is_installed(rgb, monkeypatch):
    class CvBridge:
        def imgmsg_to_cv2(self, message, desired_encoding):
            assert desired_encoding == 'rgb8'
            if message.encoding == 'bayer_rggb8':
                return rgb
            raise CvBridgeError('[32FC1] is not a color format')

    class CvBridgeError(TypeError):
        pass

    module = ModuleType('cv_bridge')
    module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError
    monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    message = message_of(rgb[:, :, :1], 'bayer_rggb8')
    assert image_to_array(message) is rgb
    message.encoding = '32FC1'
    with pytest.raises(ImageError, match=r"'32FC1'.*not a color format.*rgb8"):
        image_to_array(message)


@pytest.mark.parametrize(
    ('shape', 'dtype', 'encoding'),
    [
        ((4, 4, 3), np.float32, 'rgb8'),
        ((4, 4, 4), np.uint8, 'rgb8'),
        ((4, 4), np.uint8, 'bgr8'),
        ((4, 4, 3), np.uint8, 'mono8'),
        ((4,), np.uint8, 'mono8'),
    ],
)
def test_an_array_that_does_not_fit_the_encoding_is_refused(shape, dtype, encoding):
    with pytest.raises(ImageError, match=f"do not fit encoding '{encoding}'; expected"):
        array_to_image(np.zeros(shape, dtype), Header(), encoding)


def test_an_encoding_that_cannot_be_written_is_refused():
    with pytest.raises(ImageError, match="cannot write encoding 'yuv422'; expected one of rgb8"):
        array_to_image(np.zeros((4, 4, 2), np.uint8), Header(), 'yuv422')


def test_a_compressed_image_is_read_as_rgb():
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:, :15], pixels[:, 15:] = (250, 10, 10), (10, 10, 250)
    message = compress(pixels, Header(frame_id='optical'), quality=95)
    assert message.header.frame_id == 'optical'
    read = image_to_array(message)
    assert read.shape == pixels.shape
    assert np.abs(read[:, 2:13].astype(int) - pixels[:, 2:13]).max() < 12
    assert np.abs(read[:, 18:28].astype(int) - pixels[:, 18:28]).max() < 12


@pytest.mark.parametrize('keep', [0, 10, 200])
def test_a_truncated_compressed_image_is_refused_with_its_format(keep):
    message = compress(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), Header())
    message.data = message.data[:keep]
    with pytest.raises(ImageError, match=r'rgb8; jpeg compressed bgr8.*complete JPEG or PNG'):
        image_to_array(message)


def test_a_compressed_depth_image_is_refused():
    buffer = BytesIO()
    Picture.fromarray(np.full((8, 8), 3000, np.uint16)).save(buffer, 'PNG')
    message = CompressedImage(format='16UC1; png compressed', data=buffer.getvalue())
    with pytest.raises(ImageError, match='expected 8 bits'):
        image_to_array(message)
