# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime makes of an exported model: the same boxes, the same identities."""

from __future__ import annotations

from pathlib import Path
import re
import shutil
import sys
from threading import Event
from time import monotonic
from time import sleep

import numpy as np
import onnx
from photographs import moving_people
import pytest
from runtimes import assert_same_as_torch
import torch

from gtr_ros.cli import main
from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import make_transformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime.export import export_model
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.onnx_runtime import OnnxAssociation
from gtr_ros.runtime.onnx_runtime import OnnxGTR
from gtr_ros.runtime.packages import import_onnxruntime
from gtr_ros.runtime.torch_runtime import tune
from gtr_ros.tracking.online import make_online

CPU = [('CPUExecutionProvider', {})]


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('onnx') / 'mobile'
    export_model(build('mobile'), folder)
    return folder


@pytest.mark.parametrize(
    ('size', 'rule'),
    [((640, 480), 'gaussian'), ((480, 640), 'evidence'), ((1280, 720), 'gaussian')],
)
def test_boxes_and_ids_are_those_of_torch(exported, size, rule):
    assert_same_as_torch(OnnxGTR(build('mobile'), exported, CPU), size, rule)


def test_what_runs_a_model_keeps_what_its_numbers_are_worth(exported):
    worth = Calibration(cue='transformer', same=0.7, logit_slope=0.5)
    plain = build('mobile')
    plain.association.calibration = worth
    assert OnnxGTR(plain, exported, CPU).association.calibration == worth
    assert tune(plain).association.calibration == worth


def test_several_images_of_two_sizes_go_in_one_call(exported):
    plain, other = build('mobile'), OnnxGTR(build('mobile'), exported, CPU)
    images = [*moving_people(640, 480, 2), *moving_people(320, 240, 1)]
    for expected, found in zip(plain.detect(images), other.detect(images), strict=True):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.02)


def test_boxes_of_another_detector_get_the_same_features(exported):
    plain, other = build('mobile'), OnnxGTR(build('mobile'), exported, CPU)
    [image] = moving_people(640, 480, 1)
    [detections] = plain.detect([image])
    expected, found = (m.describe(image, detections).features for m in (plain, other))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(
    'options',
    [
        {},
        {'causal': True},
        {'causal': True, 'position_embedding': True, 'decoder_self_attention': True},
        {'position_embedding': True, 'norm': True, 'projection_layers': 2},
        {'encoder_layers': 0},
        {'encoder_layers': 2, 'decoder_layers': 2, 'scale': 5.0},
    ],
)
def test_every_kind_of_association_gives_the_likelihoods_of_torch(tmp_path, options):
    torch.manual_seed(0)
    link = AssociationTransformer(**{'features': 256, 'scale': 3.0, **options}).eval()
    plain = gtr_mobile(association=link)
    export_model(plain, tmp_path / 'onnx')
    other = OnnxGTR(plain, tmp_path / 'onnx', CPU)
    assert isinstance(other.association, OnnxAssociation)
    states = [make_online(m.association) for m in (plain, other)]
    for t, count in enumerate((3, 5, 0, 1, 4, 4)):
        features, boxes = torch.randn(count, 256), torch.rand(count, 4)
        expected, found = (state.associate(features, boxes) for state in states)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        for state in states:
            state.add()
            if t > 3:
                state.drop_oldest()


@pytest.mark.parametrize('name', ['mot', 'tao'])
def test_the_papers_models_can_be_exported_with_their_deformable_convolutions(tmp_path, name):
    version = import_onnxruntime().__version__
    if tuple(map(int, version.split('.')[:2])) <= (1, 23):  # the newest one for Python 3.10
        pytest.skip(f'ONNX Runtime {version} has no deformable convolutions')
    torch.manual_seed(1)
    plain = build(name, RANDOM)
    folder = tmp_path / name
    export_model(plain, folder)
    other = OnnxGTR(plain, folder, CPU)
    pixels = torch.randn(1, 3, 256, 384)  # the traced one is of another size
    with torch.inference_mode():
        for expected, found in zip(
            plain.detector.network(pixels), other.detector.network(pixels), strict=True
        ):
            torch.testing.assert_close(found, expected, atol=2e-3, rtol=2e-3)


def test_files_are_valid_onnx_with_free_sizes(exported):
    files = sorted(exported.glob('*.onnx'))
    assert [f.stem for f in files] == ['association', 'detector', 'features']
    for file in files:
        model = onnx.load(file)
        onnx.checker.check_model(model, full_check=True)
        assert all(
            any(size.dim_param for size in value.type.tensor_type.shape.dim)
            for value in model.graph.input
        )


