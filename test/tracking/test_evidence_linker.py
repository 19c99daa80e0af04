# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities by evidence: on scenes whose truth is known, and on input that nobody expects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
import warnings

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import tracker
import torch

from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.gallery import GalleryOptions

Place = Callable[[float], tuple[float, float]]

WALKERS: tuple[Place, ...] = (
    lambda t: (60 + 60 * t, 120),
    lambda t: (560 - 60 * t, 140),
    lambda t: (300 + 20 * np.sin(t), 300),
)


def follow_all(
    follow: Tracker, places: tuple[Place, ...], times: np.ndarray, looking: bool = True, **options
) -> list[list[int]]:
    """Return the ids of each frame, in the order of the places."""
    people = range(len(places))
    return [
        follow.update(
            frame([p(t) for p in places], t, looks(people, seed=i) if looking else None, **options)
        ).ids.tolist()
        for i, t in enumerate(times)
    ]


@pytest.mark.parametrize('rate', [2, 5, 10, 30, 120])
@pytest.mark.parametrize('looking', [True, False])
def test_ids_are_the_same_at_any_frame_rate(rate, looking):
    times = np.arange(0, 6, 1 / rate)
    ids = follow_all(tracker(), WALKERS, times, looking)
    assert ids == [[1, 2, 3]] * len(times)


def test_ids_are_the_same_when_frames_come_at_random():
    times = np.random.default_rng(3).exponential(0.15, 60).cumsum()
    assert follow_all(tracker(), WALKERS, times) == [[1, 2, 3]] * 60


@pytest.mark.parametrize('scale', [0.25, 4.0])
def test_ids_are_the_same_in_an_image_of_any_size(scale):
    # Someone who jumps about, so that evidence is near the threshold, and what decides is small.
    rng = np.random.default_rng(2)
    steps = rng.normal(scale=60, size=(80, 2)).cumsum(axis=0)
    one, other = tracker(), tracker()
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
    ids = follow_all(tracker(), crossing, np.arange(0, 5, 0.1), looking=False)
    assert ids == [[1, 2]] * 50


def test_people_who_change_places_while_nobody_looks_are_told_apart_by_their_looks():
    follow = tracker()
    still = (lambda t: (150, 200), lambda t: (250, 200))
    follow_all(follow, still, np.arange(0, 2, 0.1))
    [ids] = follow_all(follow, still[::-1], np.array([4.0]))
    assert ids == [1, 2]


@pytest.mark.parametrize(('gap', 'looking'), [(0.5, False), (2.5, False), (3.9, True)])
def test_an_id_survives_a_gap_within_the_memory(gap, looking):
    follow = tracker()
    follow_all(follow, WALKERS[2:], np.arange(0, 2, 0.1), looking)
    for t in np.arange(2, 1.9 + gap, 0.1):
        assert len(follow.update(frame([], t))) == 0
    assert follow_all(follow, WALKERS[2:], np.array([1.9 + gap]), looking) == [[1]]


def test_a_track_fades_while_nobody_sees_it():
    def ids(fading: float, gap: float) -> list[int]:
        follow = tracker(rule=EvidenceRule(fading=fading))
        follow_all(follow, WALKERS[2:], np.arange(0, 2, 0.1))
        [ids] = follow_all(follow, WALKERS[2:], np.array([1.9 + gap]))
        return ids

    assert (ids(0, 2), ids(10, 0.1), ids(10, 2)) == ([1], [1], [2])


def test_a_tracks_height_is_filtered_and_the_less_known_the_longer_it_was_not_seen():
    rule = EvidenceRule(size_noise=0.1, size_drift=0.5)
    follow = tracker(rule=rule)
    follow.update(frame([(100, 200)], 0, height=80))
    follow.update(frame([(100, 200)], 0.4, height=100))
    predicted = 0.1**2 + 0.5**2 * 0.4
    gain = predicted / (predicted + 0.1**2)
    linker = follow._linker
    expected = np.log(80) + gain * np.log(100 / 80)
    np.testing.assert_allclose(linker._log_height, [expected], rtol=1e-6)
    np.testing.assert_allclose(linker._size_variance, [predicted * (1 - gain)])
    follow.update(frame([], 2.4))
    np.testing.assert_allclose(linker._size_variance, [predicted * (1 - gain) + 0.5**2 * 2])


