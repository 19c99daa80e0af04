# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Associations along paths that visit or skip frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtr_ros.training.path_consistency import choose_paths
from gtr_ros.training.path_consistency import crowding
from gtr_ros.training.path_consistency import disagreement
from gtr_ros.training.path_consistency import follow
from gtr_ros.training.path_consistency import with_none

SURE = 20.0


def logits_of(identities: list[list[int]]):
    """Return the logits of a perfect association of boxes with these identities."""
    frames = [torch.tensor(row, dtype=torch.long) for row in identities]

    def logits(new: int, old: int) -> torch.Tensor:
        return SURE * (2.0 * (frames[new][:, None] == frames[old]) - 1)

    return logits


def test_probabilities_of_boxes_and_none_sum_to_one():
    odds = with_none(torch.randn(4, 3, generator=torch.Generator().manual_seed(0)))
    assert odds.shape == (4, 4)
    torch.testing.assert_close(odds.sum(dim=1), torch.ones(4))


def test_a_path_leads_to_the_same_object():
    odds = follow(logits_of([[7, 5], [5, 7, 9], [9, 7]]), (2, 1, 0))
    # 9 is new since the oldest frame, 7 is its first box.
    expected = torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
    torch.testing.assert_close(odds, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize('between', [[5], []], ids=['missed', 'no boxes'])
def test_a_missed_detection_does_not_end_a_path(between):
    odds = follow(logits_of([[7, 5], between, [7]]), (2, 1, 0))
    torch.testing.assert_close(odds, torch.tensor([[1.0, 0.0, 0.0]]), atol=1e-6, rtol=0)


def test_the_probabilities_of_a_path_sum_to_one():
    rng = np.random.default_rng(0)
    steps = {(a, b): torch.from_numpy(rng.normal(size=(3, 3))) for a in range(4) for b in range(a)}
    odds = follow(lambda new, old: steps[new, old], (3, 2, 1, 0))
    torch.testing.assert_close(odds.sum(dim=1), torch.ones(3, dtype=odds.dtype))


def test_paths_that_agree_surely_do_not_differ():
    sure = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    swapped = sure[[1, 0]]
    assert disagreement([sure, sure]) < 1e-3
    assert disagreement([sure, swapped]) > 1


def test_boxes_all_alike_are_not_taken_for_agreement():
    alike = torch.full((2, 3), 1 / 3)
    assert disagreement([alike, alike]) > 0.1


def test_disagreement_falls_along_its_gradient():
    rng = torch.Generator().manual_seed(0)
    first, second = (torch.randn(4, 3, generator=rng, requires_grad=True) for _ in range(2))
    values = []
    for _ in range(200):
        loss = disagreement([with_none(first), with_none(second)])
        loss.backward()
        values.append(loss.item())
        with torch.no_grad():
            for part in (first, second):
                part -= 5 * part.grad
                part.grad = None
    assert values[-1] < 0.4 * values[0]
    assert torch.equal(with_none(first).argmax(dim=1), with_none(second).argmax(dim=1))


def test_only_boxes_that_are_chosen_more_than_once_are_crowded():
    assert crowding(torch.eye(3)[:, :3]) == 0
    assert crowding(torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])) > 0.1
    assert crowding(torch.ones(2, 1)) == 0  # no boxes, only "none"


def test_paths_skip_all_frames_some_and_none():
    assert choose_paths(5, [2]) == [(4, 0), (4, 2, 0), (4, 3, 2, 1, 0)]
    assert choose_paths(2, []) == [(1, 0)]
    assert choose_paths(4, [1, 2]) == [(3, 0), (3, 2, 1, 0)]
