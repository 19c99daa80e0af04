# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The fields of people_msgs are those of the tracks."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')
pytest.importorskip('people_msgs.msg', reason='needs people_msgs')

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.node.messages.people import PeopleMessages


def test_people_have_the_fields_of_their_tracks_and_others_are_left_out():
    person = Track3D(id='7', class_id='person', score=0.75, coasted=True, age=1.25)
    position, velocity = person.pose.pose.position, person.twist.twist.linear
    position.x, position.y, position.z = 1.0, 2.0, 3.0
    velocity.x, velocity.y, velocity.z = 0.5, -0.25, 0.125
    dog = Track3D(id='8', class_id='dog', score=0.5)
    header = Header(stamp=Time(sec=5), frame_id='odom')
    message = PeopleMessages().make(
        Track3DArray(header=header, tracks=[dog, person]), frozenset({'person'})
    )
    assert message.header == header
    [found] = message.people
    assert (found.name, found.reliability) == ('7', 0.75)
    assert (found.position.x, found.position.y, found.position.z) == (1.0, 2.0, 3.0)
    assert (found.velocity.x, found.velocity.y, found.velocity.z) == (0.5, -0.25, 0.125)
    assert list(found.tagnames) == ['coasted', 'age']
    assert list(found.tags) == ['true', '1.250']
