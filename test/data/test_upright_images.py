# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled photos and videos of phones: boxes refer to what annotation tools show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from upright import as_stored
from upright import corner_image
from upright import EXIF
from upright import phone_video
from upright import photo
from writers import write_motchallenge

from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.images import ImageFiles
from gtr_ros.data.formats.images import read_image
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth

UPRIGHT_SIZE, STORED_SIZE = (48, 64), (64, 48)


def write_photo(folder: Path, orientation: int, name: str = '1.jpg') -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo(corner_image(), orientation))
    return path


def assert_looks_like(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 6


def write_coco(folder: Path, orientation: int, size: tuple[int, int] | None) -> Path:
    """Write a data set of one photo, whose annotations state a (height, width)."""
    write_photo(folder / 'set', orientation)
    stated = dict(zip(('height', 'width'), size, strict=True)) if size else {}
    data = {
        'images': [{'id': 1, 'file_name': '1.jpg', **stated}],
        'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [2, 3, 20, 30]}],
        'categories': [{'id': 1, 'name': 'person'}],
    }
    file = folder / 'set.json'
    file.write_text(json.dumps(data))
    return file


@pytest.mark.parametrize('orientation', EXIF)
@pytest.mark.parametrize('size', [UPRIGHT_SIZE, None])
def test_a_labelled_photo_stands_upright(tmp_path, orientation, size):
    path = write_photo(tmp_path, orientation)
    assert_looks_like(read_image(path, size), corner_image())


@pytest.mark.parametrize('orientation', [5, 6, 7, 8])
def test_annotations_of_the_size_as_stored_get_the_pixels_as_stored(tmp_path, orientation):
    still = read_coco(write_coco(tmp_path, orientation, STORED_SIZE)).stills[0]
    assert_looks_like(still.image(), as_stored(corner_image(), orientation))


@pytest.mark.parametrize('orientation', EXIF)
def test_annotations_of_the_upright_size_get_the_upright_image(tmp_path, orientation):
    still = read_coco(write_coco(tmp_path, orientation, UPRIGHT_SIZE)).stills[0]
    assert_looks_like(still.image(), corner_image())


def test_a_size_that_fits_neither_way_is_refused(tmp_path):
    still = read_coco(write_coco(tmp_path, 6, (48, 63))).stills[0]
    with pytest.raises(FormatError, match='its size is 64 x 48; expected 63 x 48'):
        still.image()


def test_frames_of_a_labelled_video_follow_the_size_of_its_annotations(tmp_path):
    files = [write_photo(tmp_path, 6)]
    assert_looks_like(ImageFiles(files, UPRIGHT_SIZE).at(0), corner_image())
    assert_looks_like(ImageFiles(files, STORED_SIZE).at(0), as_stored(corner_image(), 6))
    with pytest.raises(FormatError, match='expected 20 x 10'):
        ImageFiles(files, (10, 20)).at(0)


def test_a_folder_of_photos_has_the_upright_size(tmp_path):
    write_photo(tmp_path, 8)
    source = frame_folder(tmp_path)
    assert source.size == UPRIGHT_SIZE
    [image] = source.images()
    assert_looks_like(image, corner_image())


def test_a_labelled_phone_video_stands_upright(tmp_path):
    truth = Truth.of([1], [[2, 3, 22, 33]])
    sequence = Sequence(
        name='phone',
        class_names=('person',),
        image_size=UPRIGHT_SIZE,
        frame_rate=10.0,
        truth=(truth,) * 3,
        stamps=regular_stamps(3, 10),
    )
    write_motchallenge(tmp_path, sequence)
    phone_video(tmp_path / 'phone.mp4', [corner_image()] * 3, 6)
    images = list(read_motchallenge(tmp_path).images())
    assert len(images) == 3
    for image in images:
        assert_looks_like(image, corner_image())
