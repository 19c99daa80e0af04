# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr adapt`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from rosbags.rosbag2 import Writer
import torch
from videos import write_noise
from writers import bag_image_message
from writers import write_bag

from gtr_ros.cli import main
from gtr_ros.cli.adapt import NOT_BETTER
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.media.pixels import read_picture
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.training import adapting

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture
def noise(tmp_path) -> Path:
    return write_noise(tmp_path / 'noise.mp4')


@pytest.fixture
def crowd(coco_mini, tmp_path) -> Path:
    """Return a video at 5 Hz, in which the camera moves over a photo of many objects."""
    labels = json.loads((coco_mini / 'train.json').read_text())
    large = [a for a in labels['annotations'] if a['area'] > 3000 and not a['iscrowd']]
    counts = np.bincount([a['image_id'] for a in large])
    [name] = [i['file_name'] for i in labels['images'] if i['id'] == counts.argmax()]
    image = read_picture(coco_mini / 'train' / name)
    height, width = (side // 2 * 2 - 32 for side in image.shape[:2])
    path = tmp_path / 'crowd.mp4'
    with VideoWriter(path, 5, (width, height)) as writer:
        for t in range(90):
            x, y = (round(15 + 15 * wave(t / 5)) for wave in (np.sin, np.cos))
            writer.write(image[y : y + height, x : x + width])
    return path


def error_of(capsys) -> str:
    return ' '.join(capsys.readouterr().err.split())


def test_adapted_weights_say_where_they_come_from(crowd, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting, '_decide', lambda measures, cue: (True, 'decided by a test'))
    out = tmp_path / 'new' / 'adapted.safetensors'
    arguments = ['--iterations', '2', '--seed', '5', '--end', '17.5']
    assert main(['adapt', str(crowd), '--out', str(out), *arguments]) == 0
    state, metadata = load_checkpoint(out)
    before, original = load_checkpoint(default_checkpoint('mobile'))
    assert metadata['adapted_to'] == 'crowd'
    assert metadata['adapted_seed'] == '5'
    assert metadata['adapted_from'].startswith('gtr_mobile.safetensors, ')
    assert set(json.loads(metadata['adapted_agreement'])) == {'cosine', 'transformer'}
    assert str(tmp_path) not in str(metadata)
    assert metadata['class_names'] == original['class_names']
    detector = [name for name in before if name.startswith('detector.')]
    assert all(torch.equal(state[name], before[name]) for name in detector)
    assert any(not torch.equal(state[name], before[name]) for name in before)
    assert (
        gtr_mobile(out).association.calibration.cue == json.loads(original['calibration'])['cue']
    )


def test_weights_that_are_not_better_are_not_written(crowd, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(adapting, '_decide', lambda measures, cue: (False, 'refused by a test'))
    out = tmp_path / 'adapted.safetensors'
    assert main(['adapt', str(crowd), '--out', str(out), '--iterations', '1']) == NOT_BETTER
    text = error_of(capsys)
    assert 'held out, cosine: agreement' in text
    assert 'held out, transformer: agreement' in text
    assert 'nothing was written: refused by a test' in text
    assert not out.exists()


def test_ctrl_c_leaves_no_file(crowd, tmp_path, monkeypatch, capsys):
    def interrupt(*arguments) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(adapting, 'window_loss', interrupt)
    out = tmp_path / 'adapted.safetensors'
    assert main(['adapt', str(crowd), '--out', str(out)]) == 130
    assert 'interrupted' in error_of(capsys)
    assert list(tmp_path.iterdir()) == [crowd]


def test_a_short_recording_is_refused(noise, tmp_path, capsys):
    assert main(['adapt', str(noise), '--out', str(tmp_path / 'a.safetensors')]) == 1
    assert 'too short: 4 frames' in error_of(capsys)


def test_a_bag_is_read_and_its_camera_can_be_named(tmp_path, capsys):
    images = [(t * 10**8, np.full((48, 64, 3), t, np.uint8)) for t in range(1, 5)]
    write_bag(tmp_path / 'bag', images=images)
    out = ['--out', str(tmp_path / 'a.safetensors')]
    assert main(['adapt', str(tmp_path / 'bag'), *out]) == 1
    assert 'too short: 4 frames' in error_of(capsys)
    assert main(['adapt', str(tmp_path / 'bag'), *out, '--image-topic', '/other']) == 1
    assert 'no topic of image messages' in error_of(capsys)


def test_of_a_bag_with_two_cameras_one_must_be_named(tmp_path, capsys):
    store, bag = typestore(), tmp_path / 'two'
    with Writer(bag, version=9) as writer:
        for topic in ('/left/image_raw', '/right/image_raw'):
            connection = writer.add_connection(topic, IMAGE, typestore=store)
            for t in range(1, 4):
                message = bag_image_message(t * 10**8, np.zeros((48, 64, 3), np.uint8))
                writer.write(connection, t * 10**8, store.serialize_cdr(message, IMAGE))
    out = ['--out', str(tmp_path / 'a.safetensors')]
    assert main(['adapt', str(bag), *out]) == 1
    error = error_of(capsys)
    assert '--image-topic' in error
    assert '/left/image_raw' in error and '/right/image_raw' in error
    assert main(['adapt', str(bag), *out, '--image-topic', '/left/image_raw']) == 1
    assert 'too short: 3 frames' in error_of(capsys)


@pytest.mark.parametrize(
    ('arguments', 'problem'),
    [
        (['0', '--out', 'a.safetensors'], '0 is a camera, which has no end'),
        (['nothing.mp4', '--out', 'a.safetensors'], 'no recording at nothing.mp4'),
        (['noise.mp4', '--out', 'a.pth'], 'expected a name that ends in .safetensors'),
        (['noise.mp4', '--out', 'noise.mp4/a.safetensors'], 'not a folder that can be written to'),
        (['noise.mp4', '--out', 'folder.safetensors'], 'a folder; choose another name'),
        (['noise.mp4', '--out', 'a.safetensors', '--iterations', '0'], '--iterations is 0'),
        (['noise.mp4', '--out', 'a.safetensors', '--seconds', 'nan'], '--seconds is nan'),
        (['noise.mp4', '--out', 'a.safetensors', '--start', '3', '--end', '2'], '--end is 2'),
        (['noise.mp4', '--out', 'a.safetensors', '--image-topic', '/a'], 'is not a bag'),
        (['noise.mp4', '--out', 'a.safetensors', '--rate', '5'], 'not a folder or a glob'),
        (['noise.mp4', '--out', 'a.safetensors', '--checkpoint', 'random'], 'untrained weights'),
        (['noise.mp4', '--out', 'a.safetensors', '--checkpoint', 'no'], 'no checkpoint at no'),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(
    arguments, problem, noise, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'folder.safetensors').mkdir()
    assert main(['adapt', *arguments]) == 1
    error = capsys.readouterr().err
    assert problem in error
    assert error.count('\n') == 1
    assert not (tmp_path / 'a.safetensors').exists()


def test_the_checkpoint_is_not_overwritten(noise, tmp_path, capsys):
    file = tmp_path / 'own.safetensors'
    file.write_bytes(default_checkpoint('mobile').read_bytes())
    link = tmp_path / 'link.safetensors'
    link.symlink_to(file)
    for out in (file, link):
        assert main(['adapt', str(noise), '--out', str(out), '--checkpoint', str(file)]) == 1
        assert 'the checkpoint to start from; choose another name' in error_of(capsys)


@pytest.mark.parametrize(
    ('metadata', 'problem'),
    [
        ({'model': 'gtr_mobile', 'association': 'cosine'}, 'no association transformer'),
        ({'model': 'gtr_mot'}, 'the weights of gtr_mot; expected gtr_mobile'),
    ],
)
def test_weights_without_a_transformer_are_refused(metadata, problem, noise, tmp_path, capsys):
    file = tmp_path / 'other.safetensors'
    save_checkpoint(file, {'weight': torch.zeros(1)}, metadata)
    out = tmp_path / 'a.safetensors'
    assert main(['adapt', str(noise), '--out', str(out), '--checkpoint', str(file)]) == 1
    assert problem in error_of(capsys)
