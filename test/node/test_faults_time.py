# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of clocks and stamps, against the node in its own process: see docs/trust.md."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import OBJECTS
from faults import Rig
from faults import rig
from faults import scene
from node_processes import ros_environment
from rosgraph_msgs.msg import Clock

from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.stamps import NANOSECONDS

pytestmark = pytest.mark.ros

YEAR = 365 * 24 * 3600 * NANOSECONDS


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running() -> Iterator[Rig]:
    with rig('/time') as made:
        yield made


def test_time_jumps_ahead_by_a_year_and_back(running):
    user, start = running.user, running.user.stamp
    before = {name: running.ids(name) for name in running.cameras}
    resets = int(running.counted('left')['resets'])
    user.stamp += YEAR
    ahead = running.settled_ids('left')
    assert ahead == before['left'] or min(ahead) > max(before['left'])
    user.stamp = start + NANOSECONDS
    back = running.settled_ids('left')
    assert min(back) > max(before['left'] + ahead)
    assert int(running.counted('left')['resets']) == resets + 1
    running.node.wait_for_output('the clock was reset')
    # The clock of the other camera did not change.
    assert running.ids('right') == before['right']
    running.counted('right')


def test_a_camera_that_stops_for_a_minute_of_stamps(running):
    before = {name: running.ids(name) for name in running.cameras}
    running.user.stamp += 60 * NANOSECONDS
    after = running.settled_ids('left')
    assert after == before['left'] or min(after) > max(before['left'])
    for name in running.cameras:
        running.settled_ids(name)
        running.counted(name)


def test_stamps_that_stand_still(running):
    repaired = int(running.counted('left')['repaired_stamps'])
    with running.survives():
        ids, stamp = running.ids('left'), running.user.stamp
        for _ in range(5):
            running.answer('left', running.send('left', scene(), stamp))
        running.user.stamp += NANOSECONDS // 2
        assert running.ids('left') == ids
    assert int(running.counted('left')['repaired_stamps']) == repaired + 5


def test_stamps_before_1970_and_at_the_end_of_the_clock(running):
    with running.survives(same_ids=False):
        for stamp in (-5 * NANOSECONDS, (2**31 - 1) * NANOSECONDS, 1):
            message = running.answer('left', running.send('left', scene(), stamp))
            assert message.header.stamp == nanoseconds_to_stamp(stamp)
        running.settled_ids('left')


def test_a_bag_that_is_played_in_a_loop_gets_new_ids_in_each_round(running):
    user, start = running.user, running.user.stamp
    resets, seen = int(running.counted('left')['resets']), set()
    rounds = 3
    for _ in range(rounds):
        user.stamp = start
        running.settled_ids('left')
        for _ in range(20):
            ids = set(running.ids('left'))
        assert not ids & seen
        seen |= ids
    assert int(running.counted('left')['resets']) == resets + rounds - 1
    assert len(running.ids('right')) == len(OBJECTS)


def test_simulated_time_without_a_clock_and_with_one_that_restarts():
    with rig('/simulated', use_sim_time='true') as running:
        running.node.wait_for_output('use_sim_time is true, but nothing was published on /clock')
        with running.survives():
            running.ids('left')
        user = running.user
        ids = {name: running.ids(name) for name in running.cameras}
        for seconds in (102, 2):

            def is_known(seconds: int = seconds) -> bool:
                # Best effort may lose a tick, and a later one replaces it.
                user.publish('/clock', Clock(clock=nanoseconds_to_stamp(seconds * NANOSECONDS)))
                return running.clock == seconds

            assert user.spin_until(is_known)
        running.node.wait_for_output('all tracks ended')
        for name in running.cameras:
            assert min(running.settled_ids(name)) > max(ids[name])
            running.counted(name)


def test_clocks_of_two_cameras_that_differ_by_an_hour(running):
    user = running.user
    ids = {name: running.settled_ids(name) for name in running.cameras}
    stamps = {'left': user.stamp, 'right': user.stamp + 3600 * NANOSECONDS}
    resets = {name: running.counted(name)['resets'] for name in running.cameras}
    for step in range(1, 6):
        for name in running.cameras:
            stamp = stamps[name] + step * NANOSECONDS // 10
            message = running.answer(name, running.send(name, scene(), stamp))
            if name == 'left':
                assert {int(d.id) for d in message.detections} == set(ids[name])
    user.stamp = stamps['right'] + NANOSECONDS
    assert {name: running.counted(name)['resets'] for name in running.cameras} == resets
