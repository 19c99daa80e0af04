# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The supervised contrastive loss, and which boxes it compares."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from gtr_ros.training.embedding_loss import embedding_loss
from gtr_ros.training.embedding_loss import Identities


def ids(*values: int) -> torch.Tensor:
    return torch.tensor(values)


def test_the_loss_is_the_papers_formula():
    features = F.normalize(torch.randn(7, 5, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = [1, 2, 1, 3, 2, 1, 2]
    terms, t = [], 0.3
    for i, a in enumerate(labels):
        others = [j for j in range(7) if j != i]
        total = sum(math.exp(float(features[i] @ features[j]) / t) for j in others)
        positives = [j for j in others if labels[j] == a]
        if positives:
            logs = [float(features[i] @ features[j]) / t - math.log(total) for j in positives]
            terms.append(-sum(logs) / len(logs))
    loss = embedding_loss(features, Identities.of([ids(*labels)], ['']), t)
    assert loss.item() == pytest.approx(sum(terms) / len(terms), rel=1e-5)


def test_clips_without_a_pool_are_not_compared_with_each_other():
    same, different = Identities.of([ids(1, 2), ids(1, 2)], ['', '']).pairs()
    assert not same.any()
    assert different.nonzero().tolist() == [[0, 1], [1, 0], [2, 3], [3, 2]]


def test_ids_of_one_pool_are_the_same_in_all_its_clips():
    same, different = Identities.of([ids(1, 2), ids(2, 3)], ['people', 'people']).pairs()
    assert same.nonzero().tolist() == [[1, 2], [2, 1]]
    assert different[0].tolist() == [False, True, True, True]


def test_clips_of_different_pools_are_not_compared():
    same, different = Identities.of([ids(1, 2), ids(1), ids(1)], ['people', 'cars', '']).pairs()
    assert not same.any()
    assert different.nonzero().tolist() == [[0, 1], [1, 0]]


def test_unlabelled_boxes_are_not_compared():
    same, different = Identities.of([ids(0, 0, 1)], ['people']).pairs()
    assert not same.any() and not different.any()


def test_nothing_to_compare_is_no_loss_and_a_gradient_of_zeros():
    features = F.normalize(torch.randn(3, 4), dim=1).requires_grad_()
    for labels in (ids(0, 0, 0), ids(1, 2, 3), ids(1, 1, 1)):
        loss = embedding_loss(features, Identities.of([labels], ['']))
        [gradient] = torch.autograd.grad(loss, features)
        assert loss.item() == 0 and not gradient.any()


def test_the_gradient_pulls_an_identity_together_and_pushes_others_apart():
    features = torch.tensor([[1.0, 0, 0], [0, 1.0, 0], [0.8, 0, 0.6]], requires_grad=True)
    loss = embedding_loss(features, Identities.of([ids(1, 1, 2)], ['']))
    [gradient] = torch.autograd.grad(loss, features)
    step = F.normalize(features - 0.1 * gradient, dim=1)
    assert step[0] @ step[1] > features[0] @ features[1]
    assert step[0] @ step[2] < features[0] @ features[2]
