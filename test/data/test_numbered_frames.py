# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames of labelled videos are paired with their labels by the number in the file's name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.kitti import read_kitti
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.sequence import Sequence
from gtr_ros.input_warning import InputWarning

FRAMES = 12


def save(path: Path, number: int, size: tuple[int, int] = (64, 48)) -> None:
    """Write a picture whose grey level tells its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (10 * number,) * 3).save(path)


def motchallenge(
    folder: Path, name: Callable[[int], str], numbers=range(1, FRAMES + 1), **info
) -> Path:
    """
    Write a sequence whose object is at left = frame number, from 1 to 12.

    :param name: of the image of a frame
    :param numbers: frames that have an image
    :param info: entries of seqinfo.ini; None: left out
    """
    rows = (f'{t},1,{t},10,20,30,1,1,1\n' for t in range(1, FRAMES + 1))
    (folder / 'gt').mkdir(parents=True)
    (folder / 'gt' / 'gt.txt').write_text(''.join(rows))
    entries = {'imDir': 'img1', 'frameRate': 10, 'seqLength': FRAMES} | info
    lines = (f'{key}={value}\n' for key, value in entries.items() if value is not None)
    (folder / 'seqinfo.ini').write_text('[Sequence]\n' + ''.join(lines))
    for t in numbers:
        save(folder / 'img1' / name(t), t)
    return folder


def assert_paired(sequence: Sequence, first: int = 1) -> None:
    """Check that each frame's picture has the number of its label."""
    levels = [int(np.median(image)) for image in sequence.images()]
    assert len(sequence) == len(levels)
    np.testing.assert_allclose(levels, 10 * np.arange(first, first + len(levels)), atol=2)
    lefts = [truth.boxes[0, 0] for truth in sequence.truth]
    assert lefts == [*range(first, first + len(levels))]


@pytest.mark.parametrize('length', [FRAMES, None])
@pytest.mark.parametrize(
    'name',
    [
        lambda t: f'{t}.jpg',
        lambda t: f'{t:06d}.jpg',
        lambda t: f'img_{t}.jpg',
        lambda t: f'cam3_{t}_left.PNG',
        lambda t: f'{t}.png' if t % 2 else f'{t}.JPEG',
        lambda t: f'{t}.tif',
        lambda t: f'{t + 4200}.png',  # higher than any frame: counted from another number
    ],
)
def test_names_of_any_kind_are_paired_by_their_number(tmp_path, name, length):
    sequence = read_motchallenge(motchallenge(tmp_path / 's', name, seqLength=length))
    assert len(sequence) == FRAMES
    assert_paired(sequence)


def test_images_counted_from_0_belong_to_frames_counted_from_1(tmp_path):
    assert_paired(read_motchallenge(motchallenge(tmp_path / 's', lambda t: f'{t - 1}.png')))


