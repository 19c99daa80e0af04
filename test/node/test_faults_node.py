# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of parameters, services, processes and disks: see the table in docs/trust.md."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import re
import signal

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import faulty_node
from faults import Rig
from faults import rig
from faults import scene
import launching
from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from node_processes import executable
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import tracker_node
from robot import picture
from robot import Robot
from robot import robot
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.images import array_to_image
from gtr_ros.srv import SetClasses

pytestmark = pytest.mark.ros

CHANGES = 1_000
#: valid and refused values by parameter; the last ones are the defaults of these tests
VALUES = {
    'score_threshold': (0.3, 2.0, 'high', float('nan'), 0.4),
    'window': (2, 1, 10**9, 8, 32),
    'min_hits': (5, -1, 'many', 1),
    'max_rate': (-1.0, float('inf'), 900.0, 0.0),
    'class_names': (['hamster'], ['person'], 3, ['']),
    'weak_score_threshold': (0.9, 0.1, 0.0),
    'cameras': (['other'],),
    'no_such_parameter': (1,),
}
#: parameters that can be changed while the node runs
WORKING = tuple(name for name in VALUES if name not in ('cameras', 'no_such_parameter'))
CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE = (
    Transition.TRANSITION_CONFIGURE,
    Transition.TRANSITION_CLEANUP,
    Transition.TRANSITION_ACTIVATE,
    Transition.TRANSITION_DEACTIVATE,
)
UNCONFIGURED, INACTIVE, ACTIVE = (
    State.PRIMARY_STATE_UNCONFIGURED,
    State.PRIMARY_STATE_INACTIVE,
    State.PRIMARY_STATE_ACTIVE,
)
#: the state after each transition that is allowed in a state
ALLOWED = {
    (UNCONFIGURED, CONFIGURE): INACTIVE,
    (INACTIVE, CLEANUP): UNCONFIGURED,
    (INACTIVE, ACTIVATE): ACTIVE,
    (ACTIVE, DEACTIVATE): INACTIVE,
}


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running() -> Iterator[Rig]:
    with rig('/parameters') as made:
        yield made


