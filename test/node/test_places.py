# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pose of the followed object: whose place it is, in which frame, and where it is heading."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from geometry_msgs.msg import Quaternion
from rclpy.clock import Clock
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray

from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.node.messages.poses import heading
from gtr_ros.node.messages.poses import pose_of
from gtr_ros.node.messages.poses import transform_of
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.tracker.following import Following
from gtr_ros.node.tracker.places import Places
from gtr_ros.node.tracker.transforms import matrix_of
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks


def axes_of(turn: Quaternion) -> np.ndarray:
    """Return the axes x, y and z of a frame, one in each column."""
    return matrix_of(np.zeros(3), np.array([turn.x, turn.y, turn.z, turn.w]))[:3, :3]


def test_an_object_that_walks_heads_where_it_walks():
    for angle in (0.0, 1.0, 3.0, -2.0):
        way = np.array([math.cos(angle), math.sin(angle), 0])
        turn = heading(way, None)
        np.testing.assert_allclose(axes_of(turn)[:, 0], way, atol=1e-9)
        np.testing.assert_allclose(axes_of(turn)[:, 2], [0, 0, 1], atol=1e-9)
        assert heading(0.1 * way, turn) == turn, 'too slow to tell'


def test_in_an_optical_frame_x_points_away_from_the_camera_and_z_up():
    axes = axes_of(heading(None, None))
    np.testing.assert_allclose(axes[:, 0], [0, 0, 1], atol=1e-9)
    np.testing.assert_allclose(axes[:, 2], [0, -1, 0], atol=1e-9)


class Published(list):
    """A publisher that keeps what it is given."""

    topic_name = '/topic'
    publish = list.append


def stamped(seconds: float, frame: str) -> Header:
    return Header(stamp=nanoseconds_to_stamp(round(seconds * NANOSECONDS)), frame_id=frame)


def detections(seconds: float, **x: float) -> Detection3DArray:
    message = Detection3DArray(header=stamped(seconds, 'optical'))
    for track_id, value in x.items():
        message.detections.append(Detection3D(id=track_id.removeprefix('id')))
        message.detections[-1].bbox.center.position.x = value
    return message


def tracks_3d(seconds: float, x: float, coasted: bool) -> Track3DArray:
    track = Track3D(id='1', coasted=coasted)
    track.pose.pose.position.x, track.twist.twist.linear.y = x, 1.0
    return Track3DArray(header=stamped(seconds, 'odom'), tracks=[track])


@pytest.fixture
def make():
    """Return a function that follows track 1 without DDS: (following, places, publishers)."""

    def build(in_target: bool) -> tuple[Following, Places, dict]:
        places = Places(in_target)
        publishers = {
            'followed/pose': Published(),
            'followed/state': Published(),
            'tf': Published(),
        }
        node = SimpleNamespace(
            get_clock=Clock,
            create_publisher=lambda *_: publishers['tf'],
            destroy_publisher=lambda _: None,
        )
        settings = SimpleNamespace(
            follow_frame='followed',
            follow_hidden=5.0,
            depth=True,
            target_frame='odom' if in_target else '',
        )
        outputs = SimpleNamespace(places=places, publishers=publishers)
        following = Following(node, 'front', outputs, settings, lambda text: None)
        show(following, 0.0, 1)
        assert following.choose('1', 0, 0) == 1
        return following, places, publishers

    return build


def show(following: Following, seconds: float, *ids: int) -> None:
    count = len(ids)
    shown = Tracks(
        ids=np.array(ids, np.int64),
        boxes=np.array([[10, 10, 50, 90]] * count, np.float32).reshape(-1, 4),
        scores=np.ones(count, np.float32),
        labels=np.zeros(count, np.int64),
        confirmed=np.ones(count, bool),
    )
    header = stamped(seconds, 'optical')
    following.update(round(seconds * NANOSECONDS), header, shown, np.zeros((100, 60, 3), np.uint8))


