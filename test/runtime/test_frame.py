# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A frame in fixed shapes finds what is found step by step, and never waits for a GPU."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
from photographs import moving_people
from pretended_gpu import move_to_pretended_gpu
from pretended_gpu import Transfers
import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.resize import SquareFit
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.frame import FixedFrame
from gtr_ros.runtime.frame_graphs import FrameGraphs
from gtr_ros.runtime.torch_runtime import tune
from gtr_ros.structures import Detections
from gtr_ros.tracking import Tracker

pytestmark = pytest.mark.usefixtures('one_thread')


@pytest.fixture(scope='module')
def models() -> dict[str, GTR]:
    """Return the default model, and an untrained `mot` whose scores differ."""
    torch.manual_seed(0)
    mot = build('mot', 'random')
    mot.detector.head.heatmap.weight.data.mul_(30)
    mot.detector.resize = SquareFit(250)
    return {'mobile': tune(build('mobile')), 'mot': tune(mot)}


@pytest.fixture
def model(models, request, monkeypatch) -> Iterator[GTR]:
    """Yield a model that detects images of one size in one batch, as on a GPU."""
    model = models[request.param]
    monkeypatch.setattr(GTR, 'batches', True)
    detector = model.detector
    yield model
    model.detector, model.frames = detector, None


mobile_and_mot = pytest.mark.parametrize('model', ['mobile', 'mot'], indirect=True)
mobile = pytest.mark.parametrize('model', ['mobile'], indirect=True)


def detect_both(
    model: GTR, images: Sequence[np.ndarray], threshold: float | None
) -> tuple[list[Detections], list[Detections], FrameGraphs]:
    """Detect step by step, then in fixed shapes."""
    model.frames = None
    expected = model.detect(images, None, threshold)
    model.frames = FrameGraphs(model)
    model.detect(images, None, threshold)  # the first frame runs step by step
    assert model.frames.images == 0
    found = model.detect(images, None, threshold)
    assert model.frames.images == len(images)
    return expected, found, model.frames


def assert_equal(found: Sequence[Detections], expected: Sequence[Detections]) -> None:
    """Assert that detections are the same up to the rounding of differently sized batches."""
    for own, other in zip(found, expected, strict=True):
        assert len(own) == len(other)
        np.testing.assert_allclose(own.boxes, other.boxes, atol=0.01)
        np.testing.assert_allclose(own.scores, other.scores, atol=1e-4)
        np.testing.assert_array_equal(own.labels, other.labels)
        torch.testing.assert_close(own.features, other.features, atol=1e-4, rtol=1e-4)
        assert own.image_size == other.image_size
        assert (own.boxes.dtype, own.labels.dtype) == (other.boxes.dtype, other.labels.dtype)


@mobile_and_mot
@pytest.mark.parametrize('size', [(640, 480), (321, 243), (854, 480)])
def test_one_function_finds_the_same_at_every_threshold(model, size):
    images = moving_people(*size, count=1)
    frames = FrameGraphs(model)
    frames.find(images, 0.3)  # the first frame runs step by step
    counts = []
    for threshold in (0.0, 0.02, 0.3, 0.99):
        model.frames = None
        expected = model.detect(images, None, threshold)
        model.frames = frames
        assert_equal(model.detect(images, None, threshold), expected)
        counts.append(len(expected[0]))
    assert (frames.images, frames.inexact) == (4, 0)
    assert counts[0] >= counts[1] > counts[2] > counts[3] or model.name == 'mot'
    assert counts[2] > 0


@mobile_and_mot
def test_a_batch_of_three_gives_the_same(model):
    images = moving_people(320, 240, count=3)
    expected, found, _ = detect_both(model, images, 0.3)
    assert_equal(found, expected)
    assert min(map(len, expected)) > 0


@mobile_and_mot
@pytest.mark.parametrize(
    'layout',
    [
        lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],
        lambda image: np.pad(image, ((0, 0), (0, 5), (0, 0)))[:, : image.shape[1]],
        lambda image: np.broadcast_to(image[..., :1], image.shape),
    ],
    ids=['bgr', 'padded rows', 'one channel thrice'],
)
def test_the_layout_of_the_memory_does_not_matter(model, layout):
    [image] = moving_people(320, 240, count=1)
    view = layout(image)
    view.flags.writeable = False
    expected, found, _ = detect_both(model, [view], 0.3)
    assert_equal(found, expected)
    [copied] = model.detect([view.copy()], None, 0.3)
    assert_equal(found, [copied])


