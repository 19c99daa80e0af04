# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What makes a model faster in torch: the same but for rounding, and errors that say why not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest
from runtimes import needs_cuda
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from gtr_ros.boxes import box_iou
from gtr_ros.model.build import build
from gtr_ros.model.build import make_transformer
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.detector import to_host
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.packed import pack
from gtr_ros.model.packed import PackedLinear
from gtr_ros.model.packed import rounded_rows
from gtr_ros.model.resize import resize_by_pillow
from gtr_ros.model.resize import resize_by_torch
from gtr_ros.model.resize import upload
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.torch_runtime import describe_gpu
from gtr_ros.runtime.torch_runtime import fold_norms
from gtr_ros.runtime.torch_runtime import tune
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.online import CachingAssociation
from gtr_ros.tracking.online import RecomputingAssociation
from gtr_ros.tracking.online import StreamingAssociation

pytestmark = pytest.mark.usefixtures('one_thread')

CPU = torch.device('cpu')
PICTURE = Path('docs/demo.jpg')


def picture(width: int = 640, height: int = 480) -> np.ndarray:
    return np.array(Image.open(PICTURE).convert('RGB').resize((width, height)))


def untrained(name: str) -> GTR:
    """Return a model whose norms have statistics."""
    torch.manual_seed(0)
    model = build(name, 'random')
    for module in model.detector.modules():
        if isinstance(module, nn.BatchNorm2d | FrozenBatchNorm2d):
            module.weight.data.uniform_(0.5, 1.0)
            module.bias.data.normal_(0, 0.1)
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return model


@pytest.mark.parametrize('name', ['mot', 'tao'])
@torch.inference_mode()
def test_folded_norms_change_nothing_and_are_gone(name):
    detector = untrained(name).detector
    pixels = torch.randn(1, 3, 128, 256)
    expected = detector.network(pixels)
    fold_norms(detector)
    norms = [m for m in detector.modules() if isinstance(m, nn.BatchNorm2d | FrozenBatchNorm2d)]
    assert not norms
    for values, right in zip(detector.network(pixels), expected, strict=True):
        torch.testing.assert_close(values, right, atol=1e-4 * float(right.abs().max()), rtol=0)


@pytest.mark.parametrize('kind', [StreamingAssociation, CachingAssociation])
@pytest.mark.parametrize('model', ['mobile', 'mot', 'tao'])
def test_packed_weights_give_the_same_likelihoods(model, kind):
    torch.manual_seed(1)
    link = make_transformer(model, causal=kind is StreamingAssociation).eval()
    state = {name: value.clone() for name, value in link.state_dict().items()}
    plain = make_transformer(model, causal=kind is StreamingAssociation).eval()
    plain.load_state_dict(state)
    pack(link)
    assert any(isinstance(module, PackedLinear) for module in link.modules())
    assert link.state_dict().keys() == state.keys()
    sides = kind(link), kind(plain), RecomputingAssociation(plain)
    for count in (5, 1, 0, 7, 7):
        features = torch.nn.functional.normalize(torch.randn(count, plain.features), dim=1)
        boxes = torch.rand(count, 4)
        found, expected, recomputed = (side.associate(features, boxes) for side in sides)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
        if kind is CachingAssociation:
            torch.testing.assert_close(found, recomputed, atol=1e-4, rtol=0)
        for side in sides:
            side.add()


def test_a_packed_layer_whose_gradient_is_asked_for_is_the_plain_one():
    layer = nn.Sequential(nn.Linear(8, 4))
    weight = layer[0].weight
    pack(layer)
    layer(torch.randn(2, 8)).sum().backward()
    assert layer[0].weight.data_ptr() == weight.data_ptr()
    assert layer[0].weight.grad is not None


@pytest.mark.parametrize('rows', [0, 1, 8, 9, 63, 65, 129, 256, 257, 700])
def test_a_packed_layer_of_any_number_of_rows_is_the_plain_one(rows):
    plain = nn.Linear(24, 40)
    layer = nn.Sequential(plain)
    pack(layer)
    x = torch.randn(rows, 24)
    with torch.inference_mode():
        torch.testing.assert_close(layer(x), plain(x), atol=1e-5, rtol=1e-5)


def test_few_numbers_of_rows_are_computed_as_each_costs_memory():
    rounded = [rounded_rows(count) for count in range(257)]
    assert all(full >= count for count, full in enumerate(rounded))
    assert len(set(rounded)) == 16


def test_what_is_not_on_a_cpu_in_float32_is_not_packed():
    layer = nn.Sequential(nn.Linear(8, 4)).double()
    pack(layer)
    assert type(layer[0]) is nn.Linear


def test_a_tuned_model_finds_the_same_and_gives_the_same_ids():
    plain, tuned = build('mobile'), load_model(ModelOptions(device='cpu'))
    trackers = [Tracker(model.association, window=8, min_hits=1) for model in (plain, tuned)]
    image, seen = picture(), 0
    for t in range(8):
        moved = np.roll(image, (2 * t, 5 * t), (0, 1))
        [expected], [found] = (m.detect([moved], [t * 10**8]) for m in (plain, tuned))
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.01)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
        torch.testing.assert_close(found.features, expected.features, atol=1e-4, rtol=0)
        ids = [tracker.update(d).ids for tracker, d in zip(trackers, (expected, found))]
        np.testing.assert_array_equal(*ids)
        seen += len(expected)
    assert seen >= 8 * 3


