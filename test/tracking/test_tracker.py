# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Track ids on scenes with known ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from gtr_ros.model.association import Association
from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import LikelihoodRule
from gtr_ros.tracking import Tracker

SECOND = 1_000_000_000
FRAME = SECOND // 10


def scene(
    objects: Sequence[tuple[int, float, float]], stamp: int | None = None, labels=None
) -> Detections:
    """
    Make a frame with people of 20 x 40 pixels.

    :param objects: (appearance, x, y) of each; features are equal if the appearance is
    """
    features = torch.eye(8)[[look for look, _, _ in objects]].reshape(-1, 8)
    boxes = np.array([(x, y, x + 20, y + 40) for _, x, y in objects], np.float32).reshape(-1, 4)
    return Detections(
        boxes=boxes,
        scores=np.full(len(boxes), 0.9, np.float32),
        labels=np.zeros(len(boxes), np.int64) if labels is None else np.array(labels),
        features=features,
        image_size=(480, 640),
        stamp=stamp,
    )


def make_tracker(window: int = 8, **options) -> Tracker:
    return Tracker(CosineAssociation(), window=window, **options)


def test_two_walking_objects_keep_their_ids():
    tracker = make_tracker()
    for t in range(20):
        ids = tracker.update(scene([(0, 10 + 3 * t, 50), (1, 400 - 3 * t, 60)], t * FRAME)).ids
        assert ids.tolist() == [1, 2]


def test_the_order_of_the_detections_does_not_matter():
    tracker = make_tracker()
    people = [(0, 10, 50), (1, 200, 60), (2, 400, 60)]
    assert tracker.update(scene(people, 0)).ids.tolist() == [1, 2, 3]
    assert tracker.update(scene(people[::-1], FRAME)).ids.tolist() == [3, 2, 1]


def test_look_alikes_that_cross_are_told_apart_by_their_motion():
    tracker = make_tracker()
    for t in range(40):
        ids = tracker.update(scene([(0, 100 + 4 * t, 50), (0, 260 - 4 * t, 70)], t * FRAME)).ids
    assert ids.tolist() == [1, 2]


def test_an_id_survives_an_occlusion_shorter_than_the_window():
    tracker = make_tracker(window=8)
    tracker.update(scene([(0, 100, 50), (1, 300, 50)], 0))
    for t in range(1, 7):
        assert tracker.update(scene([(0, 100, 50)], t * FRAME)).ids.tolist() == [1]
    assert tracker.update(scene([(0, 100, 50), (1, 300, 50)], 7 * FRAME)).ids.tolist() == [1, 2]


def test_an_id_survives_frames_without_any_detection():
    tracker = make_tracker(window=8)
    tracker.update(scene([(0, 100, 50)], 0))
    for t in range(1, 7):
        assert len(tracker.update(scene([], t * FRAME))) == 0
    assert tracker.update(scene([(0, 100, 50)], 7 * FRAME)).ids.tolist() == [1]


def test_an_id_that_left_the_window_is_not_reused():
    tracker = make_tracker(window=4, rule=LikelihoodRule(memory=None))
    seen = set()
    for t in range(0, 60, 6):
        (identity,) = tracker.update(scene([(0, 100, 50)], t * FRAME)).ids.tolist()
        assert identity not in seen
        seen.add(identity)
        for gap in range(1, 6):
            tracker.update(scene([], (t + gap) * FRAME))


@pytest.mark.parametrize('cause', ['reset', 'time'])
def test_a_reset_and_a_jump_back_in_time_start_new_ids(cause):
    tracker = make_tracker()
    stamps = [100 * FRAME, 101 * FRAME]
    for stamp in stamps:
        assert tracker.update(scene([(0, 100, 50)], stamp)).ids.tolist() == [1]
    if cause == 'reset':
        tracker.reset()
    stamp = 102 * FRAME if cause == 'reset' else 5 * FRAME
    assert tracker.update(scene([(0, 100, 50)], stamp)).ids.tolist() == [2]
    assert tracker.resets == 1


