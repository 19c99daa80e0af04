# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The runtime auto: what it takes, when, and what it does if a runtime fails."""

from __future__ import annotations

from collections.abc import Callable
import json
import os
from pathlib import Path
import shutil
import threading
from time import monotonic
from time import sleep

import numpy as np
from photographs import moving_people
import pytest
import torch

pytest.importorskip('openvino', reason='needs the openvino extra')
pytest.importorskip('onnxruntime', reason='needs the onnx extra')

from gtr_ros.cli import main
from gtr_ros.evaluation.prepare import Networks
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import FORCED
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime import auto_runtime
from gtr_ros.runtime import choice as choices
from gtr_ros.runtime.choice import Choice
from gtr_ros.runtime.choice import Question
from gtr_ros.runtime.choosing import Choosing
from gtr_ros.runtime.export import detector_fingerprint
from gtr_ros.runtime.export import export_detector
from gtr_ros.runtime.helper import HelperError
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.loading import stop_preparing
from gtr_ros.runtime.loading import taken_runtime
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

SECONDS = 120.0  # a busy machine

OPTIONS = ModelOptions(device='cpu')


@pytest.fixture(scope='module')
def exported(tmp_path_factory) -> Path:
    """Return the network of the default weights, as auto exports it."""
    detector = build('mobile').detector
    name = f'mobile_detector-{detector_fingerprint(detector)[:12]}.onnx'
    file = tmp_path_factory.mktemp('onnx') / name
    export_detector(detector, file)
    return file


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch, one_thread, exported) -> Path:
    """Let auto measure, briefly, as on an idle machine where it never ran; return its cache."""
    (tmp_path / 'cache' / 'gtr_ros' / 'onnx').mkdir(parents=True)
    shutil.copy(exported, tmp_path / 'cache' / 'gtr_ros' / 'onnx')
    monkeypatch.delenv(FORCED)
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(choices, '_SECONDS', 0.0)
    monkeypatch.setattr(os, 'getloadavg', lambda: (0.0, 0.0, 0.0))
    return tmp_path / 'cache' / 'gtr_ros'


@pytest.fixture
def times(monkeypatch) -> dict[str, float]:
    """Return the milliseconds that every runtime will take; tests may change them."""
    told = {'torch': 95.0, 'openvino': 47.5, 'onnxruntime': 57.5}
    monkeypatch.setattr(choices, '_measure', lambda networks, _: {n: told[n] for n in networks})
    return told


def loaded(options: ModelOptions = OPTIONS, background: bool = False) -> tuple[GTR, list[str]]:
    """Return a model, and what was logged."""
    said: list[str] = []
    return load_model(options, said.append, background=background), said


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = monotonic() + SECONDS
    while not condition():
        assert monotonic() < deadline
        sleep(0.01)


@pytest.mark.parametrize('fastest', ['openvino', 'onnxruntime'])
def test_the_fastest_is_taken_and_named(times, fastest):
    times[fastest] = 20.0
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == fastest
    assert describe_runtime(OPTIONS, model) == f'cpu, runtime {fastest}'
    assert said[0].startswith('measuring once which runtime is the fastest here: torch, openvino')
    assert f'runtime {fastest}, measured here' in said[1]
    assert 'torch 95.0 ms' in said[1]


def test_torch_is_taken_where_it_is_the_fastest_or_nearly(times):
    times['torch'] = 48.0
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == 'torch'
    assert describe_runtime(OPTIONS, model) == 'cpu'
    assert 'runtime torch, measured here' in said[1]


def test_a_choice_is_made_once(times, monkeypatch):
    loaded()
    monkeypatch.setattr(auto_runtime, 'choose', None)
    for background in (False, True):
        model, said = loaded(background=background)
        assert taken_runtime(OPTIONS, model) == 'openvino'
        assert len(said) == 1
        assert said[0].startswith('runtime openvino, measured here')


def test_a_choice_on_a_busy_machine_is_not_kept(times, monkeypatch, cache):
    monkeypatch.setattr(os, 'getloadavg', lambda: (1000.0, 0.0, 0.0))
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == 'openvino'
    assert 'the next start measures again' in said[1]
    assert not (cache / 'runtimes').exists()


def test_a_damaged_choice_or_missing_file_is_made_again(times, cache):
    loaded()
    [file] = (cache / 'runtimes').iterdir()
    file.write_text('{"runtime": "abacus"}')
    assert 'measuring once' in loaded()[1][0]
    next((cache / 'onnx').iterdir()).unlink()
    assert 'measuring once' in loaded()[1][0]
    assert json.loads(file.read_text())['runtime'] == 'openvino'


