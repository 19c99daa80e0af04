# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images are checked before a training; `gtr train --check` tries one without running it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch
from training_data import rectangles
from training_data import write_coco
from training_data import write_config

from gtr_ros.cli import main
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.files import atomic_write
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.training import checking
from gtr_ros.training import run
from gtr_ros.training.config import read_config
from gtr_ros.training.loop import Trainer
from gtr_ros.training.mobile import MobileObjective
from gtr_ros.training.optimisation import Schedule
from gtr_ros.training.optimisation import TrainingError

pytestmark = pytest.mark.usefixtures('one_thread')

#: a training of the detector alone is not calibrated, and ends in a second
FAST = {'losses': {'association': 0}}


@pytest.fixture
def data(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    write_coco(tmp_path)
    write_config(tmp_path / 'config.yaml', **FAST)
    return tmp_path


def gtr_train(data: Path, *more: str) -> int:
    config, out = data / 'config.yaml', data / 'run'
    return main(['train', str(config), '--data', str(data), '--out', str(out), *more])


def test_a_check_describes_the_training_and_writes_nothing(data, capfd):
    write_config(data / 'config.yaml', validation={'every': 1, 'detection': 'train.json'})
    assert gtr_train(data, '--check') == 0
    said = capfd.readouterr().err
    assert '2 classes: person, crate' in said
    assert 'training images: 4 with 8 boxes' in said
    assert 'validation images: 4 with 8 boxes' in said
    assert 'modes: 8 RGB' in said
    assert 'one batch of 2 clips: heat ' in said
    assert 'association ' in said
    assert 'config.yaml can be trained' in said
    assert not (data / 'run').exists()
    assert {f.name for f in data.iterdir()} <= {'cache', 'config.yaml', 'train', 'train.json'}


def test_a_check_counts_boxes_that_are_left_out(data, capfd):
    content = json.loads((data / 'train.json').read_text())
    content['annotations'][2]['bbox'][2] = -3
    (data / 'train.json').write_text(json.dumps(content))
    assert gtr_train(data, '--check') == 0
    said = capfd.readouterr().err
    assert '4 with 7 boxes; 1 boxes with a side below one pixel are left out' in said
    assert 'the first in 1.png' in said


@pytest.mark.parametrize('check', [True, False], ids=['--check', 'training'])
def test_every_image_that_cannot_be_used_is_named_before_the_first_step(data, capfd, check):
    (data / 'train' / '1.png').write_bytes(b'no image')
    whole = (data / 'train' / '3.png').read_bytes()
    (data / 'train' / '3.png').write_bytes(whole[: len(whole) // 2])
    assert gtr_train(data, *(['--check'] if check else [])) == 1
    said = capfd.readouterr().err
    assert '2 of 4 images cannot be used' in said
    assert '1.png' in said
    assert '3.png' in said
    assert 'Traceback' not in said
    assert not (data / 'run').exists()


def test_an_image_of_the_validation_is_checked_too(data, capfd):
    (data / 'val').mkdir()
    (data / 'val.json').write_text((data / 'train.json').read_text())
    for file in (data / 'train').iterdir():
        (data / 'val' / file.name).write_bytes(file.read_bytes())
    (data / 'val' / '2.png').write_bytes(b'no image')
    assert gtr_train(data, '--set', 'validation.detection=val.json') == 1
    assert 'val/2.png' in capfd.readouterr().err


def test_an_image_is_decoded_again_only_if_it_has_changed(data, monkeypatch, capfd):
    assert gtr_train(data) == 0
    decoded = []
    decode = checking._decode_part

    def note(part):
        decoded.extend(still.file.name for _, still in part)
        return decode(part)

    monkeypatch.setattr(checking, '_decode_part', note)
    assert gtr_train(data, '--resume') == 0
    assert decoded == []
    file = data / 'train' / '2.png'
    os.utime(file, (1, 1))
    assert gtr_train(data, '--resume') == 0
    assert decoded == ['2.png']
    assert gtr_train(data, '--check') == 0
    assert sorted(decoded[1:]) == ['0.png', '1.png', '2.png', '3.png']


def broken_source(rng):
    if rng.integers(1000) % 2:
        return rectangles(1)
    raise FormatError('7.png', 'not a readable image')


@pytest.mark.parametrize('workers', [0, 1])
def test_an_image_that_breaks_during_a_training_is_named(workers):
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    schedule = Schedule(iterations=20, batch=1)
    trainer = Trainer(MobileObjective(model), broken_source, schedule, workers=workers)
    with pytest.raises(TrainingError) as caught:
        list(trainer.steps())
    assert '7.png: not a readable image' in str(caught.value)
    assert '--resume' in str(caught.value)
    assert 'Traceback' not in str(caught.value)


def test_trying_a_batch_changes_no_weights():
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    trainer = Trainer(MobileObjective(model), lambda rng: rectangles(1), Schedule(iterations=3))
    before = [p.clone() for p in model.parameters()]
    assert sum(trainer.try_batch().values()) > 0
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters()))
    assert all(p.grad is None for p in model.parameters())
    assert trainer.iteration == 0


def test_a_finished_run_is_extended_and_its_learning_rate_follows_the_new_length(data):
    assert gtr_train(data) == 0
    config = read_config(data / 'config.yaml', ('schedule.iterations=6',))
    steps: list = []
    callbacks = run.Callbacks(on_step=steps.append)
    run.train(config, data / 'run', data, torch.device('cpu'), True, callbacks)
    assert [step.iteration for step in steps] == [5, 6]
    assert [step.rate for step in steps] == [config.schedule.rate_at(i) for i in (4, 5)]
    assert steps[0].rate > Schedule(iterations=4, warmup=1).rate_at(3)
    written = json.loads((data / 'run' / 'config.json').read_text())
    assert written['schedule']['iterations'] == 6
    assert torch.load(data / 'run' / 'last.pt', weights_only=True)['iteration'] == 6


def test_a_run_cannot_be_resumed_to_fewer_iterations_than_it_has(data, capfd):
    assert gtr_train(data) == 0
    assert gtr_train(data, '--resume', '--set', 'schedule.iterations=3') == 1
    assert 'has already done 4 iterations; schedule.iterations is 3' in capfd.readouterr().err


def test_keys_that_differ_are_named_with_both_values(data, capfd):
    assert gtr_train(data) == 0
    changes = ['schedule.batch=1', 'clips.0.crop.size=96', 'backbone=weights.safetensors']
    assert gtr_train(data, '--resume', '--set', *changes) == 1
    said = capfd.readouterr().err
    assert 'clips, schedule' in said
    assert 'schedule.batch is 2 there, and 1 now' in said
    assert 'clips.0.crop.size is 64 there, and 96 now' in said
    assert "backbone is None there, and 'weights.safetensors' now" in said


@pytest.mark.parametrize(('umask', 'mode'), [(0o022, 0o644), (0o027, 0o640)])
def test_files_have_the_mode_that_the_user_has_chosen(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save_checkpoint(tmp_path / 'model.safetensors', {'x': torch.zeros(1)}, {})
        with atomic_write(tmp_path / 'state.pt') as part:
            torch.save({}, part)
        with atomic_write(tmp_path / 'private.txt') as part:
            part.touch(0o600)
    finally:
        os.umask(before)
    modes = {f.name: f.stat().st_mode & 0o777 for f in tmp_path.iterdir()}
    assert modes == dict.fromkeys(('model.safetensors', 'state.pt', 'private.txt'), mode)
