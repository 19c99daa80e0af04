# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr train` as users have it: a file, a folder, and what is said when something is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import numpy as np
from paths import REPOSITORY
import pytest
import torch
from training_data import write_coco
from training_data import write_config
import yaml

from gtr_ros.cli import main
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.training.config import ConfigError
from gtr_ros.training.config import read_config

CONFIGS = sorted((REPOSITORY / 'config' / 'training').glob('*.yaml'))

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def data(tmp_path) -> Path:
    write_coco(tmp_path)
    write_config(tmp_path / 'config.yaml')
    return tmp_path


def gtr_train(data: Path, *more: str) -> int:
    config, out = data / 'config.yaml', data / 'run'
    return main(['train', str(config), '--data', str(data), '--out', str(out), *more])


def test_a_training_leaves_weights_that_know_what_they_are(data):
    assert gtr_train(data) == 0
    names = {f.name.split('.')[0] for f in (data / 'run').iterdir()}
    assert names == {'last', 'model', 'config', 'environment', 'validation', 'events'}
    _, metadata = load_checkpoint(data / 'run' / 'model.safetensors')
    assert metadata['model'] == 'gtr_mobile'
    assert json.loads(metadata['class_names']) == ['person', 'crate']
    model = gtr_mobile(data / 'run' / 'model.safetensors')
    assert model.class_names == ('person', 'crate')
    (found,) = model.detect([np.zeros((64, 64, 3), np.uint8)], score_threshold=0.0)
    assert found.features.shape[1] == 256
    worth = model.association.calibration
    assert Calibration.read(metadata) == worth
    assert -1 <= worth.different < worth.same <= 1
    said = (data / 'run' / 'environment.txt').read_text()
    assert f'torch: {torch.__version__}' in said
    assert 'commit: ' in said


def test_a_training_of_the_detector_alone_says_nothing_of_likeness(data):
    # Nor what the weights were worth that it began with: their features are others now.
    file = data / 'start.safetensors'
    metadata = {'association': 'transformer', **Calibration(same=0.9).write()}
    save_checkpoint(file, gtr_mobile(association='transformer').state_dict(), metadata)
    write_config(
        data / 'config.yaml',
        start=str(file),
        classes=None,
        losses={'association': 0},
        schedule={'iterations': 1, 'batch': 1},
    )
    assert gtr_train(data) == 0
    _, metadata = load_checkpoint(data / 'run' / 'model.safetensors')
    assert 'calibration' not in metadata


def test_a_run_goes_on_where_it_stopped_and_ends_as_one_that_never_did(data):
    assert gtr_train(data, '--set', 'schedule.iterations=4') == 0
    whole, worth = load_checkpoint(data / 'run' / 'model.safetensors')
    script = (
        'import sys; from gtr_ros.training import run; from gtr_ros.cli import main\n'
        'steps = run.Trainer.steps\n'
        'def stop(self):\n'
        '    for step in steps(self):\n'
        '        yield step\n'
        '        if step.iteration == 2: raise RuntimeError("killed")\n'
        'run.Trainer.steps = stop\n'
        'import torch; torch.set_num_threads(1)\n'
        'sys.exit(main(sys.argv[1:]))\n'
    )
    second = ['--data', str(data), '--out', str(data / 'second')]
    command = [sys.executable, '-c', script, 'train', str(data / 'config.yaml'), *second]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0
    assert 'calibration' not in load_checkpoint(data / 'second' / 'model.safetensors')[1]
    assert main(['train', str(data / 'config.yaml'), *second, '--resume']) == 0
    resumed, again = load_checkpoint(data / 'second' / 'model.safetensors')
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert worth == again