def test_a_choice_depends_on_threads_weights_and_packages(monkeypatch):
    plain = build('mobile')
    keys = [Question.about(plain, OPTIONS).key]
    assert Question.about(plain, OPTIONS).key == keys[0]
    torch.set_num_threads(2)
    keys.append(Question.about(plain, OPTIONS).key)
    torch.set_num_threads(1)
    monkeypatch.setattr(choices, '_version', lambda name: '0.1')
    keys.append(Question.about(plain, OPTIONS).key)
    monkeypatch.setattr(choices, 'installed', lambda: ('openvino',))
    keys.append(Question.about(plain, OPTIONS).key)
    with torch.no_grad():
        next(plain.detector.parameters())[0] += 1
    keys.append(Question.about(plain, OPTIONS).key)
    assert len(set(keys)) == len(keys)


def test_boxes_and_ids_are_those_of_torch_with_whatever_is_the_fastest():
    plain, (other, _) = build('mobile'), loaded()
    trackers = [Tracker(m.association, RULES['evidence'], 8, 1) for m in (plain, other)]
    for t, image in enumerate([*moving_people(640, 480, 3), *moving_people(320, 240, 3)]):
        [expected], [found] = (m.detect([image], [t * 100_000_000]) for m in (plain, other))
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.02)
        tracks, others = (k.update(d) for k, d in zip(trackers, (expected, found)))
        np.testing.assert_array_equal(others.ids, tracks.ids)


@pytest.mark.parametrize(
    'arguments', [{'precision': 'bfloat16'}, {'compile': True}, {'checkpoint': RANDOM}]
)
def test_other_forms_of_torch_and_untrained_weights_imply_torch(arguments, cache):
    options = ModelOptions(device='cpu', **arguments)
    model, _ = loaded(options)
    assert taken_runtime(options, model) == 'torch'
    assert 'openvino' not in describe_runtime(options, model)
    assert not (cache / 'runtimes').exists()


def test_with_torch_alone_it_says_what_would_be_faster(monkeypatch):
    monkeypatch.setattr(choices, 'find_spec', lambda name: None)
    model, [line] = loaded()
    assert taken_runtime(OPTIONS, model) == 'torch'
    assert line.endswith('pip install openvino onnx')


def test_without_the_exporter_it_says_what_is_missing(times, monkeypatch, cache):
    shutil.rmtree(cache / 'onnx')

    def export(*_) -> None:
        raise ModuleNotFoundError("No module named 'onnx'")

    monkeypatch.setattr(choices, 'export_detector', export)
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == 'torch'
    assert "openvino is passed over: No module named 'onnx'" in said[1]
    assert 'pip install onnx' in said[1]


def test_a_runtime_that_fails_is_named_and_passed_over(times, monkeypatch):
    opened = Question.open

    def open_some(self: Question, runtime: str):
        if runtime == 'openvino':
            raise RuntimeError('illegal instruction\nand more')
        return opened(self, runtime)

    monkeypatch.setattr(Question, 'open', open_some)
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == 'onnxruntime'
    assert said[1].endswith('openvino is passed over: illegal instruction')


@pytest.mark.parametrize('wrong', [1.01, float('nan')])
def test_a_runtime_with_other_results_is_named_and_passed_over(times, monkeypatch, wrong):
    opened = Question.open

    class Wrong:
        def __init__(self, network) -> None:
            self.prepare = network.prepare
            self.network = network

        def __call__(self, pixels):
            return [wrong * output for output in self.network(pixels)]

    monkeypatch.setattr(
        Question,
        'open',
        lambda self, name: Wrong(opened(self, name)) if name == 'openvino' else opened(self, name),
    )
    model, said = loaded()
    assert taken_runtime(OPTIONS, model) == 'onnxruntime'
    assert "openvino is passed over: its output 0 differs from torch's by" in said[1]


def test_a_runtime_that_fails_later_leaves_the_frames_to_torch(times):
    model, said = loaded()
    [image] = moving_people(640, 480, 1)
    expected = model.detect([image])[0]

    class Broken:
        def is_ready(self, size) -> bool:
            return True

        def __call__(self, pixels):
            raise RuntimeError('out of memory')

    model.detector.take('openvino', Broken())
    np.testing.assert_allclose(model.detect([image])[0].boxes, expected.boxes, atol=0.02)
    assert said[-1] == 'runtime torch from now on: openvino failed: out of memory'
    assert describe_runtime(OPTIONS, model) == 'cpu, runtime torch'


def test_a_choice_that_cannot_be_opened_any_more_leaves_the_frames_to_torch(times, cache):
    loaded()
    next((cache / 'onnx').iterdir()).write_bytes(b'no model')
    model, [line] = loaded()
    assert taken_runtime(OPTIONS, model) == 'torch'
    assert 'openvino is passed over: OpenVINO cannot read' in line


