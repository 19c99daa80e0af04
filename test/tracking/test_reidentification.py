# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lost tracks are re-identified, others are not, and no id changes once it is published."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scenes import frame
from scenes import LOOKS
from scenes import looks
from scenes import make_tracker

from gtr_ros.structures import Tracks
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import SimilarityStatistics
from gtr_ros.tracking.reidentification import Reidentifier

RATE = 10


def show(
    tracker: Tracker,
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
    :param alike: fraction, 0 to 1, of a feature that everyone shares
    """
    results = []
    for t in range(round(seconds * RATE)):
        time = start + t / RATE
        features = looks(people, seed=round(1000 * time))
        features = (1 - alike) * features + alike * LOOKS[-1]
        places = [(left + 110 * i + 2 * t, 200) for i in range(len(people))]
        results.append(tracker.update(frame(places, time, features, **options)))
    return results


@pytest.mark.parametrize('away', [5, 10, 600])
def test_a_lost_track_is_reidentified_after_seconds_or_minutes(away):
    tracker = make_tracker()
    show(tracker, [0, 1], 2, 0)
    tracker.update(frame([], 2, looks([])))
    results = show(tracker, [1], 2, 2 + away, left=400)
    assert results[-1].ids.tolist() == [2]
    assert results[-1].confirmed.all()
    assert tracker.returns == 1
    assert tracker.last_return.id == 2


def test_nothing_is_reidentified_after_the_time_of_the_gallery():
    tracker = make_tracker()
    show(tracker, [0], 2, 0)
    assert show(tracker, [0], 2, 1000)[-1].ids.tolist() == [2]
    assert tracker.returns == 0


def test_nothing_is_reidentified_without_a_gallery():
    tracker = make_tracker(rule=EvidenceRule(gallery=GalleryOptions(size=0)))
    show(tracker, [0], 2, 0)
    results = show(tracker, [0], 2, 20)
    assert {i for r in results for i in r.ids.tolist()} == {2}
    assert len(tracker.linker.gallery) == 0


def test_nothing_is_reidentified_without_features():
    tracker = make_tracker()
    for t in (*range(10), *range(200, 210)):
        tracks = tracker.update(frame([(100, 100)], t / RATE))
    assert tracks.ids.tolist() == [2]


def test_a_stranger_gets_a_new_id_and_is_published_without_delay():
    tracker = make_tracker()
    show(tracker, [0, 1], 2, 0, scores=0.95)
    results = show(tracker, [7], 2, 20, scores=0.95)
    assert {i for r in results for i in r.ids.tolist()} == {3}
    assert all(r.confirmed.all() for r in results)
    assert tracker.returns == 0


def test_a_track_is_not_published_before_its_id_is_decided():
    tracker = make_tracker()
    show(tracker, [0], 2, 0, scores=0.99)
    results = show(tracker, [0], 1, 20, scores=0.99)
    [*before, after] = [r for r in results if r.ids.tolist() == [2]] + [results[-1]]
    assert len(before) == 2
    assert not any(r.confirmed.any() for r in before)
    assert after.ids.tolist() == [1]
    # From the first frame with the old id on.
    assert all(r.confirmed.all() for r in results[len(before) :])


def test_a_track_that_is_likely_a_lost_one_is_published_after_the_wait():
    # Likely, but never certain.
    tracker = make_tracker(rule=EvidenceRule(gallery=GalleryOptions(certainty=1.0, wait=0.95)))
    show(tracker, [0], 2, 0, scores=0.99)
    results = show(tracker, [0], 2, 20, scores=0.99)
    assert {i for r in results for i in r.ids.tolist()} == {2}
    confirmed = [bool(r.confirmed[0]) for r in results]
    assert confirmed == [False] * 10 + [True] * 10  # the wait is over


def test_tracks_and_trajectories_have_the_time_away():
    tracker = make_tracker()
    [*_, first] = show(tracker, [0, 1], 2, 0)
    assert first.away.tolist() == [0, 0]
    [*_, last] = show(tracker, [0, 5], 1, 32)
    assert last.ids.tolist() == [1, 4]
    np.testing.assert_allclose(last.away, [30.3, 0], atol=0.01)  # re-identified with the third box
    assert [t.away for t in last.trajectories] == last.away.tolist()
    # It does not change while the track lasts.
    [*_, later] = show(tracker, [0, 5], 1, 33)
    assert later.away.tolist() == last.away.tolist()
    # Another absence is counted from its own start.
    [*_, again] = show(tracker, [0], 1, 54)
    assert again.ids.tolist() == [1]
    np.testing.assert_allclose(again.away, 54.2 - 33.9, atol=0.01)


def test_a_trajectory_includes_the_boxes_before_the_reidentification():
    tracker = make_tracker()
    show(tracker, [0], 2, 0)
    results = show(tracker, [0], 1, 20)
    first = [r.ids.tolist() for r in results].index([1])
    [trajectory] = results[first].trajectories
    assert trajectory.id == 1
    assert len(trajectory.boxes) == first + 1
    assert trajectory.boxes[0].tolist() == results[0].boxes[0].tolist()
    # In later frames, too: the boxes in the window have the old id.
    [later] = results[first + 1].trajectories
    assert later.boxes[0].tolist() == results[0].boxes[0].tolist()


def test_two_objects_in_one_frame_never_get_the_same_id():
    tracker = make_tracker()
    show(tracker, [0], 2, 0)
    results = show(tracker, [0, 0, 0], 2, 20)  # triplets
    assert all(len(set(r.ids.tolist())) == 3 for r in results)
    assert tracker.returns <= 1


def test_several_tracks_are_reidentified_each_with_its_own_id():
    tracker = make_tracker()
    show(tracker, [0, 1, 2, 3], 2, 0)
    results = show(tracker, [3, 9, 1, 0], 2, 30)
    assert results[-1].ids.tolist() == [4, 6, 2, 1]
    assert tracker.returns == 3


@pytest.mark.parametrize('alike', [0.9, 0.97])
def test_in_a_crowd_of_look_alikes_strangers_get_new_ids(alike):
    tracker = make_tracker()
    show(tracker, range(5), 4, 0, alike=alike)
    [*_, others] = show(tracker, range(10, 15), 4, 20, alike=alike)
    assert others.ids.tolist() == [6, 7, 8, 9, 10]
    assert tracker.returns == 0


def test_if_labels_are_never_wrong_only_the_same_class_is_reidentified():
    def returns(label: int) -> int:
        tracker = make_tracker(rule=EvidenceRule(label_error=1e-9))
        show(tracker, [0], 2, 0, labels=[0])
        show(tracker, [0], 2, 20, labels=[label])
        return tracker.returns

    assert (returns(0), returns(1)) == (1, 0)


def test_tracks_with_too_few_boxes_are_not_kept():
    tracker = make_tracker()
    show(tracker, [0], 0.2, 0)  # two boxes
    show(tracker, [1], 1, 10)
    assert len(tracker.linker.gallery) == 0


def test_the_gallery_keeps_the_newest_tracks_up_to_its_size():
    tracker = make_tracker(rule=EvidenceRule(gallery=GalleryOptions(size=3)))
    for i in range(6):
        show(tracker, [i], 0.5, 10 * i)
    tracker.update(frame([], 70, looks([])))
    assert tracker.linker.gallery.ids.tolist() == [4, 5, 6]
    assert show(tracker, [5], 1, 80)[-1].ids.tolist() == [6]
    assert show(tracker, [0], 1, 100)[-1].ids.tolist() == [8]


def test_a_reset_clears_the_gallery():
    tracker = make_tracker()
    show(tracker, [0], 2, 0)
    tracker.update(frame([], 20, looks([])))
    assert len(tracker.linker.gallery) == 1
    tracker.reset()
    assert show(tracker, [0], 2, 30)[-1].ids.tolist() == [2]


def test_reidentification_with_the_first_box_does_not_mix_up_tracks():
    tracker = make_tracker(rule=EvidenceRule(gallery=GalleryOptions(least_boxes=1)))
    show(tracker, [0, 1], 2, 0)
    results = show(tracker, [1], 10, 2, left=170)
    [first, *_] = show(tracker, [1, 0], 1, 12, left=370)
    assert results[-1].ids.tolist() == [2]
    assert first.ids.tolist() == [2, 1]
    assert first.confirmed.all()


def test_a_reidentification_is_counted_once_whatever_the_next_frame_is():
    tracker = make_tracker()
    show(tracker, [0], 2, 0)
    results = show(tracker, [0], 0.3, 20)
    assert results[-1].ids.tolist() == [1]
    tracker.update(frame([], 20.3))  # without features
    tracker.update(frame([], 20.4, looks([])))
    assert tracker.returns == 1
    assert show(tracker, [0], 0.5, 20.5, left=66)[-1].ids.tolist() == [1]


def test_memory_is_constant_over_ten_thousand_tracks():
    rng = np.random.default_rng(0)
    rule = GalleryOptions(size=50)
    reidentifier, ids = Reidentifier(rule), np.arange(100)
    similarity = SimilarityStatistics(1.5, 0.0, 0.4)
    for turn in range(100):
        features = rng.normal(size=(100, 16)).astype(np.float32)
        features /= np.linalg.norm(features, axis=1, keepdims=True)
        reidentifier.begin(features, now=10.0 * turn)
        for _ in range(2):
            reidentifier.update(np.arange(100), features)
        reidentifier.reidentify(10.0 * turn, ids, np.zeros(100, np.int64), similarity, 0.1)
        rows = np.arange(100)
        last_seen = np.full(100, 10.0 * turn)
        reidentifier.add_lost(rows, ids + 100 * turn, 0 * rows, last_seen)
        reidentifier.keep(np.zeros(0, np.int64))
        gallery = reidentifier.gallery
        assert len(gallery) == len(gallery.prototypes) == 50
        assert gallery.prototypes.features.nbytes == 50 * rule.prototypes * 16 * 4
        assert gallery.prototypes.features.base is None
        assert len(reidentifier) == reidentifier.track_bytes == 0


def test_the_state_is_bounded_after_thousands_of_tracks():
    tracker = make_tracker(
        rule=EvidenceRule(memory=0.5, gallery=GalleryOptions(size=20)), window=4
    )
    rng = np.random.default_rng(0)
    places = [(40 + 30 * i, 200) for i in range(20)]
    for t in range(300):
        if t % 3 == 0:
            features = rng.normal(size=(20, 16))
        tracker.update(frame(places, t // 3 * 3 + 0.1 * (t % 3), features))
    linker = tracker.linker
    assert linker.last_id == 2000
    assert len(linker.ids) == 20
    assert set(linker.state_sizes().values()) == {20}
    assert len(tracker.existence) == 20
    assert len(linker.gallery) == 20