def test_after_the_memory_an_id_is_never_given_again():
    follow = tracker()
    seen: list[int] = []
    for turn in range(5):
        [ids] = follow_all(follow, WALKERS[2:], np.array([4.1 * turn]), looking=False)
        seen += ids
    assert seen == [1, 2, 3, 4, 5]


def test_a_gap_in_which_only_others_are_seen_is_a_gap():
    follow = tracker()
    follow_all(follow, WALKERS, np.arange(0, 1, 0.1))
    for t in np.arange(1, 2.5, 0.1):
        features = looks([2], seed=round(10 * t))
        assert follow.update(frame([WALKERS[2](t)], t, features)).ids.tolist() == [3]
    assert follow_all(follow, WALKERS, np.array([2.5])) == [[1, 2, 3]]


def test_a_label_that_flips_keeps_the_id():
    follow = tracker()
    for t in range(40):
        label = [t % 2] if t < 20 else [2 + t % 3]
        detections = frame([(100 + 4 * t, 200)], t / 10, looks([0], seed=t), labels=label)
        assert follow.update(detections).ids.tolist() == [1]


def test_far_away_somebody_who_looks_alike_is_the_same_only_of_the_same_class():
    def ids(label: int) -> list[int]:
        follow = tracker(rule=EvidenceRule(label_error=1e-3))
        for t in range(20):
            follow.update(frame([(100, 100)], t / 10, looks([0]), labels=[0]))
        for t in range(20, 30):  # another one, so that neither class is rare
            follow.update(frame([(600, 400)], t / 10, looks([1]), labels=[1]))
        result = follow.update(frame([(450, 300)], 3, looks([0]), labels=[label]))
        return result.ids.tolist()

    assert ids(0) == [1]
    assert ids(1) == [3]


def test_somebody_of_another_class_in_the_same_place_later_is_somebody_else():
    follow = tracker()
    for t in range(20):
        follow.update(frame([(100, 100), (400, 300)], t / 10, labels=[0, 1]))
    ids = follow.update(frame([(100, 100), (400, 300)], 4.9, labels=[1, 1])).ids
    assert ids.tolist() == [3, 2]


@pytest.mark.parametrize('rate', [5, 10, 30])
@pytest.mark.parametrize(('speed', 'looking'), [(1.5, False), (3.5, True)])
def test_a_runner_with_sudden_reversals_keeps_the_id(rate, speed, looking):
    def runner(t: float) -> tuple[float, float]:
        turn = t / 0.7 % 2  # so many heights a second, there and back
        return 300 + 0.7 * speed * 80 * min(turn, 2 - turn), 200

    times = np.arange(0, 6, 1 / rate)
    ids = follow_all(tracker(), (runner, WALKERS[2]), times, looking)
    assert ids == [[1, 2]] * len(times)


def test_weak_boxes_begin_no_track():
    follow = tracker(begin_score=0.4)
    for t in range(10):
        assert len(follow.update(frame([(100, 200)], t / 10, looks([0]), scores=0.3))) == 0
    ids = follow.update(frame([(100, 200), (400, 200)], 1, looks([0, 1]), scores=[0.5, 0.3])).ids
    assert ids.tolist() == [1]


def test_weak_boxes_continue_a_track_and_say_which_they_are():
    follow = tracker(begin_score=0.4)
    for t in range(20):
        scores = [0.9 if t == 0 else 0.3, 0.1]
        places = [(100 + 4 * t, 200), (400, 200)]
        tracks = follow.update(frame(places, t / 10, looks([0, 1], seed=t), scores=scores))
        assert tracks.ids.tolist() == [1]
        assert tracks.boxes[0, 0] == 80 + 4 * t
        assert tracks.scores.tolist() == pytest.approx(scores[:1])
        assert len(tracks.trajectories) == 1


