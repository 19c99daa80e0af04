# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The TAO model gives the results of the published system."""

from __future__ import annotations

import json
import math

import numpy as np
from parity import formula_tensor
from paths import FIXTURES
from paths import SHARED
import pytest
import torch
from torch import Tensor

from gtr_ros.model.build import gtr_tao
from gtr_ros.model.cascade import Cascade
from gtr_ros.model.cascade import decode_deltas
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.gtr import GTR
from gtr_ros.model.lvis import class_names
from gtr_ros.model.lvis import image_counts
from gtr_ros.model.official import is_ignored
from gtr_ros.model.official import our_key
from gtr_ros.model.official import published_key
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import ShortestEdge
from gtr_ros.model.roi import pool_boxes

#: by published key: shape, first values and sum of the weights from the rule
PUBLISHED = json.loads((FIXTURES / 'w_weights_check_tao.json').read_text())
#: a fixture that is too large to be copied; it is beside this repository
LOSSES = SHARED / 'reference' / 'fixtures' / 'c_roi_loss_tao.npz'

MAPS = ('res3', 'res4', 'res5', 'p3', 'p4', 'p5', 'p6', 'p7')


def assert_close(actual: Tensor, expected: np.ndarray) -> None:
    """Compare with a tolerance relative to the largest activation."""
    tolerance = 1e-4 * float(np.abs(expected).max())
    torch.testing.assert_close(actual, torch.from_numpy(expected), rtol=1e-4, atol=tolerance)


@pytest.fixture(scope='module')
def weights() -> dict[str, Tensor]:
    """Return the weights from the rule by published key."""
    return {key: formula_tensor(key, entry['shape']) for key, entry in PUBLISHED.items()}


@pytest.fixture(scope='module')
def model(weights) -> GTR:
    model = gtr_tao()
    fit(model, {our_key(k): w for k, w in weights.items() if not is_ignored(k)}, 'the rule')
    # Small, so that a whole image is fast.
    model.detector.resize = ShortestEdge(96, 160)
    return model


@pytest.fixture(scope='module')
def data() -> dict[str, np.ndarray]:
    return dict(np.load(FIXTURES / 'g_tao_96x160.npz'))


@pytest.fixture(scope='module')
def batch(model, data) -> Batch:
    batch = model.detector.prepare([data['image']], torch.device('cpu'))
    assert list(batch.pixels.shape[2:]) == data['padded_hw'].tolist()
    assert batch.scales.tolist() == [[1, 1]]
    return batch


def nearest(boxes: Tensor, expected: Tensor) -> Tensor:
    """Return the index of the box nearest to each expected one; each is used once."""
    index = torch.cdist(expected, boxes, p=1).argmin(dim=1)
    assert len(index.unique()) == len(expected)
    return index


def random_image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


def test_the_rule_gives_the_weights_of_the_fixtures(weights):
    for key, tensor in weights.items():
        flat = tensor.flatten().numpy()
        np.testing.assert_allclose(flat[:3], PUBLISHED[key]['first'], rtol=1e-6, err_msg=key)
        total = flat.astype(np.float64).sum()
        np.testing.assert_allclose(total, PUBLISHED[key]['sum'], rtol=1e-6, atol=1e-6, err_msg=key)


def test_published_keys_and_parameters_match_one_to_one_in_shape(model):
    ours = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    mapped = {key: our_key(key) for key in PUBLISHED if not is_ignored(key)}
    assert len(set(mapped.values())) == len(mapped)
    assert {name: PUBLISHED[key]['shape'] for key, name in mapped.items()} == ours
    assert {name: published_key(name) for name in ours} == {n: k for k, n in mapped.items()}


def test_only_the_constants_of_the_federated_loss_are_ignored():
    ignored = {key for key in PUBLISHED if is_ignored(key)}
    assert ignored == {
        f'roi_heads.box_predictor.{i}.{name}'
        for i in range(3)
        for name in ('freq_weight', 'fed_loss_cls_weights')
    }


