# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From when on a track is believed: evidence of boxes that are not independent."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.existence import CONFIRMED
from gtr_ros.tracking.existence import Existence

NOBODY = np.zeros(0, np.int64)


def see(existence: Existence, ids, score, seconds: float, held=()) -> list[bool]:
    scores = np.full(len(ids), score) if np.isscalar(score) else np.array(score)
    held = np.array(held, np.int64)
    return existence.update(np.array(ids, np.int64), scores, seconds, held).tolist()


def first_confirmed(score: float, rate: float, **options) -> int:
    """Return the number of boxes, at so many a second, that confirm a track."""
    existence = Existence(**options)
    for frame in range(1000):
        if see(existence, [1], score, frame / rate)[0]:
            return frame + 1
    raise AssertionError('it never was')


@pytest.mark.parametrize('score', [0.3, 0.5, 0.8])
@pytest.mark.parametrize('rate', [2, 10, 30, 100])
def test_the_probability_is_that_of_the_closed_form(score, rate):
    # 1 - (1 - p)^(1 + (n - 1) w) >= 0.9 where boxes follow each other without a gap.
    news = 1 - np.exp(-1 / rate / 0.1)
    boxes = 1 + (np.log(1 - CONFIRMED) / np.log(1 - score) - 1) / news
    assert first_confirmed(score, rate) == max(1, int(np.ceil(boxes)))


def test_a_track_is_believed_after_about_the_same_seconds_at_any_rate():
    seconds = {rate: (first_confirmed(0.5, rate) - 1) / rate for rate in (5, 10, 30, 120)}
    assert seconds == pytest.approx({5: 0.6, 10: 0.4, 30: 0.27, 120: 0.24}, abs=0.04)


@pytest.mark.parametrize(('score', 'believed'), [(0.95, True), (0.6, False)])
def test_one_box_that_is_sure_is_enough(score, believed):
    assert see(Existence(), [1], score, 0.0) == [believed]


def test_a_box_in_the_same_instant_is_no_news():
    existence = Existence()
    assert not any(see(existence, [1], 0.8, 1.0)[0] for _ in range(50))
    assert see(existence, [1], 0.8, 2.0) == [True]


@pytest.mark.parametrize(
    ('score', 'probability'), [(0.4, 0.7), (0.0, 0.0334), (0.2, 0.4667), (1.0, 0.99)]
)
def test_a_box_at_the_threshold_is_an_object_with_seven_chances_in_ten(score, probability):
    # Odds of 7 : 3 at the threshold of 0.4, and in proportion to the odds of the score.
    [found] = Existence(threshold=0.4).probability(np.array([score]))
    assert found == pytest.approx(probability, abs=1e-3)


def test_without_a_threshold_scores_are_probabilities():
    scores = np.array([-1.0, 0.0, 0.3, 0.7, 1.0, 2.0], np.float32)
    expected = [0.01, 0.01, 0.3, 0.7, 0.99, 0.99]
    np.testing.assert_allclose(Existence().probability(scores), expected, rtol=1e-6)


def test_a_score_that_is_no_number_confirms_nobody_and_spoils_nothing():
    existence = Existence()
    assert see(existence, [1], np.nan, 0.0) == [False]
    assert see(existence, [1], 0.99, 1.0) == [True]


def test_what_flickers_is_believed_later_than_what_stays():
    def boxes(every: int) -> int:
        existence = Existence()
        for frame in range(1000):
            if frame % every:
                see(existence, [], [], frame / 10)
            elif see(existence, [1], 0.4, frame / 10)[0]:
                return frame // every + 1
        return 1000

    assert boxes(1) < boxes(8) == 1000


def test_missing_frames_count_and_missing_seconds_between_frames_do_not():
    slow, gone = Existence(), Existence()
    for existence in (slow, gone):
        see(existence, [1], 0.7, 0.0)
    for frame in range(1, 10):
        see(gone, [], [], frame / 10)
    # 1 - 0.3^2 = 0.91, but where what was said before is forgotten.
    assert see(slow, [1], 0.7, 1.0) == [True]
    assert see(gone, [1], 0.7, 1.0) == [False]


def test_once_believed_a_track_is_so_forever():
    existence = Existence()
    assert see(existence, [1], 0.95, 0.0) == [True]
    for frame in range(1, 50):
        see(existence, [], [], frame / 10)
    assert see(existence, [1], 0.01, 5.0, held=[1]) == [True]


def test_a_number_of_boxes_takes_the_place_of_the_probability():
    existence = Existence(min_hits=3)
    assert [see(existence, [1], 0.99, t / 100)[0] for t in range(4)] == [False, False, True, True]
    assert first_confirmed(0.02, 30, min_hits=3) == 3
    assert first_confirmed(0.02, 30, min_hits=1) == 1


@pytest.mark.parametrize('min_hits', [None, 1])
def test_who_is_held_is_not_believed_until_let_go(min_hits):
    existence = Existence(min_hits=min_hits)
    assert see(existence, [1, 2], 0.95, 0.0, held=[1]) == [False, True]
    assert see(existence, [1, 2], 0.95, 0.1, held=[1, 2]) == [False, True]
    assert see(existence, [1, 2], 0.95, 0.2) == [True, True]


def test_who_came_back_is_believed_at_once_under_the_old_name():
    existence = Existence()
    see(existence, [5, 7], 0.3, 0.0)
    existence.resume(7, 2)
    assert see(existence, [5, 2], 0.3, 0.1) == [False, True]
    existence.keep(np.array([2, 5]))
    assert len(existence) == 2


def test_who_came_back_before_being_given_up_is_one():
    existence = Existence()
    see(existence, [2, 7], 0.3, 0.0)
    existence.resume(7, 2)
    assert len(existence) == 1
    assert see(existence, [2], 0.3, 0.1) == [True]


def test_who_is_known_again_with_the_first_box_is_believed_and_nobody_else_is():
    existence = Existence()
    see(existence, [5], 0.3, 0.0)
    existence.resume(9, 2)
    assert see(existence, [5, 2], 0.3, 0.1) == [False, True]


def test_tracks_in_any_order_are_each_believed_for_themselves():
    existence = Existence()
    assert see(existence, [9, 2, 5], [0.95, 0.3, 0.3], 0.0) == [True, False, False]
    assert see(existence, [5, 9, 2], [0.3, 0.3, 0.95], 1.0) == [False, True, True]


def test_who_is_forgotten_begins_again():
    existence = Existence()
    see(existence, [1, 2], 0.95, 0.0)
    existence.keep(np.array([2]))
    assert see(existence, [1, 2], 0.3, 1.0) == [False, True]
    existence.clear()
    assert len(existence) == 0
    assert see(existence, [2], 0.3, 0.0) == [False]


def test_frames_without_anybody_are_taken():
    existence = Existence()
    assert see(existence, [], [], 0.0) == []
    existence.keep(NOBODY)
    assert see(existence, [], [], 1.0) == []
