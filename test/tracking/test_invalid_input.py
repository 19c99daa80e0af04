# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Linking by evidence with invalid and unusual input: no track is lost, the state stays valid."""

from __future__ import annotations

from dataclasses import replace
import warnings

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker
import torch

from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking.gallery import GalleryOptions


def test_features_of_another_length_are_rejected_and_the_tracks_continue():
    tracker = make_tracker()
    tracker.update(frame([(100, 200)], 0, looks([0])))
    for features in (np.zeros((1, 0)), np.ones((1, 7))):
        with pytest.raises(ValueError, match=r'the previous ones 32; .* from one network'):
            tracker.update(frame([(100, 200)], 0.1, features))
    assert tracker.update(frame([(100, 200)], 0.2, looks([0]))).ids.tolist() == [1]
    tracker.reset()
    assert tracker.update(frame([(100, 200)], 0.3, np.ones((1, 7)))).ids.tolist() == [2]


@pytest.mark.parametrize('score', [40, -0.1, np.nan])
def test_a_score_that_no_box_can_have_starts_no_tracker(score):
    with pytest.raises(ValueError, match=r'begin_score is .*; expected a number from 0 to 1'):
        make_tracker(begin_score=score)
    tracker = make_tracker()
    with pytest.raises(ValueError, match='begin_score is'):
        tracker.begin_score = score
    assert tracker.begin_score == 0


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_a_box_that_is_not_finite_has_no_track(value):
    tracker = make_tracker()
    for t in range(5):
        broken = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]))
        broken.boxes[1, t % 4] = value
        assert tracker.update(broken).ids.tolist() == [1]


def test_a_box_that_is_not_finite_has_no_track_where_all_others_would_be_linked():
    tracker = make_tracker(rule=EvidenceRule(threshold=-50.0, weak_threshold=-50.0))
    tracker.update(frame([(100, 200), (300, 200)], 0))
    assert tracker.update(frame([(120, 230), (340, 200)], 0.1)).ids.tolist() == [1, 2]
    broken = frame([(100, 200), (300, 200)], 0.2)
    broken.boxes[1] = np.nan
    assert tracker.update(broken).ids.tolist() == [1]


@pytest.mark.parametrize('value', [np.nan, np.inf])
def test_features_and_scores_that_are_not_finite_end_no_track(value):
    tracker = make_tracker()
    tracker.update(frame([(100, 200), (300, 200)], 0, looks([0, 1])))
    for t in range(1, 5):
        broken = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]))
        broken.features[1] = value
        broken.scores[0] = value
        tracks = tracker.update(broken)
        assert tracks.ids.tolist() == [1, 2]
    later = tracker.update(frame([(100, 200), (300, 200)], 0.6, looks([0, 1])))
    assert later.ids.tolist() == [1, 2]
    assert later.confirmed.all()


def test_boxes_without_height_are_tracked():
    tracker = make_tracker()
    for t in range(10):
        ids = tracker.update(frame([(100, 200), (300, 200)], t / 10, height=0)).ids
        assert ids.tolist() == [1, 2]


def test_new_labels_are_accepted_at_any_time():
    tracker = make_tracker()
    for t, labels in enumerate(([0, 0], [0, 900], [0, 900], [3, 900], [0, 900])):
        made = frame([(100, 200), (300, 200)], t / 10, looks([0, 1]), labels=labels)
        assert tracker.update(made).ids.tolist() == [1, 2]


def random_frame(rng: np.random.Generator, time: float, width: int) -> Detections:
    """Make a frame with any of the errors that cameras and detectors can have."""
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
def test_ids_are_unique_and_the_state_is_valid_for_any_input(seed):
    rng = np.random.default_rng(seed)
    gallery = GalleryOptions(size=(0, 3, 1000)[seed % 3], least_boxes=(1, 3)[seed % 2])
    tracker = make_tracker(
        rule=EvidenceRule(gallery=gallery),
        begin_score=(0.0, 0.5)[seed // 2 % 2],
        min_hits=(None, 3)[seed // 4 % 2],
        window=(2, 32)[seed % 2],
    )
    linker, time = tracker.linker, 0.0
    steps = [0.03, 0.1, 1, 0, -0.05, -2, 5, 1000]
    chances = [0.3, 0.45, 0.1, 0.05, 0.03, 0.01, 0.05, 0.01]
    for _ in range(200):
        time += float(rng.choice(steps, p=chances))
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            tracks = tracker.update(random_frame(rng, time, width=32 * (seed != 4)))
        assert (tracks.ids > 0).all()
        for ids in (tracks.ids, linker.ids, tracker.existence.ids):
            assert len(set(ids.tolist())) == len(ids)
        assert not np.isin(linker.gallery.ids, linker.ids).any()
        for trajectory in tracks.trajectories:
            assert (np.diff(trajectory.stamps) > 0).all()
            assert len(trajectory.boxes) <= tracker.window
        assert np.isfinite(linker.motion.position).all()
        np.testing.assert_allclose(linker.motion.weight.sum(axis=1), 1)
    assert linker.last_id > 12
