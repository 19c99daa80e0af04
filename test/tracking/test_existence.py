# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When a track is confirmed: evidence from boxes that are not independent."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.existence import CONFIRMED
from gtr_ros.tracking.existence import Existence

NO_IDS = np.zeros(0, np.int64)


def update(existence: Existence, ids, score, seconds: float, held=()) -> list[bool]:
    scores = np.full(len(ids), score) if np.isscalar(score) else np.array(score)
    held = np.array(held, np.int64)
    return existence.update(np.array(ids, np.int64), scores, seconds, held).tolist()


def first_confirmed(score: float, rate: float, **options) -> int:
    """Return the number of boxes, at this frame rate, that confirm a track."""
    existence = Existence(**options)
    for frame in range(1000):
        if update(existence, [1], score, frame / rate)[0]:
            return frame + 1
    raise AssertionError('the track was never confirmed')


@pytest.mark.parametrize('score', [0.3, 0.5, 0.8])
@pytest.mark.parametrize('rate', [2, 10, 30, 100])
def test_the_probability_is_that_of_the_closed_form(score, rate):
    # 1 - (1 - p)^(1 + (n - 1) w) >= 0.9 where boxes follow each other without a gap.
    weight = 1 - np.exp(-1 / rate / 0.1)
    boxes = 1 + (np.log(1 - CONFIRMED) / np.log(1 - score) - 1) / weight
    assert first_confirmed(score, rate) == max(1, int(np.ceil(boxes)))


def test_a_track_is_confirmed_after_about_the_same_time_at_any_rate():
    seconds = {rate: (first_confirmed(0.5, rate) - 1) / rate for rate in (5, 10, 30, 120)}
    assert seconds == pytest.approx({5: 0.6, 10: 0.4, 30: 0.27, 120: 0.24}, abs=0.04)


@pytest.mark.parametrize(('score', 'certain'), [(0.95, True), (0.6, False)])
def test_one_box_with_a_high_score_is_enough(score, certain):
    assert update(Existence(), [1], score, 0.0) == [certain]


def test_a_box_at_the_same_time_is_no_evidence():
    existence = Existence()
    assert not any(update(existence, [1], 0.8, 1.0)[0] for _ in range(50))
    assert update(existence, [1], 0.8, 2.0) == [True]


@pytest.mark.parametrize(
    ('score', 'probability'), [(0.4, 0.7), (0.0, 0.0334), (0.2, 0.4667), (1.0, 0.99)]
)
def test_a_box_at_the_threshold_is_an_object_with_probability_0_7(score, probability):
    # Odds of 7 : 3 at the threshold of 0.4, and in proportion to the odds of the score.
    [found] = Existence(threshold=0.4).probability(np.array([score]))
    assert found == pytest.approx(probability, abs=1e-3)


def test_without_a_threshold_scores_are_probabilities():
    scores = np.array([-1.0, 0.0, 0.3, 0.7, 1.0, 2.0], np.float32)
    expected = [0.01, 0.01, 0.3, 0.7, 0.99, 0.99]
    np.testing.assert_allclose(Existence().probability(scores), expected, rtol=1e-6)


def test_a_score_that_is_nan_confirms_no_track_and_has_no_lasting_effect():
    existence = Existence()
    assert update(existence, [1], np.nan, 0.0) == [False]
    assert update(existence, [1], 0.99, 1.0) == [True]


def test_a_flickering_track_is_confirmed_later_than_a_steady_one():
    def boxes(every: int) -> int:
        existence = Existence()
        for frame in range(1000):
            if frame % every:
                update(existence, [], [], frame / 10)
            elif update(existence, [1], 0.4, frame / 10)[0]:
                return frame // every + 1
        return 1000

    assert boxes(1) < boxes(8) == 1000


def test_missed_frames_reduce_the_evidence_and_a_low_frame_rate_does_not():
    slow, gone = Existence(), Existence()
    for existence in (slow, gone):
        update(existence, [1], 0.7, 0.0)
    for frame in range(1, 10):
        update(gone, [], [], frame / 10)
    # 1 - 0.3^2 = 0.91, except where missed frames reduced the evidence.
    assert update(slow, [1], 0.7, 1.0) == [True]
    assert update(gone, [1], 0.7, 1.0) == [False]


def test_a_confirmed_track_stays_confirmed():
    existence = Existence()
    assert update(existence, [1], 0.95, 0.0) == [True]
    for frame in range(1, 50):
        update(existence, [], [], frame / 10)
    assert update(existence, [1], 0.01, 5.0, held=[1]) == [True]


def test_min_hits_replaces_the_probability():
    existence = Existence(min_hits=3)
    assert [update(existence, [1], 0.99, t / 100)[0] for t in range(4)] == [
        False,
        False,
        True,
        True,
    ]
    assert first_confirmed(0.02, 30, min_hits=3) == 3
    assert first_confirmed(0.02, 30, min_hits=1) == 1


@pytest.mark.parametrize('min_hits', [None, 1])
def test_held_tracks_are_not_confirmed_until_released(min_hits):
    existence = Existence(min_hits=min_hits)
    assert update(existence, [1, 2], 0.95, 0.0, held=[1]) == [False, True]
    assert update(existence, [1, 2], 0.95, 0.1, held=[1, 2]) == [False, True]
    assert update(existence, [1, 2], 0.95, 0.2) == [True, True]


def test_a_reidentified_track_is_confirmed_at_once_with_the_old_id():
    existence = Existence()
    update(existence, [5, 7], 0.3, 0.0)
    existence.reidentify(7, 2)
    assert update(existence, [5, 2], 0.3, 0.1) == [False, True]
    existence.keep(np.array([2, 5]))
    assert len(existence) == 2


def test_a_track_reidentified_before_it_was_removed_is_not_duplicated():
    existence = Existence()
    update(existence, [2, 7], 0.3, 0.0)
    existence.reidentify(7, 2)
    assert len(existence) == 1
    assert update(existence, [2], 0.3, 0.1) == [True]


def test_only_the_track_reidentified_with_its_first_box_is_confirmed():
    existence = Existence()
    update(existence, [5], 0.3, 0.0)
    existence.reidentify(9, 2)
    assert update(existence, [5, 2], 0.3, 0.1) == [False, True]


def test_tracks_are_confirmed_independently_in_any_order():
    existence = Existence()
    assert update(existence, [9, 2, 5], [0.95, 0.3, 0.3], 0.0) == [True, False, False]
    assert update(existence, [5, 9, 2], [0.3, 0.3, 0.95], 1.0) == [False, True, True]


def test_a_removed_track_starts_again():
    existence = Existence()
    update(existence, [1, 2], 0.95, 0.0)
    existence.keep(np.array([2]))
    assert update(existence, [1, 2], 0.3, 1.0) == [False, True]
    existence.clear()
    assert len(existence) == 0
    assert update(existence, [2], 0.3, 0.0) == [False]


def test_empty_frames_are_accepted():
    existence = Existence()
    assert update(existence, [], [], 0.0) == []
    existence.keep(NO_IDS)
    assert update(existence, [], [], 1.0) == []
