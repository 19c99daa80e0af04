# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS: lifecycle, simulated time and QoS."""

from __future__ import annotations

from collections.abc import Iterator
import signal

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from node_processes import ANSWER_SECONDS
from node_processes import ros_environment
from node_processes import STOP_SECONDS
from node_processes import tracker_node
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from robot import picture
from robot import robot
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def test_a_lifecycle_manager_can_call_every_transition():
    def change(to: int) -> bool:
        transition = Transition(id=to)
        return user.call(
            ChangeState, '/managed/tracker/change_state', transition=transition
        ).success

    def state() -> int:
        return user.call(GetState, '/managed/tracker/get_state').current_state.id

    with (
        tracker_node(
            '__ns:=/managed', checkpoint='/nowhere.pth', threads=1, autostart='false'
        ) as node,
        robot() as user,
    ):
        assert state() == State.PRIMARY_STATE_UNCONFIGURED
        for _ in range(2):
            assert not change(Transition.TRANSITION_CONFIGURE)
            node.wait_for_output('cannot configure: there are no weights at /nowhere.pth')
            assert state() == State.PRIMARY_STATE_UNCONFIGURED
    with (
        tracker_node(
            '__ns:=/managed',
            checkpoint='random',
            threads=1,
            autostart='false',
        ) as node,
        robot() as user,
    ):
        for _ in range(2):
            assert change(Transition.TRANSITION_CONFIGURE)
            assert change(Transition.TRANSITION_ACTIVATE)
            assert state() == State.PRIMARY_STATE_ACTIVE
            answers = user.subscribe(Detection2DArray, '/managed/tracker/detections')
            publisher_ready = user.node.count_subscribers
            assert user.spin_until(lambda ready=publisher_ready: ready('/managed/image') == 1)

            def is_tracked(kept: list = answers) -> bool:
                user.publish('/managed/image', array_to_image(picture(), user.header()))
                return bool(kept)

            assert user.spin_until(is_tracked), node.output
            assert change(Transition.TRANSITION_DEACTIVATE)
            assert user.spin_until(lambda ready=publisher_ready: ready('/managed/image') == 0)
            assert change(Transition.TRANSITION_CLEANUP)
            assert user.spin_until(
                lambda: user.node.count_publishers('/managed/tracker/detections') == 0
            )
        assert change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        assert state() == State.PRIMARY_STATE_FINALIZED
        node.send(signal.SIGINT)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


def test_with_simulated_time_a_clock_that_jumps_back_starts_new_ids():
    def is_reset() -> bool:
        return 'all tracks ended' in node.output

    with (
        tracker_node(
            '__ns:=/simulated', checkpoint='random', threads=1, use_sim_time='true'
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /simulated/image')
        # A recording played in a loop, because best effort may lose ticks of the clock.
        for tick in range(int(10 * ANSWER_SECONDS)):
            now = nanoseconds_to_stamp((1 + tick % 10) * 1_000_000_000)
            user.publish('/clock', Clock(clock=now))
            if user.spin_until(is_reset, 0.1):
                break
        assert is_reset(), node.output


def test_a_publisher_with_incompatible_qos_is_reported_with_its_qos():
    with (
        tracker_node(
            '__ns:=/strict',
            checkpoint='random',
            threads=1,
            **{'qos_overrides./strict/image.subscription.reliability': 'reliable'},
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /strict/image')
        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        user.node.create_publisher(Image, '/strict/image', qos)
        warning = (
            "/robot's QoS (BEST_EFFORT, VOLATILE) is incompatible with this subscription (RELIABLE"
        )
        # The name of the publisher may not be known at first.
        assert user.spin_until(lambda: warning in node.output), node.output
