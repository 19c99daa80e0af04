# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What happens exactly at a limit, and with a value just beyond it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker
from scenes import SECOND
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.clock import FrameClock
from gtr_ros.tracking.existence import Existence
from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.window import Window

NONE = np.zeros(0, np.int64)


def test_settings_are_kept_and_their_limits_are_accepted():
    tracker = Tracker(CosineAssociation(), min_hits=1, begin_score=1.0)
    assert (tracker.window, tracker.min_hits, tracker.begin_score) == (32, 1, 1.0)
    tracker.min_hits, tracker.begin_score, tracker.window = 7, 0.0, 2
    assert (tracker.window, tracker.min_hits, tracker.begin_score) == (2, 7, 0.0)


def test_a_box_with_exactly_the_score_begins_a_track():
    tracker = make_tracker(begin_score=0.5)
    assert len(tracker.update(frame([(50, 50)], 1.0, looks([0]), scores=0.5))) == 1
    just_below = float(np.nextafter(np.float32(0.5), np.float32(0)))
    assert len(tracker.update(frame([(400, 50)], 1.1, looks([5]), scores=just_below))) == 0


@pytest.mark.parametrize('hits', [1, 2, 3])
def test_a_track_is_confirmed_by_exactly_so_many_boxes(hits):
    tracker = make_tracker(min_hits=hits)
    found = [
        tracker.update(frame([(50, 50)], 1 + t / 10, looks([0]))).confirmed.tolist()
        for t in range(4)
    ]
    assert found == [[t + 1 >= hits] for t in range(4)]


def test_a_frame_as_old_as_the_memory_is_in_the_window():
    window = Window(CosineAssociation(), 8, memory=1.0)
    window.view(frame([], 1.0))
    window.add(frame([], 1.0), NONE)
    window.drop_expired(2 * SECOND)
    assert len(window) == 1
    window.drop_expired(2 * SECOND + 1)
    assert len(window) == 0


def test_a_new_object_has_only_its_own_box_in_its_trajectory():
    tracker = make_tracker()
    tracker.update(frame([(50, 50)], 1.0, looks([0])))
    old, new = tracker.update(frame([(50, 50), (400, 50)], 1.1, looks([0, 1]))).trajectories
    assert (len(old.stamps), len(new.stamps)) == (2, 1)
    assert new.stamps.tolist() == [1_100_000_000]
    assert new.likelihoods.tolist() == [1]


def test_the_time_before_the_first_frame_is_0():
    clock = FrameClock()
    assert clock.elapsed == 0
    clock.time(5 * SECOND)
    assert clock.elapsed == 0


def test_a_tracker_that_was_reset_knows_nothing_of_existence():
    existence = Existence()
    for t in range(3):
        confirmed = existence.update(np.array([1]), np.array([0.9]), float(t), NONE)
    assert confirmed.tolist() == [True]
    existence.clear()
    assert (len(existence), existence.ids.tolist()) == (0, [])
    assert existence.update(np.array([1, 2]), np.array([0.5, 0.95]), 9.0, NONE).tolist() == [
        False,
        True,
    ]
    assert existence.ids.tolist() == [1, 2]


def unit(*values: float) -> np.ndarray:
    vector = np.array([values], np.float32)
    return vector / np.linalg.norm(vector)


def test_an_unused_prototype_is_similar_to_nothing():
    prototypes = Prototypes(3)
    prototypes.begin(unit(1, 0, 0))
    prototypes.update(np.array([0]), unit(-1, 0, 0))
    # The similarity to the only prototype counts, and not 0, that to one without boxes.
    assert prototypes.self_similarity[0] == pytest.approx(np.arctanh(-0.99))
    assert prototypes.counts.tolist() == [[1, 1, 0]]


def test_each_track_uses_its_own_free_prototypes():
    prototypes = Prototypes(2)
    prototypes.begin(np.concatenate([unit(1, 0, 0), unit(1, 0, 0)]))
    first = np.array([0])
    prototypes.update(first, unit(0, 1, 0))
    prototypes.update(first, unit(0, 1, 0.1))  # its second prototype has more boxes now
    both = np.array([0, 1])
    prototypes.update(both, np.concatenate([unit(0, 0.6, 0.8), unit(0, 0, 1)]))
    assert prototypes.counts.tolist() == [[1, 3], [1, 1]]
    np.testing.assert_allclose(prototypes.features[1, 1], [0, 0, 1])


@pytest.mark.parametrize(('seconds', 'left'), [(900, 1), (900.001, 0)])
def test_a_track_stays_in_the_gallery_for_exactly_its_time(seconds, left):
    gallery = Gallery(GalleryOptions())
    prototypes = Prototypes(4)
    prototypes.begin(unit(1, 0))
    gallery.add(np.array([7]), prototypes.select(np.array([0])), np.array([0]), np.array([100.0]))
    gallery.remove_expired(100 + seconds)
    assert len(gallery) == left


@pytest.mark.parametrize('name', ['mot', 'paper'])
def test_the_published_rules_count_frames_and_not_seconds(name):
    def person(seconds: float):
        return replace(frame([(50, 50)], seconds, looks([0])), class_scores=None)

    tracker = make_tracker(rule=RULES[name], window=4)
    first = tracker.update(person(1.0)).ids.tolist()
    assert tracker.update(person(1000.0)).ids.tolist() == first
    for t in range(3):
        tracker.update(frame([], 1001.0 + t, looks([])))
    assert tracker.update(person(1005.0)).ids.tolist() != first


def test_features_of_a_frame_without_objects_may_have_any_length():
    tracker = make_tracker()
    first = tracker.update(frame([(50, 50)], 1.0, looks([0]))).ids.tolist()
    tracker.update(replace(frame([], 1.1), features=torch.zeros(0, 5)))
    assert tracker.update(frame([(50, 50)], 1.2, looks([0]))).ids.tolist() == first
