# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes and scores of others are in pixels and in [0, 1], or refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gtr_ros.box_checks import area_fault
from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.box_checks import unit_scores

SIZE = (480, 640)


def scattered(count: int = 60) -> np.ndarray:
    """Return boxes of (N, 4) in an image of 640 x 480."""
    rng = np.random.default_rng(0)
    corners = rng.uniform((0, 0), (600, 440), (count, 2))
    return np.concatenate([corners, corners + rng.uniform(20, 90, (count, 2))], axis=1)


@pytest.mark.parametrize('scores', [[], [0, 1, 0.5], [1 + 1e-7, -1e-7]])
def test_scores_from_0_to_1_are_right_up_to_rounding(scores):
    assert scores_fault(np.array(scores)) is None
    clipped = unit_scores(np.array(scores))
    assert ((clipped >= 0) & (clipped <= 1)).all()


@pytest.mark.parametrize(
    ('scores', 'index', 'hint'),
    [
        ([-1, -1], 0, 'stands for no score'),
        ([0.2, 55, 99], 1, 'per cent'),
        ([0.3, -2.5, 4], 1, 'logits'),
        ([0.3, 0.4, 255], 2, 'logits'),
        ([0.5, np.nan], 1, 'not all are finite'),
        ([np.inf], 0, 'not all are finite'),
    ],
)
def test_scores_of_another_scale_are_named(scores, index, hint):
    found, text = scores_fault(np.array(scores, float))
    assert found == index
    assert hint in text
    assert 'expected a number from 0 to 1' in text


def test_boxes_in_pixels_are_right():
    boxes = scattered()
    assert boxes_fault(boxes, SIZE) is None
    assert boxes_fault(np.zeros((0, 4)), SIZE) is None
    assert boxes_fault(np.array([]), np.array([])) is None
    assert boxes_fault([[0, 0, 0, 0]], SIZE) is None  # no area: left out elsewhere
    walking_out = np.array([[600, 100, 700, 400.0]])
    assert boxes_fault(np.concatenate([boxes, walking_out.repeat(5, 0)]), SIZE) is None
    large = boxes * [3, 2.25, 3, 2.25]
    assert boxes_fault(large, np.tile([1080, 1920], (60, 1))) is None


def test_boxes_in_fractions_are_named():
    fractions = scattered() / [640, 480, 640, 480]
    assert 'fractions of the image' in boxes_fault(fractions, SIZE)
    assert 'fractions of the image' in boxes_fault(fractions[:1], SIZE)


@pytest.mark.parametrize('made', ['corners as sides', 'of a larger image'])
def test_boxes_of_another_layout_or_image_are_named(made):
    boxes = scattered()
    if made == 'corners as sides':
        boxes[:, 2:] += boxes[:, :2]
    else:
        boxes *= 3
    assert 'have their centre outside the image of 640 x 480' in boxes_fault(boxes, SIZE)


@pytest.mark.parametrize(
    'box',
    [(0, 0, 0, 5), (0, 0, 5, -1), (1e16, 0, 1e16 + 1, 5), (0, 0, 1e39, 5), (0, 0, math.nan, 5)],
)
def test_a_box_without_an_area_in_float32_is_named(box):
    assert 'has no area in float32' in area_fault(*box)


def test_a_box_with_an_area_is_right():
    assert area_fault(-5, 0.0, 0.001, 1e30) is None
