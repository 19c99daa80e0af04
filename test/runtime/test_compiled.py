# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Compiled networks: the same results, kept in the cache, made in the background, stopped."""

from __future__ import annotations

from pathlib import Path
import threading
from time import monotonic
from time import sleep

import numpy as np
from photographs import moving_people
import pytest
import torch
from torch import nn

from gtr_ros.boxes import box_iou
from gtr_ros.model.build import build
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime import compiled
from gtr_ros.runtime import torch_runtime
from gtr_ros.runtime.compiled import Compiled
from gtr_ros.runtime.compiled import compiled_files
from gtr_ros.runtime.compiled import InThisProcess
from gtr_ros.runtime.compiled import MOST_SIZES
from gtr_ros.runtime.compiling import InAnotherProcess
from gtr_ros.runtime.helper import HelperError
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.loading import stop_preparing
from gtr_ros.runtime.loading import taken_runtime
from gtr_ros.runtime.loading import warming_up

pytestmark = pytest.mark.usefixtures('one_thread')

CPU = torch.device('cpu')
SIZE = (2, 3, 16, 32)
SECONDS = 300.0  # a busy machine
OPTIONS = ModelOptions(device='cpu', compile=True, threads=1)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache' / 'gtr_ros' / 'compiled'


class FakeBuilder:
    """Writes a file that the patched loader of `fake` can read, when it may."""

    def __init__(self, *_: object) -> None:
        self.built: list[tuple[int, ...]] = []
        self.may, self.stopped = threading.Event(), threading.Event()
        self.may.set()

    def __call__(self, size, file) -> None:
        assert self.may.wait(SECONDS)
        if self.stopped.is_set():
            raise HelperError('compiling ended with exit code -9: ')
        self.built.append(size)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text('compiled')

    def stop(self) -> None:
        self.stopped.set()
        self.may.set()


def small() -> tuple[nn.Module, FakeBuilder]:
    torch.manual_seed(0)
    layer = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    return layer, lambda pixels: (layer(pixels), pixels.mean((2, 3)))


@pytest.fixture(scope='module')
def built(tmp_path_factory) -> Path:
    """Compile a small network once; return the path of its files."""
    torch.set_num_threads(1)
    layer, run = small()
    files = tmp_path_factory.mktemp('compiled') / 'small'
    Compiled(run, CPU, files, InThisProcess(run, layer), lambda line: None).prepare(SIZE)
    return files


@torch.inference_mode()
def test_it_computes_the_same_for_every_layout_of_its_input(built):
    _, run = small()
    network = Compiled(run, CPU, built, FakeBuilder(), lambda line: None)
    network.prepare(SIZE)
    for layout in (torch.contiguous_format, torch.channels_last):
        pixels = torch.randn(SIZE).contiguous(memory_format=layout)
        for values, right in zip(network(pixels), run(pixels), strict=True):
            torch.testing.assert_close(values, right, atol=1e-5, rtol=1e-5)
            torch.testing.assert_close(network.for_size(SIZE)(pixels)[0], run(pixels)[0])


@torch.inference_mode()
def test_what_was_compiled_before_is_loaded(built):
    _, run = small()
    said: list[str] = []
    network, build = None, FakeBuilder()
    network = Compiled(run, CPU, built, build, said.append)
    assert not network.is_ready(SIZE)
    network.prepare(SIZE)
    network.prepare(SIZE)  # nothing new
    assert network.is_ready(SIZE)
    assert build.built == []
    [line] = said
    assert line.startswith('loaded the network for 2 x 32 x 16 pixels, compiled before (')


def test_it_is_loaded_where_torch_has_no_such_loader(built, monkeypatch):
    _, run = small()
    monkeypatch.delattr(torch._C._aoti, 'AOTIModelPackageLoader')
    # The public function needs it, too: here it only has to be called.
    monkeypatch.setattr('torch._inductor.aoti_load_package', lambda name: run)
    network = Compiled(run, CPU, built, FakeBuilder(), lambda line: None)
    network.prepare(SIZE)
    assert network.is_ready(SIZE)


@torch.inference_mode()
def test_a_damaged_file_is_compiled_again(built, tmp_path):
    _, run = small()
    said: list[str] = []
    files = tmp_path / 'small'
    file = Compiled(run, CPU, files, FakeBuilder(), said.append).file(SIZE)
    file.write_bytes(b'no archive')

    def build(size, target):
        target.write_bytes(built.with_name(file.name).read_bytes())

    Compiled(run, CPU, files, build, said.append).prepare(SIZE)
    assert said[0].startswith(f'{file} cannot be loaded: ')
    assert said[1] == 'compiling the network for 2 x 32 x 16 pixels'
    assert said[2].startswith('compiled the network for 2 x 32 x 16 pixels (')


def test_beyond_so_many_sizes_the_network_runs_as_it_is(tmp_path):
    said: list[str] = []
    network = Compiled(
        lambda pixels: (pixels + 1,), CPU, tmp_path / 'x', FakeBuilder(), said.append
    )
    network.by_size = dict.fromkeys(range(MOST_SIZES))
    network.prepare((1, 3, 16, 8))
    assert (network(torch.zeros(1, 3, 16, 8))[0] == 1).all()
    assert said == [
        'the network for 1 x 8 x 16 pixels runs uncompiled: 8 other sizes have already been '
        'compiled'
    ]


