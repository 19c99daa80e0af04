# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Videos and photos of phones stand upright, whichever way they are stored."""

from __future__ import annotations

from io import BytesIO
import math
import struct
from types import SimpleNamespace

import numpy as np
from PIL import Image
import pytest
from upright import as_stored
from upright import corner_image
from upright import EXIF
from upright import MATRICES
from upright import phone_video
from upright import photo

from gtr_ros.media.orientation import display_orientation
from gtr_ros.media.orientation import exif_orientation
from gtr_ros.media.orientation import Orientation
from gtr_ros.media.orientation import UPRIGHT
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import read_picture
from gtr_ros.media.pixels import read_pixels
from gtr_ros.media.video import VideoReader


def assert_looks_like(found: np.ndarray, expected: np.ndarray) -> None:
    """Assert that two images differ by no more than their compression."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 6


@pytest.mark.parametrize('orientation', EXIF)
def test_a_phone_video_stands_upright(tmp_path, orientation):
    image = corner_image()
    path = phone_video(tmp_path / 'phone.mp4', [image] * 3, orientation)
    with VideoReader(path) as video:
        assert video.size == (64, 48)
        frames = list(video)
    assert len(frames) == 3
    for frame in frames:
        assert_looks_like(frame.image, image)
        assert frame.image.flags.c_contiguous


def test_the_frames_of_a_phone_video_keep_their_order_and_times(tmp_path):
    images = [np.full((48, 64, 3), level, np.uint8) for level in (10, 90, 170, 250)]
    path = phone_video(tmp_path / 'phone.mp4', images, 6)
    with VideoReader(path) as video:
        assert video.frame_count == 4
        frames = list(video)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert [frame.stamp for frame in frames] == [0, 100_000_000, 200_000_000, 300_000_000]
    levels = [frame.image.mean() for frame in frames]
    np.testing.assert_allclose(levels, [10, 90, 170, 250], atol=4)


@pytest.mark.parametrize('orientation', EXIF)
@pytest.mark.parametrize('kind', ['JPEG', 'PNG', 'WEBP', 'TIFF'])
def test_a_photo_stands_upright(tmp_path, orientation, kind):
    image, path = corner_image(), tmp_path / 'photo'
    path.write_bytes(photo(image, orientation, kind))
    found = read_picture(path)
    assert_looks_like(found, image)
    assert found.flags.c_contiguous


@pytest.mark.parametrize('orientation', EXIF)
def test_a_compressed_message_stands_upright(orientation):
    image = corner_image()
    message = SimpleNamespace(format='jpeg', data=photo(image, orientation))
    assert_looks_like(read_pixels(message), image)


def test_a_grey_photo_stands_upright(tmp_path):
    path = tmp_path / 'photo.jpg'
    grey = Image.fromarray(as_stored(corner_image(), 6)).convert('L')
    exif = Image.Exif()
    exif[0x0112] = 6
    grey.save(path, exif=exif, quality=95)
    assert_looks_like(
        read_picture(path),
        np.array(Image.fromarray(corner_image()).convert('L').convert('RGB')),
    )


@pytest.mark.parametrize('value', [0, 9, -1, 65535, None, 'right', b'6', (6,), 6.5])
def test_an_orientation_that_does_not_exist_changes_nothing(value):
    assert exif_orientation(value) == UPRIGHT


@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
@pytest.mark.parametrize(
    'exif', [b'', b'Exif\0\0', b'Exif\0\0MM\0*', b'Exif\0\0II*\0\xff\xff\xff\xff', b'noise' * 9]
)
def test_a_photo_with_damaged_exif_data_is_read_as_stored(exif):
    buffer = BytesIO()
    Image.fromarray(corner_image()).save(buffer, 'JPEG', quality=95, exif=exif)
    assert_looks_like(read_picture(buffer), corner_image())


@pytest.mark.filterwarnings('ignore::UserWarning:PIL')
def test_any_damage_to_exif_data_leaves_an_image():
    content = photo(corner_image(), 6)
    begin = content.index(b'Exif')
    for place in range(begin, begin + 32):
        for value in (0, 0x7F, 0xFF):
            damaged = bytearray(content)
            damaged[place] = value
            assert sorted(read_picture(BytesIO(damaged)).shape) == [3, 48, 64]


def test_an_image_of_16_bits_is_refused(tmp_path):
    path = tmp_path / 'depth.png'
    Image.fromarray(np.full((4, 5), 900, np.uint16)).save(path)
    with pytest.raises(ImageError, match='mode I;16; expected 8 bits per channel'):
        read_picture(path)


def rotation(degrees: float, scale: float = 1.0) -> bytes:
    """Return the display matrix of a clockwise rotation."""
    a, b = math.cos(math.radians(degrees)) * scale, math.sin(math.radians(degrees)) * scale
    values = [round(65536 * value) for value in (a, b, 0, -b, a, 0, 0, 0)]
    return struct.pack('=9i', *values, 1 << 30)


@pytest.mark.parametrize(
    ('matrix', 'expected'),
    [
        (rotation(0), UPRIGHT),
        (rotation(90), exif_orientation(6)),
        (rotation(180), exif_orientation(3)),
        (rotation(270), exif_orientation(8)),
        (rotation(-88), exif_orientation(8)),
        (rotation(4), UPRIGHT),
        (rotation(90, scale=0.5), exif_orientation(6)),
        (bytes(36), UPRIGHT),
    ],
)
def test_display_matrices_are_read_as_turns_by_90_degrees(matrix, expected):
    assert display_orientation(matrix) == expected


@pytest.mark.parametrize('orientation', MATRICES)
def test_the_size_of_an_upright_image_is_that_of_its_pixels(orientation):
    stored = np.zeros((3, 5, 3), np.uint8)
    turn = exif_orientation(orientation)
    height, width = turn.upright(stored).shape[:2]
    assert turn.upright_size(5, 3) == (width, height)


def test_an_upright_image_is_not_copied():
    image = corner_image()
    assert Orientation().upright(image) is image
