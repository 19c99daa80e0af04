# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scripts and the notebook in examples/ run, each in a process of its own."""

from __future__ import annotations

from collections import Counter
import json
import os
from pathlib import Path
import re
import subprocess
import sys

import numpy as np
from paths import REPOSITORY
from PIL import Image
import pytest
import walking
import yaml

from gtr_ros.boxes import box_iou
from gtr_ros.media.video import VideoReader

EXAMPLES = REPOSITORY / 'examples'
NOTEBOOK = EXAMPLES / 'notebook.ipynb'

# Runs the code cells in order and shows the value of each cell's last line, as Jupyter does.
RUN_NOTEBOOK = """
import ast, json, sys
cells = json.load(open(sys.argv[1]))['cells']
names, shown = {}, 0
for cell in cells:
    if cell['cell_type'] != 'code':
        continue
    tree = ast.parse(''.join(cell['source']))
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, cell['id'], 'exec'), names)
    if last is not None:
        value = eval(compile(ast.Expression(last.value), cell['id'], 'eval'), names)
        if value is not None:
            shown += 1
            open(f'{shown}.png', 'wb').write(value._repr_png_())
"""


def run(*command: object, folder: Path, **variables: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(REPOSITORY)}
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=folder,
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def video(tmp_path) -> Path:
    return walking.write_video(tmp_path / 'video.mp4')


def test_track_video_writes_the_video_with_boxes(video, tmp_path):
    done = run(EXAMPLES / 'track_video.py', video, '--frames', 8, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r'[34] tracks; wrote tracked\.mp4\n', done.stdout)
    with VideoReader(video) as before, VideoReader(tmp_path / 'tracked.mp4') as after:
        changed = [
            int((np.abs(a.image.astype(int) - b.image) > 60).any(axis=2).sum())
            for a, b in zip(before, after)
        ]
    assert len(changed) == 8
    assert max(changed[4:]) > 300  # pixels of boxes and labels


def test_webcam_prints_the_objects_of_each_image(video, tmp_path):
    pytest.importorskip('cv2', reason='needs opencv-python')
    done = run(EXAMPLES / 'webcam.py', video, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 12
    assert any(re.search(r'\bperson \d+', line) for line in lines)


def test_webcam_says_that_there_is_no_camera(tmp_path):
    pytest.importorskip('cv2', reason='needs opencv-python')
    done = run(EXAMPLES / 'webcam.py', 'nothing.mp4', folder=tmp_path)
    assert done.returncode == 2
    assert 'OpenCV cannot open nothing.mp4' in done.stderr


def test_image_folder_tracks_the_images_in_the_order_of_their_numbers(tmp_path):
    folder = tmp_path / 'images'
    folder.mkdir()
    for i, image in enumerate(walking.images()):
        Image.fromarray(image).save(folder / f'{i + 1}.png')
    (folder / 'notes.txt').write_text('no image')
    done = run(EXAMPLES / 'image_folder.py', folder, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.findall(r'^\d+\.png$', done.stdout, re.M) == [f'{i}.png' for i in range(1, 13)]
    assert re.search(r'^  person \d+, score 0\.\d\d, at \[', done.stdout, re.M)


def test_image_folder_says_that_there_are_no_images(tmp_path):
    done = run(EXAMPLES / 'image_folder.py', tmp_path, folder=tmp_path)
    assert done.returncode == 2
    assert 'has no images: .jpg' in done.stderr


def test_own_detector_tracks_the_boxes_of_the_file(video, tmp_path):
    truth = walking.boxes()
    with open(tmp_path / 'det.txt', 'w') as file:
        for t, people in enumerate(truth):
            for _, x1, y1, x2, y2 in people:
                file.write(f'{t + 1},-1,{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},0.9\n')
    done = run(EXAMPLES / 'own_detector.py', video, 'det.txt', folder=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = np.loadtxt(tmp_path / 'tracks.txt', delimiter=',')
    # Each person has an id, and keeps it.
    people = Counter()
    for frame, identity, left, top, width, height, *_ in rows:
        true = truth[int(frame) - 1]
        box = np.array([[left, top, left + width, top + height]])
        overlaps = box_iou(box, true[:, 1:])[0]
        assert overlaps.max() > 0.95
        people[int(identity), int(true[overlaps.argmax(), 0])] += 1
    assert len(people) == len({person for _, person in people}) == 4
    assert len({identity for identity, _ in people}) == 4


def test_the_notebook_shows_pictures(video, tmp_path):
    done = run('-c', RUN_NOTEBOOK, NOTEBOOK, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r'^person \d+: score 0\.\d\d$', done.stdout, re.M)
    with Image.open(tmp_path / '1.png') as frame, Image.open(tmp_path / '2.png') as objects:
        assert frame.size == walking.SIZE
        assert objects.width == 8 * 96
        assert np.asarray(frame).std() > 10
        assert np.asarray(objects).std() > 10


def test_the_notebook_is_valid_and_has_no_outputs():
    notebook = json.loads(NOTEBOOK.read_text())
    assert (notebook['nbformat'], notebook['nbformat_minor']) == (4, 5)
    cells = notebook['cells']
    assert len({cell['id'] for cell in cells}) == len(cells)
    for cell in cells:
        assert cell['cell_type'] in ('code', 'markdown')
        if cell['cell_type'] == 'code':
            assert cell['outputs'] == []
            assert cell['execution_count'] is None


def test_the_notebook_is_valid_for_jupyter():
    nbformat = pytest.importorskip('nbformat', reason='needs nbformat')
    nbformat.validate(nbformat.read(NOTEBOOK, 4))


def test_the_readme_has_a_line_for_each_example():
    text = (EXAMPLES / 'README.md').read_text()
    for path in EXAMPLES.iterdir():
        if path.suffix in ('.py', '.ipynb'):
            assert f'examples/{path.name}' in text


def test_the_costmap_for_nav2_marks_the_obstacles_and_clears_them_by_a_scan():
    costmap = yaml.safe_load((EXAMPLES / 'nav2_costmap.yaml').read_text())
    settings = costmap['local_costmap']['local_costmap']['ros__parameters']
    layer = settings['obstacle_layer']
    assert 'obstacle_layer' in settings['plugins']
    assert layer['observation_sources'].split() == ['scan', 'tracked']
    scan, tracked = layer['scan'], layer['tracked']
    assert (tracked['topic'], tracked['data_type']) == ('/tracker/obstacles', 'PointCloud2')
    assert scan['clearing']
    assert not tracked['clearing']
    assert scan['raytrace_max_range'] >= tracked['obstacle_max_range']
    assert tracked['sensor_frame'] != settings['global_frame']
    assert tracked['max_obstacle_height'] > 0


def test_the_code_in_the_readme_runs(video, tmp_path):
    [code] = re.findall(r'```python\n(.*?)```', (EXAMPLES / 'README.md').read_text(), re.S)
    done = run('-c', code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= 12
    assert "'person'" in done.stdout
