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


def test_a_picture_that_comes_too_soon_is_returned_later():
    views = BestViews(rate=1)
    tenth = NANOSECONDS // 10
    assert views.update(0, tracks((0, 60, 30, 180)), picture())
    for i in range(1, 10):
        assert not views.update(i * tenth, tracks(BOX if i == 5 else (0, 60, 30, 180)), picture())
    [view] = views.update(NANOSECONDS, tracks(), picture())
    assert view.stamp == 5 * tenth
    assert not views.update(3 * NANOSECONDS, tracks((0, 60, 30, 180)), picture())


def test_tentative_tracks_and_boxes_outside_the_image_have_no_picture():
    views = BestViews(rate=1)
    assert not views.update(0, tracks(BOX, confirmed=False), picture())
    assert not views.update(1, tracks((400, 300, 420, 320)), picture())


def test_memory_is_bounded():
    views = BestViews(rate=1)
    for i in range(200):
        views.update(i * NANOSECONDS, tracks(BOX, first=i + 1), picture())
    assert len(views._tracks) <= 31
