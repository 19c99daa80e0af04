# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Transforms tell how a camera turned between its images; where they do not, it is counted."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from gtr_ros.node.messages.depth import pinhole_of
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.tracker.ego_motion import EgoMotion
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.tracker.transforms import Transforms
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.ego_motion import image_motion

STEP = NANOSECONDS // 10
SIZE = (480, 640)
INFO = CameraInfo(
    height=480, width=640, k=np.array([500, 0, 319.5, 0, 500, 239.5, 0, 0, 1], float)
)
#: from the optical frame to that of the robot
MOUNT = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])


class World:
    """A camera on a robot whose transforms, counters and warnings the test sees."""

    def __init__(self) -> None:
        self.listener = SimpleNamespace(transforms=Transforms(), newest_image=0)
        self.info, self.warnings = INFO, []
        self.statistics = CameraStatistics()
        self.motion = EgoMotion(
            'odom',
            lambda: '/image',
            lambda: self.info,
            self.listener,
            self.statistics,
            lambda text: self.warnings.append(text) or True,
        )
        self.listener.transforms.add('base', 'optical', 0, (0.2, 0, 0.5), MOUNT.as_quat(), True)

    @property
    def count(self) -> int:
        return self.statistics.without_ego_motion

    def turn(self, t: float, degrees: float, x: float = 0.0) -> None:
        """Add where the robot is at a time, in tenths of a second, and where it looks."""
        yaw = Rotation.from_euler('z', degrees, degrees=True).as_quat()
        self.listener.transforms.add('odom', 'base', round(t * STEP), (x, 0, 0), yaw)

    def image(self, t: float, frame: str = 'optical', size=SIZE) -> np.ndarray | None:
        header = Header(stamp=nanoseconds_to_stamp(round(t * STEP)), frame_id=frame)
        return self.motion.update(header, size)


def expected(degrees: float) -> np.ndarray:
    """Return the motion of a turn to the left: what is seen moves to the right."""
    turn = Rotation.from_euler('y', degrees, degrees=True).as_matrix()
    camera = pinhole_of(INFO, SIZE)
    motion = image_motion(turn, camera, camera)
    assert np.sign(motion[0, 2]) == np.sign(degrees)
    return motion


def test_the_motion_is_the_turn_between_the_images_whatever_the_robot_drove():
    world = World()
    world.turn(10, 40, x=3)
    world.turn(12, 48, x=4)
    assert world.image(10) is None
    np.testing.assert_allclose(world.image(11), expected(4), atol=1e-9)  # between two poses
    np.testing.assert_allclose(world.image(12), expected(4), atol=1e-9)
    assert world.count == 0
    assert world.warnings == []


def test_a_transform_that_is_late_is_not_waited_for_and_the_next_image_has_its_motion():
    world = World()
    world.turn(10, 0)
    world.image(10)
    assert world.image(11) is None
    assert world.count == 1
    [warning] = world.warnings
    assert warning.startswith(
        'the motion of the camera of /image is estimated from its images where transforms do not '
        "tell it: the newest transform of frame 'base' in 'odom' is 0.100 s older than the image."
    )
    world.turn(12, 6)
    np.testing.assert_allclose(world.image(12), expected(3), atol=1e-9)
    for t in (13, 14, 15):
        assert world.image(t) is None
    assert world.count == 4
    assert len(world.warnings) == 1


def test_each_reason_is_named_once():
    world = World()
    world.image(9)
    world.image(10)
    world.image(11)
    world.turn(11, 0)
    world.image(12)
    world.image(13)
    assert world.count == 4
    assert [text.split('tell it: ')[1][:21] for text in world.warnings] == [
        'nobody has published ',
        'the newest transform ',
    ]


@pytest.mark.parametrize(
    ('image', 'info', 'words'),
    [
        ({'t': 0}, INFO, 'an image has no stamp'),
        ({'t': 11, 'frame': ''}, INFO, 'an image has no frame_id'),
        ({'t': 11}, None, 'no camera_info has arrived'),
        ({'t': 11}, CameraInfo(height=480, width=640), 'focal lengths [0.0, 0.0]'),
        ({'t': 11, 'size': (200, 640)}, INFO, 'one is a crop of the other'),
    ],
)
def test_an_image_that_no_transform_applies_to_is_counted_and_named(image, info, words):
    world = World()
    world.turn(9, 0)
    world.turn(13, 4)
    world.image(10)
    world.info = info
    assert world.image(**image) is None
    assert world.count == 1
    assert words in world.warnings[0]
    world.info = INFO
    assert world.image(12) is None  # nothing is known about the image before
    assert world.count == 2
    assert len(world.warnings) == 1
    np.testing.assert_allclose(world.image(13), expected(1), atol=1e-9)


@pytest.mark.parametrize('t', [9.5, 10])
def test_a_stamp_that_is_not_after_the_previous_one_is_no_motion(t):
    world = World()
    world.turn(9, 0)
    world.turn(12, 3)
    world.image(10)
    assert world.image(t) is None
    assert world.count == 1
    assert 'the stamp of an image is not after that of the previous one' in world.warnings[0]
    np.testing.assert_allclose(world.image(t + 1), expected(1), atol=1e-9)


@pytest.mark.parametrize('degrees', [40, 90, 180])
def test_a_jump_of_the_transforms_is_no_motion(degrees):
    world = World()
    for t, yaw in ((10, 0), (11, 1), (12, 1 + degrees), (13, 2 + degrees)):
        world.turn(t, yaw)
    motions = [world.image(t) for t in (10, 11, 12, 13)]
    assert [motion is None for motion in motions] == [True, False, True, False]
    assert world.count == 1
    assert f"frame 'optical' turned in 'odom' by {degrees} degrees in 0.100 s" in world.warnings[0]


def test_a_turn_that_leaves_nothing_in_the_image_is_named_and_no_jump():
    world = World()
    for t in (10, 15, 20):
        world.turn(t, 9 * (t - 10))
    world.image(10)
    assert world.image(20) is None
    assert world.count == 1
    assert 'hardly anything is in both of two images: ' in world.warnings[0]
    assert "turned in 'odom' by 90 degrees in 1.000 s" in world.warnings[0]


def test_after_a_reset_the_first_image_has_no_motion_and_is_not_counted():
    world = World()
    world.turn(1000, 0)
    world.turn(1001, 1)
    world.image(1000)
    world.image(1001)
    assert world.listener.newest_image == 1001 * STEP  # transforms are not of the future up to it
    world.motion.clear()
    assert world.listener.newest_image == 0
    world.turn(10, 50)
    world.turn(11, 52)
    assert world.image(10) is None
    np.testing.assert_allclose(world.image(11), expected(2), atol=1e-9)
    assert world.count == 0


def test_transforms_from_before_a_reset_are_not_used():
    world = World()
    world.turn(10, 0)
    world.turn(11, 4)
    for is_reset in (False, True):
        if is_reset:
            world.motion.clear()
        world.image(10)
        assert (world.image(11) is None) == is_reset
    assert world.count == 1
