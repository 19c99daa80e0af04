# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Trackers of several cameras, whose tracks get shared ids."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from scenes import frame
from scenes import looks
from scenes import make_tracker
from scenes import SECOND

from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.sharing import SharedIds
from gtr_ros.node.tracker.sharing import sharing_of
from gtr_ros.options import ConfigurationError
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking.metric import Objects
from gtr_ros.tracking.placement import PERSON
from gtr_ros.tracking.placement import Positions

SHARED = {'cameras': ('front', 'left'), 'target_frame': 'map', 'depth': True, 'share_ids': True}
FEET = (320.0, 240.0)


def see(shared: SharedIds, camera: str, tracker, k: int, person: int, place: tuple):
    """Show a camera one person; return the tracks."""
    found = tracker.update(frame([FEET], k / 10, looks([person], seed=k)))
    tracks = shared.rename(camera, k * SECOND // 10, found, tracker)
    positions = Positions(
        np.array([place], float), 0.01 * np.eye(3)[None], np.zeros((1, 3, 3)), np.ones((1, 2))
    )
    objects = Objects(tracks.ids, tracks.labels, tracks.scores, [PERSON])
    shared.place(camera, k * SECOND // 10, objects, positions)
    return tracks


def test_tracks_and_trajectories_have_the_shared_id_and_are_confirmed_with_it():
    shared = sharing_of(NodeParameters(**SHARED))
    trackers = {name: make_tracker() for name in SHARED['cameras']}
    ids = {name: [] for name in trackers}
    for k in range(1, 30):
        for name in trackers if k > 8 else ['front']:
            tracks = see(shared, name, trackers[name], k, 0, (3.0, 1.0, 0.9))
            [trajectory] = tracks.trajectories
            [same] = tracks.trajectories[:]
            assert trajectory.id == same.id == tracks.ids[0]
            assert trajectory.confirmed == tracks.confirmed[0]
            assert len(tracks.features) == 1
            if tracks.confirmed[0]:
                ids[name].append(int(tracks.ids[0]))
    assert len(ids['left']) > 15
    assert set(ids['front']) == set(ids['left'])
    assert (shared.joins('front'), shared.joins('left')) == (0, 1)
    # The tracker itself has ids of its own.
    assert trackers['left'].linker.ids.tolist() == [1]


def test_after_a_reset_ids_count_up():
    shared = SharedIds(['front', 'left'])
    tracker = make_tracker(min_hits=1)
    before = see(shared, 'front', tracker, 1, 0, (3.0, 1.0, 0.9)).ids
    shared.clear()
    tracker.reset()
    assert see(shared, 'front', tracker, 2, 0, (3.0, 1.0, 0.9)).ids > before


@pytest.mark.parametrize('is_reset', [False, True])
def test_after_a_reset_nobody_is_joined_to_an_object_from_before(is_reset):
    shared = SharedIds(['front', 'left'])
    trackers = {name: make_tracker(min_hits=1) for name in ('front', 'left')}
    for k in range(1, 20):
        if k == 10 and is_reset:
            shared.clear()
        name = 'front' if k < 10 else 'left'
        see(shared, name, trackers[name], k, 0, (3.0, 1.0, 0.9))
    assert shared.joins('left') == (0 if is_reset else 1)


def test_features_that_are_not_finite_are_no_evidence():
    shared, tracker = SharedIds(['front', 'left']), make_tracker(min_hits=1)
    broken = frame([FEET], 1.0, np.full((1, 32), np.nan))
    tracks = shared.rename('front', SECOND, tracker.update(broken), tracker)
    assert torch.isnan(tracks.features).all()
    assert tracks.ids.tolist() == [1]


@pytest.mark.parametrize('value', [None, np.nan, np.inf, -np.inf])
def test_who_leaves_one_view_is_known_in_the_other_by_features_that_are_finite(value):
    shared = SharedIds(['front', 'left'])
    trackers = {name: make_tracker(min_hits=1) for name in ('front', 'left')}
    for k in range(1, 60):
        features = looks([0], seed=k)
        if value is not None:
            features[:] = value
        name = 'front' if k < 20 else 'left'
        if not 20 <= k < 40:
            found = trackers[name].update(frame([FEET], k / 10, features))
            tracks = shared.rename(name, k * SECOND // 10, found, trackers[name])
    assert (tracks.ids.tolist() == [1]) == (shared.joins('left') == 1) == (value is None)


# The rule tao also needs the scores of all classes.
@pytest.mark.parametrize(
    'rule', [*(RULES[n] for n in RULES if n != 'tao'), EvidenceRule(appearance='none')]
)
def test_the_place_joins_tracks_of_any_linking_rule(rule):
    shared = SharedIds(['front', 'left'])
    trackers = {name: make_tracker(rule=rule, min_hits=1) for name in ('front', 'left')}
    for k in range(1, 20):
        for name, tracker in trackers.items():
            tracks = see(shared, name, tracker, k, 0, (3.0, 1.0, 0.9))
    assert (shared.joins('front'), shared.joins('left')) == (0, 1)
    assert len(tracks.ids) == 1


def test_without_the_parameter_nothing_is_shared():
    assert sharing_of(NodeParameters(**{**SHARED, 'share_ids': False})) is None


@pytest.mark.parametrize(
    'missing', [{'target_frame': ''}, {'cameras': ('front',)}, {'cameras': ()}]
)
def test_a_frame_and_two_cameras_are_needed(missing):
    with pytest.raises(ConfigurationError, match='set a frame that the cameras share, such as o'):
        NodeParameters(**{**SHARED, **missing})