def test_a_thousand_parameter_changes_while_images_arrive(running):
    rng = np.random.default_rng(0)
    every = [(name, value) for name, values in VALUES.items() for value in values]
    refused = accepted = 0
    timer = running.user.node.create_timer(0.02, lambda: running.send('right', scene()))
    try:
        for _ in range(CHANGES // 10):
            chosen = dict(every[i] for i in rng.integers(0, len(every), 10))
            reasons = running.set(**chosen)
            accepted += sum(reason == '' for reason in reasons)
            refused += sum(reason != '' for reason in reasons)
            assert all(reasons[i] for i, name in enumerate(chosen) if name not in WORKING)
    finally:
        running.user.node.destroy_timer(timer)
        defaults = {name: VALUES[name][-1] for name in WORKING}
    assert min(accepted, refused) > CHANGES // 10
    assert running.set(**defaults) == [''] * len(defaults)
    for name in running.cameras:
        running.settled_ids(name)
        running.recount(name)
    with running.survives():
        running.ids('left')


def test_a_service_that_is_called_a_hundred_times(running):
    user, node = running.user, '/parameters/tracker'
    with running.survives(same_ids=False):
        before = running.ids('left')
        for index in range(100):
            assert user.call(Trigger, f'{node}/reset').success
            assert user.call(SetBool, f'{node}/enable', data=index % 2 == 1).success
            names = ['person'] if index % 2 else ['a', 'b']
            answer = user.call(SetClasses, f'{node}/set_classes', class_names=names)
            assert answer.success == (index % 2 == 1)
        assert user.call(SetClasses, f'{node}/set_classes', class_names=[]).success
        assert min(running.ids('left')) > max(before)


def test_services_are_answered_when_they_are_called_during_configuring():
    with faulty_node('/busy', autostart='false') as node, robot() as user:
        node.wait_for_output('waiting to be configured')
        name = '/busy/tracker'
        clients = [
            (user.node.create_client(kind, f'{name}/{service}'), request)
            for kind, service, request in (
                (ChangeState, 'change_state', {'transition': Transition(id=CONFIGURE)}),
                (Trigger, 'reset', {}),
                (SetBool, 'enable', {'data': True}),
                (SetClasses, 'set_classes', {'class_names': ['person']}),
                (ChangeState, 'change_state', {'transition': Transition(id=CONFIGURE)}),
                (GetState, 'get_state', {}),
            )
        ]
        assert user.spin_until(lambda: all(c.service_is_ready() for c, _ in clients))
        futures = [c.call_async(c.srv_type.Request(**request)) for c, request in clients]
        assert user.spin_until(lambda: all(future.done() for future in futures), START_SECONDS)
        node.wait_for_output('change_state failed for')
        # Both ask for the same transition; that of either client may come first.
        assert sorted(futures[i].result().success for i in (0, 4)) == [False, True]
        assert state_of(user, name) == INACTIVE


def state_of(user: Robot, name: str) -> int:
    return user.call(GetState, f'{name}/get_state').current_state.id


def test_transitions_in_any_order():
    rng, name = np.random.default_rng(1), '/order/tracker'
    with faulty_node('/order', autostart='false') as node, robot() as user:

        def change(to: int) -> bool:
            answer = user.call(ChangeState, f'{name}/change_state', transition=Transition(id=to))
            return answer.success

        node.wait_for_output('waiting to be configured')
        state = state_of(user, name)
        order = rng.choice([CONFIGURE, CLEANUP, ACTIVATE, DEACTIVATE], 30)
        for to in [*order.tolist(), DEACTIVATE, CLEANUP, CONFIGURE, ACTIVATE]:
            assert change(to) == ((state, to) in ALLOWED)
            state = ALLOWED.get((state, to), state)
            assert state_of(user, name) == state
        assert state == ACTIVE
        made = Rig(node, user, '/order', compressed=False)
        made.connect()
        with made.survives():
            pass
        assert 'Traceback' not in node.output


def test_a_killed_node_is_started_again_by_launch():
    pytest.importorskip('launch_ros', reason='needs launch_ros, which no package registry has')
    arguments = ('checkpoint:=random', 'respawn:=true', 'namespace:=again')
    with (
        launching.launch(Path('launch/tracker.launch.py'), *arguments) as launched,
        robot() as user,
    ):
        launched.wait_for_output('tracking on /again/image', START_SECONDS)
        found = user.subscribe(Detection2DArray, '/again/tracker/detections')

        def is_tracking() -> bool:
            user.publish('/again/image', array_to_image(picture(), user.header()))
            return bool(found)

        assert user.spin_until(is_tracking, START_SECONDS)
        [pid] = re.findall(r'process started with pid \[(\d+)\]', launched.output)
        os.kill(int(pid), signal.SIGKILL)
        assert user.spin_until(
            lambda: launched.output.count('tracking on /again/image') == 2, START_SECONDS
        ), launched.output
        found.clear()
        assert user.spin_until(is_tracking, START_SECONDS)


@pytest.mark.slow
def test_a_killed_node_leaves_nothing_that_stops_the_next_one():
    newest = 0
    for _ in range(2):
        with rig('/killed') as running:
            user = running.user
            user.stamp = max(user.stamp, newest)
            with running.survives():
                running.ids('left')
            newest = user.stamp
            running.node.send(signal.SIGKILL)
            running.node.wait()


def test_a_full_disk_costs_the_runtimes_choice_and_logs_but_no_image(tmp_path):
    # No file may grow beyond 64 KiB. Python then gets an error, as from a full disk.
    limited = ('bash', '-c', 'ulimit -f 64; exec "$@"', 'bash', *executable('tracker_node'))
    environment = {
        'GTR_AUTO_RUNTIME': '',
        'XDG_CACHE_HOME': str(tmp_path / 'cache'),
        'ROS_LOG_DIR': str(tmp_path / 'log'),
        'FASTDDS_BUILTIN_TRANSPORTS': 'UDPv4',
        'FASTRTPS_DEFAULT_PROFILES_FILE': '',
        'FASTDDS_DEFAULT_PROFILES_FILE': '',
    }
    words = ('--ros-args', '-r', '__ns:=/full', '--log-level', 'debug')
    with process(*limited, *words, environment=environment) as node, robot() as user:
        node.wait_for_output('tracking on /full/image')
        node.wait_for_output('runtime torch')
        found = user.subscribe(Detection2DArray, '/full/tracker/detections')
        message = array_to_image(picture(), user.header())
        for count in (1, 2):

            def is_tracked(count: int = count) -> bool:
                user.publish('/full/image', message)
                return len(found) >= count

            assert user.spin_until(is_tracked, START_SECONDS), node.output
        assert 'Traceback' not in node.output


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        ('/**: {ros__parameters: {window: [', 'Couldn'),
        ('/**: {ros__parameters: {window: "many"}}', 'parameter window was refused'),
        ('not: a parameter file', 'Couldn'),
        ('\x00\x01\x02', 'Couldn'),
    ],
    ids=['cut', 'wrong type', 'another file', 'binary'],
)
def test_a_damaged_parameter_file_is_refused(tmp_path, content, said):
    path = tmp_path / 'parameters.yaml'
    path.write_text(content)
    with process(*executable('tracker_node'), '--ros-args', '--params-file', path) as node:
        assert node.wait() == 1, node.output
        assert said in node.output
        assert 'Traceback' not in node.output


@pytest.mark.parametrize('topic', ['two words', 'boxes/'])
def test_a_topic_with_a_bad_name_is_refused(topic):
    with tracker_node(checkpoint='random', threads=1, detections_topic=f"'{topic}'") as node:
        assert node.wait() == 1, node.output
        assert topic in node.output
        assert 'Traceback' not in node.output
