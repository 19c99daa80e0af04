# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks become messages with the fields that subscribers expect."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.messages.tracks import trajectories_message
from gtr_ros.structures import Tracks
from gtr_ros.structures import Trajectory

CLASS_NAMES = ('person', 'bicycle', 'car')
SECOND = 1_000_000_000


@pytest.fixture
def header() -> Header:
    return Header(stamp=Time(sec=7, nanosec=500_000_000), frame_id='camera_optical')


@pytest.fixture
def tracks() -> Tracks:
    boxes = np.array([[10, 20, 30, 60], [0, 0, 5.5, 8], [100, 50, 140, 70]], np.float32)
    trajectories = [
        Trajectory(
            id=3,
            stamps=np.array([6 * SECOND, 7 * SECOND + SECOND // 2]),
            boxes=np.array([[8, 20, 28, 60], boxes[0]], np.float32),
            likelihoods=np.array([0.75, 1], np.float32),
            confirmed=True,
        ),
        Trajectory(
            id=12,
            stamps=np.array([7 * SECOND + SECOND // 2]),
            boxes=boxes[1:2],
            likelihoods=np.ones(1, np.float32),
            confirmed=False,
        ),
        Trajectory(
            id=5,
            stamps=np.array([7 * SECOND + SECOND // 2]),
            boxes=boxes[2:],
            likelihoods=np.ones(1, np.float32),
            confirmed=True,
            away=45.25,
        ),
    ]
    return Tracks(
        ids=np.array([3, 12, 5]),
        boxes=boxes,
        scores=np.array([0.9, 0.5, 0.75], np.float32),
        labels=np.array([0, 1, 2]),
        confirmed=np.array([True, False, True]),
        trajectories=trajectories,
    )


def test_each_confirmed_track_is_a_detection_with_id_class_score_and_box(tracks, header):
    message = detections_message(tracks, header, CLASS_NAMES)
    assert message.header == header
    assert [detection.id for detection in message.detections] == ['3', '5']
    person, car = message.detections
    assert person.header == car.header == header
    assert [result.hypothesis.class_id for result in person.results] == ['person']
    assert car.results[0].hypothesis.class_id == 'car'
    assert car.results[0].hypothesis.score == 0.75
    assert (person.bbox.center.position.x, person.bbox.center.position.y) == (20, 40)
    assert (person.bbox.size_x, person.bbox.size_y) == (20, 40)
    assert person.bbox.center.theta == 0


def test_every_track_is_a_trajectory_even_tentative_ones(tracks, header):
    message = trajectories_message(tracks, header)
    assert message.header == header
    assert [(t.id, t.confirmed) for t in message.trajectories] == [
        ('3', True),
        ('12', False),
        ('5', True),
    ]
    first, last = message.trajectories[0].boxes
    assert first.stamp == Time(sec=6)
    assert first.probability == 0.75
    assert (first.bbox.center.position.x, first.bbox.size_y) == (18, 40)
    assert last.stamp == header.stamp
    assert last.probability == 1
    assert [t.away for t in message.trajectories] == [0, 0, 45.25]


def test_without_tracks_the_messages_are_empty_but_stamped(header):
    nothing = Tracks(
        ids=np.zeros(0, np.int64),
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        labels=np.zeros(0, np.int64),
        confirmed=np.zeros(0, bool),
    )
    detections = detections_message(nothing, header, CLASS_NAMES)
    trajectories = trajectories_message(nothing, header)
    assert detections.header == trajectories.header == header
    assert not detections.detections
    assert not trajectories.trajectories


def test_trajectories_survive_serialization(tracks, header):
    message = trajectories_message(tracks, header)
    assert deserialize_message(serialize_message(message), TrajectoryArray) == message


@pytest.mark.parametrize('nanoseconds', [0, 1, SECOND - 1, SECOND, 1_795_000_000_123_456_789, -1])
def test_stamps_keep_every_nanosecond(nanoseconds):
    stamp = nanoseconds_to_stamp(nanoseconds)
    assert 0 <= stamp.nanosec < SECOND
    assert stamp_to_nanoseconds(stamp) == nanoseconds


def test_a_stamp_from_an_array_is_accepted():
    assert nanoseconds_to_stamp(np.int64(SECOND + 1)) == Time(sec=1, nanosec=1)
