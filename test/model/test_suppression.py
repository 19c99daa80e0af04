# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Suppression in fixed shapes keeps what torchvision's keeps, or says that it may not."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torchvision.ops import batched_nms
from torchvision.ops import nms

from gtr_ros.model.suppression import first_rows
from gtr_ros.model.suppression import ITERATIONS
from gtr_ros.model.suppression import suppress

THRESHOLDS = st.sampled_from([0.0, 0.3, 0.5, 0.6, 0.7, 1.0])


def crowd(seed: int, count: int, side: int, degenerate: bool) -> tuple[torch.Tensor, ...]:
    """Return boxes (N, 4) of whole pixels, scores of which some are equal, and labels (N,)."""
    chance = np.random.default_rng(seed)
    low = chance.integers(0, side, (count, 2))
    size = chance.integers(0 if degenerate else 1, side, (count, 2))
    if degenerate:
        size[::5] *= -1
    scores = np.sort(chance.integers(0, 1 + count // 2, count))[::-1] / max(count, 1)
    boxes = torch.from_numpy(np.hstack((low, low + size))).float()
    labels = torch.from_numpy(chance.integers(0, 3, count))
    return boxes, torch.from_numpy(scores.copy()).float(), labels


def chain(length: int) -> torch.Tensor:
    """Return boxes of which each overlaps only the one before and the one after."""
    left = 8.0 * torch.arange(length)
    zero = torch.zeros(length)
    return torch.stack((left, zero, left + 32, zero + 40), dim=1)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(2, 60), THRESHOLDS, st.booleans())
def test_what_is_kept_is_what_torchvision_keeps(seed, count, side, threshold, degenerate):
    boxes, scores, labels = crowd(seed, count, side, degenerate)
    valid = torch.ones(1, count, dtype=torch.bool)
    # As many iterations as there are boxes are always enough.
    kept, exact = suppress(boxes[None], valid, threshold, iterations=count + 1)
    assert exact.tolist() == [True]
    assert kept[0].nonzero()[:, 0].tolist() == sorted(nms(boxes, scores, threshold).tolist())
    few, settled = suppress(boxes[None], valid, threshold)
    assert not settled or torch.equal(few, kept)
    if degenerate:
        return  # torchvision moves the boxes of a label away from others only if they are boxes
    kept, exact = suppress(boxes[None], valid, threshold, labels[None], iterations=count + 1)
    expected = batched_nms(boxes, scores, labels, threshold)
    assert exact.tolist() == [True]
    assert kept[0].nonzero()[:, 0].tolist() == sorted(expected.tolist())


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(1, 40), THRESHOLDS)
def test_what_is_not_valid_is_not_kept_and_suppresses_nothing(seed, count, threshold):
    boxes, scores, _ = crowd(seed, count, 30, degenerate=False)
    valid = torch.from_numpy(np.random.default_rng(seed).random(count) < 0.6)
    kept, _ = suppress(boxes[None], valid[None], threshold, iterations=count + 1)
    expected = valid.nonzero()[:, 0][nms(boxes[valid], scores[valid], threshold)]
    assert kept[0].nonzero()[:, 0].tolist() == sorted(expected.tolist())


@pytest.mark.parametrize('length', [1, 2, ITERATIONS - 1, ITERATIONS, ITERATIONS + 1, 40])
def test_a_chain_longer_than_the_iterations_is_said_not_to_be_exact(length):
    boxes = chain(length)
    kept, exact = suppress(boxes[None], torch.ones(1, length, dtype=torch.bool), 0.5)
    assert exact.item() == (length <= ITERATIONS)
    if exact:
        assert kept[0].tolist() == [i % 2 == 0 for i in range(length)]


def test_each_image_of_a_batch_is_exact_on_its_own():
    boxes = torch.stack(
        (chain(40), torch.arange(40.0)[:, None] * 100 + torch.tensor([0, 0, 9, 9]))
    )
    kept, exact = suppress(boxes, torch.ones(2, 40, dtype=torch.bool), 0.5)
    assert exact.tolist() == [False, True]
    assert kept[1].all()


def test_chosen_rows_come_first_in_their_order():
    chosen = torch.tensor([[False, True, False, True], [False] * 4, [True] * 4])
    assert first_rows(chosen, 4).tolist() == [[1, 3, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert first_rows(chosen, 3).tolist()[0] == [1, 3, 0]
