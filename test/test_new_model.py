# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A new model is one file with a registry entry: it trains, tracks, is evaluated."""

from __future__ import annotations

from pathlib import Path
import subprocess
import sys

from node_processes import Camera
from node_processes import process
from node_processes import ros_environment
import numpy as np
import pytest
from training_data import write_coco
from training_data import write_config

from gtr_ros.media.video import VideoWriter
from gtr_ros.model.checkpoint import load_checkpoint

SUPPORT = Path(__file__).parent / 'support'
SIZE = (96, 64)
#: starts a program of the package with the model registered
WITH_TOY = (
    f'import sys; sys.path.insert(0, {str(SUPPORT)!r}); import torch, toy_model; '
    'torch.set_num_threads(1); '
)
GTR = WITH_TOY + 'from gtr_ros.cli import main; sys.exit(main(sys.argv[1:]))'
NODE = WITH_TOY + 'from gtr_ros.node.tracker.node import main; sys.exit(main(sys.argv))'


def gtr(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, '-c', GTR, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True)


def scene(t: int) -> np.ndarray:
    """Return two bright blobs on dark ground, one of which moves."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    image[8:24, 8 + 4 * t : 24 + 4 * t] = (250, 160, 160)
    image[40:60, 64:80] = (160, 160, 250)
    return image


@pytest.fixture(scope='module')
def weights(tmp_path_factory) -> Path:
    """Train the model on a few drawn images; return its weights."""
    folder = tmp_path_factory.mktemp('training')
    write_coco(folder)
    write_config(
        folder / 'toy.yaml',
        model='toy',
        classes=None,
        clips=[{'stills': 'coco', 'annotations': 'train.json', 'frames': 2, 'crop': {'size': 64}}],
    )
    run = gtr('train', folder / 'toy.yaml', '--data', folder, '--out', folder / 'run')
    assert run.returncode == 0, run.stderr
    return folder / 'run' / 'model.safetensors'


def test_it_trains(weights):
    state, metadata = load_checkpoint(weights)
    assert metadata['model'] == 'gtr_toy'
    assert 'calibration' in metadata
    assert 'detector.stem.weight' in state


def test_it_tracks_a_video(weights, tmp_path):
    with VideoWriter(tmp_path / 'video.mp4', 10, SIZE) as writer:
        for t in range(8):
            writer.write(scene(t))
    out = tmp_path / 'tracks.txt'
    run = gtr(
        *('track', tmp_path / 'video.mp4', '--out', out),
        *('--model', 'toy', '--checkpoint', weights),
    )
    assert run.returncode == 0, run.stderr
    rows = [line.split(',') for line in out.read_text().splitlines()]
    assert {row[1] for row in rows} == {'1', '2'}
    assert len(rows) >= 2 * 6


def test_it_is_evaluated(weights, tmp_path):
    run = gtr(
        'evaluate',
        'synthetic:objects=2,duration=3',
        *('--model', 'toy', '--checkpoint', weights, '--trackers', 'gtr', '--strides', '1'),
        *('--out', tmp_path / 'evaluation', '--cache', tmp_path / 'cache'),
    )
    assert run.returncode == 0, run.stderr
    assert (tmp_path / 'evaluation' / 'report.html').is_file()


def test_it_is_exported_and_runs_in_another_runtime(weights, tmp_path):
    pytest.importorskip('onnxruntime')
    run = gtr('export', '--model', 'toy', '--checkpoint', weights, '--out', tmp_path / 'onnx')
    assert run.returncode == 0, run.stderr
    with VideoWriter(tmp_path / 'video.mp4', 10, SIZE) as writer:
        for t in range(8):
            writer.write(scene(t))
    texts = []
    for runtime, files in (('torch', ()), ('onnxruntime', ('--exported', tmp_path / 'onnx'))):
        out = tmp_path / f'{runtime}.txt'
        run = gtr(
            *('track', tmp_path / 'video.mp4', '--out', out, '--model', 'toy'),
            *('--checkpoint', weights, '--runtime', runtime, *files),
        )
        assert run.returncode == 0, run.stderr
        texts.append(out.read_text())
    assert texts[0] == texts[1] != ''


def test_it_is_refused_on_a_cluster_that_does_not_know_it(weights, tmp_path):
    with VideoWriter(tmp_path / 'video.mp4', 10, SIZE) as writer:
        writer.write(scene(0))
    run = gtr(
        *('track', tmp_path / 'video.mp4', '--out', tmp_path / 'out', '--model', 'toy'),
        *('--checkpoint', weights, '--ray', 'local'),
    )
    assert run.returncode == 1
    assert "model 'toy' is registered in this process only" in run.stderr


@pytest.mark.ros
def test_it_runs_in_the_node(weights):
    parameters = ('-p', 'model:=toy', '-p', f'checkpoint:={weights}', '-p', 'min_hits:=1')
    with ros_environment(), process(sys.executable, '-c', NODE, '--ros-args', *parameters) as node:
        camera = Camera()
        try:
            camera.wait_for_tracker()
            answers = [camera.exchange(scene(t)) for t in range(4)]
        finally:
            camera.close()
        ids = [{detection.id for detection in answer.detections} for answer in answers]
        assert ids == [{'1', '2'}] * 4, node.output


def test_without_its_file_the_model_is_refused_and_the_known_ones_are_listed(tmp_path):
    command = [sys.executable, '-m', 'gtr_ros.cli', 'track', 'video.mp4', '--model', 'toy']
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert 'mobile' in run.stderr
    assert 'tao' in run.stderr