def test_a_strong_box_takes_a_track_before_a_weak_one_at_the_same_distance():
    follow = tracker(begin_score=0.4)
    follow.update(frame([(200, 200)], 0))
    places, scores = [(190, 200), (210, 200)], [0.3, 0.9]
    tracks = follow.update(frame(places, 0.1, scores=scores))
    assert tracks.ids.tolist() == [1]
    assert tracks.scores.tolist() == pytest.approx([0.9])


def test_a_weak_box_needs_more_evidence():
    def reach(score: float) -> int:
        """Return how far away a box may be that continues a track, pixels."""
        for far in range(0, 400, 2):
            follow = tracker(begin_score=0.4)
            follow.update(frame([(100, 200)], 0))
            if 1 not in follow.update(frame([(100 + far, 200)], 0.2, scores=score)).ids:
                return far
        return 400

    assert 10 < reach(0.3) < reach(0.9) < 400


def test_frames_without_detections_are_tracked():
    follow = tracker()
    for t in range(5):
        assert len(follow.update(frame([], t / 10))) == 0
    assert follow_all(follow, WALKERS, np.array([0.5])) == [[1, 2, 3]]
    for t in range(6, 100):
        assert len(follow.update(frame([], t / 10, looks([])))) == 0
    assert len(follow._linker.ids) == 0
    assert len(follow.update(frame([], 10, looks([])))) == 0


def test_the_order_of_the_detections_does_not_matter():
    rng = np.random.default_rng(5)
    plain, shuffled = tracker(), tracker()
    first = None
    for t in range(40):
        places = [p(t / 10) for p in WALKERS] + [(500, 60 + 3 * t)]
        features = looks(range(4), seed=t)
        order = rng.permutation(4)
        expected = plain.update(frame(places, t / 10, features))
        found = shuffled.update(frame([places[i] for i in order], t / 10, features[order]))
        first = order if first is None else first
        names = {int(i): k + 1 for k, i in enumerate(first)}  # who came first in the first frame
        assert found.ids.tolist() == [names[int(i)] for i in order]
        assert found.confirmed.tolist() == expected.confirmed[order].tolist()


def test_without_features_motion_and_size_link():
    follow = tracker()
    for t in range(10):
        [tall, low] = frame([(100, 200)], 0), frame([(100, 200)], 0, height=30)
        boxes = np.concatenate([tall.boxes, low.boxes])
        detections = replace(frame([(0, 0), (0, 0)], t / 10), boxes=boxes)
        ids = follow.update(detections).ids.tolist()
        assert ids == [1, 2]


def test_two_trackers_share_nothing():
    times = np.arange(0, 2, 0.1)
    alone = follow_all(tracker(), WALKERS, times)
    one, other = tracker(), tracker()
    rng = np.random.default_rng(0)
    for i, t in enumerate(times):
        other.update(frame(rng.uniform(0, 400, (7, 2)), t, looks(range(20, 27))))
        assert follow_all(one, WALKERS, np.array([t])) == [alone[i]]
    assert one._linker._likeness.same != other._linker._likeness.same


def test_a_reset_forgets_every_track_and_gives_no_id_again():
    follow = tracker()
    follow_all(follow, WALKERS, np.arange(0, 1, 0.1))
    follow.reset()
    assert len(follow._linker.ids) == len(follow._existence) == len(follow._window) == 0
    assert follow_all(follow, WALKERS, np.array([1.0])) == [[4, 5, 6]]


