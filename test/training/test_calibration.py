# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration: measured on clips, stored with the weights."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import rectangles

from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.build import build
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import gtr_mot
from gtr_ros.model.build import make_transformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.checkpoint import CheckpointError
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.training.calibration import calibrate
from gtr_ros.training.calibration import draw_clips
from gtr_ros.training.calibration import fit_log_ratio
from gtr_ros.training.clip import Clip

pytestmark = pytest.mark.usefixtures('one_thread')

CALIBRATION = Calibration(same=0.7, different=0.3, deviation=0.16, drop=0.05, logit_slope=1.5)


class OneHotModel:
    """A fake model: the feature of an object of label k is the unit vector of axis k of 256."""

    def __init__(self, association=None) -> None:
        self.association = association or CosineAssociation()
        self.vectors = torch.eye(256)

    def eval(self):
        return self

    def describe(self, image, detections):
        labels = torch.from_numpy(detections.labels)
        return replace(detections, features=self.vectors[labels])


def clip(*frames: dict[int, int]) -> Clip:
    """Return a clip with the objects of each frame, given as labels by id."""
    boxes_of = [np.array([[10 * i, 5, 10 * i + 8, 25] for i in ids], np.float32) for ids in frames]
    return Clip(
        images=(np.zeros((32, 64, 3), np.uint8),) * len(frames),
        boxes=tuple(boxes.reshape(-1, 4) for boxes in boxes_of),
        labels=tuple(np.array(list(labels.values()), np.int64) for labels in frames),
        ids=tuple(np.array(list(ids), np.int64) for ids in frames),
    )


def test_constant_orthogonal_features_have_the_cosines_1_and_0():
    steady = clip(*[{1: 0, 2: 1, 3: 2}] * 4)
    found = calibrate(OneHotModel(), [steady])
    assert found == Calibration(same=1.0, different=0.0, deviation=0.15, drop=0.0)
    assert calibrate(OneHotModel(), [steady], cue='transformer') == replace(
        found, cue='transformer'
    )


def test_if_all_features_are_equal_same_and_different_are_equal():
    found = calibrate(OneHotModel(make_transformer('mobile').eval()), [clip(*[{1: 0, 2: 0}] * 3)])
    assert found.same == found.different == 1
    assert found.logit_slope == found.logit_level == 0


def test_objects_that_return_count_and_successive_frames_give_the_drop():
    model = OneHotModel()
    model.vectors[2, :3] = torch.tensor([0.6, 0.0, 0.8])  # cosine 0.6 with label 0
    away = clip({1: 0, 2: 1}, {1: 0, 2: 1}, {2: 1}, {1: 2, 2: 1})
    found = calibrate(model, [away] * 20)
    assert (found.same, found.drop) == pytest.approx((0.6, 0.4))
    # With only one return all pairs of the same object count.
    found = calibrate(model, [away])
    assert (found.same, found.drop) == pytest.approx((4.6 / 5, 0.08))


def test_a_box_is_compared_with_the_mean_feature():
    model = OneHotModel()
    # The third box's cosine with the mean of two orthogonal features is 1 / sqrt(2).
    changing = clip({1: 0, 2: 5}, {1: 1, 2: 5}, {1: 1, 2: 5})
    found = calibrate(model, [changing])
    assert found.same == pytest.approx((0 + 2**-0.5 + 1 + 1) / 4, abs=1e-4)
    assert found.deviation > 0.15


def test_only_identities_of_the_same_frame_count_as_different():
    # 3 has the feature of 1, but they are never in the same frame.
    found = calibrate(
        OneHotModel(), [clip({1: 0, 2: 1}, {1: 0, 2: 1}, {3: 0, 2: 1}, {3: 0, 2: 1})]
    )
    assert found.different == 0
    # A box of unknown identity has the feature of 1 and does not count.
    found = calibrate(OneHotModel(), [clip(*[{1: 0, 2: 1, 0: 0}] * 3)])
    assert (found.same, found.different) == (1, 0)


def test_separable_logits_have_a_finite_slope_and_a_level_between():
    model = OneHotModel(make_transformer('mobile').eval())  # untrained: G = 12 (cosine - 0.45)
    found = calibrate(model, [clip({1: 0, 2: 1, 3: 2}, {1: 0, 3: 2}, {}, {1: 0, 2: 1, 3: 2})])
    assert 0 < found.logit_slope < 100
    assert 12 * -0.45 < found.logit_level < 12 * 0.55
    assert found.cue == 'cosine'


def test_slope_and_level_are_those_of_two_normal_distributions():
    steps = (np.arange(20000) + 0.5) / 20000
    normal = np.sqrt(2) * torch.special.erfinv(torch.from_numpy(2 * steps - 1)).numpy()
    # Independent of the counts: log-ratio of N(3, 2^2) to N(-1, 2^2), 4 / 4 (G - 1).
    slope, level = fit_log_ratio(3 + 2 * normal[::10], -1 + 2 * normal)
    assert (slope, level) == pytest.approx((1, 1), abs=0.03)
    assert fit_log_ratio(-1 + 2 * normal, 3 + 2 * normal) == (0, 0)