def test_a_smaller_input_has_the_given_area_and_boxes_in_pixels_of_the_image():
    image = picture()
    full, small = (load_model(ModelOptions(device='cpu', input_size=n)) for n in (0, 320))
    sizes = [model.detector.prepare([image], model.device).pixels.shape for model in (full, small)]
    assert sizes[1].numel() < 0.5 * sizes[0].numel()
    assert 0.8 < sizes[1][2:].numel() / 320**2 < 1.2
    [expected], [found] = (model.detect([image], None, 0.5) for model in (full, small))
    assert len(expected) >= 3
    iou = box_iou(expected.boxes.astype(np.float64), found.boxes.astype(np.float64))
    assert (iou.max(axis=1) > 0.7).sum() >= 3


def test_in_bfloat16_the_same_objects_are_found():
    plain, half = build('mobile'), tune(build('mobile'), 'bfloat16')
    [expected] = plain.detect([picture()], None, 0.45)
    assert len(expected) >= 3
    [found] = half.detect([picture()], None, 0.4)  # what scores just enough may come or go
    overlap = box_iou(expected.boxes, found.boxes)
    assert (overlap.max(axis=1) > 0.95).all()
    twin = overlap.argmax(axis=1)
    np.testing.assert_array_equal(found.labels[twin], expected.labels)
    np.testing.assert_allclose(found.scores[twin], expected.scores, atol=0.03)
    likeness = (found.features[twin] * expected.features).sum(dim=1)
    assert (likeness > 0.98).all()


@pytest.mark.parametrize('name', ['mot', 'tao'])
@torch.inference_mode()
def test_in_bfloat16_the_published_networks_say_nearly_the_same(name):
    plain = untrained(name)
    half = build(name, 'random')
    half.load_state_dict(plain.state_dict())
    half = tune(half, 'bfloat16')
    pixels = torch.randn(1, 3, 128, 256)
    outputs = half.detector.network(pixels)
    for values, right in zip(outputs, plain.detector.network(pixels), strict=True):
        assert values.dtype == torch.float32
        assert (values - right).abs().mean() < 0.03 * right.abs().mean()


@needs_cuda
@pytest.mark.parametrize('precision', ['float32', 'bfloat16', 'float16'])
@pytest.mark.parametrize('compiled', [False, True])
def test_cuda_finds_what_the_cpu_finds(precision, compiled):
    plain = build('mobile')
    other = load_model(ModelOptions(device='cuda', precision=precision, compile=compiled))
    [expected] = plain.detect([picture()], None, 0.45)
    assert len(expected) >= 3
    [found] = other.detect([picture()], None, 0.4)
    assert (box_iou(expected.boxes, found.boxes).max(axis=1) > 0.95).all()


@pytest.mark.parametrize('backwards', [False, True])
@pytest.mark.parametrize(('height', 'width'), [(220, 390), (600, 800), (877, 1560)])
def test_a_devices_filter_differs_from_pillows_by_one_at_most(height, width, backwards):
    image = picture(800, 450)
    if backwards:
        image = image[..., ::-1]  # as BGR is seen
    pixels, reverse = upload(image, CPU)
    assert reverse == backwards
    expected = resize_by_pillow(pixels, height, width).float()
    apart = (resize_by_torch(pixels, height, width) - expected).abs()
    assert apart.max() <= 1
    assert (apart > 0).float().mean() < 0.3


@pytest.mark.parametrize('scored', [False, True])
def test_objects_come_to_the_host_as_they_were(scored):
    def found(count: int) -> RawDetections:
        scores = torch.rand(count, 7) if scored else None
        labels = torch.randint(0, 1203, (count,))
        boxes = torch.rand(count, 4)
        return RawDetections(
            boxes, torch.rand(count), labels, regions=boxes + 1, class_scores=scores
        )

    given = [found(3), found(0), found(2)]
    for objects, expected in zip(to_host(given), given, strict=True):
        for values, right in zip(objects, expected, strict=True):
            if right is None:
                assert values is None
            else:
                torch.testing.assert_close(values, right, atol=0, rtol=0)
    assert to_host([]) == []


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        ({'precision': 'float16'}, 'float16 is slow on cpu'),
        ({'input_size': 40}, 'input_size is 40; expected 0, or at least 64 pixels'),
        ({'input_size': 4000}, 'input_size is 4000; expected a number from 0 to 2048'),
        (
            {'model': 'mot', 'checkpoint': 'random', 'input_size': 320},
            'input_size is 320, but model mot resizes images as in its training',
        ),
        ({'precision': 'int4'}, "precision is 'int4'; expected one of float32, bfloat16, float16"),
        ({'runtime': 'onnxruntime', 'precision': 'bfloat16'}, 'are for runtime torch'),
        ({'runtime': 'onnxruntime', 'compile': True}, 'are for runtime torch'),
    ],
)
def test_what_cannot_be_had_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        load_model(ModelOptions(device='cpu', **arguments))


@pytest.mark.parametrize(
    ('arguments', 'end'),
    [
        ({}, 'a GPU; faster: precision float16, compile true, best after `gtr compile`'),
        ({'precision': 'float16'}, 'a GPU; faster: compile true, best after `gtr compile`'),
        ({'precision': 'bfloat16', 'compile': True}, 'computes on a GPU'),
    ],
)
def test_on_a_gpu_it_says_what_would_be_faster(arguments, end):
    assert describe_gpu('a GPU', ModelOptions(**arguments)).endswith(end)


def test_a_processor_without_bfloat16_is_named(monkeypatch):
    said: list[str] = []
    no = {'avx2': True}
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: no, raising=False)
    tune(build('mobile', 'random'), 'bfloat16', log=said.append)
    assert said == ['this processor has no bfloat16 instructions: float32 is faster here']
