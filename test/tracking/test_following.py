# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The followed object: its states, and that nobody else is taken for it."""

from __future__ import annotations

from collections.abc import Mapping
import re

import numpy as np
from paths import REPOSITORY
import pytest
from scenes import LOOKS
from scenes import looks
import torch

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.followed_look import looks_of
from gtr_ros.tracking.following import Followed
from gtr_ros.tracking.following import Follower
from gtr_ros.tracking.following import State

PLACES = {0: 100, 1: 300, 2: 500}  # x of each person


class Player:
    """Shows people, ten frames a second, and follows track 1."""

    def __init__(self, hidden: float = 3.0, features: bool = True) -> None:
        self.follower = Follower(1, hidden)
        self.time, self.features = 100.0, features

    @property
    def learnt(self) -> float:
        """Number of boxes from which the look of the object was learnt."""
        return float(self.follower._look._prototypes.boxes[0])

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
    assert player.follower._look.others == {1}, 'who it is cannot be beside it'


def test_the_first_boxes_of_who_was_chosen_are_learnt_whatever_they_look_like():
    player = Player()
    player.show({1: 0})
    counts = []
    for other in range(1, 7):
        assert show_looks(player, {1: LOOKS[0] + 1.2 * LOOKS[other]}).row == 0
        counts.append(player.learnt)
    assert counts == [1, 2, 3, 4, 4, 4], 'until its look is known'


def test_a_track_that_turns_into_somebody_else_without_a_gap_is_not_followed():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    taken = player.show({1: 2, 2: 1}, 15)
    assert (taken.state, taken.row) == (State.HIDDEN, None)


def test_a_track_that_turns_into_somebody_else_is_not_followed_for_half_a_second():
    """After a long time, too, in which its boxes have made it certain."""
    player = Player()
    player.show({1: 0, 2: 1}, 100)
    rows = [player.show({1: 2, 2: 1}).row for _ in range(20)]
    assert rows == [0] + [None] * 19


def test_somebody_who_looks_like_the_object_in_part_is_followed_but_not_learnt():
    """The tracker goes on with the id on a look-alike, who may not become the object."""
    player, alike = Player(), LOOKS[0] + 0.75 * LOOKS[1]
    for _ in range(30):
        show_looks(player, {1: LOOKS[0], 3: LOOKS[2]})
    known = player.learnt
    followed = [show_looks(player, {1: alike, 3: LOOKS[2]}).row for _ in range(10)]
    assert 0 in followed, 'the object may have turned round'
    assert player.learnt == known
    # Both are in view: the object is found on its new track.
    rows = [show_looks(player, {1: alike, 3: LOOKS[2], 4: LOOKS[0]}).row for _ in range(30)]
    assert rows[-1] == 2


def test_a_box_in_which_another_track_ended_teaches_nothing_for_half_a_second():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    player.show({1: 0, 2: 1}, 1, places={0: 100, 1: 108})
    known = player.learnt
    assert player.show({1: 0}, 5).row == 0
    assert player.learnt == known, 'it may show both'
    assert player.show({1: 0}, 10).row == 0
    assert player.learnt > known


def test_a_box_beside_which_another_track_ended_shows_one_object():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    player.show({1: 0, 2: 1}, 1, places={0: 100, 1: 130})
    known = player.learnt
    player.show({1: 0}, 5)
    assert player.learnt == known + 5


def test_tracks_that_pass_while_the_object_is_lost_are_forgotten():
    player = Player()
    player.show({1: 0}, 20)
    for track_id in range(10, 110):
        player.show({track_id: 1})
    assert len(player.follower._boxes) < 10
    assert len(player.follower._tracks) < 60


def test_a_covered_box_teaches_nothing():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    before = player.follower._look._prototypes.features.copy()
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
    np.testing.assert_array_equal(player.follower._look._prototypes.features, before)


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


