# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Who comes back is known again, nobody else is, and no identity changes once it is published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scenes import frame
from scenes import LOOKS
from scenes import looks
from scenes import tracker

from gtr_ros.structures import Tracks
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.recognition import Cosines
from gtr_ros.tracking.recognition import Recognition

RATE = 10


def show(
    follow: Tracker,
    people: Sequence[int],
    seconds: float,
    start: float,
    left: float = 60.0,
    alike: float = 0.0,
    **options,
) -> list[Tracks]:
    """
    Show people who walk side by side.

    :param start: seconds
    :param left: x of the first one
    :param alike: how much of everybody's look is that of one and the same person, 0 to 1
    """
    results = []
    for t in range(round(seconds * RATE)):
        time = start + t / RATE
        features = looks(people, seed=round(1000 * time))
        features = (1 - alike) * features + alike * LOOKS[-1]
        places = [(left + 110 * i + 2 * t, 200) for i in range(len(people))]
        results.append(follow.update(frame(places, time, features, **options)))
    return results


@pytest.mark.parametrize('away', [5, 10, 600])
def test_who_comes_back_after_seconds_or_minutes_is_known(away):
    follow = tracker()
    show(follow, [0, 1], 2, 0)
    follow.update(frame([], 2, looks([])))
    results = show(follow, [1], 2, 2 + away, left=400)
    assert results[-1].ids.tolist() == [2]
    assert results[-1].confirmed.all()
    assert follow.returns == 1
    assert follow.last_return.id == 2


def test_after_more_than_the_gallerys_time_nobody_is_known():
    follow = tracker()
    show(follow, [0], 2, 0)
    assert show(follow, [0], 2, 1000)[-1].ids.tolist() == [2]
    assert follow.returns == 0


def test_nobody_is_known_without_a_gallery():
    follow = tracker(rule=EvidenceRule(gallery=GalleryOptions(size=0)))
    show(follow, [0], 2, 0)
    results = show(follow, [0], 2, 20)
    assert {i for r in results for i in r.ids.tolist()} == {2}
    assert len(follow._linker._recognition.gallery) == 0


def test_nobody_is_known_by_a_tracker_that_is_shown_no_features():
    follow = tracker()
    for t in (*range(10), *range(200, 210)):
        tracks = follow.update(frame([(100, 100)], t / RATE))
    assert tracks.ids.tolist() == [2]


def test_a_stranger_gets_a_new_identity_and_is_published_with_no_delay():
    follow = tracker()
    show(follow, [0, 1], 2, 0, scores=0.95)
    results = show(follow, [7], 2, 20, scores=0.95)
    assert {i for r in results for i in r.ids.tolist()} == {3}
    assert all(r.confirmed.all() for r in results)
    assert follow.returns == 0


def test_the_identity_is_not_published_before_it_is_decided():
    follow = tracker()
    show(follow, [0], 2, 0, scores=0.99)
    results = show(follow, [0], 1, 20, scores=0.99)
    [*before, after] = [r for r in results if r.ids.tolist() == [2]] + [results[-1]]
    assert len(before) == 2
    assert not any(r.confirmed.any() for r in before)
    assert after.ids.tolist() == [1]
    # From the first frame with the old name on.
    assert all(r.confirmed.all() for r in results[len(before) :])


def test_while_somebody_may_be_somebody_he_is_not_published_and_then_is():
    # Likely, and never sure.
    follow = tracker(rule=EvidenceRule(gallery=GalleryOptions(certainty=1.0, wait=0.95)))
    show(follow, [0], 2, 0, scores=0.99)
    results = show(follow, [0], 2, 20, scores=0.99)
    assert {i for r in results for i in r.ids.tolist()} == {2}
    confirmed = [bool(r.confirmed[0]) for r in results]
    assert confirmed == [False] * 10 + [True] * 10  # the wait is over


def test_tracks_and_trajectories_say_how_long_somebody_was_away():
    follow = tracker()
    [*_, first] = show(follow, [0, 1], 2, 0)
    assert first.away.tolist() == [0, 0]
    [*_, last] = show(follow, [0, 5], 1, 32)
    assert last.ids.tolist() == [1, 4]
    np.testing.assert_allclose(last.away, [30.3, 0], atol=0.01)  # known with the third box
    assert [t.away for t in last.trajectories] == last.away.tolist()
    # It stays with the track for as long as that is followed.
    [*_, later] = show(follow, [0, 5], 1, 33)
    assert later.away.tolist() == last.away.tolist()
    # Another absence counts from where it began.
    [*_, again] = show(follow, [0], 1, 54)
    assert again.ids.tolist() == [1]
    np.testing.assert_allclose(again.away, 54.2 - 33.9, atol=0.01)


def test_a_trajectory_has_its_boxes_from_before_it_was_known():
    follow = tracker()
    show(follow, [0], 2, 0)
    results = show(follow, [0], 1, 20)
    known = [r.ids.tolist() for r in results].index([1])
    [trajectory] = results[known].trajectories
    assert trajectory.id == 1
    assert len(trajectory.boxes) == known + 1
    assert trajectory.boxes[0].tolist() == results[0].boxes[0].tolist()
    # The frames after it, too: the identity has its boxes in the window.
    [later] = results[known + 1].trajectories
    assert later.boxes[0].tolist() == results[0].boxes[0].tolist()


