# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr evaluate` with several sequences: their rows, its progress in a log, early checks."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
import time

import numpy as np
from paths import REPOSITORY
from PIL import Image
import pytest

pytest.importorskip('trackeval', reason='needs the evaluation extra')

from writers import write_boxes
from writers import write_motchallenge

from gtr_ros.cli import main
from gtr_ros.cli.tasks import LineTask
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.evaluation.names import EXTERNAL_TRACKERS
from gtr_ros.model.gtr import GTR

SCENES = [f'synthetic:duration=3,objects={n},size=240x320,seed=7' for n in (3, 8)]


def evaluate(out, *arguments: str) -> int:
    return main(['evaluate', *arguments, '--checkpoint', 'random', '--out', str(out)])


def table(out) -> list[dict]:
    with open(out / 'table.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_each_sequence_has_the_row_that_it_has_alone(tmp_path, capfd):
    options = ['--trackers', 'oracle', 'iou', '--strides', '1', '2']
    assert evaluate(tmp_path / 'both', *SCENES, *options) == 0
    printed = capfd.readouterr().out
    both = table(tmp_path / 'both')
    names = list(dict.fromkeys(row['sequence'] for row in both))
    assert names[0] == 'COMBINED'
    assert len(names) == 3
    assert len(both) == 2 * 2 * 3
    alone = []
    for number, scene in enumerate(SCENES):
        assert evaluate(tmp_path / str(number), scene, *options) == 0
        rows = table(tmp_path / str(number))
        # Of a single sequence, there is only one row.
        assert {row['sequence'] for row in rows} == {'COMBINED'}
        alone += [{**row, 'sequence': names[1 + number]} for row in rows]
    by_sequence = [row for row in both if row['sequence'] != 'COMBINED']

    def key(row):
        return row['sequence'], row['stride'], row['tracker']

    assert sorted(by_sequence, key=key) == sorted(alone, key=key)
    # In the terminal, they are below the rows over all sequences.
    assert 0 <= printed.find('stride') < printed.find('by sequence')
    assert 'by sequence' not in capfd.readouterr().out
    data = json.loads((tmp_path / 'both' / 'table.json').read_text())
    for row in data['rows']:
        assert list(row['sequences']) == names[1:]
        parts = [row['sequences'][name]['overall']['FN'] for name in names[1:]]
        assert sum(parts) == row['overall']['FN']
    report = (tmp_path / 'both' / 'report.html').read_text()
    assert report.count('By sequence (2)') == 2
    assert report.count(f'<h4>{names[1]}</h4>') == 2


def test_a_long_table_by_sequence_has_only_the_first_stride(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr('gtr_ros.evaluation.table._MOST_ROWS', 3)
    options = ['--trackers', 'iou', '--strides', '1', '2']
    assert evaluate(tmp_path, *SCENES, *options) == 0
    _, below = capfd.readouterr().out.split('by sequence')
    assert below.startswith(', stride 1; table.csv has all strides')
    assert below.count('iou') == 2
    assert len(table(tmp_path)) == 2 * 3


def test_a_log_file_shows_the_progress_while_it_runs(tmp_path):
    log, out = tmp_path / 'log', tmp_path / 'out'
    scene = 'synthetic:duration=20,objects=6,size=240x320'
    command = [sys.executable, '-m', 'gtr_ros.cli', 'evaluate', scene, '--checkpoint', 'random']
    command += ['--trackers', 'oracle', 'iou', '--strides', '1', '--out', str(out)]
    with log.open('w') as stream:
        process = subprocess.Popen(command, cwd=REPOSITORY, stdout=stream, stderr=stream)
        deadline = time.monotonic() + 120
        while 'tracking: 0 of 400' not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert process.poll() is None
        assert process.wait(120) == 0
    said = log.read_text()
    order = ['untrained', 'tracking: 0 of 400', 'tracking: 400 of 400, after', 'HOTA', 'wrote']
    assert [said.index(text) for text in order] == sorted(said.index(text) for text in order)


def test_a_task_has_a_line_every_tenth_and_every_half_minute():
    lines, now = [], [0.0]
    task = LineTask(lines.append, 'boxes', 200, clock=lambda: now[0])
    assert lines == ['boxes: 0 of 200']
    for done in range(1, 201):
        now[0] += 2
        task.update(done)
    assert lines[1] == 'boxes: 15 of 200 (7 %), 0.5/s, 6:10 left'
    assert lines[2] == 'boxes: 20 of 200 (10 %), 0.5/s, 6:00 left'
    assert {f'boxes: {20 * k} of 200 ({10 * k} %)' for k in range(1, 10)} <= {
        line.partition(',')[0] for line in lines
    }
    assert lines[-1] == 'boxes: 200 of 200, after 6:40'


def test_a_short_task_has_two_lines_and_a_resumed_one_its_own_rate():
    lines, now = [], [0.0]
    task = LineTask(lines.append, 'boxes', 50, clock=lambda: now[0])
    for done in range(1, 51):
        now[0] += 0.005
        task.update(done)
    assert lines == ['boxes: 0 of 50', 'boxes: 50 of 50, after 0:00']
    lines.clear()
    task = LineTask(lines.append, 'mobile', 100, done=80, clock=lambda: now[0])
    now[0] += 20
    task.update(90, 'heat 1.5')
    assert lines == ['mobile: 80 of 100', 'mobile: 90 of 100 (90 %), 0.5/s, 0:20 left; heat 1.5']


@pytest.fixture
def scene(tmp_path):
    """Return a written MOTChallenge sequence of 10 frames, with its images, and its boxes."""
    made = generate(Scene.parse('synthetic:duration=1,occlusion=0,objects=3,size=240x320'))
    folder = tmp_path / 'scene'
    write_motchallenge(folder, made.sequence)
    (folder / 'img1').mkdir()
    for t, image in enumerate(made.sequence.images()):
        Image.fromarray(image).save(folder / 'img1' / f'{t + 1:06d}.png')
    write_boxes(tmp_path / 'boxes.npz', made.detections, ['person'])
    return folder


def remove_image(folder):
    (folder / 'img1' / '000003.png').unlink()


def add_a_frame_of_boxes(folder):
    with np.load(folder.parent / 'boxes.npz') as file:
        data = dict(file)
    data['det'] = np.concatenate([data['det'], [[11, 10, 10, 20, 20, 0.9]]])
    data['label'] = np.append(data['label'], 0)
    np.savez(folder.parent / 'boxes.npz', **data)


def nothing(folder):
    pass


@pytest.mark.parametrize(
    ('change', 'arguments', 'said'),
    [
        (remove_image, ['scene'], '1 of the frames 1 to 10 have no image: 3; .* seqLength'),
        (
            add_a_frame_of_boxes,
            ['scene', '--boxes', 'boxes.npz'],
            'the frame is not a whole number',
        ),
        (nothing, ['scene', '--boxes', 'boxes.npz', 'boxes.npz'], '2 files of boxes for 1'),
        (nothing, ['scene', '--trackers', 'gtr', 'best'], "tracker 'best'; expected one of"),
        (nothing, ['scene', '--trackers', 'gtr:size=3'], "no option 'size'"),
        (nothing, ['scene', '--trackers', 'reid:features=x.onnx'], "'x.onnx': there is no such"),
        (nothing, ['scene', '--trackers', 'gtr', 'sort'], 'needs the package trackers'),
        (
            nothing,
            ['scene', '--boxes', 'boxes.npz', '--trackers', 'gtr:classes=delayed'],
            'need the scores of all classes',
        ),
    ],
)
def test_what_is_missing_is_found_before_anything_is_detected(
    scene, monkeypatch, capfd, change, arguments, said
):
    change(scene)
    monkeypatch.chdir(scene.parent)
    if 'sort' in arguments:
        monkeypatch.setitem(sys.modules, 'trackers', None)
    monkeypatch.setattr(GTR, 'detect', None)  # calling it is an error of another type
    monkeypatch.setattr(GTR, 'describe', None)
    assert evaluate('out', *arguments) == 1
    assert re.search(said, capfd.readouterr().err)


def test_missing_images_of_a_json_are_found_before_anything_is_detected(
    tmp_path, monkeypatch, capfd
):
    frames = [{'id': i, 'video_id': 1, 'frame_index': i, 'file_name': f'{i}.png'} for i in (0, 1)]
    content = {
        'videos': [{'id': 1, 'name': 'a', 'height': 24, 'width': 32}],
        'images': frames,
        'annotations': [],
        'categories': [{'id': 1, 'name': 'person'}],
    }
    (tmp_path / 'video.json').write_text(json.dumps(content))
    Image.new('RGB', (32, 24)).save(tmp_path / '0.png')
    monkeypatch.setattr(GTR, 'detect', None)
    assert evaluate(tmp_path / 'out', str(tmp_path / 'video.json'), '--trackers', 'iou') == 1
    said = capfd.readouterr().err
    assert '1 of the 2 images of a video are missing; the first is' in said
    assert '1.png' in said


@pytest.mark.parametrize(
    'module',
    (
        *('evaluation.names', 'evaluation.ablations', 'data.halves'),
        *('cli.evaluate', 'cli.train', 'cli.export'),
    ),
)
def test_help_needs_no_torch(module):
    code = f'import sys, gtr_ros.{module}; sys.exit("torch" in sys.modules)'
    assert subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY).returncode == 0


def test_names_in_the_help_are_those_of_the_external_trackers():
    trackers = pytest.importorskip('trackers', reason='needs the package trackers')
    assert all(hasattr(trackers, kind) for kind, _ in EXTERNAL_TRACKERS.values())