def show_looks(player: Player, shown: Mapping[int, np.ndarray]) -> Followed:
    """Show one frame of tracks with these features beside each other."""
    player.time += 0.1
    count, x = len(shown), 100.0 + 200 * np.arange(len(shown))[:, None]
    features = np.array(list(shown.values()), np.float32).reshape(count, LOOKS.shape[1])
    tracks = Tracks(
        ids=np.array(list(shown), np.int64),
        boxes=np.hstack([x, x * 0 + 100, x + 40, x * 0 + 180]).astype(np.float32),
        scores=np.full(count, 0.9, np.float32),
        labels=np.zeros(count, np.int64),
        confirmed=np.full(count, True),
        features=torch.from_numpy(features),
    )
    return player.follower.update(round(player.time * NANOSECONDS), tracks)


def show_covered(player: Player, look: int | np.ndarray | None, frames: int) -> Followed:
    """Show track 1 behind track 2, a tenth of a second each; look: of both; None: no features."""
    if isinstance(look, int):
        look = LOOKS[look]
    for _ in range(frames):
        player.time += 0.1
        features = None
        if look is not None:
            features = torch.from_numpy(np.array([look, look], np.float32))
        tracks = Tracks(
            ids=np.array([1, 2]),
            boxes=np.array([[100, 100, 140, 180], [105, 105, 145, 190]], np.float32),
            scores=np.full(2, 0.9, np.float32),
            labels=np.zeros(2, np.int64),
            confirmed=np.full(2, True),
            features=features,
        )
        followed = player.follower.update(round(player.time * NANOSECONDS), tracks)
    return followed


def test_the_states_are_those_of_the_message():
    text = (REPOSITORY / 'msg' / 'FollowedState.msg').read_text()
    values = {name: int(value) for name, value in re.findall(r'uint8 (\w+)=(\d+)', text)}
    assert values == {state.name: state.value for state in State}


def test_without_features_the_track_is_the_object_also_where_it_is_covered():
    player = Player(features=False)
    assert player.show({1: 0}, 5).probability == 1
    seen = show_covered(player, None, 20)
    assert (seen.state, seen.row, seen.probability) == (State.FOLLOWING, 0, 1)


def test_a_covered_box_is_the_object_for_a_second_if_it_looks_like_it():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    assert show_covered(player, 0, 9).row == 0
    assert show_covered(player, 0, 3).row is None, 'who it is cannot be seen any more'
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    assert show_covered(player, 1, 1).row is None, 'it shows who is in front'
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    partly = LOOKS[0] + 1.2 * LOOKS[1]
    assert show_looks(player, {1: partly, 2: LOOKS[1]}).row == 0
    assert show_covered(player, partly, 1).row is None, 'it may show who is in front'


def test_somebody_else_who_is_given_the_id_of_a_hidden_object_is_not_it():
    player = Player(hidden=3.0)
    player.show({1: 0, 2: 1}, 20)
    player.show({2: 1}, 10)
    for _ in range(30):
        seen = player.show({2: 1, 1: 2})
        assert seen.row is None
    assert seen.state == State.LOST
    assert seen.probability < 0.5
    # When the tracker has its id right again, it is found again.
    found = player.show({2: 1, 1: 0}, 30)
    assert (found.id, found.row) == (1, 1)


@pytest.mark.parametrize('known', [False, True])
def test_the_id_of_the_object_on_somebody_known_who_looks_alike(known):
    """The person beside, turned round, looks more like the object, but most like before."""
    other = LOOKS[1] - LOOKS[1] @ LOOKS[0] * LOOKS[0]
    other /= np.linalg.norm(other)
    beside, turned = 0.6 * LOOKS[0] + 0.8 * other, 0.85 * LOOKS[0] + 0.527 * other
    player = Player()
    player.show({1: 0, 3: 2}, 30)
    if known:
        for _ in range(5):
            show_looks(player, {1: LOOKS[0], 2: beside, 3: LOOKS[2]})
    player.show({3: 2}, 10)
    rows = [show_looks(player, {3: LOOKS[2], 1: turned}).row for _ in range(12)]
    assert (1 in rows) is not known, 'somebody who is not known may be the object'
    assert player.show({3: 2, 1: 0}, 30).row == 1