@pytest.mark.parametrize(
    'clips',
    [
        [],
        [clip({1: 0, 2: 1})],
        [clip({1: 0}, {1: 0})],
        [clip({0: 0, 1: 1}, {0: 0, 1: 1})],
        [clip({1: 0}, {2: 1})],
        [clip({1: 0}, {1: 0}, {2: 1}, {2: 1})],
        [clip({}, {})],
    ],
    ids=[
        'no clips',
        'one frame',
        'one id',
        'one known id',
        'no id twice',
        'never together',
        'empty',
    ],
)
def test_clips_that_cannot_be_used_give_the_defaults(clips):
    assert calibrate(OneHotModel(), clips) == Calibration()


def test_a_model_is_calibrated_in_evaluation_mode_and_reproducibly():
    model = gtr_mobile(association='transformer').train()
    clips = [rectangles(seed, frames=3, objects=3) for seed in range(2)]
    nobody = np.zeros((0, 4), np.float32)
    none = np.zeros(0, np.int64)
    clips.append(
        replace(
            clips[0],
            boxes=(*clips[0].boxes[:2], nobody),
            labels=(*clips[0].labels[:2], none),
            ids=(*clips[0].ids[:2], none),
        )
    )
    found = calibrate(model, clips)
    assert found != Calibration()
    assert found.same == pytest.approx(1, abs=1e-3)  # the objects do not move
    assert found.different < found.same
    assert calibrate(model, clips) == found
    assert not model.training


def test_drawn_clips_depend_on_the_seed_are_short_and_not_those_of_the_training():
    def source(rng: np.random.Generator) -> Clip:
        return rectangles(int(rng.integers(10**9)), frames=12)

    drawn = list(draw_clips(source, seed=3, count=4, frames=8))
    assert [c.source for c in drawn] == [c.source for c in draw_clips(source, 3, count=4)]
    assert len({c.source for c in drawn}) == 4
    for one in drawn:
        assert len(one.images) == len(one.boxes) == len(one.ids) == len(one.crowds) == 8
    trained = {source(np.random.default_rng([3, number])).source for number in range(4)}
    assert not trained & {c.source for c in drawn}


@pytest.fixture(scope='module')
def calibrated(tmp_path_factory):
    """Return the file of a calibrated checkpoint."""
    file = tmp_path_factory.mktemp('weights') / 'calibrated.safetensors'
    state = gtr_mobile(association='transformer').state_dict()
    save_checkpoint(file, state, {'association': 'transformer', **CALIBRATION.write()})
    return file


def test_a_calibration_is_loaded_with_its_weights(calibrated):
    model = build('mobile', calibrated)
    assert model.association.calibration == CALIBRATION
    assert deepcopy(model).association.calibration == CALIBRATION
    own = make_transformer('mobile', causal=False)
    assert gtr_mobile(calibrated, association=own).association.calibration == CALIBRATION
    assert own.calibration == CALIBRATION


def test_a_calibration_applies_only_to_the_association_that_was_measured(calibrated):
    assert gtr_mobile(calibrated, 'cosine').association.calibration == Calibration()
    assert gtr_mobile(association='transformer').association.calibration == Calibration()


def test_weights_of_the_published_models_may_have_a_calibration(tmp_path):
    file, state = tmp_path / 'mot.safetensors', gtr_mot().state_dict()
    save_checkpoint(file, state, {'model': 'gtr_mot', **CALIBRATION.write()})
    assert gtr_mot(file).association.calibration == CALIBRATION
    save_checkpoint(file, state, {'model': 'gtr_mot'})
    assert gtr_mot(file).association.calibration == Calibration()


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('much', 'much'),
        ('[1]', r'\[1\]'),
        ('{"same": "high"}', "same is 'high'; expected a number"),
        ('{"deviation": 0}', 'deviation is 0; expected more than 0'),
        ('{"cue": "smell"}', "cue is 'smell'; expected one of cosine, transformer"),
    ],
)
def test_a_calibration_that_cannot_be_read_names_the_file(tmp_path, text, said):
    file = tmp_path / 'odd.safetensors'
    state = gtr_mobile(association='transformer').state_dict()
    save_checkpoint(file, state, {'association': 'transformer', 'calibration': text})
    with pytest.raises(CheckpointError, match=rf'odd\.safetensors: calibration .*{said}'):
        gtr_mobile(file)


def test_the_default_checkpoint_is_calibrated():
    found = build('mobile').association.calibration
    assert found.cue == 'cosine'
    assert found.different + found.deviation < found.same
    assert found.drop > 0
    assert found.logit_slope > 0
