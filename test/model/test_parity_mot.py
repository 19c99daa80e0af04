# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The MOT model gives the results of the published system, from the image to the features."""

from __future__ import annotations

import json

import numpy as np
from parity import formula_tensor
from parity import match_boxes
from parity import with_formula_weights
from paths import FIXTURES
import pytest
import torch
from torch import Tensor

from gtr_ros.model.build import gtr_mot
from gtr_ros.model.centernet import CenterNetHead
from gtr_ros.model.centernet import decode
from gtr_ros.model.centernet import LEVEL_STRIDES
from gtr_ros.model.gtr import GTR
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import SquareFit
from gtr_ros.model.roi import pool_boxes

CPU = torch.device('cpu')


@pytest.fixture(scope='module')
def published() -> dict[str, np.ndarray]:
    """Return the results of the published system for one image of 128 x 256."""
    return {
        key: array
        for file in ('d_backbone_128x256.npz', 'e_roi_128x256.npz')
        for key, array in np.load(FIXTURES / file).items()
    }


@pytest.fixture(scope='module')
def model() -> GTR:
    """Return the model with weights from the rule; images are not enlarged to 1560."""
    model = with_formula_weights(gtr_mot())
    model.detector.resize = SquareFit(256)
    return model


@pytest.fixture(scope='module')
def computed(model, published) -> dict[str, Tensor]:
    """Return our results for that image, by the published names."""
    detector = model.detector
    with torch.inference_mode():
        pixels = detector.prepare([published['image']], CPU).pixels
        maps = detector.backbone(pixels)
        levels, logits, sides = detector(pixels)
    arrays = {f'dla{i}': m for i, m in enumerate(maps, start=3)}
    for i, (level, heat, side) in enumerate(zip(levels, logits, sides, strict=True), start=3):
        arrays |= {f'p{i}': level, f'hm_p{i}': heat, f'reg_p{i}': side}
    return arrays


def picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Return coarse noise, in which the rule weights find objects."""
    coarse = np.random.default_rng(seed).integers(0, 255, (height // 8 + 1, width // 8 + 1, 3))
    return coarse.astype(np.uint8).repeat(8, axis=0).repeat(8, axis=1)[:height, :width]


def test_the_weight_rule_gives_the_published_check_values():
    check = json.loads((FIXTURES / 'w_weights_check_mot.json').read_text())
    assert len(check) > 300
    for key, expected in check.items():
        tensor = formula_tensor(key, expected['shape'])
        if tensor is not None:
            first = tensor.flatten()[: len(expected['first'])]
            np.testing.assert_allclose(first, expected['first'], rtol=1e-6, err_msg=key)
            total = tensor.double().sum().item()
            assert total == pytest.approx(expected['sum'], rel=1e-6, abs=1e-6), key


def test_the_number_of_parameters_is_that_of_the_paper():
    model = gtr_mot()
    millions = {name: _millions(part) for name, part in model.named_children()}
    assert _millions(model) == pytest.approx(43.8, abs=0.05)
    assert millions['association'] == pytest.approx(12.60, abs=0.005)
    assert millions['head'] == pytest.approx(9.08, abs=0.005)
    assert _millions(model.detector.pyramid) == pytest.approx(5.89, abs=0.005)
    assert _millions(model.detector.head) == pytest.approx(0.97, abs=0.005)
    assert _millions(model.detector.backbone) == pytest.approx(15.27 - 0.042, abs=0.005)


def _millions(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize(
    'name',
    [
        'dla3',
        'dla4',
        'dla5',
        *(f'{kind}p{i}' for kind in ('', 'hm_', 'reg_') for i in range(3, 8)),
    ],
)
def test_the_maps_of_the_detector_equal_the_published_ones(computed, published, name):
    expected = torch.from_numpy(published[name])
    bound = 1e-4 * expected.abs().max().item()
    torch.testing.assert_close(
        computed[name].reshape(expected.shape), expected, rtol=1e-4, atol=bound
    )


@torch.inference_mode()
def test_the_proposals_equal_the_published_ones(model, published):
    pixels = model.detector.prepare([published['image']], CPU).pixels
    [proposals] = model.detector.propose(model.detector.network(pixels))
    order = match_boxes(proposals.boxes, published['prop_boxes'], atol=1e-2)
    np.testing.assert_allclose(proposals.scores[order], published['prop_scores'], atol=1e-4)


@torch.inference_mode()
def test_boxes_of_every_kind_have_the_published_features(model, computed, published):
    boxes = torch.from_numpy(published['boxes'])
    pooled = pool_boxes([computed['p3']], model.detector.strides, [boxes])
    np.testing.assert_allclose(pooled, published['pooled'], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.head(pooled), published['feats'], rtol=1e-4, atol=1e-4)


def test_the_detections_and_their_features_equal_the_published_ones(model, published):
    (detections,) = model.detect([published['image']], score_threshold=0.55)
    order = match_boxes(torch.from_numpy(detections.boxes), published['det_boxes'], atol=1e-2)
    np.testing.assert_allclose(detections.scores[order], published['det_scores'], atol=1e-4)
    np.testing.assert_allclose(
        detections.features[order], published['det_feats'], rtol=1e-4, atol=1e-4
    )
    assert detections.labels.tolist() == [0] * 16
    assert (np.diff(detections.scores) <= 0).all()


@torch.inference_mode()
def test_a_score_equal_to_the_threshold_is_removed(model, published):
    batch = model.detector.prepare([published['image']], CPU)
    (all_found,), _ = model.detector.find(batch, 0.55)
    (found,), _ = model.detector.find(batch, all_found.scores[3].item())
    assert torch.equal(found.scores, all_found.scores[:3])


@torch.inference_mode()
def test_a_batch_gives_the_same_objects_as_single_images_with_the_same_padding(model):
    sizes = [(100, 250), (180, 120), (96, 96)]
    images = [picture(*size, seed) for seed, size in enumerate(sizes)]
    batch = model.detector.prepare(images, CPU)
    assert batch.pixels.shape == (3, 3, 256, 256)
    found, (p3,) = model.detector.find(batch, 0.3)
    for i, together in enumerate(found):
        one = slice(i, i + 1)
        alone = Batch(batch.pixels[one], batch.scales[one], batch.sizes[one])
        (expected,), (level,) = model.detector.find(alone, 0.3)
        assert len(expected.boxes) > 0
        order = match_boxes(together.boxes, expected.boxes, atol=1e-2)
        torch.testing.assert_close(together.scores[order], expected.scores, rtol=0, atol=1e-4)
        torch.testing.assert_close(p3[one], level, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(128, 256), (97, 203), (333, 64), (12, 700), (700, 12), (1, 1)])
def test_boxes_are_in_pixels_of_images_of_any_size_and_shape(model, size):
    image = picture(*size)
    (detections,) = model.detect([image], score_threshold=0.3)
    assert len(detections) > 0
    assert detections.image_size == size
    batch = model.detector.prepare([image], CPU)
    with torch.inference_mode():
        (found,), _ = model.detector.find(batch, 0.3)
    height, width = size
    scale = 256 / max(size)
    x, y = max(1, int(width * scale)) / width, max(1, int(height * scale)) / height
    order = match_boxes(found.boxes / torch.tensor([x, y, x, y]), detections.boxes, atol=1e-2)
    np.testing.assert_allclose(found.scores[order], detections.scores, atol=1e-4)


def test_without_scores_above_the_threshold_there_are_no_detections(model):
    detections = model.detect([picture(64, 64), picture(64, 200)], score_threshold=0.999)
    assert [len(d) for d in detections] == [0, 0]
    assert detections[0].boxes.shape == (0, 4)
    assert detections[0].features.shape == (0, 1024)
    with torch.inference_mode():
        linked = model.association(torch.zeros(0, 1024), [0, 0], 1, torch.zeros(0, 4))
    assert linked.shape == (0, 0)


@torch.inference_mode()
def test_an_untrained_head_gives_low_scores():
    logits, sides = CenterNetHead(32)([torch.rand(1, 32, 2, 2)] * 5)
    assert torch.stack(logits).sigmoid().max() < 0.02
    assert torch.stack(sides).min() > 4


def slow_decode(
    logits: list[Tensor], sides: list[Tensor], image: int, pre: int, threshold: float, post: int
) -> list[tuple[list[float], float]]:
    """Decode cell by cell and suppress box by box: a direct implementation of the rule."""
    candidates = []
    for heat, side, stride in zip(logits, sides, LEVEL_STRIDES, strict=True):
        cells = []
        for i in range(heat.shape[2]):
            for j in range(heat.shape[3]):
                p = heat[image, 0, i, j].sigmoid().item()
                if p > 1e-4:
                    x, y = j * stride + stride // 2, i * stride + stride // 2
                    left, top, right, bottom = (side[image, :, i, j] * stride).tolist()
                    x1, y1 = x - left, y - top
                    box = [x1, y1, max(x + right, x1 + 0.01), max(y + bottom, y1 + 0.01)]
                    cells.append((box, p**0.5))
        candidates += sorted(cells, key=lambda c: -c[1])[:pre]
    kept: list[tuple[list[float], float]] = []
    for box, score in sorted(candidates, key=lambda c: -c[1]):
        if all(_iou(box, other) <= threshold for other, _ in kept):
            kept.append((box, score))
    return [k for k in kept if len(kept) <= post or k[1] >= kept[post - 1][1]]


def _iou(a: list[float], b: list[float]) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    common = max(0.0, width) * max(0.0, height)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return common / (sum(areas) - common)


@pytest.mark.parametrize('size', [(128, 128), (200, 136), (24, 1000)])
@pytest.mark.parametrize(
    ('pre', 'threshold', 'post'), [(1000, 0.6, 128), (20, 0.3, 7), (5, 0.9, 999)]
)
def test_decoding_follows_the_rule_at_any_size(size, pre, threshold, post):
    generator = torch.Generator().manual_seed(sum(size) + pre)
    shapes = [(-(-size[0] // s), -(-size[1] // s)) for s in LEVEL_STRIDES]
    logits = [4 * torch.randn(2, 1, *shape, generator=generator) - 4 for shape in shapes]
    sides = [2 * torch.randn(2, 4, *shape, generator=generator).relu() for shape in shapes]
    decoded = decode(logits, sides, LEVEL_STRIDES, pre, threshold, post)
    for image, proposals in enumerate(decoded):
        expected = slow_decode(logits, sides, image, pre, threshold, post)
        order = match_boxes(proposals.boxes, np.array([box for box, _ in expected]), atol=1e-3)
        scores = [score for _, score in expected]
        np.testing.assert_allclose(proposals.scores[order], scores, atol=1e-6)


def test_boxes_that_tie_with_the_last_are_kept():
    logits = torch.full((1, 1, 1, 8), -30.0)
    logits[..., ::2] = torch.tensor([3.0, 1.0, 1.0, 0.0])
    (proposals,) = decode([logits], [torch.ones(1, 4, 1, 8) / 4], (8,), post_nms=2)
    assert proposals.boxes[:, 0].tolist() == [2, 18, 34]


def test_an_image_with_low_scores_has_no_proposals():
    (proposals,) = decode([torch.full((1, 1, 4, 4), -10.0)], [torch.ones(1, 4, 4, 4)], (8,))
    assert proposals.boxes.shape == (0, 4)
    assert proposals.scores.shape == (0,)