@pytest.mark.parametrize('looking', [True, False])
def test_a_camera_whose_motion_is_known_keeps_ids_that_are_lost_without_it(looking):
    # A row of people who look alike; the camera turns by one of them, now left, now right.
    row, rng = np.arange(6) * 50.0, np.random.default_rng(1)
    jumps = rng.choice([-50.0, 50.0], 30)

    def ids(known: bool) -> list[list[int]]:
        follow, shift, result = tracker(), 200.0, []
        for t in range(30):
            moved = jumps[t] if t and abs(shift + jumps[t] - 200) <= 100 else 0.0
            shift += moved
            camera = np.array([[1.0, 0, moved], [0, 1, 0]]) if known else None
            places = [(x + shift, 200) for x in row]
            features = looks([0] * 6, seed=t, noise=0.05) if looking else None
            result.append(
                follow.update(frame(places, t / 5, features, camera=camera)).ids.tolist()
            )
        return result

    everybody = [[1, 2, 3, 4, 5, 6]] * 30
    assert ids(known=True) == everybody
    assert ids(known=False) != everybody


def test_a_camera_that_comes_nearer_carries_people_along():
    follow, zoom = tracker(), 1.25
    places = np.array([[100.0, 100.0], [200.0, 100.0], [100.0, 200.0], [150.0, 150.0]])
    for t in range(8):
        camera = np.array([[zoom, 0, 0], [0, zoom, 0]]) if t else None
        scale = zoom**t / 4
        made = frame(places * scale, t / 5, height=40 * scale, camera=camera)
        assert follow.update(made).ids.tolist() == [1, 2, 3, 4]


def test_without_location_looks_alone_link():
    follow = tracker(rule=EvidenceRule().without_location())
    rng = np.random.default_rng(0)
    for t in range(20):
        places = rng.uniform(50, 400, (3, 2))
        assert follow.update(frame(places, t / 10, looks([0, 1, 2]))).ids.tolist() == [1, 2, 3]


def test_appearance_is_no_cue_where_the_rule_says_so():
    follow = tracker(rule=EvidenceRule(appearance='none'))
    for t in range(10):
        ids = follow.update(frame([(100, 200)], t / 10, looks([t]))).ids
        assert ids.tolist() == [1]
    assert len(follow._linker._likeness) == 0


def test_features_of_another_network_are_refused_and_the_tracks_go_on():
    follow = tracker()
    follow.update(frame([(100, 200)], 0, looks([0])))
    for features in (np.zeros((1, 0)), np.ones((1, 7))):
        with pytest.raises(ValueError, match=r'those before 32: .* of one network'):
            follow.update(frame([(100, 200)], 0.1, features))
    assert follow.update(frame([(100, 200)], 0.2, looks([0]))).ids.tolist() == [1]
    follow.reset()
    assert follow.update(frame([(100, 200)], 0.3, np.ones((1, 7)))).ids.tolist() == [2]


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_a_box_that_is_not_finite_is_nobodys(value):
    follow = tracker()
    for t in range(5):
        broken = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]))
        broken.boxes[1, t % 4] = value
        assert follow.update(broken).ids.tolist() == [1]


def test_a_box_that_is_not_finite_is_nobodys_where_all_others_would_be_linked():
    follow = tracker(rule=EvidenceRule(threshold=-50.0, weak_threshold=-50.0))
    follow.update(frame([(100, 200), (300, 200)], 0))
    assert follow.update(frame([(120, 230), (340, 200)], 0.1)).ids.tolist() == [1, 2]
    broken = frame([(100, 200), (300, 200)], 0.2)
    broken.boxes[1] = np.nan
    assert follow.update(broken).ids.tolist() == [1]


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_features_and_scores_that_are_no_numbers_cost_no_track(value):
    follow = tracker()
    follow.update(frame([(100, 200), (300, 200)], 0, looks([0, 1])))
    for t in range(1, 5):
        broken = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]))
        broken.features[1] = value
        broken.scores[0] = value
        tracks = follow.update(broken)
        assert tracks.ids.tolist() == [1, 2]
    later = follow.update(frame([(100, 200), (300, 200)], 0.6, looks([0, 1])))
    assert later.ids.tolist() == [1, 2]
    assert later.confirmed.all()


