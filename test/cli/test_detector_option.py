# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr track --detector` and `gtr evaluate --detector`: the boxes are those of the file."""

from __future__ import annotations

import json
from pathlib import Path

from detector_graphs import transformer_outputs
from detector_graphs import write_graph
import numpy as np
import pytest
from videos import write_noise

pytest.importorskip('onnxruntime', reason='needs the onnx extra')

from gtr_ros.cli import main

pytestmark = pytest.mark.usefixtures('one_thread')

#: of the video
WIDTH, HEIGHT = 64, 48
#: xyxy, pixels of the video; of people
BOXES = np.array([[4, 4, 20, 40], [34, 8, 50, 44.0]])
QUICK = ['--device', 'cpu', '--runtime', 'torch']


def write_detector(path: Path, boxes: np.ndarray = BOXES) -> Path:
    """Write a detector that finds two people at the same places in every image."""
    size = (64, 96)
    scaled = boxes * np.tile([size[1] / WIDTH, size[0] / HEIGHT], 2)
    centred, logits = transformer_outputs(scaled, [0.95, 0.9], [0, 0], size)
    return write_graph(path, {'logits': logits, 'pred_boxes': centred}, size)


@pytest.fixture
def detector(tmp_path) -> Path:
    return write_detector(tmp_path / 'mine.onnx')


def rows_of(file: Path) -> np.ndarray:
    """Return frame, id, left, top, width and height of each line."""
    return np.loadtxt(file, delimiter=',', ndmin=2)[:, :6]


def test_track_writes_the_boxes_of_the_detector_with_ids_that_stay(tmp_path, detector, capsys):
    video, out = write_noise(tmp_path / 'video.mp4', count=6), tmp_path / 'out.txt'
    arguments = ['--detector', str(detector), '--min-hits', '1', '--out', str(out), *QUICK]
    assert main(['track', str(video), *arguments]) == 0
    rows = rows_of(out)
    assert rows[:, 0].tolist() == [t for t in range(1, 7) for _ in range(2)]
    assert rows[:, 1].tolist() == [1, 2] * 6
    expected = np.concatenate((BOXES[:, :2], BOXES[:, 2:] - BOXES[:, :2]), axis=1)
    np.testing.assert_allclose(rows[:, 2:], np.tile(expected, (6, 1)), atol=0.1)
    output = capsys.readouterr()
    said = ' '.join((output.out + output.err).split())
    assert 'mine.onnx: rt-detr (logits), input 96 x 64 stretched, RGB 0..1, 80 classes' in said


def test_track_knows_the_classes_of_the_detector(tmp_path, detector, capsys):
    video, out = write_noise(tmp_path / 'video.mp4'), tmp_path / 'out.txt'
    names = ', '.join(['forklift', *(f'thing{i}' for i in range(79))])
    detector.with_suffix('.yaml').write_text(f'names: [{names}]')
    command = ['track', str(video), '--detector', str(detector), '--out', str(out), *QUICK]
    assert main([*command, '--min-hits', '1', '--classes', 'forklift']) == 0
    assert len(rows_of(out)) == 8
    assert main([*command, '--classes', 'person']) == 1
    assert "has 'person', which this model does not know" in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'content', 'expected'),
    [
        ('no.onnx', None, 'there is no detector at'),
        ('mine.pt', b'', 'expected the path of an ONNX file (.onnx)'),
        ('mine.onnx', b'<html>', 'is not an ONNX file'),
    ],
)
def test_track_ends_with_one_line_if_the_file_is_wrong(tmp_path, name, content, expected, capsys):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    video = write_noise(tmp_path / 'video.mp4')
    out = tmp_path / 'out.txt'
    assert main(['track', str(video), '--detector', str(file), '--out', str(out), *QUICK]) == 1
    said = ' '.join(capsys.readouterr().err.split())
    assert expected in said
    assert 'Traceback' not in said
    assert not out.exists()


def test_a_folder_of_results_is_not_continued_with_another_detector(tmp_path, detector, capsys):
    videos = [write_noise(tmp_path / f'{i}.mp4', seed=i) for i in (1, 2)]
    out = tmp_path / 'tracked'
    command = ['track', *map(str, videos), '--out', str(out), *QUICK, '--detector', str(detector)]
    assert main(command) == 0
    assert main(command) == 0
    assert '2 of 2 were already done' in ' '.join(''.join(capsys.readouterr()).split())
    write_detector(detector, BOXES + 3)
    assert main(command) == 1
    assert 'weights' in capsys.readouterr().err


def write_sequence(folder: Path) -> Path:
    """Write a MOTChallenge folder with a video of noise in which two people stand."""
    write_noise(folder / 'video.mp4', count=8)
    (folder / 'gt').mkdir()
    (folder / 'seqinfo.ini').write_text(
        f'[Sequence]\nname=two\nimDir=img1\nframeRate=10\nseqLength=8\nimWidth={WIDTH}\n'
        f'imHeight={HEIGHT}\nimExt=.jpg\n'
    )
    lines = [
        f'{t},{i},{x1},{y1},{x2 - x1},{y2 - y1},1,1,1\n'
        for t in range(1, 9)
        for i, (x1, y1, x2, y2) in enumerate(BOXES, start=1)
    ]
    (folder / 'gt/gt.txt').write_text(''.join(lines))
    return folder


def test_evaluate_measures_the_boxes_of_the_detector(tmp_path, detector, monkeypatch):
    pytest.importorskip('trackeval', reason='needs the evaluation extra')
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    sequence = write_sequence(tmp_path / 'two')

    def hota(name: str) -> float:
        out = tmp_path / name
        options = ['--trackers', 'gtr:min_hits=1', '--strides', '1', '--out', str(out), *QUICK]
        assert main(['evaluate', str(sequence), '--detector', str(detector), *options]) == 0
        table = json.loads((out / 'table.json').read_text())
        assert table['about']['boxes'] == 'found by mine.onnx'
        [row] = table['rows']
        return row['overall']['HOTA']

    assert hota('first') == pytest.approx(1, abs=0.005)
    write_detector(detector, BOXES + 8)  # the cache of the other file is not used
    assert hota('second') < 0.6


@pytest.mark.slow
def test_evaluate_links_them_as_another_detectors_boxes(tmp_path, detector):
    pytest.importorskip('trackeval', reason='needs the evaluation extra')
    sequence, out = write_sequence(tmp_path / 'two'), tmp_path / 'out'
    options = ['--trackers', 'gtr', '--strides', '1', '--out', str(out), *QUICK]
    command = ['evaluate', str(sequence), *options, '--model', 'mot', '--checkpoint', 'random']
    assert main([*command, '--detector', str(detector)]) == 0
    about = (out / 'table.json').read_text()
    assert 'evidence of motion' in about


def test_evaluate_refuses_two_kinds_of_boxes(tmp_path, detector, capsys):
    pytest.importorskip('trackeval', reason='needs the evaluation extra')
    sequence, out = write_sequence(tmp_path / 'two'), str(tmp_path / 'out')
    boxes = tmp_path / 'boxes.txt'
    boxes.write_text('1,-1,4,4,16,36,0.9\n')
    options = ['--trackers', 'gtr', '--detector', str(detector), '--out', out, *QUICK]
    assert main(['evaluate', str(sequence), '--boxes', str(boxes), *options]) == 1
    assert 'leave out --detector, or --boxes' in ' '.join(capsys.readouterr().err.split())
