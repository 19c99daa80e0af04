# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is reported when tracks appear, leave, come back, enter zones, cross lines, stand still."""

from __future__ import annotations

from dataclasses import replace
import re

import numpy as np
from paths import REPOSITORY
import pytest

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.events import Event
from gtr_ros.tracking.events import Events
from gtr_ros.tracking.events import Kind
from gtr_ros.tracking.zones import Zone

SIZE = (400, 400)
SQUARE = np.array([[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]])
AREA = Zone('door', 'area', SQUARE)
#: from the lower edge of the image to the upper one
LINE = Zone('gate', 'line', np.array([[0.5, 1.0], [0.5, 0.0]]))
HEIGHT = 100.0


def tracks(places, confirmed=True, returned=None, labels=0) -> Tracks:
    """Return tracks by id, each with the middle of its lower edge, pixels."""
    ids, points = list(places), np.array(list(places.values()), float).reshape(-1, 2)
    boxes = np.hstack([points - np.array([20, HEIGHT]), points + np.array([20, 0])])
    return Tracks(
        ids=np.array(ids, np.int64),
        boxes=boxes.astype(np.float32),
        scores=np.full(len(ids), 0.9, np.float32),
        labels=np.full(len(ids), labels, np.int64),
        confirmed=np.full(len(ids), confirmed),
        returned=None if returned is None else np.array(returned),
    )


class Player:
    """Plays frames, ten a second."""

    def __init__(self, *zones: Zone, **options) -> None:
        self.events = Events(zones, **options)
        self.time = 0.0

    def show(self, places, seconds=0.1, ground=None, since=None, **more) -> list[Event]:
        self.time += seconds
        stamp = round(self.time * NANOSECONDS)
        shown = tracks(places, **more)
        return self.events.update(stamp, shown, SIZE, ['person', 'car'], ground or {}, since or {})

    def walk(self, *points, **more) -> list[Event]:
        """Show track 1 at points of the image, and return what happened, without its start."""
        found = [event for point in points for event in self.show({1: point}, **more)]
        return [e for e in found if e.kind not in (Kind.APPEARED, Kind.CONFIRMED)]


def kinds(events) -> list[Kind]:
    return [event.kind for event in events]


def test_a_track_appears_is_confirmed_leaves_and_comes_back():
    player = Player(left_after=1.0)
    assert kinds(player.show({1: (10, 200)}, confirmed=False)) == [Kind.APPEARED]
    assert kinds(player.show({1: (10, 200)})) == [Kind.CONFIRMED]
    assert not player.show({1: (10, 200)})
    assert not player.show({}, seconds=0.9), 'it is only missed'
    [left] = player.show({}, seconds=0.2)
    assert (left.kind, left.id, left.reason) == (Kind.LEFT, 1, 'lost')
    assert left.seconds == pytest.approx(1.1)
    [back] = player.show({1: (300, 200)}, seconds=5, returned=[0.97])
    assert (back.kind, back.probability) == (Kind.CAME_BACK, 0.97)
    assert back.seconds == pytest.approx(6.1)


def test_what_was_linked_without_being_compared_comes_back_with_unknown_probability():
    player = Player(left_after=1.0)
    player.show({1: (10, 200)})
    player.show({}, seconds=2)
    [back] = player.show({1: (10, 200)}, returned=[0.0])
    assert back.kind == Kind.CAME_BACK
    assert np.isnan(back.probability)


def test_a_tentative_track_ends_without_an_event():
    player = Player(AREA, left_after=1.0)
    assert kinds(player.show({1: (200, 200)}, confirmed=False)) == [Kind.APPEARED]
    assert not player.show({}, seconds=3)
    assert not player.show({1: (200, 200)}, confirmed=False), 'the same id is not new'


def test_an_area_is_entered_and_left():
    player = Player(AREA)
    entered, left = player.walk((50, 200), (90, 200), (110, 200), (200, 200), (310, 200))
    assert (entered.kind, entered.zone, entered.id) == (Kind.ENTERED_ZONE, 'door', 1)
    assert (left.kind, left.reason) == (Kind.LEFT_ZONE, '')
    assert left.seconds == pytest.approx(0.2)
    [counts] = player.events.counts
    assert (counts.inside, counts.entered, counts.left) == (0, 1, 1)


def test_a_box_that_trembles_at_a_border_enters_once():
    player = Player(AREA)
    trembling = [(100 + d, 200) for d in (-2, 2, -3, 4, -4, 1, -2, 3) * 5]
    assert kinds(player.walk(*trembling)) == [Kind.ENTERED_ZONE]
    assert kinds(player.walk((100 - 0.06 * HEIGHT, 200))) == [Kind.LEFT_ZONE]


def test_a_track_that_ends_inside_leaves_as_lost_and_the_count_goes_down():
    player = Player(AREA, left_after=1.0)
    player.show({1: (200, 200), 2: (250, 250)})
    assert player.events.counts[0].inside == 2
    events = player.show({1: (200, 200)}, seconds=1.5)
    assert [(e.kind, e.id, e.reason) for e in events] == [
        (Kind.LEFT_ZONE, 2, 'lost'),
        (Kind.LEFT, 2, 'lost'),
    ]
    assert player.events.counts[0].inside == 1


