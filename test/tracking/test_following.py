# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The followed object: its states, and that nobody else is taken for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from scenes import LOOKS
from scenes import looks
import torch

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.following import Followed
from gtr_ros.tracking.following import Follower
from gtr_ros.tracking.following import State

PLACES = {0: 100, 1: 300, 2: 500}  # x of each person


class Player:
    """Shows people, ten frames a second, and follows track 1."""

    def __init__(self, hidden: float = 3.0, features: bool = True) -> None:
        self.follower = Follower(1, hidden)
        self.time, self.features = 100.0, features

    def show(
        self, people: Mapping[int, int], frames: int = 1, places: Mapping[int, float] = PLACES
    ) -> Followed:
        """
        Show frames.

        :param people: the person that each track shows, by its id
        :param places: x of each person
        """
        for _ in range(frames):
            self.time += 0.1
            shown = list(people.values())
            features = looks(shown, seed=round(1000 * self.time))
            x = np.array([places[person] for person in shown], float).reshape(-1, 1)
            tracks = Tracks(
                ids=np.array(list(people), np.int64),
                boxes=np.hstack([x, x * 0 + 100, x + 40, x * 0 + 180]).astype(np.float32),
                scores=np.full(len(shown), 0.9, np.float32),
                labels=np.zeros(len(shown), np.int64),
                confirmed=np.full(len(shown), True),
                features=torch.from_numpy(features.astype(np.float32)) if self.features else None,
            )
            followed = self.follower.update(round(self.time * NANOSECONDS), tracks)
        return followed


@pytest.mark.parametrize('features', [True, False])
def test_the_states_of_an_object_that_is_hidden_and_comes_back(features):
    player = Player(features=features)
    seen = player.show({1: 0, 2: 1}, 20)
    assert (seen.state, seen.id, seen.row, seen.seconds) == (State.FOLLOWING, 1, 0, 0)
    assert seen.probability > 0.9
    missed = player.show({2: 1}, 3)
    assert (missed.state, missed.row) == (State.FOLLOWING, None), 'frames are missed now and then'
    hidden = player.show({2: 1}, 5)
    assert hidden.state == State.HIDDEN
    assert hidden.seconds == pytest.approx(0.8)
    assert player.show({2: 1}, 25).state == State.LOST
    back = player.show({2: 1, 1: 0}, 6)
    assert (back.state, back.id, back.row, back.seconds) == (State.FOUND_AGAIN, 1, 1, 0)
    assert player.show({2: 1, 1: 0}, 15).state == State.FOLLOWING


def test_being_near_is_no_reason_to_be_followed():
    player = Player()
    player.show({1: 0}, 20)
    stranger = player.show({7: 1}, 40, places={1: PLACES[0]})
    assert (stranger.state, stranger.row) == (State.LOST, None)


def test_the_object_is_found_again_as_a_new_track():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    player.show({2: 1}, 10)
    found = player.show({2: 1, 9: 0, 10: 2}, 8)
    assert (found.state, found.id, found.row) == (State.FOUND_AGAIN, 9, 1)
    assert found.probability > 0.9


def test_tracks_that_the_tracker_exchanged_are_exchanged_back():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    player.show({2: 1}, 4)
    swapped = player.show({1: 1, 2: 0}, 10)
    assert swapped.row != 0, 'track 1 shows somebody else now'
    swapped = player.show({1: 1, 2: 0}, 10)
    assert (swapped.id, swapped.row) == (2, 1)


def test_a_track_that_turns_into_somebody_else_without_a_gap_is_not_followed():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    taken = player.show({1: 2, 2: 1}, 15)
    assert (taken.state, taken.row) == (State.HIDDEN, None)


def test_a_covered_box_teaches_nothing():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    before = player.follower._looks.features.copy()
    # Person 1 stands in front: the same place, ending lower in the image.
    player.show({2: 1}, 1)
    tracks = Tracks(
        ids=np.array([1, 2]),
        boxes=np.array([[100, 100, 140, 180], [105, 105, 145, 190]], np.float32),
        scores=np.full(2, 0.9, np.float32),
        labels=np.zeros(2, np.int64),
        confirmed=np.full(2, True),
        features=torch.from_numpy(LOOKS[[1, 1]].astype(np.float32)),
    )
    player.follower.update(round(player.time * NANOSECONDS) + 1, tracks)
    np.testing.assert_array_equal(player.follower._looks.features, before)


def test_a_reset_of_the_clock_begins_the_time_again():
    player = Player()
    player.show({1: 0}, 20)
    player.time = 50.0
    assert player.show({1: 0}, 1).seconds == 0
    assert player.show({}, 2).seconds == pytest.approx(0.2)


def test_features_of_another_model_are_learnt_anew():
    player = Player()
    player.show({1: 0}, 20)
    tracks = Tracks(
        ids=np.array([1]),
        boxes=np.array([[100, 100, 140, 180]], np.float32),
        scores=np.full(1, 0.9, np.float32),
        labels=np.zeros(1, np.int64),
        confirmed=np.full(1, True),
        features=torch.ones(1, 7),
    )
    stamp = round(player.time * NANOSECONDS) + NANOSECONDS // 10
    assert player.follower.update(stamp, tracks).row == 0


def test_an_empty_frame_and_features_that_are_not_finite_do_no_harm():
    player = Player()
    player.show({}, 3)
    player.show({1: 0}, 10)
    tracks = Tracks(
        ids=np.array([1]),
        boxes=np.array([[100, 100, 140, 180]], np.float32),
        scores=np.full(1, 0.9, np.float32),
        labels=np.zeros(1, np.int64),
        confirmed=np.full(1, True),
        features=torch.full((1, looks([0]).shape[1]), float('nan')),
    )
    player.follower.update(round(player.time * NANOSECONDS) + 1, tracks)
    assert player.show({1: 0}, 5).state == State.FOLLOWING