def test_two_trackers_do_not_share_a_counter():
    left, right = make_tracker(), make_tracker()
    assert left.update(scene([(0, 0, 0), (1, 99, 0)], 0)).ids.tolist() == [1, 2]
    assert right.update(scene([(0, 0, 0)], 0)).ids.tolist() == [1]


def test_a_track_is_confirmed_from_its_third_box_on():
    tracker = make_tracker(min_hits=3)
    confirmed = [
        bool(tracker.update(scene([(0, 100, 50)], t * FRAME)).confirmed[0]) for t in range(4)
    ]
    assert confirmed == [False, False, True, True]


def test_a_dog_does_not_continue_the_track_of_a_cat_if_labels_must_match():
    tracker = make_tracker(rule=LikelihoodRule())
    tracker.update(scene([(0, 100, 50)], 0, labels=[15]))
    assert tracker.update(scene([(0, 100, 50)], FRAME, labels=[16])).ids.tolist() == [2]


def test_a_trajectory_has_exactly_the_boxes_in_the_window():
    tracker = make_tracker(window=4, rule=LikelihoodRule(memory=None))
    for t in range(10):
        tracks = tracker.update(scene([(0, 100 + t, 50)], t * FRAME))
    (trajectory,) = tracks.trajectories
    assert trajectory.id == 1
    assert trajectory.stamps.tolist() == [t * FRAME for t in (6, 7, 8, 9)]
    assert trajectory.boxes[:, 0].tolist() == [106, 107, 108, 109]
    np.testing.assert_allclose(trajectory.likelihoods, 1)


