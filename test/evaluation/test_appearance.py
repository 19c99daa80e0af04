# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of given boxes, by the model and by a ReID network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from paths import SHARED
import pytest
import torch

from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.evaluation.appearance import OnnxAppearance
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import gtr_mot
from gtr_ros.model.build import gtr_tao
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.resize import Batch

REID = SHARED / 'data' / 'teacher' / 'osnet_x0_25_msmt17.onnx'


def test_described_boxes_have_the_same_features_as_detected_ones():
    torch.manual_seed(0)
    model = gtr_mobile()
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), np.uint8)
    (found,) = model.detect([image], score_threshold=0.0)
    # Boxes at the border were clipped after pooling their features.
    height, width = found.image_size
    inside = (found.boxes[:, :2] > 0).all(1) & (found.boxes[:, 2:] < (width, height)).all(1)
    found = found.select(inside)
    assert len(found) > 3
    others = replace(found, features=torch.zeros(len(found), 0))
    torch.testing.assert_close(
        model.describe(image, others).features, found.features, rtol=1e-3, atol=1e-4
    )


def test_an_image_without_boxes_is_described():
    model = gtr_mobile()
    image = np.zeros((64, 64, 3), np.uint8)
    (found,) = model.detect([image], score_threshold=1.1)
    assert model.describe(image, found).features.shape == (0, 256)


@pytest.mark.parametrize('make', [gtr_mobile, gtr_mot, gtr_tao])
@torch.inference_mode()
def test_feature_maps_are_those_of_a_detection(make):
    torch.manual_seed(0)
    detector = make().detector
    pixels = torch.rand(1, 3, 128, 128)
    batch = Batch(pixels, torch.ones(1, 2), [(128, 128)])
    alone, (_, found) = detector.maps(batch), detector.find(batch, 1.1)
    assert len(alone) == len(found) == len(detector.strides)
    for a, b in zip(alone, found, strict=True):
        torch.testing.assert_close(a, b)


def test_of_a_checkpoint_for_another_association_the_detector_is_taken(tmp_path):
    torch.manual_seed(0)
    trained = gtr_mobile(association='transformer')
    file = tmp_path / 'trained.safetensors'
    metadata = {'model': 'gtr_mobile', 'source': 'a test', 'association': 'transformer'}
    save_checkpoint(file, trained.state_dict(), metadata)
    plain = gtr_mobile(file, association='cosine')
    for key, value in trained.detector.state_dict().items():
        assert torch.equal(plain.detector.state_dict()[key], value), key


def test_a_reid_network_separates_people():
    pytest.importorskip('onnxruntime', reason='needs the evaluation extra')
    if not REID.is_file():
        pytest.skip('the ReID network is not here (../shared/data/teacher)')
    made = generate(Scene.parse('synthetic:objects=4,occlusion=0,similarity=0,duration=2'))
    images = list(made.sequence.images())
    describe = OnnxAppearance(REID)
    features = []
    for t in (0, 10):
        truth = made.sequence.truth[t]
        boxes = truth.boxes.astype(np.float32)
        frame = made.detections[t]
        people = replace(
            frame,
            boxes=boxes,
            scores=np.ones(len(boxes), np.float32),
            labels=truth.labels,
            features=torch.zeros(len(boxes), 0),
        )
        features.append(describe(images[t], people).features)
        torch.testing.assert_close(features[-1].norm(dim=1), torch.ones(len(boxes)))
    ids = [made.sequence.truth[t].ids.tolist() for t in (0, 10)]
    similar = features[0] @ features[1].T
    own = [similar[i, ids[1].index(who)] for i, who in enumerate(ids[0]) if who in ids[1]]
    assert np.mean(own) > similar.mean() + 0.05


def test_an_invalid_network_is_refused(tmp_path):
    pytest.importorskip('onnxruntime', reason='needs the evaluation extra')
    (tmp_path / 'bad.onnx').write_bytes(b'nothing')
    with pytest.raises(ValueError, match=r'bad\.onnx is not a readable ONNX network'):
        OnnxAppearance(tmp_path / 'bad.onnx')
