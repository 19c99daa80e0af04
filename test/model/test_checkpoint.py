# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights are written whole, read safely, and refused with a reason."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
import torch
from torch import nn

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.weights import importing
from gtr_ros.weights.tfjs import GraphError
from gtr_ros.weights.tfjs import read_weights


def test_weights_and_their_metadata_survive_the_file(tmp_path):
    file = tmp_path / 'new' / 'weights.safetensors'
    save_checkpoint(file, {'a': torch.arange(6.0).reshape(2, 3).T}, {'model': 'gtr_mobile'})
    state, metadata = load_checkpoint(file)
    assert torch.equal(state['a'], torch.arange(6.0).reshape(2, 3).T)
    assert metadata == {'model': 'gtr_mobile'}
    assert [f.name for f in file.parent.iterdir()] == ['weights.safetensors']


def test_a_model_comes_back_from_its_file(tmp_path):
    model = gtr_mobile(association='transformer')
    file = tmp_path / 'model.safetensors'
    save_checkpoint(file, model.state_dict(), {'association': 'transformer'})
    again = gtr_mobile(file)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r'no checkpoint at .*nowhere\.safetensors'):
        load_checkpoint(tmp_path / 'nowhere.safetensors')


@pytest.mark.parametrize('content', [b'', b'not weights at all', b'\x80\x04K\x01.'])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path, content):
    file = tmp_path / 'broken.safetensors'
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'broken\.safetensors is not a safetensors file'):
        load_checkpoint(file)


def test_what_does_not_fit_is_listed():
    module = nn.Linear(2, 3)
    state = {'weight': torch.zeros(3, 3), 'extra': torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        fit(module, state, 'this file')
    message = str(caught.value)
    assert 'this file does not fit Linear' in message
    assert 'missing: bias' in message
    assert 'unexpected: extra' in message
    assert 'weight is (3, 3), expected (3, 2)' in message


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cached_checkpoint('mot') == tmp_path / 'gtr_ros' / 'gtr_mot.safetensors'
    with pytest.raises(CheckpointError, match='gtr weights convert'):
        build('mot')


def test_the_default_weights_come_with_the_package(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    model = build('mobile')
    assert isinstance(model.association, AssociationTransformer)
    file = default_checkpoint('mobile')
    assert file.stat().st_size < 20e6
    state, metadata = load_checkpoint(file)
    assert {value.dtype for value in state.values()} == {torch.float16}
    assert metadata['association'] == 'transformer'
    assert (file.parent / 'README.md').is_file()


@pytest.mark.parametrize(
    ('metadata', 'causal'),
    [
        ({'association': 'transformer', 'encoder': 'causal'}, True),
        ({'association': 'transformer', 'encoder': 'full'}, False),
        ({'association': 'transformer'}, False),  # made before there was another
    ],
)
def test_a_checkpoint_runs_with_the_encoder_that_it_was_trained_with(tmp_path, metadata, causal):
    file = tmp_path / 'own.safetensors'
    save_checkpoint(file, gtr_mobile(association='transformer').state_dict(), metadata)
    assert gtr_mobile(file).association.causal is causal


@pytest.mark.parametrize('names', ['5', '{"person": 1}', '["person", 2]', '["person"', '[' * 9999])
def test_class_names_that_are_no_list_of_names_are_refused(tmp_path, names):
    file = tmp_path / 'w.safetensors'
    save_checkpoint(file, gtr_mobile().state_dict(), {'class_names': names})
    with pytest.raises(CheckpointError, match=r'class_names in the metadata of .*w\.safetensors'):
        gtr_mobile(file)


def test_an_unknown_model_and_association_name_the_known_ones():
    with pytest.raises(ValueError, match=r"'huge'; expected one of mobile"):
        build('huge')
    with pytest.raises(ValueError, match=r"'magic'.*cosine.*transformer"):
        gtr_mobile(association='magic')


def write_graph(folder, data: bytes, entries: list[dict]) -> None:
    manifest = [{'paths': ['weights.bin'], 'weights': entries}]
    (folder / 'graph.json').write_text(json.dumps({'weightsManifest': manifest}))
    (folder / 'weights.bin').write_bytes(data)


def test_a_graphs_half_and_whole_numbers_are_read_in_order(tmp_path):
    half = np.array([0.5, -2, 3, 4], np.float16)
    whole = np.array([7, 8], np.int32)
    entries = [
        {'name': 'w', 'shape': [2, 2], 'dtype': 'float32', 'quantization': {'dtype': 'float16'}},
        {'name': 'k', 'shape': [2], 'dtype': 'int32'},
    ]
    write_graph(tmp_path, half.tobytes() + whole.tobytes(), entries)
    weights = read_weights(tmp_path / 'graph.json')
    assert weights['w'].dtype == np.float32
    assert weights['w'].tolist() == [[0.5, -2], [3, 4]]
    assert weights['k'].tolist() == [7, 8]


@pytest.mark.parametrize(('size', 'rule'), [(7, 'truncated'), (12, 'describes 8 bytes')])
def test_a_graph_whose_file_is_too_short_or_too_long_is_refused(tmp_path, size, rule):
    write_graph(tmp_path, bytes(size), [{'name': 'w', 'shape': [2], 'dtype': 'float32'}])
    with pytest.raises(GraphError, match=rule):
        read_weights(tmp_path / 'graph.json')


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    (tmp_path / 'graph.json').write_text('[1, 2]')
    with pytest.raises(GraphError, match=r'graph\.json: not a TensorFlow\.js graph model'):
        read_weights(tmp_path / 'graph.json')


def test_an_import_that_stands_is_kept(tmp_path):
    file = tmp_path / 'gtr_mobile.safetensors'
    save_checkpoint(file, gtr_mobile().detector.state_dict(), {})
    before = hashlib.sha256(file.read_bytes()).hexdigest()
    said = []
    importing.import_mobile(file, source=tmp_path / 'never looked at', notify=said.append)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == before
    assert 'nothing to do' in said[0]


def test_another_version_of_the_package_is_refused(tmp_path):
    tarball = tmp_path / 'package.tgz'
    with tarfile.open(tarball, 'w:gz') as archive:
        for name in importing.FILES:
            member = tarfile.TarInfo(f'package/models/{name}')
            member.size = 3
            archive.addfile(member, io.BytesIO(b'new'))
    with pytest.raises(CheckpointError, match=r'centernet\.json has SHA-256 .* expected'):
        importing.import_mobile(tmp_path / 'out.safetensors', tarball)
    assert not (tmp_path / 'out.safetensors').exists()


def test_a_tarball_of_something_else_is_refused(tmp_path):
    tarball = tmp_path / 'package.tgz'
    tarball.write_bytes(b'no archive')
    with pytest.raises(CheckpointError, match=r'package\.tgz is not the package'):
        importing.import_mobile(tmp_path / 'out.safetensors', tarball)


def test_without_npm_the_way_out_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importing.shutil, 'which', lambda _: None)
    monkeypatch.setattr(importing.sys, 'executable', str(tmp_path / 'python'))
    with pytest.raises(CheckpointError, match=r'npm .* is not installed.*--from FILE'):
        importing.import_mobile(tmp_path / 'out.safetensors')
