# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Colour histograms: what changes them, and what does not."""

from __future__ import annotations

import numpy as np
from PIL import Image
import pytest

from gtr_ros.tracking.colours import box_colours
from gtr_ros.tracking.colours import WIDTH

BOX = np.array([[40, 20, 100, 200]], np.float32)


def person(shirt, trousers, size=(240, 320), box=BOX[0]) -> np.ndarray:
    """Return an image of a person who is dressed in two colours, on grass, (H, W, 3) uint8."""
    image = np.full((*size, 3), (70, 140, 60), np.uint8)
    x1, y1, x2, y2 = (int(v) for v in box)
    middle = (y1 + y2) // 2
    image[y1:middle, x1:x2], image[middle:y2, x1:x2] = shirt, trousers
    return image


RED, BLUE, BLACK, WHITE = (190, 30, 40), (40, 60, 170), (20, 20, 22), (230, 230, 225)


def alike(first: np.ndarray, second: np.ndarray, box=BOX) -> float:
    """Return the cosine of the colours in the first box of two images."""
    return float(box_colours(first, BOX)[0] @ box_colours(second, box)[0])


def test_colours_have_unit_length_whatever_the_picture():
    noise = np.random.default_rng(3).integers(0, 256, (240, 320, 3), dtype=np.uint8)
    black, white = np.zeros_like(noise), np.full_like(noise, 255)
    boxes = np.concatenate([BOX, [[0, 0, 320, 240]], [[10, 10, 11, 11]], [[-20, 5, 30, 400]]])
    for image in (noise, black, white, person(RED, BLUE)):
        colours = box_colours(image, boxes)
        assert colours.shape == (4, WIDTH)
        assert colours.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(colours, axis=1), 1, atol=1e-5)
        assert (colours >= 0).all()


def test_histograms_are_those_of_the_definition():
    """Triangular bins: Y from 0 to 255, Cb and Cr from 50 below to 50 above grey."""
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)
    image[:120] //= 3  # darker above
    boxes = np.array([[5, 3, 60, 200], [100.4, 20.6, 130.2, 90.4], [7, 9, 8, 10]], np.float32)
    for box, colours in zip(boxes, box_colours(image, boxes)):
        x1, y1, x2, y2 = box.round().astype(int)
        small = Image.fromarray(image[y1:y2, x1:x2]).resize((24, 48), Image.Resampling.BOX)
        pixels = np.asarray(small.convert('YCbCr')).astype(float)[:, 6:18]
        for half, rows in zip(colours.reshape(2, 4, 9, 9), (slice(7, 24), slice(24, 43))):
            expected = np.zeros((4, 9, 9))
            for pixel in pixels[rows].reshape(-1, 3):
                places = pixel[0] / 255 * 3, *((pixel[1:] - 78) / 100 * 8).clip(0, 8)
                axes = [
                    np.maximum(1 - np.abs(np.arange(bins) - place), 0)
                    for bins, place in zip((4, 9, 9), places)
                ]
                expected += np.einsum('i,j,k->ijk', *axes)
            np.testing.assert_allclose(half, np.sqrt(expected / expected.sum() / 2), atol=1e-6)


def test_other_clothes_are_other_colours_and_what_is_worn_above_matters():
    same = person(RED, BLACK)
    assert alike(same, person(RED, BLACK)) == pytest.approx(1, abs=1e-5)
    assert alike(same, person(BLUE, BLACK)) == pytest.approx(0.5, abs=0.05)
    assert alike(same, person(BLUE, WHITE)) < 0.1
    assert alike(same, person(BLACK, RED)) < 0.1


def test_place_and_size_in_the_image_do_not_matter():
    far = np.array([200, 50, 220, 110], np.float32)
    assert alike(person(RED, BLUE), person(RED, BLUE, box=far), far[None]) > 0.95


def test_a_little_less_light_changes_little():
    dimmed = (person(RED, BLUE) * 0.9).astype(np.uint8)
    assert alike(person(RED, BLUE), dimmed) > 0.8
    assert alike(person(RED, BLUE), dimmed) > alike(person(RED, BLUE), person(RED, BLACK))


def test_what_is_beside_an_object_does_not_count():
    grass, street = person(RED, BLUE), person(RED, BLUE)
    street[:, :40], street[:, 100:] = 128, 128
    wide = BOX + np.array([-8, 0, 8, 0], np.float32)
    first, second = (box_colours(image, wide)[0] for image in (grass, street))
    assert float(first @ second) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    'box',
    [[400, 20, 450, 90], [-90, -50, -10, -5], [50, 50, 50, 90], [np.nan, 0, np.nan, 9]],
)
def test_a_box_without_pixels_has_no_colours(box):
    colours = box_colours(person(RED, BLUE), np.array([box, BOX[0]], np.float32))
    assert not colours[0].any()
    assert colours[1].any()


def test_no_boxes_have_no_colours():
    assert box_colours(person(RED, BLUE), np.zeros((0, 4), np.float32)).shape == (0, WIDTH)