def test_an_image_0_that_is_too_much_or_the_first_is_refused(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', range(FRAMES + 1))
    with pytest.raises(FormatError, match='images are numbered 0 to 12, and the frames 1 to 12'):
        read_motchallenge(folder)
    (folder / 'img1' / '0.png').unlink()
    assert_paired(read_motchallenge(folder))


@pytest.mark.parametrize('length', [FRAMES, None])
@pytest.mark.parametrize(
    ('gone', 'said'),
    [
        ((5,), '1 of the frames 1 to 12 have no image: 5;'),
        ((1,), '1 of the frames 1 to 12 have no image: 1;'),
        ((12,), '1 of the frames 1 to 12 have no image: 12;'),
        ((2, 3, 4, 9), '4 of the frames 1 to 12 have no image: 2 to 4, 9;'),
    ],
)
def test_missing_images_are_named(tmp_path, gone, said, length):
    numbers = [t for t in range(1, FRAMES + 1) if t not in gone]
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', numbers, seqLength=length)
    with pytest.raises(FormatError, match=said):
        read_motchallenge(folder)


def test_files_that_are_no_frames_are_left_out(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.jpg', imExt='.jpg')
    for name in ('1.png', '5.png', 'depth_1.png'):
        save(folder / 'img1' / name, 25)
    (folder / 'img1' / '._1.jpg').write_bytes(b'of another system')
    (folder / 'img1' / 'Thumbs.db').write_bytes(b'of another system')
    (folder / 'img1' / 'notes.txt').write_text('1')
    assert_paired(read_motchallenge(folder))
    save(folder / 'img1' / 'cover.jpg', 25)
    save(folder / 'img1' / '13.jpg', 25)
    with pytest.warns(InputWarning, match=r'2 images are not in the frames .*cover\.jpg, 13\.jpg'):
        assert_paired(read_motchallenge(folder))


def test_two_images_of_a_frame_are_refused_unless_the_extension_is_stated(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.jpg')
    save(folder / 'img1' / '3.png', 25)
    with pytest.raises(FormatError, match=r'3\.jpg and 3\.png are both frame 3'):
        read_motchallenge(folder)
    info = folder / 'seqinfo.ini'
    info.write_text(info.read_text() + 'imExt=JPG\n')
    assert_paired(read_motchallenge(folder))


def test_an_extension_that_no_image_has_is_said(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', imExt='.jpg')
    with pytest.warns(InputWarning, match=r'imExt in seqinfo.ini is \.jpg, .* are \.png'):
        assert_paired(read_motchallenge(folder))
    save(folder / 'img1' / '3.bmp', 3)
    with pytest.raises(FormatError, match=r'imExt .* is \.jpg, but its images are \.bmp, \.png'):
        read_motchallenge(folder)


def test_a_folder_that_has_no_images_is_said_if_another_has_them(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', imDir='frames')
    with pytest.raises(FormatError, match='imDir is frames, which has no images; img1 has some'):
        read_motchallenge(folder)
    info = folder / 'seqinfo.ini'
    info.write_text(info.read_text().replace('frames\n', 'IMG1\\\n'))  # as Windows finds it
    assert_paired(read_motchallenge(folder))


def test_another_length_than_that_of_the_folder_is_said(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', seqLength=14)
    with pytest.raises(FormatError, match=r'2 of the frames 1 to 14 .*: 13 to 14; .*seqLength'):
        read_motchallenge(folder)


def test_images_of_another_size_than_stated_are_refused(tmp_path):
    folder = motchallenge(tmp_path / 's', lambda t: f'{t}.png', imWidth=128, imHeight=96)
    with pytest.raises(FormatError, match=r'1\.png: its size is 64 x 48; expected 128 x 96'):
        read_motchallenge(folder)
    folder = motchallenge(tmp_path / 'other', lambda t: f'{t}.png', imWidth=64, imHeight=48)
    save(folder / 'img1' / '7.png', 7, (32, 24))
    with pytest.raises(FormatError, match=r'7\.png: its size is 32 x 24; expected 64 x 48'):
        list(read_motchallenge(folder).images())


def kitti(folder: Path, name: Callable[[int], str], numbers=range(FRAMES)) -> Path:
    path = folder / 'label_02' / '0003.txt'
    path.parent.mkdir(parents=True)
    row = '{t} 1 Pedestrian 0 0 -1 {t} 10 30 40 -1 -1 -1 -1000 -1000 -1000 -10\n'
    path.write_text(''.join(row.format(t=t) for t in range(FRAMES)))
    for t in numbers:
        save(folder / 'image_02' / '0003' / name(t), t)
    return path


@pytest.mark.parametrize('name', [lambda t: f'{t}.png', lambda t: f'{t:06d}.jpg'])
def test_frames_of_kitti_are_counted_from_0(tmp_path, name):
    assert_paired(read_kitti(kitti(tmp_path, name)), first=0)


def test_a_missing_frame_of_kitti_is_named(tmp_path):
    numbers = [t for t in range(FRAMES) if t != 6]
    with pytest.raises(FormatError, match='1 of the frames 0 to 11 have no image: 6;'):
        read_kitti(kitti(tmp_path, lambda t: f'{t}.png', numbers))
    with pytest.raises(FormatError, match='1 of the frames 0 to 12 have no image: 0;'):
        read_kitti(kitti(tmp_path / 'other', lambda t: f'{t + 1}.png'))
