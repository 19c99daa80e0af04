# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags and JSON files are evaluated like other sequences."""

from __future__ import annotations

import csv

import pytest

pytest.importorskip('rosbags', reason='needs the evaluation extra')
pytest.importorskip('trackeval', reason='needs the evaluation extra')

from writers import write_bag
from writers import write_boxes

from gtr_ros.cli import main
from gtr_ros.data.coco.video_writer import write_coco_video
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.stored_boxes import read_boxes
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene


@pytest.fixture(scope='module')
def made():
    return generate(Scene.parse('synthetic:duration=3,objects=3,size=240x320,missed=0,false=0'))


def scores(folder) -> dict[str, str]:
    with open(folder / 'table.csv', newline='') as file:
        (row,) = csv.DictReader(file)
    return row


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_bag_of_a_scene_gives_the_same_numbers(made, tmp_path, storage):
    stamps = made.sequence.stamps.tolist()
    start = 1_700_000_000_000_000_000  # a stamp of 0 counts as missing
    truth = zip(stamps, made.sequence.truth)
    rows = [(start + s, t.boxes, t.labels + 1.0, t.labels, t.ids) for s, t in truth]
    images = ((start + s, i) for s, i in zip(stamps, made.sequence.images()))
    write_bag(tmp_path / 'bag', storage, images=images, detections=rows)
    write_boxes(tmp_path / 'boxes.npz', made.detections, ['person'])
    common = ['--boxes', str(tmp_path / 'boxes.npz'), '--checkpoint', 'random', '--strides', '1']
    common += ['--trackers', 'motion', '--out']
    assert main(['evaluate', str(tmp_path / 'bag'), *common, str(tmp_path / 'of_bag')]) == 0
    write_coco_video(tmp_path / 'video.json', [made.sequence])
    assert (
        main(['evaluate', str(tmp_path / 'video.json'), *common, str(tmp_path / 'of_json')]) == 0
    )
    scene = 'synthetic:duration=3,objects=3,size=240x320,missed=0,false=0'
    assert main(['evaluate', scene, *common, str(tmp_path / 'of_scene')]) == 0
    of_bag, of_json, of_scene = (scores(tmp_path / f'of_{n}') for n in ('bag', 'json', 'scene'))
    assert of_bag == of_scene == of_json
    assert float(of_bag['HOTA']) > 0.5


def test_boxes_are_read_from_a_bag(made, tmp_path):
    stamps = [1_700_000_000_000_000_000 + s for s in made.sequence.stamps.tolist()]
    truth = zip(stamps, made.sequence.truth)
    rows = [(s, t.boxes, t.labels + 1.0, t.labels, t.ids) for s, t in truth]
    images = list(zip(stamps, made.sequence.images()))
    write_bag(tmp_path / 'bag', images=images, detections=rows)
    found = zip(stamps[1:], made.detections[1:])  # the first frame has no message
    rows = [(s, d.boxes, d.scores, d.labels, [''] * len(d)) for s, d in found]
    write_bag(tmp_path / 'boxes', detections=rows)
    (sequence,) = (o.sequence for o in open_sequences(str(tmp_path / 'bag')))
    read = read_boxes(tmp_path / 'boxes', sequence)
    assert [len(d) for d in read] == [0, *(len(d) for d in made.detections[1:])]
    assert read[5].boxes == pytest.approx(made.detections[5].boxes, abs=1e-3)
    assert read[5].stamp == stamps[5]
    with pytest.raises(FormatError, match='no detections have the stamp of a frame'):
        read_boxes(tmp_path / 'boxes', made.sequence)


def test_a_truncated_bag_is_named(made, tmp_path, capfd):
    stamps = made.sequence.stamps.tolist()
    images = ((s + 1, i) for s, i in zip(stamps, made.sequence.images()))
    write_bag(tmp_path / 'bag', 'mcap', images=images)
    (file,) = (tmp_path / 'bag').glob('*.mcap')
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])
    arguments = ['evaluate', str(tmp_path / 'bag'), '--checkpoint', 'random']
    assert main([*arguments, '--out', str(tmp_path / 'out')]) == 1
    error = capfd.readouterr().err
    assert file.name in error
    assert 'Traceback' not in error
