# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Large images arrive between processes by default; where they do not, the node says why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from diagnostic_msgs.msg import DiagnosticStatus
from node_processes import executable
from node_processes import Process
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import tracker_node
from rclpy.utilities import get_rmw_implementation_identifier
from robot import Robot
from robot import robot

from gtr_ros.media.video import VideoWriter

pytestmark = [
    pytest.mark.ros,
    pytest.mark.skipif(
        not get_rmw_implementation_identifier().startswith('rmw_fastrtps'),
        reason='the profile is for Fast DDS',
    ),
]


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def video(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp('videos') / 'large.mp4'
    with VideoWriter(path, 10, (1920, 1080)) as writer:
        for level in range(0, 200, 20):
            writer.write(np.full((1080, 1920, 3), level, np.uint8))
    return path


@pytest.fixture
def without_profile(monkeypatch) -> None:
    """Let processes start as those of a user who has set nothing."""
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE')
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE')


@contextmanager
def camera_and_tracker(
    video: Path, **environment: str
) -> Iterator[tuple[Process, Robot, list[DiagnosticArray]]]:
    """Run a publisher of large images and a tracker that processes few of them."""
    command = [*executable('video_publisher'), video, '--loop', '--wait', '60']
    with (
        tracker_node(
            environment=environment, checkpoint='random', device='cpu', max_rate=1
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /image')
        diagnostics = user.subscribe(DiagnosticArray, '/diagnostics')
        with process(*command, environment=environment):
            yield node, user, diagnostics


def values(message: DiagnosticArray) -> dict[str, str]:
    return {value.key: value.value for value in message.status[0].values}


def test_large_images_arrive_without_any_setting(video, without_profile):
    with camera_and_tracker(video) as (node, user, diagnostics):
        assert user.spin_until(
            lambda: diagnostics and int(values(diagnostics[-1])['received']) >= 20, START_SECONDS
        ), node.output
        assert 'were lost' not in node.output
        seen = values(diagnostics[-1])
        assert int(seen['lost']) <= 0.1 * int(seen['received'])
        assert int(seen['skipped']) > 0


def test_where_large_images_are_lost_the_profile_is_named(video, without_profile):
    with camera_and_tracker(video, GTR_ROS_DDS_PROFILE='false') as (node, user, diagnostics):
        assert user.spin_until(
            lambda: any(
                message.status[0].level == DiagnosticStatus.WARN
                and 'were lost' in message.status[0].message
                for message in diagnostics
            ),
            START_SECONDS,
        ), node.output
        assert 'config/fastdds_large_images.xml' in diagnostics[-1].status[0].message
        node.wait_for_output('images of /image were lost on their way to this node')
        assert 'Start this node and the publisher with FASTRTPS_DEFAULT' in node.output