def test_files_of_other_weights_are_refused(exported):
    with pytest.raises(ExportError, match=r'exported from other weights.*gtr export'):
        OnnxGTR(build('mobile', RANDOM), exported, CPU)


def test_a_damaged_file_is_named(exported, tmp_path):
    for file in exported.glob('*.onnx'):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / 'features.onnx').write_bytes(b'no model')
    with pytest.raises(ExportError, match=r'cannot read .*features\.onnx'):
        OnnxGTR(build('mobile'), tmp_path, CPU)
    (tmp_path / 'features.onnx').unlink()
    with pytest.raises(ExportError, match=r'there is no .*features\.onnx'):
        OnnxGTR(build('mobile'), tmp_path, CPU)


def test_an_association_that_depends_on_the_whole_window_is_refused(tmp_path):
    link = make_transformer('mobile', position_embedding=True, time_embedding=True)
    with pytest.raises(ExportError, match='time embedding'):
        export_model(gtr_mobile(association=link), tmp_path / 'onnx')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({}, r'not exported to .*gtr_mobile-[0-9a-f]{12}; .*`gtr export --model mobile`'),
        (
            {'provider': 'tensorrt'},
            'provider is tensorrt, but the installed onnxruntime .* lacks it',
        ),
        ({'provider': 'abacus'}, "provider is 'abacus'; expected one of auto, cpu"),
        ({'runtime': 'abacus'}, "runtime is 'abacus'; expected one of auto, torch, onnxruntime"),
    ],
)
def test_what_cannot_be_run_says_why(exported, tmp_path, monkeypatch, arguments, words):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    folder = str(exported) if 'provider' in arguments else ''
    with pytest.raises(ValueError, match=words):
        load_model(ModelOptions(**{'runtime': 'onnxruntime', 'exported': folder, **arguments}))


EVERYTHING = ['TensorrtExecutionProvider', 'CUDAExecutionProvider', 'CPUExecutionProvider']


@pytest.mark.filterwarnings('ignore:Specified provider')
def test_frames_run_on_cuda_until_the_engine_of_their_size_is_built(
    exported, tmp_path, monkeypatch
):
    import onnxruntime

    shutil.copytree(exported, tmp_path / 'exported')
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: EVERYTHING)
    options = ModelOptions(runtime='onnxruntime', exported=str(tmp_path / 'exported'))
    said: list[str] = []
    # ONNX Runtime falls back to the CPU here, in both forms.
    model = load_model(options, said.append, background=True)
    assert 'cuda until the TensorRT engine is ready' in describe_runtime(options, model)
    network = model.detector._faster[1]
    may, prepare = Event(), network.prepare
    monkeypatch.setattr(network, 'prepare', lambda size: may.wait(60) and prepare(size))
    [image] = moving_people(320, 240, 1)
    [expected] = model.detect([image])
    assert not model.detector.is_ready
    may.set()
    deadline = monotonic() + 60
    while not model.detector.is_ready:
        assert monotonic() < deadline
        sleep(0.01)
    [found] = model.detect([image])
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    assert len(found) >= 3
    assert said[1].startswith('loading the TensorRT engine for 1 x 576 x 448 pixels, or building')
    assert said[2].startswith('the TensorRT engine for 1 x 576 x 448 pixels is ready (')
    assert (tmp_path / 'exported' / 'tensorrt').is_dir()
    assert describe_runtime(options, model) == 'onnxruntime, provider auto'


def test_without_onnxruntime_the_error_says_what_to_install(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ValueError, match='pip install onnxruntime'):
        load_model(ModelOptions(runtime='onnxruntime', exported=str(exported)))


def test_what_the_command_exports_is_found_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert main(['export']) == 0
    [folder] = (tmp_path / 'gtr_ros' / 'onnx').iterdir()
    assert re.fullmatch('gtr_mobile-[0-9a-f]{12}', folder.name)
    model = load_model(ModelOptions(runtime='onnxruntime'))
    assert isinstance(model, OnnxGTR)
    assert main(['export', '--out', str(tmp_path / 'mine')]) == 0
    (tmp_path / 'mine' / 'notes.txt').write_text('of the user')
    assert main(['export', '--out', str(tmp_path / 'mine')]) == 0  # again: replaced
    files = sorted(file.name for file in (tmp_path / 'mine').iterdir())
    assert files == ['association.onnx', 'detector.onnx', 'features.onnx', 'notes.txt']
    assert isinstance(
        load_model(ModelOptions(runtime='onnxruntime', exported=str(tmp_path / 'mine'))), OnnxGTR
    )
