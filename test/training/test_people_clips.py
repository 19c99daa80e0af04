# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training clips of rendered people, with the avatars that the package contains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from opengl import needs_opengl
import pytest
import torch
from training_data import write_config

from gtr_ros.data.people import PeopleScene
from gtr_ros.model.build import gtr_mobile
from gtr_ros.training.assembly import make_source
from gtr_ros.training.config import ConfigError
from gtr_ros.training.config import People
from gtr_ros.training.config import read_config
from gtr_ros.training.people_clips import PeopleClips
from gtr_ros.training.people_clips import RATE
from gtr_ros.training.run import train

pytestmark = needs_opengl

SMALL = PeopleScene(split='test', pool=20, size=(96, 128))


@pytest.fixture(scope='module')
def clip():
    return PeopleClips(SMALL, frames=4, objects=(8, 8))(np.random.default_rng(3))


def test_a_clip_shows_people_with_their_identities(clip):
    assert len(clip) == 4 and clip.pool == 'people test' and not clip.complete
    assert all(image.shape == (96, 128, 3) and image.dtype == np.uint8 for image in clip.images)
    seen = [i for ids in clip.ids for i in ids.tolist()]
    assert len(set(seen)) < len(seen)  # somebody is seen twice
    assert min(seen) > 0
    for boxes, ids, labels in zip(clip.boxes, clip.ids, clip.labels, strict=True):
        assert len(boxes) == len(ids) == len(labels) and len(np.unique(ids)) == len(ids)
        assert (boxes[:, 2:] - boxes[:, :2] >= 1).all() and (boxes >= 0).all()


def test_the_same_random_numbers_give_the_same_clip(clip):
    again = PeopleClips(SMALL, frames=4, objects=(8, 8))(np.random.default_rng(3))
    assert again.source == clip.source
    assert all(np.array_equal(a, b) for a, b in zip(again.images, clip.images))


def test_frames_are_as_far_apart_as_wanted():
    source = PeopleClips(SMALL, frames=5, gaps=(1.0, 2.0), returns=1.0, away=15.0)
    drawn = [source.draw_frames(np.random.default_rng(seed)) for seed in range(50)]
    gaps = np.diff(np.stack(drawn)) / RATE
    assert ((gaps == 15.0).sum(axis=1) == 1).all()
    others = gaps[gaps != 15.0]
    assert others.min() >= 0.97 and others.max() <= 2.03 and len(np.unique(others)) > 10


def test_frames_are_never_the_same_one():
    source = PeopleClips(SMALL, frames=6, gaps=(0.001, 0.002), returns=0)
    assert (np.diff(source.draw_frames(np.random.default_rng(0))) == 1).all()


def test_a_run_trains_on_people(tmp_path: Path):
    entry = {
        'people': {'split': 'test', 'pool': 12, 'size': [96, 128], 'objects': [3, 5]},
        'frames': 2,
    }
    config = write_config(
        tmp_path / 'c.yaml',
        clips=[entry],
        classes=None,
        losses={'detector': 0, 'embedding': 1},
        schedule={'iterations': 2, 'batch': 2, 'warmup': 1, 'rates': {'detector': 0}},
        stored={'clips': 2},
    )
    weights = train(read_config(config), tmp_path / 'run', tmp_path, torch.device('cpu'))
    assert gtr_mobile(weights).class_names[0] == 'person'


@pytest.mark.parametrize(('key', 'value'), [('objects', [8, 4]), ('gaps', [0, 1])])
def test_a_range_that_is_none_is_refused(tmp_path, key, value):
    file = write_config(tmp_path / 'c.yaml', clips=[{'people': {key: value}}])
    with pytest.raises(ConfigError, match=rf'clips.0.people.{key}: .*in ascending order'):
        read_config(file)


def test_people_need_a_model_that_detects_them(tmp_path):
    config = read_config(
        write_config(tmp_path / 'c.yaml', clips=[{'people': {}}], classes=['crate'])
    )
    assert isinstance(config.clips[0], People)
    with pytest.raises(ConfigError, match="the class 'person'"):
        make_source(config, gtr_mobile(class_names=('crate',)), tmp_path)
