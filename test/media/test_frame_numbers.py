# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files are frames by the numbers in their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from gtr_ros.media.frame_numbers import frame_indices
from gtr_ros.media.frame_numbers import FrameNameError
from gtr_ros.media.frame_numbers import number_frames


def paths(*names: str) -> list[Path]:
    return [Path('frames') / name for name in names]


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (('1.jpg', '10.jpg', '2.jpg'), {1: '1.jpg', 2: '2.jpg', 10: '10.jpg'}),
        (('000001.jpg', '000002.jpg'), {1: '000001.jpg', 2: '000002.jpg'}),
        (('img_7.jpg', 'IMG_8.JPG'), {7: 'img_7.jpg', 8: 'IMG_8.JPG'}),
        # the camera and the size of the image are the same in all names
        (('cam2_f8_64x48.png', 'cam2_f7_64x48.png'), {7: 'cam2_f7_64x48.png'}),
        # the time that follows the frame number has gaps
        (('f1_100.png', 'f2_133.png', 'f3_167.png'), {1: 'f1_100.png', 3: 'f3_167.png'}),
        (('seq2_5.png',), {5: 'seq2_5.png'}),
        (('20261128-0001.png', '20261128-0002.png'), {2: '20261128-0002.png'}),
    ],
)
def test_the_number_of_a_frame_is_in_its_name(names, expected):
    found = number_frames(paths(*names))
    assert list(found.by_number) == sorted(found.by_number)
    assert {n: found.by_number[n].name for n in expected} == expected
    assert found.others == []


def test_files_that_are_named_differently_are_not_frames():
    found = number_frames(paths('1.jpg', '2.jpg', '3.jpg', 'cover.jpg', 'mask_2.jpg', '3 (1).jpg'))
    assert list(found.by_number) == [1, 2, 3]
    assert {file.name for file in found.others} == {'cover.jpg', 'mask_2.jpg', '3 (1).jpg'}


@pytest.mark.parametrize(
    ('names', 'said'),
    [
        (('a.jpg', 'b.jpg'), r'a\.jpg, b\.jpg: the names have no frame number'),
        (('1.jpg', '2.jpg', '2.png'), r'2\.jpg and 2\.png are both frame 2'),
        (('7.jpg', '007.jpg'), r'007\.jpg and 7\.jpg are both frame 7'),
        (('a_1.jpg', 'a_2.jpg', 'b_1.jpg', 'b_2.jpg'), 'two kinds of names'),
    ],
)
def test_names_that_do_not_say_which_frame_it_is_are_refused(names, said):
    with pytest.raises(FrameNameError, match=said):
        number_frames(paths(*names))


@pytest.mark.parametrize(
    ('names', 'expected'),
    [
        (('1.jpg', '2.jpg', '4.jpg'), [0, 1, 3]),
        (('f098.jpg', 'f099.jpg', 'f100.jpg', 'f102.jpg'), [0, 1, 2, 4]),
        (('0.jpg',), [0]),
        # every tenth frame, times, and other names: nothing says how far they are apart
        (('10.jpg', '20.jpg', '30.jpg'), None),
        (('1403636579763555584.png', '1403636579813555456.png'), None),
        (('a.jpg', 'b.jpg'), None),
        (('1.jpg', '2.jpg', 'cover.jpg'), None),
    ],
)
def test_a_missing_file_leaves_a_gap_if_names_count_frames(names, expected):
    assert frame_indices(paths(*names)) == expected


def test_one_frame_in_two_files_is_refused():
    with pytest.raises(FrameNameError, match=r"the same name.*'frames/\*\.png'"):
        frame_indices(paths('1.jpg', '1.png', '2.jpg', '2.png'))
