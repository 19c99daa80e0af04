# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the paper's two models learn of a clip."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from training_data import rectangles

from gtr_ros.model.build import gtr_mot
from gtr_ros.model.build import gtr_tao
from gtr_ros.model.centernet import Proposals
from gtr_ros.training import published
from gtr_ros.training.published import match_objects
from gtr_ros.training.published import MOTObjective
from gtr_ros.training.published import sample_proposals
from gtr_ros.training.published import TAOObjective

DETECTOR = {'boxes', 'positive', 'negative'}
STAGES = {f'{part}_{number}' for part in ('classes', 'sides') for number in (1, 2, 3)}


@pytest.fixture(scope='module')
def mot() -> MOTObjective:
    torch.manual_seed(0)
    model = gtr_mot()
    # An untrained detector believes in nothing, and then nothing would be associated.
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    return MOTObjective(model).train()


@pytest.fixture(scope='module')
def tao() -> TAOObjective:
    torch.manual_seed(0)
    model = gtr_tao()
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    return TAOObjective(model).train()


def clip(seed: int = 1, **options):
    return rectangles(seed, size=128, labels=1, **options)


def without_gradient(model: torch.nn.Module) -> list[str]:
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_every_parameter_of_the_mot_model_learns(mot):
    mot.zero_grad(set_to_none=True)
    losses = mot([clip()])
    assert losses.keys() == DETECTOR | {'association'}
    total = sum(losses.values())
    total.backward()
    assert total.isfinite()
    assert losses['association'] > 0
    assert without_gradient(mot.model) == []


def test_every_parameter_of_the_tao_model_learns(tao):
    tao.zero_grad(set_to_none=True)
    losses = tao([rectangles(1, size=96, labels=1, frames=1)])
    assert losses.keys() == DETECTOR | STAGES | {'association'}
    sum(losses.values()).backward()
    assert without_gradient(tao.model) == []


def test_a_clip_without_objects_has_no_association_and_no_box_to_learn(mot):
    losses = mot([clip(objects=0)])
    sum(losses.values()).backward()
    assert losses.keys() == DETECTOR | {'association'}
    assert losses['association'] == losses['boxes'] == losses['positive'] == 0
    assert losses['negative'] > 0


def test_the_detector_alone_is_trained_without_proposals(mot, monkeypatch):
    monkeypatch.setattr(published, 'decode', lambda *_: pytest.fail('nothing needs proposals'))
    alone = MOTObjective(mot.model, association_weight=0)
    assert alone([clip(frames=1)]).keys() == DETECTOR


def test_of_a_clip_that_is_not_wholly_labelled_the_detector_learns_nothing(mot):
    losses = mot([replace(clip(), complete=False)])
    assert losses['negative'] == losses['positive'] == losses['boxes'] == 0
    assert losses['association'] > 0
    both = MOTObjective(mot.model, association_weight=0)
    mixed = both([clip(1), replace(clip(2), complete=False)])
    assert mixed['negative'] > 0


def test_two_shares_of_a_batch_have_its_gradient(mot, monkeypatch):
    detector = MOTObjective(
        mot.model, association_weight=0
    ).eval()  # norms do not follow the batch
    clips = [clip(1, objects=1), clip(2, objects=3)]

    def gradient() -> torch.Tensor:
        weight = mot.model.detector.head.sides.weight
        return weight.grad.clone()

    detector.zero_grad()
    sum(detector(clips).values()).backward()
    whole = gradient()
    counts: list[list[float]] = []
    for share in clips:
        own: list[float] = []
        monkeypatch.setattr(
            published, 'mean_over_processes', lambda n, own=own: own.append(n) or n
        )
        detector([share])
        counts.append(own)
    means = [sum(pair) / 2 for pair in zip(*counts, strict=True)]
    shares = []
    for share in clips:
        given = iter(means)
        monkeypatch.setattr(published, 'mean_over_processes', lambda n, given=given: next(given))
        detector.zero_grad()
        sum(detector([share]).values()).backward()
        shares.append(gradient())
    torch.testing.assert_close(sum(shares) / 2, whole, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(shares[0], shares[1])
    mot.train()


def test_a_box_shows_the_object_that_overlaps_it_most_if_that_is_enough():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]])
    truth = torch.tensor([[0.0, 0, 10, 10], [0, 0, 9, 5]])
    objects, foreground = match_objects(boxes, truth, 0.6)
    assert objects[:2].tolist() == [0, 1]
    assert foreground.tolist() == [True, True, False]
    assert not match_objects(boxes, truth[:0], 0.6).foreground.any()


def test_of_the_sampled_proposals_at_most_a_quarter_shows_objects():
    truth = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.cat((truth.repeat(100, 1), truth.repeat(100, 1) + 50))
    torch.manual_seed(0)
    sampled = sample_proposals(Proposals(boxes, torch.rand(200)), truth, count=40)
    assert len(sampled.boxes) == len(sampled.scores) == 40
    assert int((sampled.boxes[:, 0] == 0).sum()) == 10
    few = sample_proposals(Proposals(boxes[95:105], torch.rand(10)), truth, count=40)
    assert len(few.boxes) == 10
