# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ids, numbers and flags of COCO JSON are read as other programs write them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from gtr_ros.data.coco.entries import as_id
from gtr_ros.data.coco.entries import as_number
from gtr_ros.data.coco.entries import as_whole
from gtr_ros.data.coco.entries import read_flag
from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.coco.videos import read_coco_video
from gtr_ros.data.formats.errors import FormatError


@pytest.mark.parametrize(
    ('value', 'identity'),
    [
        (7, 7),
        (7.0, 7),
        ('7', 7),
        (-3, -3),
        ('-3', -3),
        (2**60, 2**60),
        ('07', '07'),
        ('b1c6-7f', 'b1c6-7f'),
        ('', ''),
        (7.5, None),
        (True, None),
        (None, None),
        ([7], None),
        (1e30, None),
    ],
)
def test_an_id_is_a_whole_number_or_a_text(value, identity):
    found = as_id(value)
    assert (found, type(found)) == (identity, type(identity))


def test_numbers_may_be_text():
    assert [as_whole(v) for v in (4, 4.0, '4', ' 4 ', 4.5, 'x', True)] == [4] * 4 + [None] * 3
    assert [as_number(v) for v in (4, '4.5', '1e2', 'nan', '1_0', True, [1], 10**400)] == [
        4.0,
        4.5,
        100.0,
        *[None] * 5,
    ]


@pytest.mark.parametrize('value', [1, 1.0, True, '1', 'true', 'True', 'yes'])
def test_a_flag_that_is_set_may_be_a_word(value):
    assert read_flag(Path('a.json'), 'annotation 1', {'iscrowd': value}, 'iscrowd') is True


@pytest.mark.parametrize('value', [0, 0.0, False, '0', 'false', 'no', None, ''])
def test_a_flag_that_is_not_set_may_be_a_word(value):
    assert read_flag(Path('a.json'), 'annotation 1', {'iscrowd': value}, 'iscrowd') is False


@pytest.mark.parametrize('value', [2, 'maybe', [1]])
def test_a_flag_that_is_neither_is_named(value):
    with pytest.raises(FormatError, match=r'annotation 1: iscrowd is .*; expected 0 or 1'):
        read_flag(Path('a.json'), 'annotation 1', {'iscrowd': value}, 'iscrowd')


def stills(folder: Path, change=lambda data: None, encoding: str = 'utf-8') -> Path:
    """Write two images with a box each, of two categories."""
    data = {
        'images': [{'id': i, 'file_name': f'{i}.png', 'width': 64, 'height': 48} for i in (1, 2)],
        'annotations': [
            {'id': i, 'image_id': i, 'category_id': i, 'bbox': [i, 2, 20, 30]} for i in (1, 2)
        ],
        'categories': [{'id': 1, 'name': 'person'}, {'id': 2, 'name': 'dog'}],
    }
    change(data)
    (folder / 'set').mkdir()
    for i in (1, 2):
        Image.new('RGB', (64, 48)).save(folder / 'set' / f'{i}.png')
    (folder / 'set.json').write_bytes(json.dumps(data).encode(encoding))
    return folder / 'set.json'


def as_text(data: dict) -> None:
    for entry in (*data['images'], *data['annotations'], *data['categories']):
        for key, value in entry.items():
            if isinstance(value, int):
                entry[key] = str(value)
        if 'bbox' in entry:
            entry['bbox'] = [str(value) for value in entry['bbox']]
            entry['iscrowd'] = '0'


def as_floats(data: dict) -> None:
    for entry in (*data['images'], *data['annotations'], *data['categories']):
        entry.update({k: float(v) for k, v in entry.items() if isinstance(v, int)})


@pytest.mark.parametrize('change', [lambda data: None, as_text, as_floats])
@pytest.mark.parametrize('encoding', ['utf-8', 'utf-8-sig', 'utf-16'])
def test_labelled_images_are_read_as_other_programs_write_them(tmp_path, change, encoding):
    found = read_coco(stills(tmp_path, change, encoding))
    assert found.class_names == ('person', 'dog')
    assert [s.boxes.tolist() for s in found.stills] == [[[1, 2, 21, 32]], [[2, 2, 22, 32]]]
    assert [s.labels.tolist() for s in found.stills] == [[0], [1]]
    assert [len(s.crowds) for s in found.stills] == [0, 0]
    assert [s.image().shape for s in found.stills] == [(48, 64, 3)] * 2


def test_corners_read_as_sides_are_refused(tmp_path):
    def corners(data):
        data['annotations'] = [
            {'id': i, 'image_id': 1, 'category_id': 1, 'bbox': [30, 20 + i, 60, 40]}
            for i in range(6)
        ]

    with pytest.raises(FormatError, match=r'6 of 6 boxes .* expected bbox as x, y, width, height'):
        read_coco(stills(tmp_path, corners))


def video(path: Path, tracks: list, offset: int = 0) -> Path:
    """Write a video of an object for each track in two frames; ids begin at an offset."""
    images = [
        {'id': offset + t, 'video_id': offset, 'frame_index': t, 'file_name': f'{t}.png'}
        for t in range(2)
    ]
    annotations = [
        {
            'id': offset + 2 * i + t,
            'image_id': offset + t,
            'category_id': offset - 3,
            'track_id': track,
            'bbox': [5 * i, 2 + t, 20, 30],
        }
        for i, track in enumerate(tracks)
        for t in range(2)
    ]
    data = {
        'videos': [{'id': offset, 'name': 'v', 'width': 64, 'height': 48}],
        'images': images,
        'annotations': annotations,
        'categories': [{'id': offset - 3, 'name': 'person'}],
    }
    path.write_text(json.dumps(data))
    return path


@pytest.mark.parametrize('offset', [0, 1, -500, 2**60])
def test_videos_may_have_any_ids(tmp_path, offset):
    (sequence,) = read_coco_video(video(tmp_path / 'v.json', [offset, offset + 9], offset))
    assert [t.ids.tolist() for t in sequence.truth] == [[offset, offset + 9]] * 2
    assert [t.labels.tolist() for t in sequence.truth] == [[0, 0]] * 2
    assert sequence.class_names == ('person',)


def test_tracks_with_texts_are_numbered_after_the_others(tmp_path):
    (sequence,) = read_coco_video(video(tmp_path / 'v.json', ['a-1', 7, '3', 'b']))
    assert [t.ids.tolist() for t in sequence.truth] == [[8, 7, 3, 9]] * 2


def test_boxes_in_fractions_of_a_video_are_refused(tmp_path):
    path = video(tmp_path / 'v.json', [1])
    data = json.loads(path.read_text())
    for entry in data['annotations']:
        entry['bbox'] = (np.array(entry['bbox']) / [64, 48, 64, 48]).tolist()
    path.write_text(json.dumps(data))
    with pytest.raises(FormatError, match='fractions of the image'):
        read_coco_video(path)
