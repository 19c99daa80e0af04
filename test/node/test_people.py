# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether people_msgs is there is known at once, and so is who is a person."""

from __future__ import annotations

from collections.abc import Iterator
import os

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ros_environment
from node_processes import tracker_node
from robot import robot
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.node.tracker.outputs import Outputs
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.options import ConfigurationError

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def test_a_missing_package_is_named(tmp_path):
    (tmp_path / 'people_msgs.py').write_text("raise ImportError('it is not here')\n")
    path = os.pathsep.join(filter(None, (str(tmp_path), os.environ.get('PYTHONPATH'))))
    options = {'checkpoint': 'random', 'runtime': 'torch', 'threads': 1, 'depth': 'true'}
    with tracker_node(
        environment={'PYTHONPATH': path}, people='true', target_frame='odom', **options
    ) as node:
        assert node.wait() == 1
        assert (
            'cannot configure: people is true, but the package people_msgs cannot be imported '
            '(it is not here): install it'
        ) in node.output
        assert 'Traceback' not in node.output


def test_people_need_a_target_frame():
    with pytest.raises(ConfigurationError, match='people is true, but target_frame is empty'):
        NodeParameters(people=True)


@pytest.mark.parametrize('with_index', [False, True])
def test_people_are_told_by_the_names_of_their_classes(with_index):
    kind = pytest.importorskip('people_msgs.msg', reason='needs people_msgs').People
    names = ['dog', 'Pedestrian', 'person']
    with robot() as user:
        outputs = Outputs(user.node, '', with_index, in_3d=False, in_frame=True, people=True)
        outputs.describe(Header(), names, 'method', 0.4)
        received = user.subscribe(kind, '/robot/people')
        publisher = outputs.publishers['people']
        assert user.spin_until(lambda: publisher.get_subscription_count() == 1)
        ids = outputs.class_ids(names)
        tracks = [Track3D(id=str(i), class_id=ids[i]) for i in range(3)]
        outputs.publish_tracks_3d(Detection3DArray(), Track3DArray(tracks=tracks))
        assert user.spin_until(lambda: len(received) == 1)
        assert [person.name for person in received[0].people] == ['1', '2']
