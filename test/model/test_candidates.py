# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decoding in fixed shapes gives the detections of plain decoding, or says that it may not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from gtr_ros.model.centernet import decode
from gtr_ros.model.centernet import decode_fixed
from gtr_ros.model.detector import Candidates
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.model.mobile_centernet import STRIDE
from gtr_ros.model.resize import Batch

STRIDES = (8, 16)
#: nothing to be found, as a logit
NOTHING = -20.0


def assert_rows(found: Candidates, image: int, boxes: Tensor, scores: Tensor) -> int:
    """Assert that the first rows of an image are these, and that the others are empty."""
    count = len(boxes)
    assert found.valid[image].tolist() == [i < count for i in range(found.valid.shape[1])]
    assert torch.equal(found.boxes[image, :count], boxes)
    assert torch.equal(found.scores[image, :count], scores)
    assert not found.boxes[image, count:].any()
    assert not found.scores[image, count:].any()
    return count


def mobile_outputs(seed: int, gain: float) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    logits = gain * torch.randn(2, 3, 20, 24, generator=chance) - 2
    return logits, 3 + 30 * torch.rand(2, 4, 20, 24, generator=chance)


def decode_mobile(
    detector: MobileCenterNet, outputs: Sequence[Tensor], threshold: float
) -> list[tuple[Tensor, ...]]:
    """Decode with all peaks, as on a GPU: of equal scores another is first on a CPU."""
    peaks = detector.peaks(*outputs)
    detector.strong_peaks = lambda *_: list(zip(*peaks))
    batch = Batch(outputs[0], torch.ones(2, 2), [(80, 96)] * 2)
    return detector.decode(outputs, batch, threshold)


@pytest.mark.parametrize('threshold', [0.0, 0.02, 0.3, 0.99, 1.0])
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('most', [10, 100])
def test_candidates_of_mobile_are_its_detections(threshold, seed, most):
    detector = MobileCenterNet(('a', 'b', 'c'), max_detections=most)
    outputs = mobile_outputs(seed, gain=3)
    outputs[1][0, :, :5] = -1  # boxes of negative size
    found = detector.candidates(outputs, torch.tensor(threshold))
    assert found.boxes.shape == (2, most, 4)
    assert found.exact.all()
    total = 0
    for i, expected in enumerate(decode_mobile(detector, outputs, threshold)):
        count = assert_rows(found, i, expected.boxes, expected.scores)
        assert torch.equal(found.labels[i, :count], expected.labels)
        total += count
    assert threshold >= 0.99 or total


def test_one_function_serves_all_thresholds_of_mobile():
    detector = MobileCenterNet(('a', 'b', 'c'))
    logits, sides = mobile_outputs(0, gain=1.5)
    threshold = torch.zeros(())
    counts = []
    for value in (0.0, 0.5, 0.9):
        threshold.fill_(value)
        counts.append(int(detector.candidates((logits, sides), threshold).valid.sum()))
    assert counts[0] > counts[1] > counts[2] > 0


def chain_for_mobile(length: int) -> tuple[Tensor, Tensor]:
    """Return outputs with boxes of which each suppresses the next, unless it is suppressed."""
    logits = torch.full((1, 1, 8, 2 * length), NOTHING)
    logits[0, 0, 4, ::2] = torch.linspace(5, 1, length)
    return logits, torch.full((1, 4, 8, 2 * length), 4.0 * STRIDE)


@pytest.mark.parametrize(('length', 'exact'), [(5, True), (40, False)])
def test_mobile_says_that_a_long_chain_is_not_exact(length, exact):
    detector = MobileCenterNet(('a',))
    outputs = chain_for_mobile(length)
    found = detector.candidates(outputs, torch.tensor(0.3))
    assert found.exact.tolist() == [exact]
    [expected] = decode_mobile(detector, outputs, 0.3)
    assert len(expected.boxes) == (length + 1) // 2
    if exact:
        assert_rows(found, 0, expected.boxes, expected.scores)