def test_two_at_once_never_get_one_identity():
    follow = tracker()
    show(follow, [0], 2, 0)
    results = show(follow, [0, 0, 0], 2, 20)  # triplets
    assert all(len(set(r.ids.tolist())) == 3 for r in results)
    assert follow.returns <= 1


def test_several_come_back_each_under_the_own_name():
    follow = tracker()
    show(follow, [0, 1, 2, 3], 2, 0)
    results = show(follow, [3, 9, 1, 0], 2, 30)
    assert results[-1].ids.tolist() == [4, 6, 2, 1]
    assert follow.returns == 3


@pytest.mark.parametrize('alike', [0.9, 0.97])
def test_in_a_crowd_of_look_alikes_nobody_is_taken_for_another(alike):
    follow = tracker()
    show(follow, range(5), 4, 0, alike=alike)
    [*_, others] = show(follow, range(10, 15), 4, 20, alike=alike)
    assert others.ids.tolist() == [6, 7, 8, 9, 10]
    assert follow.returns == 0


def test_where_labels_are_never_wrong_nobody_comes_back_as_another_class():
    def returns(label: int) -> int:
        follow = tracker(rule=EvidenceRule(label_error=1e-9))
        show(follow, [0], 2, 0, labels=[0])
        show(follow, [0], 2, 20, labels=[label])
        return follow.returns

    assert (returns(0), returns(1)) == (1, 0)


def test_what_was_seen_too_little_of_is_not_remembered():
    follow = tracker()
    show(follow, [0], 0.2, 0)  # two boxes
    show(follow, [1], 1, 10)
    assert len(follow._linker._recognition.gallery) == 0


def test_the_gallery_keeps_the_newest_in_a_bounded_size():
    follow = tracker(rule=EvidenceRule(gallery=GalleryOptions(size=3)))
    for i in range(6):
        show(follow, [i], 0.5, 10 * i)
    follow.update(frame([], 70, looks([])))
    assert follow._linker._recognition.gallery.ids.tolist() == [4, 5, 6]
    assert show(follow, [5], 1, 80)[-1].ids.tolist() == [6]
    assert show(follow, [0], 1, 100)[-1].ids.tolist() == [8]


def test_a_reset_forgets_everybody():
    follow = tracker()
    show(follow, [0], 2, 0)
    follow.update(frame([], 20, looks([])))
    assert len(follow._linker._recognition.gallery) == 1
    follow.reset()
    assert show(follow, [0], 2, 30)[-1].ids.tolist() == [2]


def test_who_is_known_with_the_first_box_keeps_the_others_apart():
    follow = tracker(rule=EvidenceRule(gallery=GalleryOptions(least_boxes=1)))
    show(follow, [0, 1], 2, 0)
    results = show(follow, [1], 10, 2, left=170)
    [first, *_] = show(follow, [1, 0], 1, 12, left=370)
    assert results[-1].ids.tolist() == [2]
    assert first.ids.tolist() == [2, 1]
    assert first.confirmed.all()


def test_a_return_is_told_once_whatever_the_next_frame_is():
    follow = tracker()
    show(follow, [0], 2, 0)
    results = show(follow, [0], 0.3, 20)
    assert results[-1].ids.tolist() == [1]
    follow.update(frame([], 20.3))  # whose features are of no width
    follow.update(frame([], 20.4, looks([])))
    assert follow.returns == 1
    assert show(follow, [0], 0.5, 20.5, left=66)[-1].ids.tolist() == [1]


def test_memory_is_flat_over_ten_thousand_identities():
    rng = np.random.default_rng(0)
    rule = GalleryOptions(size=50)
    recognition, ids = Recognition(rule), np.arange(100)
    alike = Cosines(1.5, 0.0, 0.4)
    for turn in range(100):
        features = rng.normal(size=(100, 16)).astype(np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        recognition.begin(features, now=10.0 * turn)
        for _ in range(2):
            recognition.update(np.arange(100), features)
        recognition.recognise(10.0 * turn, ids, np.zeros(100, np.int64), alike, 0.1)
        everybody = np.arange(100)
        seen = np.full(100, 10.0 * turn)
        recognition.lose(everybody, ids + 100 * turn, 0 * everybody, seen)
        recognition.keep(np.zeros(0, np.int64))
        gallery = recognition.gallery
        assert len(gallery) == len(gallery.prototypes) == 50
        assert gallery.prototypes.features.nbytes == 50 * rule.prototypes * 16 * 4
        assert gallery.prototypes.features.base is None
        assert len(recognition._tracks) == len(recognition._sums) == len(recognition.pending) == 0


def test_a_tracker_that_saw_thousands_keeps_a_few():
    follow = tracker(rule=EvidenceRule(memory=0.5, gallery=GalleryOptions(size=20)), window=4)
    rng = np.random.default_rng(0)
    places = [(40 + 30 * i, 200) for i in range(20)]
    for t in range(300):
        if t % 3 == 0:
            features = rng.normal(size=(20, 16))
        follow.update(frame(places, t // 3 * 3 + 0.1 * (t % 3), features))
    linker = follow._linker
    assert linker._last_id == 2000
    assert len(linker.ids) == 20
    sizes = [linker._votes, linker._away, linker._likeness._mean, linker._motion.position]
    assert {len(array) for array in sizes} == {20}
    assert len(follow._existence) == 20
    assert len(linker._recognition.gallery) == 20