@mobile
def test_images_of_a_batch_may_have_different_layouts(model):
    images = moving_people(320, 240, count=2)
    images[1] = np.ascontiguousarray(images[1][..., ::-1])[..., ::-1]
    expected, found, _ = detect_both(model, images, 0.3)
    assert_equal(found, expected)


@mobile_and_mot
def test_more_objects_than_rows_are_cut_off_as_step_by_step(model, monkeypatch):
    monkeypatch.setattr(model.detector, 'max_detections', 3, raising=False)
    monkeypatch.setattr(model.detector, 'post_nms', 3, raising=False)
    expected, found, _ = detect_both(model, moving_people(320, 240, count=1), 0.02)
    assert len(expected[0]) in range(1, 4)
    assert_equal(found, expected)


@mobile
def test_an_image_that_is_none_is_refused(model):
    model.frames = FrameGraphs(model)
    for _ in range(2):
        with pytest.raises(ValueError, match=r'expected uint8 of \(H, W, 3\)'):
            model.detect([np.zeros((4, 4, 3), np.float32)])


@mobile
def test_a_clip_has_the_same_ids(model):
    frames = FrameGraphs(model)
    ids = []
    for own in (None, frames):
        model.frames = own
        tracker = Tracker(model.association, window=8, min_hits=1)
        ids.append([])
        for t, image in enumerate(moving_people(320, 240, count=10)):
            [detections] = model.detect([image], [t * 10**8], 0.3)
            ids[-1].append(tracker.update(detections).ids.tolist())
    assert ids[0] == ids[1]
    assert frames.images == 9
    assert sum(map(len, ids[0])) >= 30


def with_outputs(model: GTR, change: Callable[[tuple[Tensor, ...]], None]) -> RuntimeDetector:
    """Return a detector whose network's outputs are changed in place."""
    plain = model.detector

    def run(pixels: Tensor) -> tuple[Tensor, ...]:
        outputs = plain.network(pixels)
        change(outputs)
        return outputs

    return RuntimeDetector(plain, run)


@mobile
def test_an_image_with_a_long_chain_of_overlaps_runs_step_by_step_and_is_counted(model):
    def change(outputs: tuple[Tensor, ...]) -> None:
        *_, logits, sides = outputs
        logits[0].fill_(-20)
        logits[0, 0, 9, 4:84:2] = torch.linspace(5, 1, 40)
        sides[0].fill_(16)

    model.detector = with_outputs(model, change)
    expected, found, frames = detect_both(model, moving_people(320, 240, count=2), 0.3)
    assert len(expected[0]) == 20
    assert_equal(found, expected)
    assert (frames.images, frames.inexact) == (2, 1)


@mobile
def test_an_output_that_is_not_finite_is_an_error_as_step_by_step(model):
    def change(outputs: tuple[Tensor, ...]) -> None:
        for output in outputs:
            output.fill_(torch.nan)

    [image] = moving_people(320, 240, count=1)
    model.frames = FrameGraphs(model)
    model.detect([image])
    model.detector = with_outputs(model, change)
    with pytest.raises(ArithmeticError, match='not finite'):
        model.detect([image])


@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('name', ['mobile', 'mot'])
def test_on_a_gpu_only_image_and_threshold_are_copied_and_nothing_depends_on_values(name, reverse):
    model = build(name, 'random')
    with FakeTensorMode(), torch.no_grad():
        move_to_pretended_gpu(model)
        frame = FixedFrame(model, (480, 640), reverse)
        with Transfers() as transfers:
            rows, features = frame(torch.zeros(2, 480, 640, 3, dtype=torch.uint8), torch.ones(()))
    assert rows.is_cuda
    assert features.is_cuda
    assert rows.shape == (2, 100 if name == 'mobile' else 128, 8)
    assert features.shape[:2] == rows.shape[:2]
    assert sorted(transfers.uploads) == [(), (2, 480, 640, 3)]
    assert transfers.downloads == []


def test_the_cascade_of_tao_runs_step_by_step():
    assert not build('tao', 'random').detector.fixed