def test_a_missed_frame_does_not_leave_the_area():
    player = Player(AREA, left_after=1.0)
    player.show({1: (200, 200)})
    assert not player.show({}, seconds=0.5)
    assert not player.show({1: (210, 200)}, seconds=0.4)


def test_a_reset_ends_all_tracks_but_not_the_counters():
    player = Player(AREA)
    player.show({1: (200, 200)})
    assert [(e.kind, e.reason) for e in player.events.clear()] == [
        (Kind.LEFT_ZONE, 'reset'),
        (Kind.LEFT, 'reset'),
    ]
    [counts] = player.events.counts
    assert (counts.inside, counts.entered, counts.left) == (0, 1, 1)
    player.show({2: (200, 200)})
    player.time = -100
    assert [e.reason for e in player.show({3: (10, 10)})][:2] == ['reset', 'reset']


def test_a_line_is_crossed_in_a_direction_seen_along_it():
    player = Player(LINE)
    [event] = player.walk((150, 200), (190, 200), (210, 200), (250, 200))
    assert (event.kind, event.zone, event.direction) == (
        Kind.CROSSED_LINE,
        'gate',
        'left_to_right',
    )
    [event] = player.walk((190, 200), (150, 200))
    assert event.direction == 'right_to_left'
    assert (player.events.counts[0].entered, player.events.counts[0].left) == (1, 1)


def test_on_the_ground_left_is_left():
    """With x forwards and y to the left, somebody who looks along x has y > 0 on the left."""
    line = Zone('gate', 'line', np.array([[0.0, 0.0], [4.0, 0.0]]), unit='metre', margin=0.2)
    player = Player(line)
    found = []
    for y in (1.0, 0.1, -0.1, -1.0):
        found += player.show({1: (200, 200)}, ground={1: np.array([2.0, y])})
    [event] = [e for e in found if e.kind == Kind.CROSSED_LINE]
    assert event.direction == 'left_to_right'


def test_a_box_that_trembles_on_a_line_is_counted_once_and_only_if_it_goes_on():
    player = Player(LINE)
    assert not player.walk(*[(200 + d, 200) for d in (-3, 2, -1, 3, -2, 1, -4) * 5])
    assert not player.walk((150, 200)), 'it went back'
    assert len(player.walk(*[(200 + d, 200) for d in (-3, 2, -1, 3, 50)])) == 1


def test_a_track_that_ends_just_beyond_a_line_has_crossed_it():
    player = Player(LINE, left_after=1.0)
    player.walk((150, 200), (203, 200))
    assert kinds(player.show({}, seconds=2)) == [Kind.CROSSED_LINE, Kind.LEFT]


def test_an_absence_is_no_crossing():
    player = Player(LINE, left_after=1.0)
    player.walk((150, 200))
    player.show({}, seconds=2)
    assert kinds(player.show({1: (250, 200)})) == [Kind.CAME_BACK]


def test_only_the_classes_of_a_zone_count():
    zone = Zone('door', 'area', SQUARE, classes=('car',))
    player = Player(zone)
    assert not player.walk((200, 200))
    assert kinds(player.show({2: (200, 200)}, labels=1))[-1] == Kind.ENTERED_ZONE


@pytest.mark.parametrize('seen', [True, False])
@pytest.mark.parametrize(('gap', 'anew', 'crosses'), [(0, False, 1), (0, True, 0), (3, True, 1)])
def test_a_place_that_was_wrong_crosses_no_line(gap, anew, crosses, seen):
    """A place that begins anew after none was known for a while is where the object went."""
    line = Zone('gate', 'line', np.array([[0.0, 0.0], [4.0, 0.0]]), unit='metre', margin=0.2)
    player, box = Player(line), {1: (200, 200)}
    before = player.time
    for _ in range(3):
        player.show(box, ground={1: np.array([2.0, -1.0])}, since={1: round(before * NANOSECONDS)})
    for _ in range(gap):
        player.show(box)
    start = round((player.time if anew else before) * NANOSECONDS)
    found = []
    for y, shown in ((1.0, box if seen else {}), (1.1, box), (-0.9, box)):
        found.append(player.show(shown, ground={1: np.array([2.0, y])}, since={1: start}))
    assert kinds(found[0] + found[1]) == [Kind.CROSSED_LINE] * crosses
    assert player.events.counts[0].left == crosses
    assert kinds(found[2]) == [Kind.CROSSED_LINE], 'from there on, lines are crossed'


def test_a_zone_on_the_ground_needs_a_position():
    corners = np.array([[0, 0], [2, 0], [2, 2], [0, 2.0]])
    zone = Zone('bay', 'area', corners, unit='metre', margin=0.2)
    player = Player(zone)
    assert not player.walk((10, 10))
    assert kinds(player.walk((10, 10), ground={1: np.array([1.0, 1.0])})) == [Kind.ENTERED_ZONE]
    assert not player.walk((10, 10)), 'without a position it stays where it was'
    assert not player.walk((10, 10), ground={1: np.array([2.1, 1.0])}), 'within the margin'
    assert kinds(player.walk((10, 10), ground={1: np.array([2.3, 1.0])})) == [Kind.LEFT_ZONE]