def test_files_are_told_apart_by_weights_precision_and_threads():
    detector = build('mobile', 'random').detector
    paths = [compiled_files(detector, OPTIONS, CPU)]
    assert compiled_files(detector, OPTIONS, CPU) == paths[0]
    paths.append(compiled_files(detector, ModelOptions(precision='bfloat16'), CPU))
    torch.set_num_threads(2)
    paths.append(compiled_files(detector, OPTIONS, CPU))
    torch.set_num_threads(1)
    paths.append(compiled_files(build('mobile').detector, OPTIONS, CPU))
    assert len(set(paths)) == len(paths)


@pytest.fixture
def fake(monkeypatch) -> FakeBuilder:
    """Let compiling be instant; what is compiled computes as the plain network does."""
    builder = FakeBuilder()
    monkeypatch.setattr(torch_runtime, 'InAnotherProcess', lambda *_: builder)
    plain = torch_runtime.tune(build('mobile')).detector
    monkeypatch.setattr(compiled, '_open', lambda *_: plain.network)
    return builder


def loaded(background: bool, options: ModelOptions = OPTIONS):
    said: list[str] = []
    return load_model(options, said.append, background=background), said


def wait_for(condition) -> None:
    deadline = monotonic() + SECONDS
    while not condition():
        assert monotonic() < deadline
        sleep(0.01)


def test_frames_run_uncompiled_until_the_size_of_the_camera_is_compiled(fake):
    model, said = loaded(background=True)
    fake.may.clear()
    [image], [wide] = moving_people(320, 240, 1), moving_people(320, 160, 1)
    with warming_up(model):
        model.detect([np.zeros((480, 640, 3), np.uint8)])
    waiting = 'cpu, uncompiled until it is compiled for the size of the images'
    assert describe_runtime(OPTIONS, model) == waiting
    assert said == []  # a made-up size is not compiled
    [expected] = model.detect([image])  # does not wait
    size = model.detector.size
    assert model.detector.network_for(size) == model.detector.plain.network
    assert describe_runtime(OPTIONS, model) == waiting
    fake.may.set()
    wait_for(lambda: model.detector.is_ready)
    assert describe_runtime(OPTIONS, model) == 'cpu compiled'
    assert taken_runtime(OPTIONS, model) == 'torch'
    assert model.detector.network_for(size) is model.detector.faster.by_size[size]
    [found] = model.detect([image])
    np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
    fake.may.clear()
    model.detect([wide])  # a camera of another shape does not wait either
    assert describe_runtime(OPTIONS, model) == waiting
    fake.may.set()
    wait_for(lambda: model.detector.is_ready)
    assert [size[2:] for size in fake.built] == [(448, 576), (352, 736)]
    assert [line[:9] for line in said] == ['compiling', 'compiled '] * 2


def test_without_a_background_the_first_frame_waits(fake):
    model, _ = loaded(background=False)
    model.detect(moving_people(320, 240, 1))
    assert describe_runtime(OPTIONS, model) == 'cpu compiled'
    assert len(fake.built) == 1


def test_what_fails_leaves_the_frames_to_the_plain_network(monkeypatch, fake):
    model, said = loaded(background=True)
    monkeypatch.setattr(compiled, '_open', None)
    [image] = moving_people(320, 240, 1)
    [expected] = model.detect([image])
    wait_for(lambda: len(said) == 2)
    assert said[1].startswith('the uncompiled network from now on: the compiled one failed: ')
    [found] = model.detect([image])
    np.testing.assert_array_equal(found.boxes, expected.boxes)
    assert describe_runtime(OPTIONS, model) == 'cpu, uncompiled'


def test_what_is_being_compiled_ends_in_silence(fake):
    model, said = loaded(background=True)
    fake.may.clear()
    model.detect(moving_people(320, 240, 1))
    wait_for(lambda: len(said) == 1)
    stop_preparing(model)
    wait_for(lambda: not model.detector._preparing.is_alive())
    model.detect(moving_people(320, 240, 1))
    assert said == ['compiling the network for 1 x 576 x 448 pixels']


def test_a_process_that_compiles_ends_at_once(cache):
    build = InAnotherProcess(OPTIONS, 1)
    failed: list[Exception] = []

    def run() -> None:
        try:
            build((1, 3, 64, 64), cache / 'never-1x64x64.pt2')
        except HelperError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(lambda: build._helper is not None)
    begun = monotonic()
    build.stop()
    thread.join(SECONDS)
    assert monotonic() - begun < 5.0
    assert 'compiling ended with exit code -9' in str(failed[0])
    with pytest.raises(HelperError, match='compiling was stopped'):
        build((1, 3, 64, 64), cache / 'never-1x64x64.pt2')
    assert not cache.exists()


def test_a_process_with_other_weights_compiles_nothing(cache):
    with pytest.raises(HelperError, match='its weights or packages differ'):
        InAnotherProcess(OPTIONS, 1)((1, 3, 64, 64), cache / 'mobile-other-1x64x64.pt2')
    assert not cache.exists()


@pytest.mark.slow
@pytest.mark.parametrize('precision', ['float32', 'bfloat16'])
def test_a_compiled_model_finds_what_it_finds_otherwise(precision, cache):
    options = ModelOptions(device='cpu', compile=True, precision=precision, threads=1)
    images = moving_people(640, 480, 2)
    plain = load_model(ModelOptions(device='cpu', precision=precision, runtime='torch'))
    for line in ('compiled the network', 'loaded the network'):  # the second start has a cache
        model, said = loaded(background=False, options=options)
        for expected, found in zip(plain.detect(images), model.detect(images), strict=True):
            assert len(found) == len(expected) >= 3
            assert (box_iou(expected.boxes, found.boxes).max(axis=1) > 0.95).all()
        assert said[-1].startswith(f'{line} for 1 x 576 x 448 pixels')
        assert model.detector.is_ready
    assert len(list(cache.iterdir())) == 1
