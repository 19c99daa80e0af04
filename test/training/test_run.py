# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr train`: configuration, files of a run, resuming, errors."""

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
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_coco(tmp_path)
    write_config(tmp_path / 'config.yaml')
    return tmp_path


def gtr_train(data: Path, *more: str) -> int:
    config, out = data / 'config.yaml', data / 'run'
    return main(['train', str(config), '--data', str(data), '--out', str(out), *more])


def test_a_training_writes_weights_with_their_metadata(data):
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
    calibration = model.association.calibration
    assert Calibration.read(metadata) == calibration
    assert -1 <= calibration.different < calibration.same <= 1
    environment = (data / 'run' / 'environment.txt').read_text()
    assert f'torch: {torch.__version__}' in environment
    assert 'commit: ' in environment


def test_a_training_of_the_detector_alone_has_no_calibration(data):
    # That of the initial weights is not kept: the features have changed.
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


def test_a_resumed_run_ends_like_an_uninterrupted_one(data):
    assert gtr_train(data, '--set', 'schedule.iterations=4') == 0
    whole, metadata = load_checkpoint(data / 'run' / 'model.safetensors')
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
    resumed, resumed_metadata = load_checkpoint(data / 'second' / 'model.safetensors')
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert metadata == resumed_metadata


def test_ctrl_c_writes_the_state_to_resume_from(data):
    # Validation has no metrics here, but its file shows that a step is done.
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


def test_a_folder_with_a_run_is_not_overwritten(data, capsys):
    assert gtr_train(data) == 0
    assert gtr_train(data) == 1
    assert '--resume' in capsys.readouterr().err


def test_resuming_reports_missing_files_and_changed_keys(data, capsys):
    assert gtr_train(data, '--resume') == 1
    assert 'nothing to resume' in capsys.readouterr().err
    assert gtr_train(data) == 0
    assert gtr_train(data, '--resume', '--set', 'schedule.batch=1') == 1
    assert 'another configuration: schedule differ' in capsys.readouterr().err


def test_the_metrics_of_validations_are_written(data):
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


def test_missing_data_are_reported_by_name(data, capsys):
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
        'crop': {'size': 64, 'scale': [1, 1]},
    }
    write_config(data / 'config.yaml', clips=[videos], schedule={'iterations': 1, 'batch': 1})
    assert gtr_train(data) == 0


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (['schedule.iterations=many'], "schedule.iterations: .*not 'many'"),
        (['schedule.speed=3'], 'schedule.speed: Unexpected'),
        (['clips.0.crop.size=100'], 'clips.0.crop.size: .*multiple of 32, not 100'),
        (['clips.0.weight=-1'], 'clips.0.weight: .*greater than 0'),
        (['clips.0.wieght=1'], 'clips.0.wieght: Extra'),
        (['clips=[]'], 'clips: '),
        (['model=yolo'], "model: model 'yolo'; expected one of mobile, mot, tao$"),
        (['clips.7.weight=1'], "--set 'clips.7.weight=1' does not fit"),
        (['nothing'], 'expected KEY=VALUE'),
    ],
)
def test_a_configuration_is_validated_strictly(data, changes, said):
    with pytest.raises(ConfigError, match=said):
        read_config(data / 'config.yaml', tuple(changes))


def test_former_names_of_keys_are_accepted(data):
    clips = {'stills': 'coco', 'annotations': 'train.json'}
    videos = {'videos': ['synthetic']}
    former = {
        'clips': [
            {**clips, 'window': {'size': 96}, 'walkers': 3, 'walker_classes': ['crate']},
            {**videos, 'window': {'size': 128}},
        ],
        'losses': {'rule': 'paper'},
    }
    current = {
        'clips': [
            {**clips, 'crop': {'size': 96}, 'pasted_objects': 3, 'pasted_classes': ['crate']},
            {**videos, 'crop': {'size': 128}},
        ],
        'losses': {'association_variant': 'paper'},
    }
    one, two = (
        read_config(write_config(data / 'config.yaml', **changes)) for changes in (former, current)
    )
    assert one == two
    assert [entry.crop.size for entry in one.clips] == [96, 128]
    assert one.clips[0].pasted_objects == 3
    assert one.clips[0].pasted_classes == ['crate']
    assert one.losses.association_variant == 'paper'
    with pytest.raises(ConfigError, match=r'clips\.0\.window: Extra'):
        read_config(data / 'config.yaml', ('clips.0.window.size=64',))


def test_a_run_whose_configuration_has_former_names_is_resumed(data):
    assert gtr_train(data) == 0
    file = data / 'run' / 'config.json'
    former = file.read_text().replace('"crop"', '"window"')
    file.write_text(former.replace('"association_variant"', '"rule"'))
    assert gtr_train(data, '--resume') == 0
    file.write_text('{}')
    assert gtr_train(data, '--resume') == 1


@pytest.mark.parametrize('text', ['- 1', 'model: [', '', 'x\x00'])
def test_the_error_names_a_file_that_is_not_a_configuration(tmp_path, text):
    file = tmp_path / 'config.yaml'
    file.write_text(text)
    with pytest.raises(ConfigError, match=r'config\.yaml'):
        read_config(file)
    with pytest.raises(ConfigError, match='cannot be read'):
        read_config(tmp_path / 'none.yaml')


@pytest.mark.parametrize('file', CONFIGS, ids=lambda f: f.stem)
def test_the_included_configurations_can_be_read(file):
    config = read_config(file)
    assert config.schedule.iterations > 0
    text = yaml.safe_load(file.read_text())
    assert text.keys() <= type(config).model_fields.keys()