def test_the_time_until_an_object_is_hidden_and_lost():
    player = Player(hidden=2.0)
    player.show({1: 0, 2: 1}, 20)
    states = [player.show({2: 1}).state for _ in range(25)]
    assert states == [State.FOLLOWING] * 5 + [State.HIDDEN] * 15 + [State.LOST] * 5


@pytest.mark.parametrize('found_again', [False, True])
def test_a_track_in_doubt_is_followed_while_it_is_more_likely_the_object(found_again):
    """Every second box looks more like somebody else than like the object."""
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    if found_again:
        player.show({2: 1}, 10)
        assert player.show({2: 1, 1: 0}, 30).row == 1
    seen, probabilities = None, []
    while seen is None or seen.row == 0:
        look = LOOKS[0] + (5 if len(probabilities) % 2 else 1.2) * LOOKS[1]
        seen = show_looks(player, {1: look})
        probabilities.append(seen.probability)
        assert len(probabilities) < 50
    assert probabilities[-1] < 0.5
    assert min(probabilities[:-1]) >= 0.5
    assert min(probabilities[:-1]) < 0.75


@pytest.mark.parametrize(
    ('other', 'doubted', 'boxes'),
    [(0.6, False, 0), (0.6, True, 0), (1.0, False, 3), (1.0, True, 18), (1.15, False, 14)],
)
def test_how_long_the_track_of_a_hidden_object_waits_until_it_is_followed(other, doubted, boxes):
    """As long as it is uncertain; fifteen boxes need less, and a track that was doubted more."""
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    if doubted:
        player.show({1: 1, 2: 2}, 3)
    player.show({2: 1}, 7)
    look = LOOKS[0] + other * LOOKS[3]
    rows = [show_looks(player, {1: look, 2: LOOKS[1]}).row for _ in range(18)]
    assert rows == [None] * boxes + [0] * (18 - boxes)


@pytest.mark.parametrize(
    ('other', 'beside', 'taken'),
    [(0.3, 3, False), (0.3, 0, True), (0.66, 0, True), (0.8, 0, False)],
)
def test_a_look_alike_is_taken_for_a_hidden_object_unless_it_was_beside_it(other, beside, taken):
    player, twin = Player(), LOOKS[0] + other * LOOKS[1]
    for k in range(28):
        seen = {1: LOOKS[0], 3: LOOKS[2]}
        show_looks(player, {**seen, 2: twin} if k >= 28 - beside else seen)
    for _ in range(6):
        show_looks(player, {3: LOOKS[2]})
    rows = [show_looks(player, {2: twin}).row for _ in range(20)]
    assert (0 in rows) == taken
    assert player.follower.id == (2 if taken else 1)


def test_a_look_alike_that_was_only_seen_behind_another_was_not_seen_beside_the_object():
    player, twin = Player(), LOOKS[0] + 0.62 * LOOKS[1]
    for _ in range(25):
        show_looks(player, {1: LOOKS[0], 3: LOOKS[2]})
    for _ in range(3):
        player.time += 0.1
        tracks = Tracks(
            ids=np.array([1, 3, 2]),
            boxes=np.array(
                [[100, 100, 140, 180], [300, 105, 340, 190], [302, 100, 342, 180]], np.float32
            ),
            scores=np.full(3, 0.9, np.float32),
            labels=np.zeros(3, np.int64),
            confirmed=np.full(3, True),
            features=torch.from_numpy(np.array([LOOKS[0], LOOKS[2], twin], np.float32)),
        )
        assert player.follower.update(round(player.time * NANOSECONDS), tracks).row == 0
    for _ in range(6):
        show_looks(player, {3: LOOKS[2]})
    assert 0 in [show_looks(player, {2: twin}).row for _ in range(20)]
    assert player.follower.id == 2