def test_the_model_has_the_published_number_of_parameters(model):
    def millions(module: torch.nn.Module) -> float:
        return sum(p.numel() for p in module.parameters()) / 1e6

    assert millions(model) == pytest.approx(127.65, abs=0.005)
    detector = model.detector
    parts = [detector.backbone, detector.pyramid, detector.head, detector.cascade, model.head]
    assert [millions(p) for p in parts] == pytest.approx([45.3, 3.9, 2.4, 45.4, 13.9], abs=0.06)
    assert millions(model.association) == pytest.approx(12.6 + 4.2, abs=0.06)


@torch.inference_mode()
def test_backbone_and_pyramid_give_the_published_maps(model, data, batch):
    bottom_up = model.detector.backbone(batch.pixels)
    levels = model.detector.pyramid(bottom_up)
    for name, value in zip(MAPS, (*bottom_up, *levels), strict=True):
        assert_close(value[0], data[name])


@torch.inference_mode()
def test_the_head_gives_the_published_heat_maps_and_sides(model, data, batch):
    _, logits, sides = model.detector(batch.pixels)
    for level in range(5):
        assert_close(logits[level][0], data[f'hm_p{level + 3}'])
        assert_close(sides[level][0], data[f'reg_p{level + 3}'])


@torch.inference_mode()
def test_the_proposals_equal_the_published_ones(model, data, batch):
    [proposals] = model.detector.propose(model.detector.network(batch.pixels))
    expected = torch.from_numpy(data['prop_boxes'])
    assert len(proposals.boxes) == len(expected)
    index = nearest(proposals.boxes, expected)
    torch.testing.assert_close(proposals.boxes[index], expected, rtol=0, atol=1e-2)
    scores = torch.from_numpy(data['prop_scores'])
    torch.testing.assert_close(proposals.scores[index], scores, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_the_cascade_gives_the_published_boxes_classes_and_features(model, data, batch):
    (found,), maps = model.detector.find(batch, 0.4)
    assert len(found.boxes) == data['n_inst']
    # Refined boxes may coincide, but not their proposals.
    index = nearest(found.regions, torch.from_numpy(data['prop_boxes'][:8]))
    expected = torch.from_numpy(data['inst_boxes'])
    torch.testing.assert_close(found.boxes[index], expected, rtol=0, atol=1e-2)
    # The last published score is that of the background, which we do not have.
    scores = torch.from_numpy(data['inst_cls_scores'][:, :-1])
    torch.testing.assert_close(found.class_scores[index], scores, rtol=0, atol=1e-4)
    torch.testing.assert_close(found.scores[index], scores.amax(dim=1), rtol=0, atol=1e-4)
    torch.testing.assert_close(found.labels[index], scores.argmax(dim=1))
    features = model.head(pool_boxes(maps, model.detector.strides, [found.regions[index]]))
    assert_close(features, data['inst_feats'])


def test_the_whole_model_gives_the_detections_of_an_image_best_first(model, data):
    (detections,) = model.detect([data['image']])
    assert len(detections) == data['n_inst']
    assert detections.features.shape == (data['n_inst'], 1024)
    assert detections.class_scores.shape == (data['n_inst'], len(model.class_names))
    assert (np.diff(detections.scores) <= 0).all()
    assert (detections.boxes >= 0).all()
    assert (detections.boxes <= [160, 96, 160, 96]).all()


def test_an_image_without_objects_gives_no_detections(model, data):
    (detections,) = model.detect([data['image']], score_threshold=0.99)
    assert len(detections) == 0
    assert detections.boxes.shape == (0, 4)
    assert detections.features.shape == (0, 1024)
    assert detections.class_scores.shape == (0, 1203)


@torch.inference_mode()
def test_images_of_different_sizes_in_a_batch_are_independent(model):
    detector = model.detector
    images = [random_image(150, 90), random_image(48, 100)]
    batch = detector.prepare(images, torch.device('cpu'))
    assert batch.pixels.shape == (2, 3, 160, 160)
    together, _ = detector.find(batch, 0.4)
    for i, found in enumerate(together):
        alone = Batch(batch.pixels[i : i + 1], batch.scales[i : i + 1], batch.sizes[i : i + 1])
        (expected,), _ = detector.find(alone, 0.4)
        assert len(found.boxes) == len(expected.boxes) > 0
        index = nearest(found.regions, expected.regions)
        torch.testing.assert_close(found.boxes[index], expected.boxes, rtol=0, atol=1e-2)
        scores = expected.class_scores
        torch.testing.assert_close(found.class_scores[index], scores, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_refined_boxes_end_about_where_the_image_does_and_its_padding_begins(model):
    images = [random_image(160, 96), random_image(96, 160)]
    found, _ = model.detector.find(model.detector.prepare(images, torch.device('cpu')), 0.4)
    for (width, height), objects in zip([(96, 160), (160, 96)], found, strict=True):
        border = torch.tensor([width, height])
        assert (objects.regions[:, 2:] > border + 20).any()
        assert (objects.boxes[:, 2:] < border + 5).all()


def test_boxes_are_in_pixels_of_each_image_as_received(model):
    images = [random_image(300, 180), random_image(48, 100)]
    for image, detections in zip(images, model.detect(images), strict=True):
        height, width = image.shape[:2]
        assert detections.image_size == (height, width)
        assert detections.boxes[:, 2:].max(axis=0).tolist() == [width, height]


@torch.inference_mode()
def test_the_cascade_clips_boxes_to_their_own_image_between_stages():
    cascade = Cascade(channels=1, classes=2, strides=(8,)).eval()
    for stage in cascade.stages:
        torch.nn.init.zeros_(stage.regress.weight)  # boxes are not changed
    boxes = torch.tensor([[-10.0, 5.0, 90.0, 70.0]])
    refined, probabilities = cascade(
        [torch.zeros(2, 1, 8, 10)], [boxes, boxes], sizes=[(64, 80), (40, 30)]
    )
    torch.testing.assert_close(refined[0], torch.tensor([[0.0, 5.0, 80.0, 64.0]]))
    torch.testing.assert_close(refined[1], torch.tensor([[0.0, 5.0, 30.0, 40.0]]))
    assert probabilities.shape == (2, 2)


def test_deltas_shift_boxes_by_their_sides_and_scale_them_exponentially():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0]])
    deltas = torch.tensor([[5.0, -10.0, 5 * math.log(2), 500.0]])
    moved = decode_deltas(deltas, boxes, (10, 10, 5, 5))
    # The centre moves from (20, 40) to (30, 0); growth is limited to a factor of 62.5.
    torch.testing.assert_close(moved, torch.tensor([[10.0, -1250.0, 50.0, 1250.0]]))


def test_the_class_names_are_those_of_lvis_v1():
    names = class_names()
    assert len(names) == len(set(names)) == 1203
    assert names[:3] == ('aerosol_can', 'air_conditioner', 'airplane')
    assert names[-2:] == ('zebra', 'zucchini')
    assert dict(zip(names, image_counts(), strict=True))['airplane'] == 1911


@pytest.mark.skipif(not LOSSES.is_file(), reason='c_roi_loss_tao.npz is not beside the repository')
def test_classes_are_in_the_order_of_the_published_frequencies():
    frequencies = np.load(LOSSES)['freq_weight']
    np.testing.assert_allclose(np.sqrt(image_counts()), frequencies, rtol=1e-6)


@pytest.mark.skipif(not LOSSES.is_file(), reason='c_roi_loss_tao.npz is not beside the repository')
def test_deltas_move_boxes_as_published():
    data = np.load(LOSSES)
    deltas, boxes = (torch.from_numpy(data[name]) for name in ('deltas', 'prop_boxes'))
    moved = decode_deltas(deltas, boxes, data['stage0_weights'].tolist())
    torch.testing.assert_close(moved, torch.from_numpy(data['decoded']), rtol=0, atol=1e-2)
