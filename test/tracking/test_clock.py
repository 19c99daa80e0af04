# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame times ascend whatever the stamps are, and equal them where they are valid."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker

from gtr_ros.tracking.clock import FrameClock

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def times(*stamps: float | None) -> tuple[FrameClock, list[float]]:
    """Return the clock, and frame times for the stamps, both in seconds after START."""
    clock = FrameClock()
    given = [None if s is None else START + round(s * SECOND) for s in stamps]
    return clock, [(clock.time(stamp) - START) / SECOND for stamp in given]


def test_valid_stamps_are_the_times():
    clock, found = times(0, 0.1, 0.25, 7, 7.001)
    assert found == pytest.approx([0, 0.1, 0.25, 7, 7.001])
    assert clock.repaired == 0


def test_a_repeated_stamp_is_one_frame_later():
    clock, found = times(0, 0.04, 0.04, 0.08)
    assert found[:3] == pytest.approx([0, 0.04, 0.08])
    assert found[3] > found[2]
    assert clock.repaired == 1


def test_stamps_that_stand_still_are_frames_at_the_usual_interval():
    clock, found = times(0, 0.1, *(0.1 + 1e-5 * t for t in range(1, 6)), 0.8)
    assert found == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8])
    assert clock.repaired == 5


def test_a_stamp_that_steps_back_is_one_frame_later():
    clock, found = times(0, 0.2, 0.4, 0.3, 0.8)
    assert found == pytest.approx([0, 0.2, 0.4, 0.6, 0.8])
    assert clock.repaired == 1


def test_missing_stamps_are_interpolated():
    clock, found = times(0, 0.1, None, 0.3, None, None, 0.6)
    assert found == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert clock.repaired == 0  # missing stamps do not count


def test_a_stamp_of_0_is_missing_after_others_and_a_time_before_them():
    clock = FrameClock()
    found = [clock.time(stamp) for stamp in (SECOND, 0, 3 * SECOND)]
    assert found[0] == SECOND < found[1] < found[2] == 3 * SECOND
    assert clock.repaired == 0  # it is not one that went back
    clock = FrameClock()
    assert [clock.time(0), clock.time(SECOND)] == [0, SECOND]


def test_nothing_has_elapsed_before_the_second_frame():
    clock = FrameClock()
    assert clock.elapsed == 0
    clock.time(START)
    assert clock.elapsed == 0
    clock.time(START + SECOND)
    assert clock.elapsed == SECOND
    clock.reset()
    assert clock.elapsed == 0


def test_frames_are_evenly_spaced_if_every_other_stamp_is_missing():
    _, found = times(*(None if t % 2 else t * 0.05 for t in range(20)))
    np.testing.assert_allclose(np.diff(found[4:]), 0.05, rtol=1e-6)


def test_frames_are_evenly_spaced_if_stamps_come_in_pairs():
    _, found = times(*(t // 2 * 0.1 for t in range(20)))
    np.testing.assert_allclose(np.diff(found[4:]), 0.05, rtol=1e-6)


def test_without_any_stamp_frames_are_a_tenth_of_a_second_apart():
    clock = FrameClock()
    assert np.diff([clock.time(None) for _ in range(5)]).tolist() == [SECOND // 10] * 4


def test_a_clock_that_was_set_back_catches_up():
    stamps = [*np.arange(0, 2, 0.1), *np.arange(1.5, 4, 0.1)]
    clock, found = times(*stamps)
    assert (np.diff(found) > 0).all()
    assert 4 <= clock.repaired <= 6
    np.testing.assert_allclose(found[-10:], stamps[-10:])


def test_a_forward_gap_is_accepted():
    _, found = times(0, 0.1, 3600, 3600.1)
    assert found == pytest.approx([0, 0.1, 3600, 3600.1])


def test_after_a_gap_a_missing_stamp_is_at_most_a_second_later():
    _, found = times(0, 60, None)
    assert found == pytest.approx([0, 60, 61])


def test_only_a_jump_back_of_more_than_a_second_is_a_reset():
    clock, _ = times(0, 5)
    assert not clock.was_reset(None)
    assert not clock.was_reset(START + 4 * SECOND)
    assert clock.was_reset(START + 4 * SECOND - 1)
    assert not FrameClock().was_reset(0)


def test_after_a_reset_any_stamp_is_accepted_and_the_count_of_repairs_stays():
    clock, _ = times(5, 5)
    clock.reset()
    assert not clock.was_reset(START)
    assert clock.time(START) == START
    assert clock.repaired == 1


def walk(stamps: list[float | None]) -> tuple:
    """Track a person who stands still through frames with these stamps."""
    tracker = make_tracker()
    ids = {tracker.update(frame([(100, 100)], s, looks([0]))).ids[0] for s in stamps}
    return tracker, ids


@pytest.mark.parametrize(
    ('stamps', 'repaired'),
    [
        ([5.0, 5.1, 5.1, 5.1, 5.2], 2),
        ([5.0, 5.1, 5.05, 5.2], 1),
        ([5.0, 5.1, 4.2, 4.3, 5.2], 2),
        ([5.0, 5.1, None, 5.3, None], 0),
        ([None, None, None], 0),
    ],
)
def test_an_id_survives_slightly_wrong_stamps(stamps, repaired):
    tracker, ids = walk(stamps)
    assert ids == {1}
    assert tracker.repaired_stamps == repaired
    assert tracker.resets == 0


def test_a_jump_back_starts_new_ids():
    tracker, ids = walk([5.0, 5.1, 3.0, 3.1])
    assert ids == {1, 2}
    assert tracker.resets == 1
    assert tracker.repaired_stamps == 0


def test_tracks_have_the_repaired_times():
    tracker = make_tracker()
    for stamp in (5.0, 5.1, 5.1):
        tracks = tracker.update(frame([(100, 100)], stamp, looks([0])))
    stamps = tracks.trajectories[0].stamps / SECOND
    np.testing.assert_allclose(stamps, [5.0, 5.1, 5.2])


def test_the_first_stamp_after_frames_without_one_is_one_frame_later():
    clock = FrameClock()
    for stamp in (None, None, START):
        clock.time(stamp)
    assert clock.elapsed == SECOND // 10, 'not the seconds since 1970'
    clock.time(START + SECOND)
    assert clock.elapsed == SECOND