@pytest.mark.parametrize(
    ('strangers', 'reset', 'taken'), [(0, False, True), (15, False, False), (15, True, True)]
)
def test_the_more_strangers_pass_the_more_a_look_alike_must_look_like_the_object(
    strangers, reset, taken
):
    player, twin = Player(), LOOKS[0] + 0.62 * LOOKS[1]
    for _ in range(25):
        show_looks(player, {1: LOOKS[0], 3: LOOKS[2]})
    for k in range(15):
        for _ in range(6):
            show_looks(player, {50 + k: LOOKS[2]} if k < strangers else {})
    if reset:  # the time in which the object was not seen begins again
        player.time -= 50
    assert (0 in [show_looks(player, {2: twin}).row for _ in range(20)]) == taken
    # Nobody is ruled out: the object itself is found.
    assert 0 in [show_looks(player, {9: LOOKS[0]}).row for _ in range(20)]


@pytest.mark.parametrize(('person', 'rows'), [(0, [0] * 5), (1, [None] * 5)])
def test_who_comes_out_from_behind_another_must_be_recognised(person, rows):
    player = Player()
    player.show({1: 0, 2: 2}, 20)
    assert show_covered(player, 0, 5).row == 0
    assert [player.show({1: person, 2: 2}).row for _ in range(5)] == rows


def test_colours_tell_people_apart_who_have_the_same_features():
    """Or whose detector gives none; as a picture in grey they are the same person."""
    shirts = {0: (200, 40, 40), 1: (40, 60, 200)}
    for features in (True, False):
        rows = {}
        for colour in (True, False):
            player = Player(features=features)
            seen = [dressed(player, 0, shirts if colour else None) for _ in range(20)]
            seen += [dressed(player, 1, shirts if colour else None) for _ in range(30)]
            rows[colour] = [followed.row for followed in seen]
        assert rows[True][:21] == [0] * 21, 'one box that looks like another changes nothing'
        assert 0 not in rows[True][21:]
        assert rows[True][-1] == 1, 'the tracker exchanged them'
        assert rows[False] == [0] * 50


def dressed(
    player: Player, person: int, shirts: Mapping[int, tuple[int, int, int]] | None
) -> Followed:
    """Show a person as track 1, in an image, and the other one as track 2; all looks are alike."""
    player.time += 0.1
    boxes = np.array([[100, 100, 140, 180], [300, 100, 340, 180]], np.float32)
    image = np.full((240, 400, 3), 90, np.uint8)
    for (x1, y1, x2, y2), who in zip(boxes.astype(int).tolist(), (person, 1 - person)):
        image[y1:y2, x1:x2] = shirts[who] if shirts else 128
    tracks = Tracks(
        ids=np.array([1, 2]),
        boxes=boxes,
        scores=np.full(2, 0.9, np.float32),
        labels=np.zeros(2, np.int64),
        confirmed=np.full(2, True),
        features=torch.from_numpy(looks([0, 0], seed=round(1000 * player.time)).astype(np.float32))
        if player.features
        else None,
    )
    return player.follower.update(round(player.time * NANOSECONDS), tracks, image)


def test_an_object_is_learnt_also_if_nobody_else_is_there():
    player = Player()
    player.show({1: 0}, 20)
    player.show({}, 10)
    assert player.show({1: 2}, 20).row is None, 'somebody else'
    assert player.show({1: 0}, 30).row == 0


def test_one_box_that_looks_like_somebody_else_changes_nothing():
    player = Player()
    player.show({1: 0, 2: 1}, 20)
    for _ in range(3):
        glitch = player.show({1: 1, 2: 1})
        assert (glitch.row, glitch.state) == (0, State.FOLLOWING)
        assert glitch.probability > 0.9
        player.show({1: 0, 2: 1}, 10)


def test_features_that_are_not_finite_count_as_0():
    look = LOOKS[0].copy()
    look[0] = 0
    for value in (np.nan, np.inf, -np.inf):
        broken = look.copy()
        broken[0] = value
        two = Tracks(
            ids=np.array([1, 2]),
            boxes=np.zeros((2, 4), np.float32),
            scores=np.ones(2, np.float32),
            labels=np.zeros(2, np.int64),
            confirmed=np.full(2, True),
            features=torch.from_numpy(np.array([look, broken], np.float32)),
        )
        first, second = looks_of(two, None).vectors
        np.testing.assert_array_equal(first, second)
        assert np.linalg.norm(first) == pytest.approx(1)
