# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips of stills: the crops are those of the public code, and boxes stay on their pixels."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
from paths import FIXTURES
from PIL import Image
import pytest

from gtr_ros.training.crops import Crop
from gtr_ros.training.crops import crop_image
from gtr_ros.training.crops import draw_crops
from gtr_ros.training.crops import MovingCrop

NO_BOXES = np.zeros((0, 4), np.float32)


@pytest.mark.parametrize('case', ['a', 'b', 'c'])
def test_crops_are_those_of_the_public_code_if_drawn_from_the_start(case):
    data = np.load(FIXTURES / 'h_motion_aug.npz')
    height, width, size = data[f'{case}_in'].tolist()
    random = np.random.RandomState(0)
    crops = draw_crops(height, width, 8, size, (0.8, 1.2), random.uniform, drawn_from_start=True)
    rows = [(int(height * c.scale), int(width * c.scale), c.y, c.x, c.scale) for c in crops]
    np.testing.assert_allclose(rows, data[case], rtol=1e-12)


def test_by_default_the_last_crop_is_drawn_from_the_image():
    crops = draw_crops(480, 640, 8, 896, (0.8, 1.2), np.random.RandomState(0).uniform)
    fitting = 896 / 640
    for crop in crops:
        assert 0.8 * fitting <= crop.scale <= 1.2 * fitting
    scales = np.diff([c.scale for c in crops])
    np.testing.assert_allclose(scales, scales[0])


def red_box(height: int, width: int, box: tuple[int, int, int, int]) -> np.ndarray:
    image = np.zeros((height, width, 3), np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2, 0] = 255
    return image


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(80, 400),
    width=st.integers(80, 400),
    size=st.sampled_from([64, 160, 256]),
    flip=st.booleans(),
)
def test_boxes_stay_on_their_pixels(seed, height, width, size, flip):
    box = (width // 4, height // 3, width // 2, 3 * height // 4)
    moving_crop = MovingCrop(4, size, (0.7, 1.6), flip=float(flip), min_visible=0.0)
    clip = moving_crop(
        red_box(height, width, box),
        np.array([box], np.float32),
        np.array([5]),
        NO_BOXES,
        np.random.default_rng(seed),
    )
    assert len(clip) == 4
    for image, boxes, ids in zip(clip.images, clip.boxes, clip.ids):
        assert max(image.shape[:2]) <= size
        rows, columns = np.nonzero(image[..., 0] > 127)
        if not len(boxes):
            assert len(rows) <= 2 * size  # at most a line at the border
            continue
        assert ids.tolist() == [1]
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(boxes[0], seen, atol=2.5)


def test_the_same_random_stream_makes_the_same_clip():
    image = np.random.default_rng(0).integers(0, 255, (100, 120, 3), np.uint8)
    boxes = np.array([[10, 10, 60, 80]], np.float32)
    moving_crop = MovingCrop(3, 64, (0.5, 2), flip=0.5)
    one, two, three = (
        moving_crop(image, boxes, np.array([0]), NO_BOXES, np.random.default_rng(n))
        for n in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(one.images, two.images))
    assert not all(np.array_equal(a, b) for a, b in zip(one.images, three.images))


def test_amodal_boxes_reach_beyond_the_frame_and_others_are_clipped():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[-40, 10, 50, 90]], np.float32)
    for clipped in (True, False):
        moving_crop = MovingCrop(1, 100, (1, 1), clip_boxes=clipped)
        clip = moving_crop(image, boxes, np.array([0]), NO_BOXES, np.random.default_rng(0))
        assert clip.boxes[0][0, 0] == (0 if clipped else -40)


def test_an_object_mostly_outside_has_no_box_and_crowds_are_kept():
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = np.array([[-90, 10, 10, 90], [20, 20, 60, 60]], np.float32)
    crowds = np.array([[70, 70, 120, 120]], np.float32)
    clip = MovingCrop(1, 100, (1, 1))(
        image, boxes, np.array([3, 4]), crowds, np.random.default_rng(0), 'x.jpg'
    )
    assert clip.ids[0].tolist() == [2]
    assert clip.labels[0].tolist() == [4]
    assert clip.crowds[0].tolist() == [[70, 70, 100, 100]]
    assert clip.source == 'x.jpg'


def test_crops_between_the_first_and_the_last_are_interpolated_linearly():
    first, *between, last = draw_crops(
        600, 900, 6, 256, (1.0, 3.0), np.random.default_rng(3).uniform
    )
    for t, crop in enumerate(between, start=1):
        expected = np.add(first, np.subtract(last, first) * t / 5)
        assert crop.scale == pytest.approx(expected[0])
        assert [crop.y, crop.x] == np.floor(expected[1:] + 1e-9).tolist()


def test_a_single_crop_is_the_first_of_many():
    one, many = (
        draw_crops(480, 640, frames, 320, (0.8, 1.2), np.random.default_rng(1).uniform)
        for frames in (1, 8)
    )
    assert one == many[:1]


def test_ids_count_the_boxes_from_one_and_stay_with_them():
    boxes = np.array([[k * 30, 20, k * 30 + 20, 60] for k in range(4)], np.float32)
    image, rng = np.zeros((80, 120, 3), np.uint8), np.random.default_rng(0)
    clip = MovingCrop(5, 64, (1.5, 3.0))(image, boxes, np.arange(4) + 10, NO_BOXES, rng)
    for labels, ids in zip(clip.labels, clip.ids):
        assert ids.tolist() == (labels - 9).tolist()
    assert {i for ids in clip.ids for i in ids.tolist()} <= {1, 2, 3, 4}


def test_a_mirrored_clip_is_the_mirror_image_of_the_other():
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    box, crowd = np.array([[10, 10, 60, 80]]), np.array([[70, 5, 90, 40]])
    plain, mirrored = (
        MovingCrop(3, 96, (0.9, 1.1), flip=flip)(
            image, box, np.array([0]), crowd, np.random.default_rng(5)
        )
        for flip in (0.0, 1.0)
    )
    for t, frame in enumerate(plain.images):
        width = frame.shape[1]
        np.testing.assert_array_equal(mirrored.images[t], frame[:, ::-1])
        for own, other in ((plain.boxes, mirrored.boxes), (plain.crowds, mirrored.crowds)):
            x1, y1, x2, y2 = own[t][0]
            np.testing.assert_allclose(other[t][0], [width - x2, y1, width - x1, y2], rtol=1e-6)


@pytest.mark.parametrize('scale', [1.6, 0.9, 0.4, 0.2])
def test_a_crop_is_a_part_of_the_scaled_image(scale):
    random = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    picture = Image.fromarray(random).resize((400, 300), Image.Resampling.BICUBIC)
    sides = [int(side * scale) for side in picture.size]
    whole = np.array(picture.resize(sides, Image.Resampling.BILINEAR), int)
    cropped = crop_image(picture, Crop(scale, 7, 11), 50)
    rows, columns = cropped.shape[:2]
    assert (rows, columns) == (min(50, sides[1] - 7), min(50, sides[0] - 11))
    difference = np.abs(cropped - whole[7 : 7 + rows, 11 : 11 + columns])
    assert difference.mean() < 5
    assert scale < 0.5 or difference.max() <= 2
