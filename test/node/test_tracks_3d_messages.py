# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracks in metres as messages: every number is where the definition of the message has it."""

from __future__ import annotations

import math

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from gtr_ros.node.messages.tracks_3d import tracks_3d_messages
from gtr_ros.tracking.metric import MetricState

HEADER = Header(stamp=Time(sec=7, nanosec=500_000_000), frame_id='odom')
COVARIANCES = np.arange(72.0).reshape(2, 6, 6)
STATE = MetricState(
    ids=np.array([12, 5]),
    labels=np.array([1, 0]),
    scores=np.array([0.75, 0.5], np.float32),
    positions=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
    velocities=np.array([[0.1, 0.2, 0.3], [-0.4, -0.5, -0.6]]),
    covariances=COVARIANCES,
    sizes=np.array([[0.5, 1.75], [np.nan, 1.5]]),
    unobserved=np.array([0.0, 0.25]),
    ages=np.array([8.0, 2.0]),
)


def xyz(vector) -> list[float]:
    return [vector.x, vector.y, vector.z]


def check_with_angles(found: np.ndarray, known: np.ndarray, variance: float) -> None:
    """Rows and columns are x, y, z and the rotations about them, which nobody measured."""
    expected = np.zeros((6, 6))
    expected[:3, :3], expected[3:, 3:] = known, variance * np.eye(3)
    np.testing.assert_allclose(np.reshape(found, (6, 6)), expected)


def test_each_object_is_in_both_messages():
    detections, tracks = tracks_3d_messages(STATE, HEADER, ['person', 'dog'])
    assert detections.header == tracks.header == HEADER
    pairs = zip(detections.detections, tracks.tracks, strict=True)
    for k, (detection, track) in enumerate(pairs):
        assert detection.header == HEADER
        assert detection.id == track.id == str(STATE.ids[k])
        [result] = detection.results
        assert result.hypothesis.class_id == track.class_id == ('dog', 'person')[k]
        assert result.hypothesis.score == pytest.approx(track.score)
        assert track.score == pytest.approx(STATE.scores[k])
        assert result.pose == track.pose
        assert detection.bbox.center == track.pose.pose
        assert xyz(track.pose.pose.position) == STATE.positions[k].tolist()
        assert track.pose.pose.orientation.w == 1
        assert xyz(track.twist.twist.linear) == STATE.velocities[k].tolist()
        assert detection.bbox.size == track.size
        assert track.age == pytest.approx(STATE.ages[k])
        check_with_angles(track.pose.covariance, COVARIANCES[k, :3, :3], math.pi**2 / 3)
        check_with_angles(track.twist.covariance, COVARIANCES[k, 3:, 3:], 1000.0)


def test_boxes_are_as_deep_as_wide_and_an_unknown_side_is_0():
    _, tracks = tracks_3d_messages(STATE, HEADER, ['person', 'dog'])
    assert [xyz(track.size) for track in tracks.tracks] == [[0.5, 0.5, 1.75], [0, 0, 1.5]]


def test_an_object_is_coasted_if_this_image_did_not_measure_it():
    _, tracks = tracks_3d_messages(STATE, HEADER, ['person', 'dog'])
    assert [track.coasted for track in tracks.tracks] == [False, True]
    assert [track.unobserved for track in tracks.tracks] == [0, 0.25]
