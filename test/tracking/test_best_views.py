# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which picture of a track is the best, and when it is returned."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.best_views import BestViews
from gtr_ros.tracking.best_views import placed_quality
from gtr_ros.tracking.best_views import sharpness_factor

SIZE = (240, 320)
BOX = (100, 60, 160, 180)


def picture(blur: int = 0) -> np.ndarray:
    """Return coarse noise, blurred this many times."""
    coarse = np.random.default_rng(3).integers(0, 256, (SIZE[0] // 10, SIZE[1] // 10, 3))
    noise = coarse.repeat(10, axis=0).repeat(10, axis=1).astype(float)
    for _ in range(blur):
        noise = (noise + np.roll(noise, 1, 0) + np.roll(noise, 1, 1)) / 3
    return noise.astype(np.uint8)


def tracks(*boxes, score: float = 0.9, confirmed: bool = True, first: int = 1) -> Tracks:
    count = len(boxes)
    return Tracks(
        ids=first + np.arange(count),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(count, score, np.float32),
        labels=np.zeros(count, np.int64),
        confirmed=np.full(count, confirmed),
    )


def quality(*boxes, score: float = 0.9) -> float:
    return float(placed_quality(np.array(boxes, float), np.full(len(boxes), score), SIZE)[0])


def test_large_whole_uncovered_boxes_with_a_high_score_are_better():
    best = quality(BOX)
    assert best > quality((110, 80, 140, 140)), 'smaller'
    assert best > quality(BOX, score=0.5), 'less certain'
    assert best > quality((0, 60, 60, 180)), 'cut off at the left'
    assert best > quality((100, 120, 160, 240)), 'cut off below'
    assert best > quality(BOX, (120, 80, 200, 200)), 'covered'
    assert best == quality(BOX, (200, 80, 260, 200)), 'another one beside it'


def test_sharp_pictures_are_better_than_blurred_ones():
    factors = [sharpness_factor(picture(blur)) for blur in (0, 1, 3, 9)]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] > 1.2 * factors[3]


@pytest.mark.parametrize('shape', [(0, 0, 3), (2, 50, 3), (50, 1, 3)])
def test_a_picture_without_inner_pixels_has_no_sharpness(shape):
    assert sharpness_factor(np.zeros(shape, np.uint8)) == 0


def test_the_best_of_several_pictures_is_returned():
    views = BestViews(rate=10)
    shown = [
        (tracks((0, 60, 30, 180)), picture()),  # cut off
        (tracks(BOX), picture(9)),  # whole, but blurred
        (tracks(BOX), picture()),
        (tracks(BOX, score=0.92), picture()),  # hardly better
        (tracks((100, 80, 130, 140)), picture()),  # worse
    ]
    found = [views.update(i * NANOSECONDS, *frame) for i, frame in enumerate(shown)]
    assert [len(each) for each in found] == [1, 1, 1, 0, 0]
    best = found[2][0]
    assert (best.id, best.stamp, best.box.tolist()) == (1, 2 * NANOSECONDS, list(BOX))
    np.testing.assert_array_equal(best.crop, picture()[48:193, 94:167])


@pytest.mark.parametrize('start', [0, 1_700_000_000 * NANOSECONDS])
def test_a_picture_that_comes_too_soon_is_returned_later(start):
    views = BestViews(rate=1)
    tenth = NANOSECONDS // 10
    assert views.update(start, tracks((0, 60, 30, 180)), picture())
    for i in range(1, 10):
        assert not views.update(
            start + i * tenth, tracks(BOX if i == 5 else (0, 60, 30, 180)), picture()
        )
    [view] = views.update(start + NANOSECONDS, tracks(), picture())
    assert view.stamp == start + 5 * tenth
    assert not views.update(start + 3 * NANOSECONDS, tracks((0, 60, 30, 180)), picture())


def test_tentative_tracks_and_boxes_outside_the_image_have_no_picture():
    views = BestViews(rate=1)
    assert not views.update(0, tracks(BOX, confirmed=False), picture())
    assert not views.update(1, tracks((400, 300, 420, 320)), picture())


def test_memory_is_bounded():
    views = BestViews(rate=1)
    for i in range(200):
        views.update(i * NANOSECONDS, tracks(BOX, first=i + 1), picture())
    assert len(views._tracks) <= 31


@pytest.mark.parametrize('shade', [0, 100, 255])
def test_a_plain_picture_has_no_sharpness(shade):
    assert sharpness_factor(np.full((40, 40, 3), shade, np.uint8)) == 0


def test_the_sharpness_of_a_dot_is_known():
    """A dot of height h has the second differences -4 h once and h four times."""
    shown = np.full((12, 12, 3), 50, np.uint8)
    shown[5, 6] = 130
    detail = np.sqrt((16 + 4) * 80**2 / 10**2)
    sharpness = detail / (4 * 80 * np.sqrt(1 / 144 * (1 - 1 / 144)) + 4)
    assert sharpness_factor(shown) == pytest.approx(sharpness / (sharpness + 0.1))


def test_sharpness_is_measured_in_the_middle():
    shown = np.zeros((400, 300, 3), np.uint8)
    shown[:136, ::2] = shown[264:, ::2] = 255
    shown[:, :86:2] = shown[:, 215::2] = 255
    assert sharpness_factor(shown) == 0
    shown[200, 150] = 255
    assert sharpness_factor(shown) > 0


def test_pictures_begin_at_the_first_pixel_and_end_at_the_last():
    image = picture()
    for box, part in (
        ((-3, -3, 40, 50), image[:56, :45]),
        ((280, 200, 325, 245), image[195:, 275:]),
    ):
        [view] = BestViews(rate=1).update(0, tracks(box), image)
        np.testing.assert_array_equal(view.crop, part)


def test_the_quality_of_a_box_is_known():
    side = np.sqrt(60 * 120)
    whole = side / (side + 128) * 0.9
    assert quality(BOX) == pytest.approx(whole)
    assert quality((0, 60, 60, 180)) == pytest.approx(0.3 * whole), 'cut off'
    assert quality((260, 120, 320, 240)) == pytest.approx(0.3 * whole), 'cut off'
    assert quality((2, 2, 62, 122)) == pytest.approx(whole), 'two pixels from the edge'
    # A quarter is covered by one box, half of that again by another.
    other, third = (100, 150, 160, 180), (100, 165, 130, 180)
    assert quality(BOX, other, third) == pytest.approx(0.75 * whole)
    assert quality((50, 50, 50, 90)) == 0, 'nothing to be seen'


def test_a_picture_must_be_a_tenth_better_than_the_last_one_that_was_returned():
    views = BestViews(rate=10)
    shown = [0.5, 0.54, 0.56, 0.6, 0.62]
    found = [
        bool(views.update(i * NANOSECONDS, tracks(BOX, score=score), picture()))
        for i, score in enumerate(shown)
    ]
    assert found == [True, False, True, False, True]


def test_a_track_is_forgotten_after_half_a_minute_without_a_box():
    for seconds, again in ((30, False), (31, True)):
        views = BestViews(rate=1)
        views.update(0, tracks(BOX), picture())
        views.update(seconds * NANOSECONDS, tracks(), picture())
        found = views.update((seconds + 1) * NANOSECONDS, tracks(BOX), picture())
        assert bool(found) == again


def test_a_reset_of_the_clock_begins_again():
    views = BestViews(rate=1)
    assert views.update(100 * NANOSECONDS, tracks(BOX), picture())
    assert not views.update(99 * NANOSECONDS, tracks(BOX), picture())
    [view] = views.update(50 * NANOSECONDS, tracks(BOX), picture())
    assert view.stamp == 50 * NANOSECONDS


@pytest.mark.parametrize('cut', [(0, 60, 60, 180), (260, 120, 320, 240)])
def test_one_box_that_is_cut_off_makes_no_other_worse(cut):
    found = placed_quality(np.array([BOX, cut], float), np.full(2, 0.9), SIZE)
    assert found[1] == pytest.approx(0.3 * found[0])
    assert quality((258, 118, 318, 238)) == pytest.approx(found[0]), 'two pixels from the edge'


def test_what_is_around_an_object_does_not_make_it_sharp():
    image = picture()
    image[60:181, 100:161] = 90
    [view] = BestViews(rate=1).update(0, tracks(BOX), image)
    assert view.quality == 0


def test_boxes_that_cover_each_other_make_no_third_one_worse():
    boxes = [BOX, (100, 120, 160, 180), (200, 60, 260, 180)]
    found = placed_quality(np.array(boxes, float), np.full(3, 0.9), SIZE)
    assert found[2] == pytest.approx(quality(BOX))
    assert found[0] == pytest.approx(0.5 * found[2])
    assert found[1] == 0