def test_standing_still_is_reported_once_and_its_end():
    player = Player(still_seconds=5, still_speed=0.05)
    trembling = [(200 + d, 200) for d in (0, 5, -5, 10, -10) * 20]
    [event] = player.walk(*trembling)
    assert (event.kind, round(event.seconds, 3)) == (Kind.STANDS_STILL, 5.0)
    [event] = player.walk((260, 200))
    assert event.kind == Kind.MOVES_AGAIN
    assert event.seconds == pytest.approx(10.0)


def test_walking_is_not_standing():
    player = Player(still_seconds=5, still_speed=0.05)
    assert not player.walk(
        *[(10 + t, 200) for t in range(300)]
    )  # 10 pixels = 0.1 heights a second


def test_memory_is_bounded():
    player = Player(AREA, left_after=0.05)
    for track_id in range(1, 12_000):
        player.show({track_id: (200, 200)})
    assert len(player.events._objects) <= 2
    assert len(player.events._gone) <= 10_000


def test_boxes_that_are_not_finite_are_ignored():
    player = Player(AREA)
    assert not player.show({1: (np.nan, 200)})


def test_the_kinds_are_those_of_the_message():
    text = (REPOSITORY / 'msg' / 'TrackEvent.msg').read_text()
    values = {name: int(value) for name, value in re.findall(r'uint8 (\w+)=(\d+)', text)}
    assert values == {kind.name: kind.value for kind in Kind}


def test_the_middle_of_a_box_can_be_what_enters():
    player = Player(replace(AREA, point='centre'))
    # The lower edges are 100 pixels below the upper ones, and the area begins at 100.
    assert not player.walk((200, 140)), 'its middle is at 90'
    assert kinds(player.walk((200, 160))) == [Kind.ENTERED_ZONE]
    assert not player.walk((200, 340)), 'its middle is at 290'
    assert kinds(player.walk((200, 360))) == [Kind.LEFT_ZONE]


def test_a_tentative_track_crosses_a_line_when_it_is_confirmed():
    player = Player(LINE)
    for x in (150, 250):
        assert not [e for e in player.show({1: (x, 200)}, confirmed=False) if e.zone]
    [event] = player.walk((260, 200))
    assert (event.kind, event.direction) == (Kind.CROSSED_LINE, 'left_to_right')


def test_a_track_that_goes_back_over_a_line_and_ends_has_not_crossed_it():
    player = Player(LINE, left_after=1.0)
    assert not player.walk((198, 200), (202, 200), (198, 200))
    assert kinds(player.show({}, seconds=2)) == [Kind.LEFT]
    assert (player.events.counts[0].entered, player.events.counts[0].left) == (0, 0)


def test_crossings_are_counted_for_each_direction():
    player = Player(LINE)
    player.walk((150, 200), (250, 200))
    assert (player.events.counts[0].entered, player.events.counts[0].left) == (1, 0)
    player.show({2: (250, 200)})
    for _ in range(2):
        player.show({2: (150, 200), 3: (250, 200)})
        player.show({2: (150, 200), 3: (150, 200)})
    assert (player.events.counts[0].entered, player.events.counts[0].left) == (2, 3)


def test_a_line_is_not_closed():
    """Somebody in the middle of a V, at the level of its ends, is far from it."""
    corners = np.array([[0.1, 0.25], [0.5, 1.0], [0.9, 0.25]])
    player = Player(Zone('gate', 'line', corners))
    assert kinds(player.walk((50, 350), (200, 102))) == [Kind.CROSSED_LINE]


def test_after_a_reset_nobody_comes_back():
    player = Player(left_after=1.0)
    player.show({1: (10, 200)})
    player.show({}, seconds=2)
    assert not player.events.clear()
    assert kinds(player.show({1: (10, 200)})) == [Kind.CONFIRMED]


def test_those_who_left_first_are_forgotten_first():
    player = Player(left_after=0.05)
    for track_id in range(1, 10_004):
        player.show({track_id: (200, 200)})
    assert kinds(player.show({10_001: (200, 200)}))[0] == Kind.CAME_BACK
    assert kinds(player.show({1: (200, 200)}))[0] == Kind.CONFIRMED


def test_a_stamp_just_a_second_back_is_no_reset():
    player = Player(AREA, left_after=5.0)
    player.show({1: (200, 200)}, seconds=10)
    assert not player.show({1: (200, 200)}, seconds=-1)


def test_only_confirmed_tracks_stand_still_and_only_if_that_is_wanted():
    player = Player(still_seconds=1)
    for _ in range(30):
        found = player.show({1: (200, 200)}, confirmed=False)
        assert kinds(found) in ([], [Kind.APPEARED])
    player = Player(still_seconds=0)
    assert not player.walk(*[(200, 200)] * 30)