def test_boxes_without_height_are_tracked():
    follow = tracker()
    for t in range(10):
        ids = follow.update(frame([(100, 200), (300, 200)], t / 10, height=0)).ids
        assert ids.tolist() == [1, 2]


def test_labels_that_were_never_seen_before_may_come_at_any_time():
    follow = tracker()
    for t, labels in enumerate(([0, 0], [0, 900], [0, 900], [3, 900], [0, 900])):
        made = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]), labels=labels)
        assert follow.update(made).ids.tolist() == [1, 2]


def test_three_hundred_objects_keep_their_ids():
    follow = tracker()
    places = [(60 * (i % 20) + 30, 120 * (i // 20) + 60) for i in range(300)]
    rng = np.random.default_rng(0)
    for t in range(4):
        moved = places + rng.normal(size=(300, 2))
        made = frame(moved, t / 10, looks(range(300), seed=t), image_size=(1920, 1280))
        assert follow.update(made).ids.tolist() == list(range(1, 301))


def random_frame(rng: np.random.Generator, time: float, width: int) -> Detections:
    """Make a frame that may be wrong in any way that cameras and detectors can be."""
    people = rng.permutation(12)[: rng.choice([0, 1, 5, 12])]
    count = len(people)
    places = rng.uniform(0, 600, (count, 2))
    if rng.random() < 0.9:
        places = np.stack([50.0 * people, 200 + rng.normal(size=count)], axis=1)
    made = frame(
        places,
        None if rng.random() < 0.1 else time,
        looks(people, seed=rng.integers(1000)) if width else None,
        labels=rng.integers(0, 4, count),
        scores=rng.random(count).astype(np.float32),
        height=rng.choice([0, 1, 80]),
        camera=[None, np.eye(2, 3), np.full((2, 3), np.nan)][rng.integers(3)],
    )
    if not count:
        return replace(made, features=torch.zeros(0, int(rng.choice([0, 1, width]))))
    odd = [np.nan, np.inf, -np.inf, 0, 1e30]
    for values in (made.boxes, made.scores, made.features):
        if rng.random() < 0.1:
            values[rng.integers(count)] = float(rng.choice(odd))
    return made


@pytest.mark.parametrize('seed', range(8))
def test_whatever_comes_ids_are_different_and_the_state_is_sound(seed):
    rng = np.random.default_rng(seed)
    gallery = GalleryOptions(size=(0, 3, 1000)[seed % 3], least_boxes=(1, 3)[seed % 2])
    follow = tracker(
        rule=EvidenceRule(gallery=gallery),
        begin_score=(0.0, 0.5)[seed // 2 % 2],
        min_hits=(None, 3)[seed // 4 % 2],
        window=(2, 32)[seed % 2],
    )
    linker, time = follow._linker, 0.0
    steps = [0.03, 0.1, 1, 0, -0.05, -2, 5, 1000]
    chances = [0.3, 0.45, 0.1, 0.05, 0.03, 0.01, 0.05, 0.01]
    for _ in range(200):
        time += float(rng.choice(steps, p=chances))
        with warnings.catch_warnings(action='error'):
            tracks = follow.update(random_frame(rng, time, width=32 * (seed != 4)))
        assert (tracks.ids > 0).all()
        for ids in (tracks.ids, linker.ids, follow._existence._ids):
            assert len(set(ids.tolist())) == len(ids)
        assert not np.isin(linker._recognition.gallery.ids, linker.ids).any()
        for trajectory in tracks.trajectories:
            assert (np.diff(trajectory.stamps) > 0).all()
            assert len(trajectory.boxes) <= follow.window
        assert np.isfinite(linker._motion.position).all()
        np.testing.assert_allclose(linker._motion.weight.sum(axis=1), 1)
    assert linker._last_id > 12
