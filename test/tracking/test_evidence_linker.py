# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linking by evidence: on scenes with known ground truth, and on invalid input."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker

from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker

Place = Callable[[float], tuple[float, float]]

WALKERS: tuple[Place, ...] = (
    lambda t: (60 + 60 * t, 120),
    lambda t: (560 - 60 * t, 140),
    lambda t: (300 + 20 * np.sin(t), 300),
)


def track_all(
    tracker: Tracker, places: tuple[Place, ...], times: np.ndarray, with_features: bool = True
) -> list[list[int]]:
    """Return the ids of each frame, in the order of the places."""
    results = []
    for i, t in enumerate(times):
        features = looks(range(len(places)), seed=i) if with_features else None
        results.append(tracker.update(frame([p(t) for p in places], t, features)).ids.tolist())
    return results


@pytest.mark.parametrize('rate', [2, 5, 10, 30, 120])
@pytest.mark.parametrize('with_features', [True, False])
def test_ids_are_the_same_at_any_frame_rate(rate, with_features):
    times = np.arange(0, 6, 1 / rate)
    ids = track_all(make_tracker(), WALKERS, times, with_features)
    assert ids == [[1, 2, 3]] * len(times)


def test_ids_are_the_same_at_random_frame_intervals():
    times = np.random.default_rng(3).exponential(0.15, 60).cumsum()
    assert track_all(make_tracker(), WALKERS, times) == [[1, 2, 3]] * 60


@pytest.mark.parametrize('scale', [0.25, 4.0])
def test_ids_are_the_same_in_an_image_of_any_size(scale):
    # Jumps of random length, so that the evidence is often close to the threshold.
    rng = np.random.default_rng(2)
    steps = rng.normal(scale=60, size=(80, 2)).cumsum(axis=0)
    one, other = make_tracker(), make_tracker()
    ids = []
    for t, step in enumerate(steps):
        small = frame([step], t / 5)
        size = (round(480 * scale), round(640 * scale))
        large = replace(small, boxes=small.boxes * scale, image_size=size)
        ids.append(one.update(small).ids.tolist())
        assert other.update(large).ids.tolist() == ids[-1]
    assert 1 < len({i for (i,) in ids}) < 80


def test_look_alikes_that_cross_are_told_apart_by_their_motion():
    crossing = (lambda t: (100 + 60 * t, 200), lambda t: (400 - 60 * t, 215))
    ids = track_all(make_tracker(), crossing, np.arange(0, 5, 0.1), with_features=False)
    assert ids == [[1, 2]] * 50


def test_people_who_swap_places_during_a_gap_are_told_apart_by_their_appearance():
    tracker = make_tracker()
    still = (lambda t: (150, 200), lambda t: (250, 200))
    track_all(tracker, still, np.arange(0, 2, 0.1))
    [ids] = track_all(tracker, still[::-1], np.array([4.0]))
    assert ids == [1, 2]


@pytest.mark.parametrize(('gap', 'with_features'), [(0.5, False), (2.5, False), (3.9, True)])
def test_an_id_survives_a_gap_within_the_memory(gap, with_features):
    tracker = make_tracker()
    track_all(tracker, WALKERS[2:], np.arange(0, 2, 0.1), with_features)
    for t in np.arange(2, 1.9 + gap, 0.1):
        assert len(tracker.update(frame([], t))) == 0
    assert track_all(tracker, WALKERS[2:], np.array([1.9 + gap]), with_features) == [[1]]


def test_a_track_loses_evidence_during_a_gap():
    def ids(fading: float, gap: float) -> list[int]:
        tracker = make_tracker(rule=EvidenceRule(fading=fading))
        track_all(tracker, WALKERS[2:], np.arange(0, 2, 0.1))
        [ids] = track_all(tracker, WALKERS[2:], np.array([1.9 + gap]))
        return ids

    assert (ids(0, 2), ids(10, 0.1), ids(10, 2)) == ([1], [1], [2])


def test_the_height_of_a_track_is_filtered_and_its_variance_grows_during_a_gap():
    rule = EvidenceRule(size_noise=0.1, size_drift=0.5)
    tracker = make_tracker(rule=rule)
    tracker.update(frame([(100, 200)], 0, height=80))
    tracker.update(frame([(100, 200)], 0.4, height=100))
    predicted = 0.1**2 + 0.5**2 * 0.4
    gain = predicted / (predicted + 0.1**2)
    expected = np.log(80) + gain * np.log(100 / 80)
    mean, variance = tracker.linker.log_heights
    np.testing.assert_allclose(mean, [expected], rtol=1e-6)
    np.testing.assert_allclose(variance, [predicted * (1 - gain)])
    tracker.update(frame([], 2.4))
    _, variance = tracker.linker.log_heights
    np.testing.assert_allclose(variance, [predicted * (1 - gain) + 0.5**2 * 2])


def test_ids_are_not_reused_after_the_memory():
    tracker = make_tracker()
    seen: list[int] = []
    for turn in range(5):
        [ids] = track_all(tracker, WALKERS[2:], np.array([4.1 * turn]), with_features=False)
        seen += ids
    assert seen == [1, 2, 3, 4, 5]


