# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Markers of tracks in metres and of zones say where they are, how fast, and how sure that is."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from builtin_interfaces.msg import Duration
from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import Header
from visualization_msgs.msg import Marker

from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.node.messages.markers import track_markers_message
from gtr_ros.node.messages.markers import zone_markers_message
from gtr_ros.node.messages.zones import counter_texts
from gtr_ros.node.messages.zones import counts_message
from gtr_ros.node.messages.zones import zones_message
from gtr_ros.node.tracker.outputs import Outputs
from gtr_ros.tracking.events import ZoneCounts
from gtr_ros.tracking.footprints import UNKNOWN_SIZE
from gtr_ros.tracking.zones import Zone

HEADER = Header(stamp=Time(sec=7), frame_id='odom')
#: standard deviations, metres, along an axis at this angle and across it
SURE, ANGLE = (0.4, 0.1), 0.6


def track(**fields: object) -> Track3D:
    """Return a person 1.8 m high who stands on the ground at (2, -1), and walks."""
    message = Track3D(id='7', class_id='person', age=2.0, **fields)
    position, velocity = message.pose.pose.position, message.twist.twist.linear
    position.x, position.y, position.z = 2.0, -1.0, 0.9
    velocity.x, velocity.y = 0.6, 0.8
    message.size.x = message.size.y = 0.5
    message.size.z = 1.8
    turn = np.array([[math.cos(ANGLE), -math.sin(ANGLE)], [math.sin(ANGLE), math.cos(ANGLE)]])
    covariance = np.zeros((6, 6))
    covariance[:2, :2] = turn @ np.diag(np.square(SURE)) @ turn.T
    message.pose.covariance = covariance.ravel()
    return message


def markers_of(*tracks: Track3D, followed: str = '') -> dict[str, list[Marker]]:
    """Return the markers by namespace."""
    message = track_markers_message(Track3DArray(header=HEADER, tracks=list(tracks)), followed)
    first, *rest = message.markers
    assert (first.action, first.header) == (Marker.DELETEALL, HEADER)
    assert all(each.lifetime == Duration(nanosec=500_000_000) for each in rest)
    assert all(each.header == HEADER for each in rest)
    assert len({(each.ns, each.id) for each in rest}) == len(rest)
    return {name: [each for each in rest if each.ns == name] for name in {m.ns for m in rest}}


def xyz(point: Point) -> list[float]:
    return [point.x, point.y, point.z]


def test_an_arrow_ends_where_the_object_is_in_one_second():
    [arrow] = markers_of(track())['velocities']
    start, end = arrow.points
    assert arrow.type == Marker.ARROW
    assert xyz(start)[:2] == [2, -1]
    assert xyz(end)[:2] == pytest.approx([2.6, -0.2])
    assert 0 < start.z == end.z < 0.2, 'on the ground'


@pytest.mark.parametrize(('speed', 'age'), [(0.05, 2.0), (1.0, 0.2)])
def test_a_velocity_that_says_nothing_has_no_arrow(speed, age):
    one = track()
    one.twist.twist.linear.x, one.twist.twist.linear.y, one.age = speed, 0.0, age
    assert 'velocities' not in markers_of(one)


def test_the_ellipse_has_the_object_in_95_of_100_cases():
    [ellipse] = markers_of(track())['ellipses']
    axes = [ellipse.scale.x / 2, ellipse.scale.y / 2]
    yaw = 2 * math.atan2(ellipse.pose.orientation.z, ellipse.pose.orientation.w)
    assert math.sin(yaw - ANGLE) == pytest.approx(0, abs=1e-6)
    offsets = np.random.default_rng(0).normal(size=(20_000, 2)) * SURE
    assert (np.square(offsets / axes).sum(axis=1) < 1).mean() == pytest.approx(0.95, abs=0.005)
    assert xyz(ellipse.pose.position) == pytest.approx([2, -1, 0])
    assert ellipse.scale.z < 0.05, 'flat'


def test_an_object_is_a_cylinder_of_its_size_with_its_name_above():
    found = markers_of(track())
    [body], [label] = found['objects'], found['labels']
    assert xyz(body.pose.position) == [2, -1, 0.9]
    assert xyz(body.scale) == [0.5, 0.5, 1.8]
    assert label.text == '7 person 1.0 m/s'
    assert label.pose.position.z - label.scale.z / 2 > 1.8


