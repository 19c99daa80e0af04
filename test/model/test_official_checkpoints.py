# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The authors' checkpoints are read whole and safely, or refused with the reason."""

from __future__ import annotations

import ast
import hashlib
import os
from pathlib import Path
import pickle

import numpy as np
from parity import formula_tensor
from paths import FIXTURES
import pytest
import torch
from torch import Tensor

from gtr_ros.model.build import gtr_mot
from gtr_ros.model.build import gtr_tao
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import load_official
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.official import is_ignored
from gtr_ros.model.official import our_key
from gtr_ros.model.official import published_key
from gtr_ros.model.registry import model_builder

#: what the published files hold and our models lack, by kind
DEAD = {
    'mot': [f'backbone.bottom_up.level{i}.project' for i in (3, 4)],
    'tao': [
        f'roi_heads.box_predictor.{i}.{name}'
        for i in range(3)
        for name in ('fed_loss_cls_weights', 'freq_weight')
    ],
}
FIRST = 'backbone.bottom_up.base_layer.0.weight'
EDGES = 'backbone.cell.2.fnode.4.combine.edge_weights'


def published_shapes(model: str) -> dict[str, tuple[int, ...]]:
    """Return every key of a published checkpoint and its shape."""
    lines = (FIXTURES / f'official_keys_{model}.txt').read_text().splitlines()
    rows = (line.split('\t') for line in lines)
    return {key: ast.literal_eval(shape) for key, shape, _ in rows}


def hollow(model: str) -> dict[str, Tensor]:
    """Return the weights of a published checkpoint, all 0, in a file of a few kilobytes."""
    return {key: torch.zeros(()).expand(shape) for key, shape in published_shapes(model).items()}