def test_an_id_survives_a_gap_in_which_only_others_are_detected():
    tracker = make_tracker()
    track_all(tracker, WALKERS, np.arange(0, 1, 0.1))
    for t in np.arange(1, 2.5, 0.1):
        features = looks([2], seed=round(10 * t))
        assert tracker.update(frame([WALKERS[2](t)], t, features)).ids.tolist() == [3]
    assert track_all(tracker, WALKERS, np.array([2.5])) == [[1, 2, 3]]


def test_an_id_survives_changing_labels():
    tracker = make_tracker()
    for t in range(40):
        label = [t % 2] if t < 20 else [2 + t % 3]
        detections = frame([(100 + 4 * t, 200)], t / 10, looks([0], seed=t), labels=label)
        assert tracker.update(detections).ids.tolist() == [1]


def test_a_distant_look_alike_is_linked_only_if_the_class_is_the_same():
    def ids(label: int) -> list[int]:
        tracker = make_tracker(rule=EvidenceRule(label_error=1e-3))
        for t in range(20):
            tracker.update(frame([(100, 100)], t / 10, looks([0]), labels=[0]))
        for t in range(20, 30):  # another track, so that neither class is rare
            tracker.update(frame([(600, 400)], t / 10, looks([1]), labels=[1]))
        result = tracker.update(frame([(450, 300)], 3, looks([0]), labels=[label]))
        return result.ids.tolist()

    assert ids(0) == [1]
    assert ids(1) == [3]


def test_another_class_in_the_same_place_after_a_gap_is_another_track():
    tracker = make_tracker()
    for t in range(20):
        tracker.update(frame([(100, 100), (400, 300)], t / 10, labels=[0, 1]))
    ids = tracker.update(frame([(100, 100), (400, 300)], 4.9, labels=[1, 1])).ids
    assert ids.tolist() == [3, 2]


@pytest.mark.parametrize('rate', [5, 10, 30])
@pytest.mark.parametrize(('speed', 'with_features'), [(1.5, False), (3.5, True)])
def test_a_runner_with_sudden_reversals_keeps_the_id(rate, speed, with_features):
    def runner(t: float) -> tuple[float, float]:
        turn = t / 0.7 % 2  # in units of 0.7 s, there and back
        return 300 + 0.7 * speed * 80 * min(turn, 2 - turn), 200

    times = np.arange(0, 6, 1 / rate)
    ids = track_all(make_tracker(), (runner, WALKERS[2]), times, with_features)
    assert ids == [[1, 2]] * len(times)


def test_weak_boxes_begin_no_track():
    tracker = make_tracker(begin_score=0.4)
    for t in range(10):
        assert len(tracker.update(frame([(100, 200)], t / 10, looks([0]), scores=0.3))) == 0
    ids = tracker.update(frame([(100, 200), (400, 200)], 1, looks([0, 1]), scores=[0.5, 0.3])).ids
    assert ids.tolist() == [1]


def test_weak_boxes_continue_a_track_and_keep_their_scores():
    tracker = make_tracker(begin_score=0.4)
    for t in range(20):
        scores = [0.9 if t == 0 else 0.3, 0.1]
        places = [(100 + 4 * t, 200), (400, 200)]
        tracks = tracker.update(frame(places, t / 10, looks([0, 1], seed=t), scores=scores))
        assert tracks.ids.tolist() == [1]
        assert tracks.boxes[0, 0] == 80 + 4 * t
        assert tracks.scores.tolist() == pytest.approx(scores[:1])
        assert len(tracks.trajectories) == 1


def test_a_strong_box_takes_a_track_before_a_weak_one_at_the_same_distance():
    tracker = make_tracker(begin_score=0.4)
    tracker.update(frame([(200, 200)], 0))
    places, scores = [(190, 200), (210, 200)], [0.3, 0.9]
    tracks = tracker.update(frame(places, 0.1, scores=scores))
    assert tracks.ids.tolist() == [1]
    assert tracks.scores.tolist() == pytest.approx([0.9])


def test_a_weak_box_needs_more_evidence():
    def reach(score: float) -> int:
        """Return the distance up to which a box continues a track, pixels."""
        for far in range(0, 400, 2):
            tracker = make_tracker(begin_score=0.4)
            tracker.update(frame([(100, 200)], 0))
            if 1 not in tracker.update(frame([(100 + far, 200)], 0.2, scores=score)).ids:
                return far
        return 400

    assert 10 < reach(0.3) < reach(0.9) < 400


def test_frames_without_detections_are_accepted():
    tracker = make_tracker()
    for t in range(5):
        assert len(tracker.update(frame([], t / 10))) == 0
    assert track_all(tracker, WALKERS, np.array([0.5])) == [[1, 2, 3]]
    for t in range(6, 100):
        assert len(tracker.update(frame([], t / 10, looks([])))) == 0
    assert len(tracker.linker.ids) == 0
    assert len(tracker.update(frame([], 10, looks([])))) == 0


