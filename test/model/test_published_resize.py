# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images for the published models are prepared as in training: size, filter, colour, padding."""

from __future__ import annotations

from hypothesis import assume
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest
import torch

from gtr_ros.model.resize import ShortestEdge
from gtr_ros.model.resize import SquareFit

CPU = torch.device('cpu')
RULES = [SquareFit(200), ShortestEdge(80, 133)]
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 255, (height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ('rule', 'size', 'resized', 'canvas'),
    [
        (SquareFit(), (1080, 1920), (877, 1560), (896, 1664)),  # 877.5 is truncated
        (SquareFit(), (480, 640), (1170, 1560), (1280, 1664)),  # small images grow
        (SquareFit(), (1920, 1080), (1560, 877), (1664, 896)),
        (SquareFit(), (1560, 1560), (1560, 1560), (1664, 1664)),
        (SquareFit(), (3, 5000), (1, 1560), (128, 1664)),  # 0.936 would be truncated to 0
        (ShortestEdge(), (480, 640), (800, 1067), (800, 1088)),  # 1066.67 is rounded
        (ShortestEdge(), (1080, 1920), (750, 1333), (768, 1344)),  # 749.8 is rounded
        (ShortestEdge(), (640, 480), (1067, 800), (1088, 800)),
        (ShortestEdge(), (50, 50), (800, 800), (800, 800)),
        (ShortestEdge(), (2, 5000), (1, 1333), (32, 1344)),
    ],
)
def test_sizes_equal_the_published_ones(rule, size, resized, canvas):
    batch = rule([np.zeros((*size, 3), np.uint8)], CPU)
    assert batch.pixels.shape == (1, 3, *canvas)
    shown = (batch.pixels[0, 0] != 0).nonzero().amax(dim=0) + 1
    assert tuple(shown.tolist()) == resized
    expected = [resized[1] / size[1], resized[0] / size[0]]
    np.testing.assert_allclose(batch.scales[0], expected, rtol=1e-7)
    assert batch.sizes == [size]


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 400))
def test_images_are_fitted_into_the_square_with_truncation_and_pillows_filter(height, width):
    image = picture(height, width)
    batch = SquareFit(200, multiple=128)([image], CPU)
    scale = min(200 / height, 200 / width)
    size = max(1, int(height * scale)), max(1, int(width * scale))
    assert_shows(batch.pixels[0], image, size)
    assert batch.pixels.shape[2:] == tuple(-(-side // 128) * 128 for side in size)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 400), st.integers(1, 400))
def test_the_shorter_side_has_its_length_unless_the_longer_is_too_long(height, width):
    image = picture(height, width)
    batch = ShortestEdge(80, 133, multiple=32)([image], CPU)
    scale = min(80 / min(height, width), 133 / max(height, width))
    # At half a pixel, the result depends on the order of the multiplications.
    assume(all(abs(side * scale % 1 - 0.5) > 1e-6 for side in (height, width)))
    size = tuple(max(1, int(side * scale + 0.5)) for side in (height, width))
    assert_shows(batch.pixels[0], image, size)
    assert batch.pixels.shape[2:] == tuple(-(-side // 32) * 32 for side in size)


def assert_shows(pixels: torch.Tensor, image: np.ndarray, size: tuple[int, int]) -> None:
    """Assert that pixels are the image, resized and normalised, padded with 0."""
    resized = np.array(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    expected = np.zeros((*pixels.shape[1:], 3), np.float32)
    expected[: size[0], : size[1]] = (resized.astype(np.float32) - MEAN) / DEVIATION
    np.testing.assert_allclose(pixels.permute(1, 2, 0), expected, atol=1e-5)


@pytest.mark.parametrize('rule', RULES)
def test_each_image_of_a_batch_keeps_its_own_scale(rule):
    images = [picture(90, 160), picture(160, 90), picture(30, 40)]
    together = rule(images, CPU)
    sides = [0, 0]
    for i, image in enumerate(images):
        alone = rule([image], CPU)
        height, width = alone.pixels.shape[2:]
        sides = [max(sides[0], height), max(sides[1], width)]
        assert torch.equal(together.pixels[i, :, :height, :width], alone.pixels[0])
        assert not together.pixels[i, :, height:].any()
        assert not together.pixels[i, :, :, width:].any()
        assert torch.equal(together.scales[i], alone.scales[0])
    assert list(together.pixels.shape) == [3, 3, *sides]
    assert together.sizes == [(90, 160), (160, 90), (30, 40)]


@pytest.mark.parametrize('rule', RULES)
def test_boxes_are_mapped_back_to_image_pixels(rule):
    image = picture(45, 70)
    batch = rule([image], CPU)
    height, width = rule.target(45, 70)
    corner = batch.to_image(torch.tensor([[0.0, 0.0, width, height]]), 0)
    torch.testing.assert_close(corner, torch.tensor([[0.0, 0.0, 70.0, 45.0]]))


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize(
    'layout',
    [
        lambda image: np.ascontiguousarray(image[..., ::-1])[..., ::-1],
        lambda image: np.pad(image, ((0, 0), (0, 5), (0, 0)))[:, : image.shape[1]],
        lambda image: np.broadcast_to(image[..., :1], image.shape),
    ],
    ids=['bgr', 'padded rows', 'one channel thrice'],
)
def test_the_layout_of_the_memory_does_not_matter(rule, layout):
    view = layout(picture(40, 50))
    view.flags.writeable = False
    assert torch.equal(rule([view], CPU).pixels, rule([view.copy()], CPU).pixels)


@pytest.mark.parametrize('rule', RULES)
def test_an_invalid_image_is_rejected_with_its_shape(rule):
    with pytest.raises(ValueError, match=r'expected uint8 of \(H, W, 3\)'):
        rule([np.zeros((4, 4), np.uint8)], CPU)