def test_ctrl_c_writes_what_to_go_on_from(data):
    # Validation measures nothing here, but its file says that a step was made.
    write_config(
        data / 'config.yaml',
        schedule={'iterations': 10000, 'batch': 1},
        save_every=10**6,
        validation={'every': 1},
    )
    command = [sys.executable, '-m', 'gtr_ros.cli', 'train', 'config.yaml', '--out', 'run']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    process = subprocess.Popen(
        command, cwd=data, env=environment, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 240
    while not (data / 'run' / 'validation.jsonl').is_file():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert not (data / 'run' / 'last.pt').exists()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert 'Traceback' not in said
    state = torch.load(data / 'run' / 'last.pt', weights_only=True)
    assert state['iteration'] >= 1


def test_a_folder_that_holds_a_run_is_not_overwritten(data, capsys):
    assert gtr_train(data) == 0
    assert gtr_train(data) == 1
    assert '--resume' in capsys.readouterr().err


def test_resuming_says_what_is_missing_or_different(data, capsys):
    assert gtr_train(data, '--resume') == 1
    assert 'nothing to resume' in capsys.readouterr().err
    assert gtr_train(data) == 0
    assert gtr_train(data, '--resume', '--set', 'schedule.batch=1') == 1
    assert 'another configuration: schedule differ' in capsys.readouterr().err


def test_validation_is_measured_and_kept(data):
    write_config(
        data / 'config.yaml',
        validation={
            'every': 2,
            'detection': 'train.json',
            'sequences': ['synthetic:objects=2,duration=1,size=96x96,occlusion=0'],
        },
    )
    assert gtr_train(data) == 0
    lines = (data / 'run' / 'validation.jsonl').read_text().splitlines()
    assert [json.loads(line)['iteration'] for line in lines] == [2, 4]
    assert json.loads(lines[0]).keys() >= {'AP', 'AP50', 'person AP50', 'HOTA', 'IDF1', 'MOTA'}


def test_missing_data_are_named(data, capsys):
    (data / 'train' / '0.png').unlink()
    assert gtr_train(data) == 1
    said = capsys.readouterr().err
    assert 'train.json' in said
    assert '0.png' in said


def test_labelled_videos_are_trained_on(data):
    videos = {
        'videos': ['synthetic:objects=3,duration=2,size=96x96,occlusion=0'],
        'frames': 2,
        'most_frames': 2,
        'window': {'size': 64, 'scale': [1, 1]},
    }
    write_config(data / 'config.yaml', clips=[videos], schedule={'iterations': 1, 'batch': 1})
    assert gtr_train(data) == 0


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (['schedule.iterations=many'], "schedule.iterations: .*not 'many'"),
        (['schedule.speed=3'], 'schedule.speed: Unexpected'),
        (['clips.0.window.size=100'], 'clips.0.window.size: .*multiple of 32, not 100'),
        (['clips.0.weight=-1'], 'clips.0.weight: .*greater than 0'),
        (['clips.0.wieght=1'], 'clips.0.wieght: Extra'),
        (['clips=[]'], 'clips: '),
        (['model=yolo'], "model: .*'mobile', 'mot' or 'tao'"),
        (['clips.7.weight=1'], "--set 'clips.7.weight=1' does not fit"),
        (['nothing'], 'expected KEY=VALUE'),
    ],
)
def test_a_configuration_is_read_strictly(data, changes, said):
    with pytest.raises(ConfigError, match=said):
        read_config(data / 'config.yaml', tuple(changes))


@pytest.mark.parametrize('text', ['- 1', 'model: [', '', 'x\x00'])
def test_a_file_that_is_no_configuration_is_named(tmp_path, text):
    file = tmp_path / 'config.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError, match=r'config\.yaml'):
        read_config(file)
    with pytest.raises(ConfigError, match='cannot be read'):
        read_config(tmp_path / 'none.yaml')


@pytest.mark.parametrize('file', CONFIGS, ids=lambda f: f.stem)
def test_the_configurations_that_come_along_can_be_read(file):
    config = read_config(file)
    assert config.schedule.iterations > 0
    text = yaml.safe_load(file.read_text())
    assert text.keys() <= type(config).model_fields.keys()