def test_the_order_of_the_detections_does_not_matter():
    rng = np.random.default_rng(5)
    plain, shuffled = make_tracker(), make_tracker()
    first = None
    for t in range(40):
        places = [p(t / 10) for p in WALKERS] + [(500, 60 + 3 * t)]
        features = looks(range(4), seed=t)
        order = rng.permutation(4)
        expected = plain.update(frame(places, t / 10, features))
        found = shuffled.update(frame([places[i] for i in order], t / 10, features[order]))
        first = order if first is None else first
        ids = {int(i): k + 1 for k, i in enumerate(first)}  # in the order of the first frame
        assert found.ids.tolist() == [ids[int(i)] for i in order]
        assert found.confirmed.tolist() == expected.confirmed[order].tolist()


def test_without_features_motion_and_size_link():
    tracker = make_tracker()
    for t in range(10):
        [tall, low] = frame([(100, 200)], 0), frame([(100, 200)], 0, height=30)
        boxes = np.concatenate([tall.boxes, low.boxes])
        detections = replace(frame([(0, 0), (0, 0)], t / 10), boxes=boxes)
        ids = tracker.update(detections).ids.tolist()
        assert ids == [1, 2]


def test_two_trackers_share_nothing():
    times = np.arange(0, 2, 0.1)
    alone = track_all(make_tracker(), WALKERS, times)
    one, other = make_tracker(), make_tracker()
    rng = np.random.default_rng(0)
    for i, t in enumerate(times):
        other.update(frame(rng.uniform(0, 400, (7, 2)), t, looks(range(20, 27))))
        assert track_all(one, WALKERS, np.array([t])) == [alone[i]]
    assert one.linker.appearance.cosines.same != other.linker.appearance.cosines.same


def test_a_reset_ends_all_tracks_and_reuses_no_id():
    tracker = make_tracker()
    track_all(tracker, WALKERS, np.arange(0, 1, 0.1))
    tracker.reset()
    assert len(tracker.linker.ids) == len(tracker.existence) == tracker.past_frames == 0
    assert track_all(tracker, WALKERS, np.array([1.0])) == [[4, 5, 6]]


@pytest.mark.parametrize('with_features', [True, False])
def test_a_camera_whose_motion_is_known_keeps_ids_that_are_lost_without_it(with_features):
    # A row of people who look alike; the camera pans by one position, to the left or right.
    row, rng = np.arange(6) * 50.0, np.random.default_rng(1)
    jumps = rng.choice([-50.0, 50.0], 30)

    def ids(known: bool) -> list[list[int]]:
        tracker, shift, result = make_tracker(), 200.0, []
        for t in range(30):
            moved = jumps[t] if t and abs(shift + jumps[t] - 200) <= 100 else 0.0
            shift += moved
            camera = np.array([[1.0, 0, moved], [0, 1, 0]]) if known else None
            places = [(x + shift, 200) for x in row]
            features = looks([0] * 6, seed=t, noise=0.05) if with_features else None
            result.append(
                tracker.update(frame(places, t / 5, features, camera=camera)).ids.tolist()
            )
        return result

    all_ids = [[1, 2, 3, 4, 5, 6]] * 30
    assert ids(known=True) == all_ids
    assert ids(known=False) != all_ids


def test_the_zoom_of_the_camera_is_compensated():
    tracker, zoom = make_tracker(), 1.25
    places = np.array([[100.0, 100.0], [200.0, 100.0], [100.0, 200.0], [150.0, 150.0]])
    for t in range(8):
        camera = np.array([[zoom, 0, 0], [0, zoom, 0]]) if t else None
        scale = zoom**t / 4
        made = frame(places * scale, t / 5, height=40 * scale, camera=camera)
        assert tracker.update(made).ids.tolist() == [1, 2, 3, 4]


def test_without_location_only_appearance_links():
    tracker = make_tracker(rule=EvidenceRule().without_location())
    rng = np.random.default_rng(0)
    for t in range(20):
        places = rng.uniform(50, 400, (3, 2))
        assert tracker.update(frame(places, t / 10, looks([0, 1, 2]))).ids.tolist() == [1, 2, 3]


def test_appearance_is_no_cue_where_the_rule_says_so():
    tracker = make_tracker(rule=EvidenceRule(appearance='none'))
    for t in range(10):
        ids = tracker.update(frame([(100, 200)], t / 10, looks([t]))).ids
        assert ids.tolist() == [1]
    assert len(tracker.linker.appearance) == 0


def test_three_hundred_objects_keep_their_ids():
    tracker = make_tracker()
    places = [(60 * (i % 20) + 30, 120 * (i // 20) + 60) for i in range(300)]
    rng = np.random.default_rng(0)
    for t in range(4):
        moved = places + rng.normal(size=(300, 2))
        made = frame(moved, t / 10, looks(range(300), seed=t), image_size=(1920, 1280))
        assert tracker.update(made).ids.tolist() == list(range(1, 301))