def save(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


class Intruder:
    """An object that makes a folder when it is unpickled without care."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize('model', ['mot', 'tao'])
def test_every_published_key_is_one_of_our_parameters_and_none_is_left_over(model):
    with torch.device('meta'):
        ours = {key: tuple(v.shape) for key, v in model_builder(model)().state_dict().items()}
    published = published_shapes(model)
    assert {our_key(key): s for key, s in published.items() if not is_ignored(key)} == ours
    assert {published_key(key) for key in ours} == {k for k in published if not is_ignored(k)}
    dead = [key for key in published if is_ignored(key)]
    assert len(dead) == {'mot': 12, 'tao': 6}[model]
    assert all(key.startswith(tuple(DEAD[model])) for key in dead)


def test_a_published_file_becomes_the_model_with_exactly_its_weights(tmp_path):
    weights = {}
    for key, shape in published_shapes('mot').items():
        value = formula_tensor(key, shape)
        weights[key] = torch.tensor(7) if value is None else value
    content = {
        'model': weights | {'pixel_mean': torch.zeros(3, 1, 1), 'pixel_std': torch.zeros(3, 1, 1)},
        'optimizer': {'state': {0: {'step': 3}}, 'param_groups': [{'lr': 5e-5, 'params': [0]}]},
        'scheduler': {'base_lrs': [np.float64(5e-5)], 'last_epoch': np.int64(8000)},
        'iteration': 7999,
    }
    file = save(tmp_path / 'GTR_MOT_FPN.pth', content)

    state, metadata = load_official(file)
    assert metadata == {
        'model': 'gtr_mot',
        'source': 'GTR_MOT_FPN.pth, published by the authors of GTR',
        'source_sha256': hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert len(state) == 395 - 12
    assert all(torch.equal(weights[published_key(key)], value) for key, value in state.items())

    ours = tmp_path / 'ours.safetensors'
    save_checkpoint(ours, state, metadata)
    assert load_checkpoint(ours)[1] == metadata
    for source in (file, ours):
        loaded = gtr_mot(source).state_dict()
        assert loaded.keys() == state.keys()
        assert all(torch.equal(loaded[key], value) for key, value in state.items())


def test_the_tao_model_is_told_by_its_keys_and_is_no_mot_model(tmp_path):
    file = save(tmp_path / 'weights.pth', {'model': hollow('tao')})
    state, metadata = load_official(file)
    assert metadata['model'] == 'gtr_tao'
    assert len(state) == 1039 - 6
    with pytest.raises(CheckpointError, match=r'contains the weights of gtr_tao, not of gtr_mot'):
        gtr_mot(file)
    save_checkpoint(tmp_path / 'ours.safetensors', {}, {'model': 'gtr_mot'})
    with pytest.raises(CheckpointError, match=r'contains the weights of gtr_mot, not of gtr_tao'):
        gtr_tao(tmp_path / 'ours.safetensors')


def test_what_is_missing_unexpected_or_of_another_shape_is_listed_by_its_published_name(tmp_path):
    weights = hollow('mot')
    del weights[FIRST]
    weights[EDGES] = torch.ones(2)
    weights['roi_heads.mask_head.weight'] = torch.ones(1)
    weights['backbone.cell.3.fnode.0.combine.edge_weights'] = torch.ones(2)  # a fourth layer
    file = save(tmp_path / 'odd.pth', {'model': weights})
    with pytest.raises(CheckpointError) as caught:
        load_official(file)
    complaints = str(caught.value).removeprefix(f'{file} does not fit gtr_mot. ').split('; ')
    assert complaints == [
        f'missing: {FIRST}',
        'unexpected: backbone.cell.3.fnode.0.combine.edge_weights, roi_heads.mask_head.weight',
        f'of another shape: {EDGES} is (2,), expected (3,)',
    ]


@pytest.mark.parametrize(
    'content', [{'head.weight': torch.ones(1)}, {}], ids=['another model', 'no weights']
)
def test_a_checkpoint_of_another_model_is_refused(tmp_path, content):
    file = save(tmp_path / 'other.pth', {'model': content})
    with pytest.raises(CheckpointError, match=r'neither GTR_MOT_FPN.* begins with (head|nothing)'):
        load_official(file)


@pytest.mark.parametrize(
    'content',
    [
        [torch.ones(1)],
        {FIRST: torch.ones(1)},
        {'model': [torch.ones(1)]},
        {'model': {FIRST: 'a word'}},
    ],
    ids=['list', 'bare weights', 'list of weights', 'words'],
)
def test_a_file_without_a_models_tensors_is_refused(tmp_path, content):
    file = save(tmp_path / 'shapeless.pth', content)
    with pytest.raises(CheckpointError, match=r"shapeless\.pth has no tensors under 'model'"):
        load_official(file)


@pytest.mark.parametrize(
    'content',
    [b'', b'<!DOCTYPE html><title>Quota exceeded</title>', bytes(2000), b'PK\x03\x04 broken'],
    ids=['empty', 'web page', 'zeros', 'broken archive'],
)
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    file = tmp_path / 'junk.pth'
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'junk\.pth is not a checkpoint written by torch'):
        load_official(file)


def test_a_file_cut_short_is_refused(tmp_path):
    file = save(tmp_path / 'short.pth', {'model': hollow('mot')})
    file.write_bytes(file.read_bytes()[:-500])
    with pytest.raises(
        CheckpointError, match=r'short\.pth is not a checkpoint .* or it is damaged'
    ):
        load_official(file)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r'no checkpoint at .*nowhere\.pth'):
        load_official(tmp_path / 'nowhere.pth')


@pytest.mark.parametrize('zipped', [True, False], ids=['archive', 'legacy format'])
@pytest.mark.parametrize('place', ['model', 'hooks'])
def test_a_file_that_would_run_code_is_refused_and_nothing_runs(tmp_path, zipped, place):
    folder = tmp_path / 'made by the file'
    file = tmp_path / 'hostile.pth'
    content = {'model': hollow('mot')} | {place: Intruder(folder)}
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r'would run posix\.mkdir .* refused'):
        load_official(file)
    assert not folder.exists()


def test_a_plain_pickle_that_would_run_code_is_refused_and_nothing_runs(tmp_path):
    folder = tmp_path / 'made by the file'
    file = tmp_path / 'hostile.pth'
    file.write_bytes(pickle.dumps({'model': Intruder(folder)}))
    with pytest.raises(CheckpointError, match=r'hostile\.pth'):
        load_official(file)
    assert not folder.exists()
    pickle.loads(file.read_bytes())
    assert folder.exists()  # it would have