def test_an_object_that_was_not_seen_whole_has_the_size_of_its_obstacle():
    one = track()
    one.size.x = one.size.z = 0.0
    [body] = markers_of(one)['objects']
    assert xyz(body.scale) == [UNKNOWN_SIZE[0], UNKNOWN_SIZE[0], UNKNOWN_SIZE[1]]


def test_coasted_objects_are_paler_and_the_followed_one_is_not_transparent():
    seen, coasted = markers_of(track()), markers_of(track(coasted=True))
    followed = markers_of(track(), followed='7')
    for name, [marker] in seen.items():
        assert 0 < coasted[name][0].color.a < marker.color.a
    assert followed['objects'][0].color.a > 2 * seen['objects'][0].color.a
    assert followed['labels'][0].text == 'following 7 person 1.0 m/s'
    white = followed['labels'][0].color
    assert (white.r, white.g, white.b) == (1, 1, 1) != (seen['labels'][0].color.r, 1, 1)
    other = markers_of(track(), followed='77')
    assert other['labels'][0].text == '7 person 1.0 m/s'


def test_without_tracks_old_markers_are_deleted():
    assert markers_of() == {}


ZONES = [
    Zone('bay', 'area', np.array([[0.0, 0], [2, 0], [2, 1.5]]), unit='metre'),
    Zone('yard', 'area', np.array([[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]])),
    Zone('gate', 'line', np.array([[1.0, 1], [3, 1], [3, 4]]), unit='metre'),
]
COUNTS = [ZoneCounts(2, 5, 3), ZoneCounts(), ZoneCounts(0, 4, 6)]


def test_zones_on_the_ground_are_lines_with_their_counters():
    texts = counter_texts(counts_message(ZONES, COUNTS, HEADER))
    first, *rest = zone_markers_message(zones_message(ZONES, HEADER), texts).markers
    assert first.action == Marker.DELETEALL
    # They are latched: with a stamp, rviz could transform them only at that time.
    assert all(m.header == Header(frame_id='odom') and m.lifetime == Duration() for m in rest)
    bay, gate = (each for each in rest if each.ns == 'zones')
    assert [xyz(point) for point in bay.points] == [[0, 0, 0], [2, 0, 0], [2, 1.5, 0], [0, 0, 0]]
    assert [xyz(point) for point in gate.points] == [[1, 1, 0], [3, 1, 0], [3, 4, 0]]
    assert bay.type == gate.type == Marker.LINE_STRIP
    assert [each.text for each in rest if each.ns == 'zone labels'] == [
        'bay: 2 inside, 5 entered, 3 left',
        'gate: 4 left to right, 6 right to left',
    ]


def test_zones_keep_their_units_and_corners():
    message = zones_message(ZONES, HEADER)
    assert message.header == HEADER
    units = [one.unit for one in message.zones]
    assert units == [message.zones[0].METRE, message.zones[0].FRACTION, message.zones[0].METRE]
    assert [one.is_line for one in message.zones] == [False, False, True]
    for zone, one in zip(ZONES, message.zones):
        assert (one.name, [xyz(p)[:2] for p in one.corners]) == (zone.name, zone.corners.tolist())


@pytest.mark.parametrize('subscribers', [0, 1])
def test_tracks_are_marked_only_for_subscribers(subscribers):
    sent = []
    outputs = SimpleNamespace(
        _tracks_3d=SimpleNamespace(publish=lambda message: None),
        _velocities=SimpleNamespace(publish=lambda message: None),
        _track_markers=SimpleNamespace(
            get_subscription_count=lambda: subscribers, publish=sent.append
        ),
        _people_messages=None,
        followed='7',
        places=SimpleNamespace(add_tracks=lambda tracks: None),
    )
    Outputs.publish_tracks_3d(outputs, [], Track3DArray(header=HEADER, tracks=[track()]))
    texts = [marker.text for message in sent for marker in message.markers if marker.text]
    assert texts == ['following 7 person 1.0 m/s'] * subscribers
