# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that fuzzing found to end a program, or to be wrong in silence: each is a FormatError."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip('rosbags', reason='needs the evaluation extra')

from writers import write_bag

from gtr_ros.data.coco.videos import read_coco_video
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.kitti import read_kitti
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.formats.rosbag import read_rosbag
from gtr_ros.data.stills.crowdhuman import read_crowdhuman
from gtr_ros.data.stored_boxes import read_boxes

INFO = {'imDir': 'img1', 'frameRate': '10', 'seqLength': '4', 'imWidth': '64', 'imHeight': '48'}


def motchallenge(folder: Path, row: str = '1,1,5,5,10,10,1', **changes: str) -> Path:
    lines = [f'{key}={value}\n' for key, value in (INFO | changes).items()]
    (folder / 'seqinfo.ini').write_text(''.join(['[Sequence]\n', *lines]))
    (folder / 'gt.txt').write_text(f'{row}\n')
    return folder


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        ({'seqLength': '9007199254740992'}, 'seqlength is 9.0072e.15; expected 1 to 5e.06'),
        ({'frameRate': '1e-300'}, 'framerate is 1e-300; expected 0.001 to 1e.06'),
        ({'imWidth': '4000000000'}, 'imwidth is 4e.09'),
        ({'row': '5000001,1,5,5,10,10,1', 'seqLength': ''}, 'frame is 5000001; expected at most'),
        ({'row': '1,1,1e16,5,1,10,1'}, 'has no area in float32'),
        ({'row': '1,1,1e300,5,1e300,10,1'}, 'has no area in float32'),
    ],
)
def test_numbers_that_no_sequence_has_are_named(tmp_path, changes, said):
    with pytest.raises(FormatError, match=said):
        read_motchallenge(motchallenge(tmp_path, **changes))


@pytest.mark.parametrize('name', ['x' * 5000, 'a\0b', '../' * 2000])
def test_a_folder_that_cannot_exist_has_no_images(tmp_path, name):
    folder = motchallenge(tmp_path, imDir=name.replace('\0', ''))
    assert len(read_motchallenge(folder)) == 4


def test_a_frame_number_of_kitti_is_limited(tmp_path):
    path = tmp_path / '0000.txt'
    path.write_text('900000000 1 Car 0 0 -1 10 10 20 20\n')
    with pytest.raises(FormatError, match='frame is 900000000; expected at most 4999999'):
        read_kitti(path)


def coco_video(folder: Path, **changes: object) -> Path:
    image = {'id': 1, 'video_id': 1, 'frame_index': 0, 'file_name': 'a', 'height': 9, 'width': 9}
    content = {
        'videos': [{'id': 1, 'fps': changes.pop('fps', 30)}],
        'images': [image | changes],
        'annotations': [],
        'categories': [{'id': 1, 'name': 'person'}],
    }
    path = folder / 'a.json'
    path.write_text(json.dumps(content))
    return path


def test_a_frame_index_beyond_all_stamps_is_named(tmp_path):
    with pytest.raises(FormatError, match='later than a stamp can be'):
        read_coco_video(coco_video(tmp_path, frame_index=2**60))


def test_a_rate_that_no_video_has_is_named(tmp_path):
    with pytest.raises(FormatError, match=r'fps is 1e-200; expected a number from 0\.001'):
        read_coco_video(coco_video(tmp_path, fps=1e-200))


@pytest.mark.parametrize('name', ['x' * 5000, 'a\0b'])
def test_a_file_that_cannot_exist_is_missing(tmp_path, name):
    [sequence] = read_coco_video(coco_video(tmp_path, file_name=name))
    with pytest.raises(FormatError, match='1 of the 1 images of a video are missing'):
        sequence.images.check()


def test_a_number_of_thousands_of_digits_is_not_json(tmp_path):
    path = tmp_path / 'a.json'
    path.write_text('{"images": ' + '9' * 5000 + '}')
    with pytest.raises(FormatError, match='not JSON: Exceeds the limit'):
        read_coco_video(path)
    with pytest.raises(FormatError, match='not JSON: Exceeds the limit'):
        read_crowdhuman(path, tmp_path)


def test_stored_boxes_damaged_anywhere_are_read_or_refused(tmp_path):
    folder = tmp_path / 'sequence'
    folder.mkdir()
    sequence, path = read_motchallenge(motchallenge(folder)), tmp_path / 'a.npz'
    np.savez_compressed(path, det=np.array([[1, 2, 3, 20, 30, 0.5], [2, 2, 3, 21, 30, 0.9]]))
    data = path.read_bytes()
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        try:
            read_boxes(path, sequence)
        except FormatError as error:
            assert str(path) in str(error)


@pytest.mark.parametrize('box', [[1e308, 0, 1.5e308, 5], [1e16, 0, 1e16 + 2, 5]])
def test_stored_boxes_have_an_area_in_float32(tmp_path, box):
    folder = tmp_path / 'sequence'
    folder.mkdir()
    sequence, path = read_motchallenge(motchallenge(folder)), tmp_path / 'a.npz'
    np.savez(path, det=np.array([[1, *box, 0.5]]))
    with pytest.raises(FormatError, match='row 1 of det'):
        read_boxes(path, sequence)


def test_metadata_of_a_bag_with_values_of_other_types_is_named(tmp_path):
    pixels = np.zeros((12, 16, 3), np.uint8)
    write_bag(tmp_path / 'bag', images=[(10**9, pixels)])
    path = tmp_path / 'bag' / 'metadata.yaml'
    content = path.read_text()
    for change in (
        lambda told: told.update(files='-1'),
        lambda told: told['topics_with_message_count'][0]['topic_metadata'].update(type=[None]),
        lambda told: told['topics_with_message_count'][0].update(message_count='many'),
    ):
        tree = yaml.safe_load(content)
        change(tree['rosbag2_bagfile_information'])
        path.write_text(yaml.safe_dump(tree))
        with pytest.raises(FormatError):
            read_rosbag(tmp_path / 'bag')
