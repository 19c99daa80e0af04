# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images of any size and memory layout are resized, and boxes are mapped back to their pixels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from gtr_ros.model.resize import FixedArea
from gtr_ros.model.resize import FixedSize

CPU = torch.device('cpu')
RULES = [FixedSize(64, 96), FixedArea(64 * 64)]


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize(
    'layout',
    [
        lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],
        lambda image: np.pad(image, ((0, 0), (0, 5), (0, 0)))[:, : image.shape[1]],
        lambda image: np.concatenate((image, image[..., :1]), axis=2)[..., :3],
        lambda image: np.flipud(np.flipud(image).copy()),
    ],
    ids=['bgr', 'padded rows', 'rgba', 'upside down'],
)
def test_the_layout_of_the_memory_does_not_matter(rule, layout):
    image = picture(40, 50)
    assert torch.equal(rule([layout(image)], CPU).pixels, rule([image], CPU).pixels)


@pytest.mark.parametrize('rule', RULES)
def test_one_channel_broadcast_to_three_is_grey(rule):
    grey = picture(40, 50)[..., :1]
    shown = np.broadcast_to(grey, (40, 50, 3))
    assert torch.equal(rule([shown], CPU).pixels, rule([np.repeat(grey, 3, axis=2)], CPU).pixels)


@settings(deadline=None, max_examples=40)
@given(st.integers(8, 300), st.integers(8, 300), st.sampled_from(RULES))
def test_a_bright_spot_is_at_the_position_of_its_box(height, width, rule):
    image = np.zeros((height, width, 3), np.uint8)
    y, x = height // 3, width // 2
    tall, wide = max(2, height // 4), max(2, width // 4)
    image[y : y + tall, x : x + wide] = 255
    batch = rule([image], CPU)
    assert all(side % 32 == 0 for side in batch.pixels.shape[2:])
    bright = (batch.pixels[0, 0] > 127).nonzero().float()
    low, high = bright.amin(0), bright.amax(0) + 1
    box = torch.stack((low[1], low[0], high[1], high[0]))[None]
    back = batch.to_image(box, 0)[0].numpy()
    pixel = 1.5 / batch.scales[0].min().item() + 1
    np.testing.assert_allclose(back, [x, y, x + wide, y + tall], atol=pixel)


@pytest.mark.parametrize(
    'image',
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_an_invalid_image_is_rejected_with_its_shape(image):
    with pytest.raises(ValueError, match=r'expected uint8 of \(H, W, 3\)'):
        FixedSize()([image], CPU)
