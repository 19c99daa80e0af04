# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What OpenVINO makes of an exported model: the same boxes, the same identities."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
import subprocess
import sys

import numpy as np
from paths import REPOSITORY
from photographs import moving_people
import pytest
from runtimes import assert_same_as_torch
import torch

pytest.importorskip('openvino', reason='needs the openvino extra')

from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime import openvino_runtime
from gtr_ros.runtime.export import detector_fingerprint
from gtr_ros.runtime.export import export_detector
from gtr_ros.runtime.export import export_model
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.openvino_runtime import OpenVinoNetwork


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('onnx') / 'mobile'
    export_model(build('mobile'), folder)
    return folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    """Let OpenVINO keep its compiled networks in a folder of the test."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))


def openvino_model(exported: Path) -> GTR:
    return load_model(ModelOptions(runtime='openvino', exported=str(exported)))


@pytest.mark.parametrize(
    ('size', 'rule'),
    [((640, 480), 'gaussian'), ((480, 640), 'evidence'), ((1280, 720), 'evidence')],
)
def test_boxes_and_ids_are_those_of_torch(exported, size, rule):
    assert_same_as_torch(openvino_model(exported), size, rule)


def test_images_of_several_sizes_alternate(exported):
    plain, other = build('mobile'), openvino_model(exported)
    images = [*moving_people(640, 480, 2), *moving_people(320, 240, 1)] * 2
    for expected, found in zip(plain.detect(images), other.detect(images), strict=True):
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.02)


def test_the_oldest_size_is_compiled_again_if_there_are_too_many(exported, monkeypatch):
    monkeypatch.setattr(openvino_runtime, 'MOST_SIZES', 2)
    detector = openvino_model(exported).detector
    network = detector._run
    sizes = [(1, 3, 64 * n, 64) for n in (1, 2, 3)]
    with torch.inference_mode():
        outputs = [[o.clone() for o in network(torch.ones(size))] for size in sizes]
        assert [network.is_ready(size) for size in sizes] == [False, True, True]
        again = network(torch.ones(sizes[0]))
    for one, same in zip(outputs[0], again, strict=True):
        torch.testing.assert_close(same, one)


def test_boxes_of_another_detector_get_the_same_features(exported):
    plain, other = build('mobile'), openvino_model(exported)
    [image] = moving_people(640, 480, 1)
    [detections] = plain.detect([image])
    expected, found = (m.describe(image, detections).features for m in (plain, other))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize('name', ['mot', 'tao'])
def test_the_papers_models_are_refused_for_their_deformable_convolutions(tmp_path, name):
    detector, file = build(name, RANDOM).detector, tmp_path / f'{name}.onnx'
    export_detector(detector, file)
    with pytest.raises(ExportError, match='OpenVINO does not know the operator DeformConv'):
        OpenVinoNetwork(file, detector_fingerprint(detector))


def test_it_is_named(exported):
    options = ModelOptions(runtime='openvino', exported=str(exported))
    assert describe_runtime(options, load_model(options)) == 'openvino, cpu'


def test_files_of_other_weights_are_refused(exported):
    with pytest.raises(ExportError, match=r'exported from other weights.*gtr export'):
        load_model(ModelOptions(runtime='openvino', checkpoint=RANDOM, exported=str(exported)))


def test_a_damaged_or_missing_file_is_named(tmp_path):
    with pytest.raises(ExportError, match=r'there is no .*detector\.onnx'):
        openvino_model(tmp_path)
    (tmp_path / 'detector.onnx').write_bytes(b'no model')
    with pytest.raises(ExportError, match=r'OpenVINO cannot read .*detector\.onnx'):
        openvino_model(tmp_path)


def test_weights_that_are_not_exported_are_named():
    with pytest.raises(ExportError, match=r'not exported to .*`gtr export --model mobile`'):
        load_model(ModelOptions(runtime='openvino'))


def test_another_device_than_the_cpu_is_refused(exported):
    options = ModelOptions(runtime='openvino', device='cuda', exported=str(exported))
    with pytest.raises(ValueError, match=r"device is 'cuda', but runtime openvino runs on"):
        load_model(options)


def test_without_openvino_the_error_says_what_to_install(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, 'openvino', None)
    with pytest.raises(ValueError, match='pip install openvino'):
        openvino_model(exported)


@pytest.mark.parametrize('package', ['openvino', 'onnxruntime'])
def test_importing_a_runtime_reports_nothing_to_its_maker(tmp_path, package):
    if not find_spec(package):
        pytest.skip(f'{package} is not installed')
    home = tmp_path / 'home'
    home.mkdir()
    code = (
        'import sys; from gtr_ros.runtime import packages; '
        f'packages.import_{package}(); '
        'sys.exit("openvino_telemetry" in sys.modules)'
    )
    # Both store an identifier of the machine before they report.
    environment = {'HOME': str(home), 'XDG_CACHE_HOME': str(home / 'cache'), 'PATH': ''}
    run = subprocess.run([sys.executable, '-c', code], cwd=REPOSITORY, env=environment)
    assert run.returncode == 0
    assert not list(home.iterdir())


def test_signals_are_handled_after_networks_were_released_in_any_order(exported):
    code = """
import gc, os, signal, sys
from pathlib import Path
from gtr_ros.runtime.export import fingerprint
from gtr_ros.model.build import build
from gtr_ros.runtime.openvino_runtime import OpenVinoNetwork

file, mark = Path(sys.argv[1]), fingerprint(build('mobile'))
received = []
signal.signal(signal.SIGUSR1, lambda *_: received.append(1))
networks = [OpenVinoNetwork(file, mark) for _ in range(3)]
for network in networks:
    network.prepare((1, 3, 64, 64))
while networks:
    del networks[0]
    network = None
    gc.collect()
    os.kill(os.getpid(), signal.SIGUSR1)
print(len(received))
"""
    command = [sys.executable, '-X', 'faulthandler', '-c', code, exported / 'detector.onnx']
    run = subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False
    )
    assert (run.returncode, run.stdout) == (0, '3\n'), run.stderr
