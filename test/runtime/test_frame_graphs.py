# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When frames run in graphs, and when step by step; on a GPU, that graphs give the same."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time

import numpy as np
from photographs import moving_people
import pytest
from runtimes import needs_cuda
import torch
from torch import Tensor

from gtr_ros.boxes import box_iou
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.cuda_graph import CudaGraph
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.frame_graphs import FrameGraphs
from gtr_ros.runtime.loading import load_model
from gtr_ros.tracking import Tracker

pytestmark = pytest.mark.usefixtures('one_thread')


SIZE = (96, 64)


class Forms:
    """A network that another form of it replaces; it counts what runs which form."""

    def __init__(self, run: Callable[[Tensor], tuple[Tensor, ...]]) -> None:
        self._run = run
        self.form = 'plain'
        self.runs: list[str] = []
        self.forms = {name: self._make(name) for name in ('plain', 'faster', 'broken')}

    def _make(self, name: str) -> Callable[[Tensor], tuple[Tensor, ...]]:
        def run(pixels: Tensor) -> tuple[Tensor, ...]:
            if name == 'broken':
                raise RuntimeError('it is broken')
            self.runs.append(name)
            return self._run(pixels)

        return run

    def __call__(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return self.forms['plain'](pixels)

    def for_size(self, size: tuple[int, ...]) -> Callable[[Tensor], tuple[Tensor, ...]]:
        assert size[:2] == (1, 3)
        return self.forms[self.form]


@pytest.fixture(scope='module')
def trained() -> GTR:
    return build('mobile')


@pytest.fixture
def model(trained):
    """Yield a model with frame graphs, whose network has several forms."""
    detector = trained.detector
    trained.detector = RuntimeDetector(detector, Forms(detector.network))
    trained.frames = FrameGraphs(trained)
    yield trained
    trained.detector, trained.frames = detector, None


def forms(model: GTR) -> Forms:
    return model.detector._run


def test_the_first_frame_of_a_size_runs_step_by_step_and_the_others_in_a_graph(model):
    for width in (64, 96):
        before = model.frames.images
        for image in moving_people(width, 64, count=3):
            model.detect([image])
        assert model.frames.images == before + 2


def test_a_faster_network_is_captured_when_it_is_ready(model):
    [image] = moving_people(*SIZE, count=1)
    for _ in range(3):
        model.detect([image])
    assert set(forms(model).runs) == {'plain'}
    forms(model).form = 'faster'
    forms(model).runs.clear()
    for _ in range(3):
        model.detect([image])
    assert set(forms(model).runs) == {'faster'}


def test_frames_run_step_by_step_if_capturing_fails_and_the_reason_is_logged(model):
    said: list[str] = []
    model.frames = FrameGraphs(model, log=said.append)
    forms(model).form = 'broken'
    [image] = moving_people(*SIZE, count=1)
    expected, *others = [model.detect([image], None, 0.02) for _ in range(4)]
    for [found] in others:
        np.testing.assert_array_equal(found.boxes, expected[0].boxes)
    assert model.frames.images == 0
    assert said == ['1 x 96 x 64 pixels run without a CUDA graph: capturing failed: it is broken']


def test_a_failing_faster_network_leaves_the_captured_one(model):
    said: list[str] = []
    model.frames = FrameGraphs(model, log=said.append)
    [image] = moving_people(*SIZE, count=1)
    for _ in range(2):
        model.detect([image])
    forms(model).form = 'broken'
    for _ in range(3):
        model.detect([image])
    assert model.frames.images == 4
    assert said == [
        '1 x 96 x 64 pixels run with the former network: capturing failed: it is broken'
    ]


def test_beyond_so_many_graphs_frames_run_step_by_step(model, monkeypatch):
    monkeypatch.setattr('gtr_ros.runtime.frame_graphs.MOST_GRAPHS', 1)
    said: list[str] = []
    model.frames = FrameGraphs(model, log=said.append)
    for width in (64, 96, 128):
        for image in moving_people(width, 64, count=2):
            model.detect([image])
    assert model.frames.images == 1
    assert said == ['1 x 96 x 64 pixels run without a CUDA graph: there are 1 already']


def test_in_the_background_frames_run_step_by_step_until_the_graph_is_captured(model):
    captured, go = threading.Event(), threading.Event()
    plain = forms(model).forms['plain']

    def wait(pixels: Tensor) -> tuple[Tensor, ...]:
        if threading.current_thread().name == 'graph':
            captured.set()
            assert go.wait(timeout=60)
        return plain(pixels)

    forms(model).forms['faster'] = wait
    forms(model).form = 'faster'
    model.frames = FrameGraphs(model, background=True)
    [image] = moving_people(*SIZE, count=1)
    [expected] = model.detect([image], None, 0.02)
    model.detect([image])
    assert captured.wait(timeout=60)
    for _ in range(3):
        [found] = model.detect([image], None, 0.02)
        np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert model.frames.images == 0
    go.set()
    end = time.monotonic() + 60
    while not model.frames.images:
        assert time.monotonic() < end, 'the graph was not used'
        [found] = model.detect([image], None, 0.02)
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)


