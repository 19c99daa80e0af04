# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The promises about identities, on scenes whose truth is known."""

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
from gtr_ros.tracking import LinkingRule
from gtr_ros.tracking import Tracker

SECOND = 1_000_000_000
FRAME = SECOND // 10


def scene(
    objects: Sequence[tuple[int, float, float]], stamp: int | None = None, labels=None
) -> Detections:
    """
    Show people of 20 x 40 pixels.

    :param objects: (appearance, x, y) of each; equal appearances look alike, others do not
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


def tracker(window: int = 8, **options) -> Tracker:
    return Tracker(CosineAssociation(), window=window, **options)


def test_two_objects_that_walk_keep_their_ids():
    follow = tracker()
    for t in range(20):
        ids = follow.update(scene([(0, 10 + 3 * t, 50), (1, 400 - 3 * t, 60)], t * FRAME)).ids
        assert ids.tolist() == [1, 2]


def test_the_order_of_the_detections_does_not_matter():
    follow = tracker()
    people = [(0, 10, 50), (1, 200, 60), (2, 400, 60)]
    assert follow.update(scene(people, 0)).ids.tolist() == [1, 2, 3]
    assert follow.update(scene(people[::-1], FRAME)).ids.tolist() == [3, 2, 1]


def test_look_alikes_that_cross_are_told_apart_by_their_motion():
    follow = tracker()
    for t in range(40):
        ids = follow.update(scene([(0, 100 + 4 * t, 50), (0, 260 - 4 * t, 70)], t * FRAME)).ids
    assert ids.tolist() == [1, 2]


def test_an_id_survives_an_occlusion_shorter_than_the_window():
    follow = tracker(window=8)
    follow.update(scene([(0, 100, 50), (1, 300, 50)], 0))
    for t in range(1, 7):
        assert follow.update(scene([(0, 100, 50)], t * FRAME)).ids.tolist() == [1]
    assert follow.update(scene([(0, 100, 50), (1, 300, 50)], 7 * FRAME)).ids.tolist() == [1, 2]


def test_an_id_survives_frames_without_any_detection():
    follow = tracker(window=8)
    follow.update(scene([(0, 100, 50)], 0))
    for t in range(1, 7):
        assert len(follow.update(scene([], t * FRAME))) == 0
    assert follow.update(scene([(0, 100, 50)], 7 * FRAME)).ids.tolist() == [1]


def test_an_id_that_left_the_window_is_never_given_again():
    follow = tracker(window=4, rule=LinkingRule(memory=None))
    seen = set()
    for t in range(0, 60, 6):
        (identity,) = follow.update(scene([(0, 100, 50)], t * FRAME)).ids.tolist()
        assert identity not in seen
        seen.add(identity)
        for gap in range(1, 6):
            follow.update(scene([], (t + gap) * FRAME))


@pytest.mark.parametrize('begin_again', ['reset', 'time'])
def test_a_reset_and_a_jump_back_in_time_begin_new_ids(begin_again):
    follow = tracker()
    stamps = [100 * FRAME, 101 * FRAME]
    for stamp in stamps:
        assert follow.update(scene([(0, 100, 50)], stamp)).ids.tolist() == [1]
    if begin_again == 'reset':
        follow.reset()
    stamp = 102 * FRAME if begin_again == 'reset' else 5 * FRAME
    assert follow.update(scene([(0, 100, 50)], stamp)).ids.tolist() == [2]
    assert follow.resets == 1


def test_two_trackers_do_not_share_a_counter():
    left, right = tracker(), tracker()
    assert left.update(scene([(0, 0, 0), (1, 99, 0)], 0)).ids.tolist() == [1, 2]
    assert right.update(scene([(0, 0, 0)], 0)).ids.tolist() == [1]


def test_a_track_is_confirmed_from_its_third_box_on():
    follow = tracker(min_hits=3)
    confirmed = [
        bool(follow.update(scene([(0, 100, 50)], t * FRAME)).confirmed[0]) for t in range(4)
    ]
    assert confirmed == [False, False, True, True]


def test_a_dog_does_not_continue_a_cats_track_where_labels_are_a_gate():
    follow = tracker(rule=LinkingRule())
    follow.update(scene([(0, 100, 50)], 0, labels=[15]))
    assert follow.update(scene([(0, 100, 50)], FRAME, labels=[16])).ids.tolist() == [2]


def test_a_trajectory_holds_the_boxes_of_the_window_and_no_more():
    follow = tracker(window=4, rule=LinkingRule(memory=None))
    for t in range(10):
        tracks = follow.update(scene([(0, 100 + t, 50)], t * FRAME))
    (trajectory,) = tracks.trajectories
    assert trajectory.id == 1
    assert trajectory.stamps.tolist() == [t * FRAME for t in (6, 7, 8, 9)]
    assert trajectory.boxes[:, 0].tolist() == [106, 107, 108, 109]
    np.testing.assert_allclose(trajectory.likelihoods, 1)


@pytest.mark.parametrize('rate', [3, 10, 30, 120])
def test_a_memory_in_seconds_holds_at_any_frame_rate_in_a_bounded_window(rate):
    follow = tracker(window=16, rule=LinkingRule(memory=4.0))
    there = [(0, 100, 50), (1, 300, 50)]
    for t in range(5 * rate):
        tracks = follow.update(scene(there, t * SECOND // rate))
        assert tracks.ids.tolist() == [1, 2]
    stamps = tracks.trajectories[0].stamps
    assert len(stamps) <= 16
    assert stamps[-1] - stamps[0] >= 3 * SECOND
    assert np.diff(stamps[:-2]).min() >= SECOND * 4 // 15  # but for this frame and the last one
    left = int(stamps[-1])
    for t in range(1, 3 * rate):
        follow.update(scene(there[:1], left + t * SECOND // rate))
    assert follow.update(scene(there, left + 3 * SECOND)).ids.tolist() == [1, 2]
    for t in range(1, 5 * rate):
        follow.update(scene(there[:1], left + 3 * SECOND + t * SECOND // rate))
    assert follow.update(scene(there, left + 8 * SECOND)).ids.tolist() == [1, 3]


def test_a_jump_back_in_time_is_seen_after_a_gap_longer_than_the_memory():
    follow = tracker(rule=LinkingRule(memory=4.0))
    for stamp in (100, 200):
        follow.update(scene([], stamp * SECOND))
    follow.update(scene([(0, 100, 50)], 150 * SECOND))
    assert follow.resets == 1


def test_after_a_gap_being_near_is_not_enough_to_be_the_lost_one():
    for certain, ids in ((0.3, [2]), (None, [1])):
        follow = tracker(window=32, rule=LinkingRule(motion_certain=certain))
        follow.update(scene([(0, 100, 50)], 0))
        other = follow.update(scene([(1, 100, 50)], 3 * SECOND))
        assert other.ids.tolist() == ids


class Given(Association):
    """Likelihoods that a test says."""

    def __init__(self, likelihoods: list[list[float]]) -> None:
        super().__init__()
        self.likelihoods = torch.tensor(likelihoods)

    def forward(self, features, counts, query_frame, boxes):
        if query_frame == 0:
            return torch.eye(counts[0])
        return torch.cat((self.likelihoods, torch.eye(len(self.likelihoods))), dim=1)


@pytest.mark.parametrize(('gated', 'ids'), [(True, [1, 3]), (False, [3, 1])])
def test_a_pair_that_would_not_be_linked_gives_no_track_away(gated, ids):
    # The best sum has 0.40 in it, which is no link, and takes track 1 from whom it fits best.
    given = Given([[0.60, 0.40], [0.55, 0.00]])
    follow = Tracker(given, LinkingRule(motion=0.0, threshold=0.45, gated=gated))
    follow.update(scene([(0, 100, 50), (1, 500, 50)], 0))
    assert follow.update(scene([(0, 106, 50), (0, 130, 50)], FRAME)).ids.tolist() == ids


def test_boxes_of_nobody_take_no_track_away():
    # Two that are too weak to begin a track are, together, more like the first than itself.
    rule = LinkingRule(average=False, motion=0.0, same_label=False, threshold=0.2, gated=False)
    follow = tracker(rule=rule, begin_score=0.4)
    people = scene([(0, 100, 50), (1, 300, 50), (2, 500, 50)])
    people.features[:, :3] = torch.tensor([[1, 0, 0], [0.8, 0.6, 0], [0.8, 0, 0.6]])
    people.scores[1:] = 0.1
    for t in range(4):
        ids = follow.update(replace(people, stamp=t * FRAME)).ids
        assert ids.tolist() == [1]
    alone = replace(people.select(np.array([True, False, False])), stamp=4 * FRAME)
    assert follow.update(alone).ids.tolist() == [1]


def test_frames_without_a_clock_are_tracked():
    follow = tracker()
    assert [follow.update(scene([(0, 100, 50)])).ids.tolist() for _ in range(3)] == [[1]] * 3


@pytest.mark.parametrize(('rule', 'tracks'), [(LinkingRule(), 4), (EvidenceRule(), 41)])
def test_the_memory_of_a_long_run_is_bounded(rule, tracks):
    # Seconds say how long evidence remembers, 4 of them at 10 frames each; frames the window.
    follow = tracker(window=4, rule=rule)
    for t in range(300):
        follow.update(scene([(t % 8, 37 * t % 600, 50)], t * FRAME))
    assert len(follow._window) == 3
    assert len(follow._existence) == len(follow._linker.ids) <= tracks


@pytest.mark.parametrize('options', [{'window': 1}, {'min_hits': 0}])
def test_an_impossible_option_is_refused(options):
    with pytest.raises(ValueError, match='expected at least'):
        Tracker(CosineAssociation(), **options)


def test_detections_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match='2 scores for 1 boxes'):
        Detections(
            np.zeros((1, 4)), np.zeros(2), np.zeros(1, int), torch.zeros(1, 4), image_size=(1, 1)
        )


def test_a_threshold_nobody_reaches_gives_everybody_a_new_id():
    follow = tracker(rule=LinkingRule(threshold=1.1))
    assert follow.update(scene([(0, 0, 0)], 0)).ids.tolist() == [1]
    assert follow.update(scene([(0, 0, 0)], FRAME)).ids.tolist() == [2]
