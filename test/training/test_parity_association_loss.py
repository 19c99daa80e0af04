# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The association loss has the published values and gradients, and follows the paper."""

from __future__ import annotations

import math

import numpy as np
from parity import with_formula_weights
from paths import FIXTURES
import pytest
import torch
from torch import Tensor

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.training.association_loss import assign
from gtr_ros.training.association_loss import association_loss
from gtr_ros.training.association_loss import AssociationLossOptions
from gtr_ros.training.association_loss import clip_loss
from gtr_ros.training.association_loss import PAPER
from gtr_ros.training.association_loss import PUBLISHED_TAO


@pytest.fixture(scope='module')
def data():
    return np.load(FIXTURES / 'c_asso_loss_d64.npz')


def frames(data, name: str, counts: str) -> list[Tensor]:
    return list(torch.from_numpy(data[name]).split(data[counts].tolist()))


@pytest.fixture(scope='module')
def assignment(data):
    truth = frames(data, 'gt_boxes', 'gt_nt'), frames(data, 'gt_ids', 'gt_nt')
    return assign(frames(data, 'prop_boxes', 'nt'), *truth)


def test_proposals_are_assigned_as_published(data, assignment):
    np.testing.assert_array_equal(assignment.targets, data['asso_gt'])
    np.testing.assert_array_equal(assignment.queries, data['match_cues'])


@pytest.mark.parametrize(
    ('name', 'options', 'projections'),
    [('mot', AssociationLossOptions(), 0), ('tao', PUBLISHED_TAO, 2)],
)
def test_loss_and_gradient_are_the_published_ones(data, assignment, name, options, projections):
    model = AssociationTransformer(features=64, projection_layers=projections)
    with_formula_weights(model, 'association.')
    features = torch.from_numpy(data['F']).requires_grad_()
    counts = data['nt'].tolist()
    (logits,) = model.logits(features, counts, slice(None))
    torch.testing.assert_close(
        logits.detach(), torch.from_numpy(data[f'{name}_G']), rtol=1e-4, atol=1e-4
    )
    loss = clip_loss(model, features, counts, assignment, options)
    assert loss.item() == pytest.approx(float(data[f'{name}_loss']), rel=1e-4)
    loss.backward()
    torch.testing.assert_close(
        features.grad, torch.from_numpy(data[f'{name}_dF']), rtol=1e-4, atol=1e-4
    )


BOX = [0.0, 0, 10, 10]
SHIFTED = [6.0, 0, 16, 10]  # IoU 0.25 with BOX
FAR = [50.0, 50, 60, 60]


def clip(*proposals, objects, ids):
    def boxes(frame):
        return torch.tensor(frame).reshape(-1, 4)

    return assign(
        [boxes(p) for p in proposals], [boxes(o) for o in objects], [torch.tensor(i) for i in ids]
    )


def test_an_object_is_assigned_the_proposal_of_highest_iou_or_none():
    result = clip([FAR, BOX], [], [FAR], objects=[[BOX], [BOX], [BOX]], ids=[[4], [4], [4]])
    assert result.targets.tolist() == [[1, 0, 1]]  # none is N_t: 0 in the empty frame, 1 after it
    assert result.queries.tolist() == [-1, 0, -1]


def test_the_papers_minimum_iou_is_higher_than_the_codes():
    frames = [torch.tensor([SHIFTED])], [torch.tensor([BOX])], [torch.tensor([1])]
    assert assign(*frames).queries.tolist() == [0]
    assert assign(*frames, min_iou=PAPER.min_iou).queries.tolist() == [-1]


def test_a_proposal_of_two_objects_is_the_query_of_the_later_one():
    result = clip([BOX], objects=[[BOX, BOX]], ids=[[1, 2]])
    assert result.targets.tolist() == [[0], [0]]
    assert result.queries.tolist() == [1]


def test_unlabelled_objects_do_not_count_and_the_loss_is_zero_with_a_gradient():
    result = clip([BOX], objects=[[BOX]], ids=[[0]])
    logits = torch.ones(1, 1, requires_grad=True)
    loss = association_loss([logits], [1], result)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.tolist() == [[0]]


def test_the_sum_over_queries_frames_and_layers_is_that_of_the_equations():
    # One object in both frames, and a background proposal in the first frame.
    result = clip([BOX, FAR], [BOX], objects=[[BOX], [BOX]], ids=[[3], [3]])
    logits = torch.tensor([[2.0, 1, 3], [0, 0, 0], [1, 1, 1]])
    found = -math.log(math.exp(2) / (math.exp(2) + math.e + 1))
    found -= math.log(math.exp(3) / (math.exp(3) + 1))
    found -= math.log(math.e / (2 * math.e + 1)) + math.log(math.e / (math.e + 1))
    none = math.log(3) + math.log(2)

    def loss(layers, **options) -> float:
        options = AssociationLossOptions(**options)
        return association_loss(layers, [2, 1], result, options).item()

    summed = {'normalise': False}
    assert loss([logits], **summed) == pytest.approx(found + none, rel=1e-5)
    assert loss([logits], background=False, **summed) == pytest.approx(found, rel=1e-5)
    assert loss([logits, logits], **summed) == pytest.approx(2 * (found + none), rel=1e-5)
    # The object has two queries, each with a target in two frames.
    assert loss([logits]) == pytest.approx((found + none) / 4, rel=1e-3)