def test_the_place_of_an_image_becomes_its_pose(make):
    following, places, publishers = make(in_target=False)
    show(following, 0.1, 1)
    places.add_detections(detections(0.1, id1=2.0, id2=7.0))
    [pose] = publishers['followed/pose']
    assert (pose.header, pose.pose.position.x) == (stamped(0.1, 'optical'), 2.0)
    [[transform]] = [message.transforms for message in publishers['tf']]
    assert transform.child_frame_id == 'front_followed'
    show(following, 0.2, 1)
    assert publishers['followed/state'][-1].distance == 2.0
    places.add_detections(detections(0.3, id1=3.0))
    assert len(publishers['followed/pose']) == 1, 'of an image that was not tracked'


def test_in_the_target_frame_the_place_may_come_later_and_is_coasted(make):
    following, places, publishers = make(in_target=True)
    show(following, 0.1, 1)
    show(following, 0.2)
    places.add_detections(detections(0.1, id1=2.0))
    assert not publishers['followed/pose'], 'in the frame of the camera'
    places.add_tracks(tracks_3d(0.1, 5.0, coasted=False))
    places.add_tracks(tracks_3d(0.2, 5.5, coasted=True))
    poses = publishers['followed/pose']
    assert [pose.pose.position.x for pose in poses] == [5.0, 5.5]
    assert poses[0].header.frame_id == 'odom'
    np.testing.assert_allclose(axes_of(poses[0].pose.orientation)[:, 0], [0, 1, 0], atol=1e-9)


def test_a_hidden_objects_id_on_somebody_else_has_no_pose(make):
    following, places, publishers = make(in_target=True)
    show(following, 0.2)
    places.add_tracks(tracks_3d(0.2, 5.5, coasted=False))
    assert not publishers['followed/pose']


def test_nothing_is_published_after_stop(make):
    following, places, publishers = make(in_target=False)
    following.stop()
    show(following, 0.1, 1)
    places.add_detections(detections(0.1, id1=2.0))
    assert not publishers['followed/pose']
    assert publishers['followed/state'][-1].id == ''


def test_an_object_turns_from_0_3_metres_a_second_on():
    before = heading(np.array([0.0, -1.0, 0.0]), None)
    assert heading(np.array([0.29, 0.0, 5.0]), before) == before, 'falling says nothing'
    assert heading(np.array([0.18, 0.24, 0.0]), before) != before, 'just 0.3 m/s'
    assert heading(np.zeros(3), None) == Quaternion(w=1.0), 'as the frame'


def test_a_transform_is_that_of_the_pose():
    turn = heading(np.array([1.0, 1.0, 0.0]), None)
    pose = pose_of(np.array([1.0, 2.0, 3.0]), turn)
    assert (pose.position.x, pose.position.y, pose.position.z) == (1.0, 2.0, 3.0)
    assert pose.orientation == turn
    header = stamped(0.5, 'odom')
    transform = transform_of(pose, header, 'object')
    assert (transform.header, transform.child_frame_id) == (header, 'object')
    shift = transform.transform.translation
    assert (shift.x, shift.y, shift.z) == (1.0, 2.0, 3.0)
    assert transform.transform.rotation == turn


def test_snapshots_hold_what_the_messages_say():
    places, arrived = Places(in_target=True), []
    places.on_arrival.append(arrived.append)
    message = tracks_3d(0.2, 5.5, coasted=True)
    message.tracks[0].pose.pose.position.y, message.tracks[0].pose.pose.position.z = 2.0, 3.0
    places.add_tracks(message)
    seen = detections(0.1, id7=4.0)
    places.add_detections(seen)
    [snapshot] = arrived
    assert snapshot is places.in_target
    assert (snapshot.stamp, snapshot.frame) == (200_000_000, 'odom')
    [place] = snapshot.places.values()
    assert place.position.tolist() == [5.5, 2.0, 3.0]
    assert place.velocity.tolist() == [0.0, 1.0, 0.0]
    assert place.coasted
    assert places.in_camera.frame == 'optical'
    [(track_id, place)] = places.in_camera.places.items()
    assert (track_id, place.position.tolist()) == (7, [4.0, 0.0, 0.0])
    assert place.velocity is None
    assert not place.coasted