@pytest.mark.parametrize('rate', [3, 10, 30, 120])
def test_a_memory_in_seconds_holds_at_any_frame_rate_in_a_bounded_window(rate):
    tracker = make_tracker(window=16, rule=LikelihoodRule(memory=4.0))
    there = [(0, 100, 50), (1, 300, 50)]
    for t in range(5 * rate):
        tracks = tracker.update(scene(there, t * SECOND // rate))
        assert tracks.ids.tolist() == [1, 2]
    stamps = tracks.trajectories[0].stamps
    assert len(stamps) <= 16
    assert stamps[-1] - stamps[0] >= 3 * SECOND
    assert np.diff(stamps[:-2]).min() >= SECOND * 4 // 15  # except for this frame and the last one
    left = int(stamps[-1])
    for t in range(1, 3 * rate):
        tracker.update(scene(there[:1], left + t * SECOND // rate))
    assert tracker.update(scene(there, left + 3 * SECOND)).ids.tolist() == [1, 2]
    for t in range(1, 5 * rate):
        tracker.update(scene(there[:1], left + 3 * SECOND + t * SECOND // rate))
    assert tracker.update(scene(there, left + 8 * SECOND)).ids.tolist() == [1, 3]


def test_a_jump_back_in_time_is_detected_after_a_gap_longer_than_the_memory():
    tracker = make_tracker(rule=LikelihoodRule(memory=4.0))
    for stamp in (100, 200):
        tracker.update(scene([], stamp * SECOND))
    tracker.update(scene([(0, 100, 50)], 150 * SECOND))
    assert tracker.resets == 1


def test_after_a_gap_position_alone_is_not_enough():
    for certain, ids in ((0.3, [2]), (None, [1])):
        tracker = make_tracker(window=32, rule=LikelihoodRule(motion_certain=certain))
        tracker.update(scene([(0, 100, 50)], 0))
        other = tracker.update(scene([(1, 100, 50)], 3 * SECOND))
        assert other.ids.tolist() == ids


class FixedAssociation(Association):
    """Returns the likelihoods that it was constructed with."""

    def __init__(self, likelihoods: list[list[float]]) -> None:
        super().__init__()
        self.likelihoods = torch.tensor(likelihoods)

    def forward(self, features, counts, query_frame, boxes):
        if query_frame == 0:
            return torch.eye(counts[0])
        return torch.cat((self.likelihoods, torch.eye(len(self.likelihoods))), dim=1)


@pytest.mark.parametrize(('gated', 'ids'), [(True, [1, 3]), (False, [3, 1])])
def test_pairs_below_the_threshold_do_not_affect_the_assignment_if_gated(gated, ids):
    # The best sum includes 0.40, below the threshold, and keeps track 1 from its best detection.
    association = FixedAssociation([[0.60, 0.40], [0.55, 0.00]])
    tracker = Tracker(association, LikelihoodRule(motion=0.0, threshold=0.45, gated=gated))
    tracker.update(scene([(0, 100, 50), (1, 500, 50)], 0))
    assert tracker.update(scene([(0, 106, 50), (0, 130, 50)], FRAME)).ids.tolist() == ids


def test_boxes_without_a_track_do_not_take_a_track_away():
    # Two boxes that are too weak to begin a track have a higher total likelihood than the first.
    rule = LikelihoodRule(average=False, motion=0.0, same_label=False, threshold=0.2, gated=False)
    tracker = make_tracker(rule=rule, begin_score=0.4)
    people = scene([(0, 100, 50), (1, 300, 50), (2, 500, 50)])
    people.features[:, :3] = torch.tensor([[1, 0, 0], [0.8, 0.6, 0], [0.8, 0, 0.6]])
    people.scores[1:] = 0.1
    for t in range(4):
        ids = tracker.update(replace(people, stamp=t * FRAME)).ids
        assert ids.tolist() == [1]
    alone = replace(people.select(np.array([True, False, False])), stamp=4 * FRAME)
    assert tracker.update(alone).ids.tolist() == [1]


def test_frames_without_stamps_are_tracked():
    tracker = make_tracker()
    assert [tracker.update(scene([(0, 100, 50)])).ids.tolist() for _ in range(3)] == [[1]] * 3


@pytest.mark.parametrize(('rule', 'tracks'), [(LikelihoodRule(), 4), (EvidenceRule(), 41)])
def test_the_memory_of_a_long_run_is_bounded(rule, tracks):
    # The evidence rule remembers tracks for 4 s at 10 frames per second; the window has 4 frames.
    tracker = make_tracker(window=4, rule=rule)
    for t in range(300):
        tracker.update(scene([(t % 8, 37 * t % 600, 50)], t * FRAME))
    assert tracker.past_frames == 3
    assert len(tracker.existence) == len(tracker.linker.ids) <= tracks


@pytest.mark.parametrize('options', [{'window': 1}, {'min_hits': 0}])
def test_an_option_out_of_range_is_rejected(options):
    with pytest.raises(ValueError, match='expected at least'):
        Tracker(CosineAssociation(), **options)


def test_detections_of_inconsistent_lengths_are_rejected():
    with pytest.raises(ValueError, match='2 scores for 1 boxes'):
        Detections(
            np.zeros((1, 4)), np.zeros(2), np.zeros(1, int), torch.zeros(1, 4), image_size=(1, 1)
        )


def test_with_a_threshold_that_is_never_reached_every_box_gets_a_new_id():
    tracker = make_tracker(rule=LikelihoodRule(threshold=1.1))
    assert tracker.update(scene([(0, 0, 0)], 0)).ids.tolist() == [1]
    assert tracker.update(scene([(0, 0, 0)], FRAME)).ids.tolist() == [2]


def test_a_track_is_more_likely_than_a_box_without_one():
    rule = LikelihoodRule(motion=0.0, same_label=False, threshold=0.2)
    tracker = Tracker(FixedAssociation([[0.6, 0.9]]), rule, begin_score=0.4)
    people = scene([(0, 100, 50), (1, 300, 50)], 0)
    people.scores[1] = 0.1
    assert tracker.update(people).ids.tolist() == [1]
    assert tracker.update(scene([(0, 100, 50)], FRAME)).ids.tolist() == [1]


def test_ids_by_likelihood_are_final_at_once():
    tracker = make_tracker(rule=LikelihoodRule())
    for t in range(5):
        tracker.update(scene([(0, 100, 50)], t * FRAME))
        assert not len(tracker.linker.pending)
