# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files are read as the frames of a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
from upright import corner_image
from upright import photo

from gtr_ros.input_warning import InputWarning
from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.image_files import natural_order
from gtr_ros.media.video import VideoError


def write(path: Path, level: int, size: tuple[int, int] = (64, 48)) -> Path:
    Image.new('RGB', size, (level,) * 3).save(path)
    return path


def test_images_are_frames_with_times_by_the_rate(tmp_path):
    files = [write(tmp_path / f'{level}.png', level) for level in (10, 90, 170)]
    with ImageFilesReader(files, rate=4) as reader:
        assert (reader.rate, reader.frame_count, reader.size) == (4, 3, (64, 48))
        frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.stamp for frame in frames] == [0, 250_000_000, 500_000_000]
    assert [frame.image[0, 0, 0] for frame in frames] == [10, 90, 170]


def test_photos_of_a_phone_stand_upright(tmp_path):
    (tmp_path / '1.jpg').write_bytes(photo(corner_image(), 6))
    with ImageFilesReader([tmp_path / '1.jpg'], rate=10) as reader:
        assert reader.size == (64, 48)
        [frame] = reader
    assert np.abs(frame.image.astype(int) - corner_image()).mean() < 6


def test_an_image_of_another_size_is_named(tmp_path):
    files = [write(tmp_path / '1.png', 0), write(tmp_path / '2.png', 0, (64, 40))]
    with ImageFilesReader(files, 10) as reader, pytest.raises(VideoError, match=r'2\.png has 64'):
        list(reader)


def test_a_damaged_image_is_named(tmp_path):
    good, bad = write(tmp_path / '1.png', 0), tmp_path / '2.png'
    bad.write_bytes(good.read_bytes()[:60])
    with pytest.raises(VideoError, match=r'2\.png is not a readable image'):
        ImageFilesReader([bad], 10)
    with (
        ImageFilesReader([good, bad], 10) as reader,
        pytest.raises(VideoError, match=r'2\.png is not a readable image'),
    ):
        list(reader)


def test_numbers_in_names_are_sorted_by_value():
    names = ['b1.jpg', 'a10.jpg', 'a9.jpg', 'a009.jpg', '12.jpg', 'a.jpg', 'a9_2.jpg', 'a9_10.jpg']
    ordered = [path.name for path in sorted(map(Path, names), key=natural_order)]
    assert ordered == [
        '12.jpg',
        'a009.jpg',
        'a9.jpg',
        'a9_2.jpg',
        'a9_10.jpg',
        'a10.jpg',
        'a.jpg',
        'b1.jpg',
    ]


def test_a_missing_frame_leaves_a_gap_in_index_and_time(tmp_path):
    files = [write(tmp_path / f'{number}.png', number) for number in (9, 10, 12, 13)]
    with pytest.warns(InputWarning, match='1 frames are missing .*: 3 '):
        reader = ImageFilesReader(files, rate=10)
    frames = list(reader)
    assert [frame.index for frame in frames] == [0, 1, 3, 4]
    assert [frame.stamp for frame in frames] == [0, 100_000_000, 300_000_000, 400_000_000]
    assert [frame.image[0, 0, 0] for frame in frames] == [9, 10, 12, 13]
    assert reader.frame_count == 4


def test_an_image_and_its_mask_are_not_two_frames(tmp_path):
    files = [write(tmp_path / name, 0) for name in ('1.jpg', '1.png')]
    with pytest.raises(VideoError, match=r'1\.jpg and 1\.png have the same name'):
        ImageFilesReader(files, rate=10)