def test_a_size_that_is_new_to_a_live_camera_is_prepared_while_torch_tracks(times, monkeypatch):
    loaded()
    model, _ = loaded(background=True)
    _, network = model.detector._faster
    prepare, begin = network.prepare, threading.Event()
    monkeypatch.setattr(network, 'prepare', lambda size: begin.wait(SECONDS) and prepare(size))
    [image] = moving_people(320, 480, 1)
    [expected] = build('mobile').detect([image])
    sizes = len(network._requests)
    for _ in range(2):
        np.testing.assert_allclose(model.detect([image])[0].boxes, expected.boxes, atol=0.02)
    assert len(network._requests) == sizes
    begin.set()
    wait_for(lambda: len(network._requests) > sizes)
    np.testing.assert_allclose(model.detect([image])[0].boxes, expected.boxes, atol=0.02)


def test_a_process_chooses_while_torch_tracks_and_ids_are_kept(monkeypatch, cache):
    shutil.rmtree(cache / 'onnx')
    monkeypatch.setenv(FORCED, 'openvino')
    model, said = loaded(background=True)
    assert describe_runtime(OPTIONS, model) == 'cpu, runtime torch until a faster one is ready'
    tracker = Tracker(model.association, RULES['evidence'], 8, 1)
    image, ids, runtimes = moving_people(640, 480, 1)[0], [], []

    def track() -> bool:
        runtimes.append(taken_runtime(OPTIONS, model))
        ids.append(set(tracker.update(model.detect([image], [len(ids) * 10**8])[0]).ids.tolist()))
        return runtimes[-1] == 'openvino' and runtimes.count('openvino') > 5

    wait_for(track)
    assert runtimes[0] == 'torch'
    assert runtimes == sorted(runtimes, reverse=True)
    assert len(ids[0]) >= 3
    assert ids == [ids[0]] * len(ids)
    wait_for(lambda: len(said) == 2)
    assert said[1].startswith('runtime openvino, measured here')
    assert describe_runtime(OPTIONS, model) == 'cpu, runtime openvino'


def test_a_process_that_fails_leaves_the_frames_to_torch(monkeypatch):
    monkeypatch.setattr(Question, 'about', _asked_of_other_weights(Question.about))
    model, said = loaded(background=True)
    wait_for(lambda: len(said) == 2)
    assert 'runtime torch: choosing one ended with exit code 1: its weights' in said[1]
    assert describe_runtime(OPTIONS, model) == 'cpu, runtime torch'


def _asked_of_other_weights(about: Callable) -> Callable:
    def ask(model: GTR, options: ModelOptions) -> Question:
        with torch.no_grad():
            next(model.detector.parameters())[0] += 1
        return about(model, options)

    return ask


def test_what_is_being_chosen_ends_with_the_model():
    model, said = loaded(background=True)
    begun = monotonic()
    stop_preparing(model)
    assert monotonic() - begun < 5.0  # to choose takes longer
    assert len(said) == 1


def test_the_process_ends_with_its_parent():
    key = Question.about(build('mobile'), OPTIONS).key
    choosing = Choosing(OPTIONS, 1, key)
    choosing._process.stdin.close()  # as when this process has been killed
    with pytest.raises(HelperError, match='choosing one ended with exit code'):
        choosing.wait()


def test_the_environment_can_name_the_runtime(times, monkeypatch):
    monkeypatch.setenv(FORCED, 'onnxruntime')
    times['onnxruntime'] = 500.0
    assert taken_runtime(OPTIONS, loaded()[0]) == 'onnxruntime'
    monkeypatch.setenv(FORCED, 'torch')
    assert describe_runtime(OPTIONS, loaded()[0]) == 'cpu'
    monkeypatch.setenv(FORCED, 'abacus')
    with pytest.raises(ValueError, match="GTR_AUTO_RUNTIME is 'abacus'; expected one of torch"):
        loaded()


def test_an_evaluation_does_not_mix_results_of_different_runtimes(times):
    keys = []
    for fastest in ('openvino', 'onnxruntime', 'torch'):
        times.update(dict.fromkeys(times, 50.0) | {fastest: 10.0})
        for file in Path(os.environ['XDG_CACHE_HOME'], 'gtr_ros').glob('runtimes/*'):
            file.unlink()
        keys.append(Networks(OPTIONS).key)
    assert len(set(keys)) == 3
    assert keys[2] == Networks(ModelOptions(device='cpu', runtime='torch')).key


def test_the_command_measures_before_a_node_starts(times, monkeypatch, capsys):
    monkeypatch.setattr(os, 'getloadavg', lambda: (1000.0, 0.0, 0.0))
    assert main(['export', '--measure', '--threads', '1']) == 0
    assert 'runtime openvino, measured here' in ' '.join(capsys.readouterr().err.split())
    monkeypatch.setattr(auto_runtime, 'choose', None)
    assert taken_runtime(OPTIONS, loaded()[0]) == 'openvino'


def test_a_choice_says_everything_in_one_line():
    choice = Choice('onnxruntime', {'torch': 95.0, 'onnxruntime': 57.5}, {'openvino': 'no file'})
    assert str(choice) == (
        'runtime onnxruntime, measured here for the network of one image: torch 95.0 ms, '
        'onnxruntime 57.5 ms; openvino is passed over: no file'
    )