def mot_outputs(seed: int, gain: float) -> tuple[list[Tensor], list[Tensor]]:
    chance = torch.Generator().manual_seed(seed)
    shapes = [(24, 32), (12, 16)]
    logits = [gain * torch.randn(2, 1, *s, generator=chance) - 3 for s in shapes]
    return logits, [0.5 + 3 * torch.rand(2, 4, *s, generator=chance) for s in shapes]


def decode_mot(
    logits: list[Tensor], sides: list[Tensor], threshold: float, **options: int
) -> list[tuple[Tensor, Tensor]]:
    every = decode(logits, sides, STRIDES[: len(logits)], **options)
    return [(boxes[s > threshold], s[s > threshold]) for boxes, s in every]


@pytest.mark.parametrize('threshold', [0.0, 0.02, 0.3, 0.99])
@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('gain', [0.5, 4])
@pytest.mark.parametrize('options', [{}, {'pre_nms': 50, 'post_nms': 20}])
def test_candidates_of_mot_are_its_proposals(threshold, seed, gain, options):
    outputs = mot_outputs(seed, gain)
    found = decode_fixed(*outputs, torch.tensor(threshold), STRIDES, **options)
    assert found.boxes.shape == (2, options.get('post_nms', 128), 4)
    assert found.exact.all()
    for i, expected in enumerate(decode_mot(*outputs, threshold, **options)):
        assert_rows(found, i, *expected)


def separate(scores: Sequence[float]) -> tuple[list[Tensor], list[Tensor]]:
    """Return outputs of one image and level with boxes that do not overlap."""
    logits = torch.full((1, 1, 1, len(scores)), NOTHING)
    logits[0, 0, 0] = torch.logit(torch.tensor(scores).square())
    return [logits], [torch.full((1, 4, 1, len(scores)), 0.4)]


@pytest.mark.parametrize(
    ('scores', 'exact'),
    [
        ([0.9, 0.8, 0.7, 0.6], True),
        ([0.9, 0.8, 0.7, 0.7, 0.6], True),  # the equal ones are two of the four
        ([0.9, 0.8, 0.7, 0.6, 0.6], False),  # the equal ones are the fourth and fifth
        ([0.9, 0.8, 0.7, 0.6, 0.5], True),
        ([0.9, 0.8], True),
    ],
)
def test_mot_says_that_more_boxes_than_rows_remain_because_of_equal_scores(scores, exact):
    outputs = separate(scores)
    [expected] = decode_mot(*outputs, 0.3, post_nms=4)
    found = decode_fixed(*outputs, torch.tensor(0.3), (8,), post_nms=4)
    [plain] = decode(*outputs, (8,), post_nms=4)
    assert found.exact.tolist() == [exact]
    assert len(plain.boxes) == (5 if not exact else min(4, len(scores)))
    if exact:
        assert_rows(found, 0, *expected)


@pytest.mark.parametrize(('most', 'exact'), [(30, False), (38, True), (60, True)])
def test_mot_says_that_too_few_boxes_were_suppressed_to_know_the_best(most, exact, monkeypatch):
    monkeypatch.setattr('gtr_ros.model.centernet._MOST_SUPPRESSED', most)
    # 35 cells show the same box; others follow.
    logits = torch.full((1, 1, 1, 45), NOTHING)
    logits[0, 0, 0] = torch.linspace(4, 1, 45)
    sides = torch.full((1, 4, 1, 45), 0.4)
    cells = torch.arange(35.0)
    sides[0, 0, 0, :35], sides[0, 2, 0, :35] = cells + 0.4, 40 - cells
    [expected] = decode_mot([logits], [sides], 0.0, post_nms=3)
    assert len(expected[0]) == 3
    found = decode_fixed([logits], [sides], torch.tensor(0.0), (8,), post_nms=3)
    assert found.exact.tolist() == [exact]
    if exact:
        assert_rows(found, 0, *expected)