@needs_cuda
@torch.inference_mode()
def test_a_cuda_graph_gives_what_the_network_gives():
    detector = build('mobile').cuda().detector
    pixels = torch.rand(1, 3, 64, 96, device='cuda') * 255
    detector.network(pixels)
    graph = CudaGraph(detector.network, pixels.clone())
    for _ in range(2):
        pixels = torch.rand(1, 3, 64, 96, device='cuda') * 255
        for values, right in zip(graph(pixels), detector.network(pixels), strict=True):
            torch.testing.assert_close(values, right)


def on_cuda(name: str = 'mobile', **options) -> GTR:
    checkpoint = '' if name == 'mobile' else 'random'
    return load_model(ModelOptions(model=name, checkpoint=checkpoint, device='cuda', **options))


@needs_cuda
@pytest.mark.parametrize('threshold', [0.02, 0.3, 0.99])
@pytest.mark.parametrize('count', [1, 3])
@pytest.mark.parametrize('backwards', [False, True])
def test_cuda_graphs_find_what_is_found_step_by_step(threshold, count, backwards):
    model = on_cuda()
    images = moving_people(640, 480, count=count)
    if backwards:
        images = [np.ascontiguousarray(image[..., ::-1])[..., ::-1] for image in images]
    frames, model.frames = model.frames, None
    expected = model.detect(images, None, threshold)
    model.frames = frames
    for _ in range(3):
        found = model.detect(images, None, threshold)
    assert frames.images == 2 * count
    assert frames.inexact == 0
    for own, other in zip(found, expected, strict=True):
        assert own.features.is_cuda
        assert len(own) == len(other)
        np.testing.assert_allclose(own.boxes, other.boxes, atol=0.05)
        np.testing.assert_allclose(own.scores, other.scores, atol=1e-3)
        np.testing.assert_array_equal(own.labels, other.labels)
        torch.testing.assert_close(own.features, other.features, atol=1e-3, rtol=0)


@needs_cuda
def test_the_deformable_network_of_mot_is_captured():
    said: list[str] = []
    options = ModelOptions(model='mot', checkpoint='random', device='cuda')
    model = load_model(options, said.append)
    for image in moving_people(640, 480, count=3):
        model.detect([image], None, 0.1)
    assert not [line for line in said if 'without a CUDA graph' in line]
    assert model.frames.images == 2


@needs_cuda
def test_each_frame_of_a_clip_has_its_own_results_and_the_ids_of_the_cpu():
    ids = []
    for model in (on_cuda(), build('mobile')):
        tracker = Tracker(model.association, window=8, min_hits=1)
        ids.append([])
        for t, image in enumerate(moving_people(640, 480)):
            [detections] = model.detect([image], [t * 10**8], 0.45)
            ids[-1].append(tracker.update(detections).ids.tolist())
    assert ids[0] == ids[1]
    assert sum(map(len, ids[0])) >= 30


@needs_cuda
@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
@pytest.mark.parametrize('compiled', [False, True])
def test_a_network_of_any_form_is_captured(precision, compiled):
    model = on_cuda(precision=precision, compile=compiled)
    [image] = moving_people(640, 480, count=1)
    [expected] = build('mobile').detect([image], None, 0.45)
    for _ in range(3):
        [found] = model.detect([image], None, 0.4)
    assert model.frames.images >= 1
    assert (box_iou(expected.boxes, found.boxes).max(axis=1) > 0.95).all()


@needs_cuda
def test_a_graph_is_captured_while_another_thread_uses_the_gpu():
    model = on_cuda()
    other = build('mobile').cuda()
    [image] = moving_people(320, 240, count=1)
    other.detect([image])
    stop, failures, runs = threading.Event(), [], []

    def work() -> None:
        try:
            while not stop.is_set():
                runs.append(len(other.detect([image])[0]))
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        for width in (160, 320, 480):
            for _ in range(3):
                model.detect(moving_people(width, 240, count=1))
    finally:
        stop.set()
        thread.join(timeout=60)
    assert not failures
    assert len(set(runs)) == 1
    assert model.frames.images == 6
