# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes are mapped to the network's input and back, for images of any size."""

from __future__ import annotations

from hypothesis import example
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from gtr_ros.model.resize import FixedArea
from gtr_ros.model.resize import FixedSize
from gtr_ros.model.resize import ShortestEdge
from gtr_ros.model.resize import SquareFit

SETTINGS = settings(derandomize=True, max_examples=40, deadline=None)
CPU = torch.device('cpu')
RESIZES = {
    'fixed size': FixedSize(64, 96),
    'fixed area': FixedArea(64 * 64),
    'square': SquareFit(120, 32),
    'shortest edge': ShortestEdge(60, 100, 32),
}
SIDES = st.integers(1, 300)


@pytest.mark.parametrize('name', RESIZES)
@SETTINGS
@given(height=SIDES, width=SIDES, seed=st.integers(0, 1000))
@example(height=1, width=1, seed=0)
@example(height=1, width=300, seed=0)
@example(height=300, width=1, seed=0)
def test_boxes_are_mapped_and_back(name, height, width, seed):
    chance = np.random.default_rng(seed)
    image = chance.integers(0, 256, (height, width, 3), np.uint8)
    batch = RESIZES[name]([image], CPU)
    assert batch.sizes == [(height, width)]
    bottom, right = batch.pixels.shape[2:]
    assert (bottom % 32, right % 32) == (0, 0)
    corners = np.sort(chance.random((5, 2, 2)), axis=1).reshape(5, 4)
    boxes = torch.from_numpy(corners * [width, height, width, height]).float()
    inside = batch.to_input(boxes, 0)
    assert (inside >= 0).all()
    assert (inside <= torch.tensor([right, bottom, right, bottom]) + 1e-3).all()
    torch.testing.assert_close(batch.to_image(inside, 0), boxes, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize('name', ['fixed size', 'square', 'shortest edge'])
@SETTINGS
@given(sizes=st.lists(st.tuples(SIDES, SIDES), min_size=1, max_size=3))
def test_an_image_in_a_batch_has_the_scales_that_it_has_alone(name, sizes):
    images = [np.full((*size, 3), 7, np.uint8) for size in sizes]
    resize = RESIZES[name]
    batch = resize(images, CPU)
    assert batch.sizes == sizes
    for i, image in enumerate(images):
        torch.testing.assert_close(batch.scales[i], resize([image], CPU).scales[0])


@SETTINGS
@given(height=SIDES, width=SIDES)
def test_the_published_resizes_keep_the_aspect_ratio_and_fit(height, width):
    for resize, longest in ((RESIZES['square'], 120), (RESIZES['shortest edge'], 100)):
        rows, columns = resize.target(height, width)
        assert max(rows, columns) <= longest
        scale = max(rows, columns) / max(height, width)
        assert abs(min(rows, columns) - scale * min(height, width)) <= 1 + scale
