# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node takes the motion of the camera from /tf where its images show nothing, over DDS."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from node_processes import Process
from node_processes import ros_environment
from node_processes import tracker_node
from robot import boxes_message
from robot import Robot
from robot import robot
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.images import array_to_image

pytestmark = pytest.mark.ros

HEIGHT, WIDTH, FOCAL = 96, 256, 200.0
GREY = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
#: angle between the two objects, degrees: a turn by it puts one where the other was
ANGLE = 16.0
K = np.array([FOCAL, 0, WIDTH / 2 - 0.5, 0, FOCAL, HEIGHT / 2 - 0.5, 0, 0, 1])


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


class Turning:
    """A robot that turns on the spot in front of a grey wall; another node detects two objects."""

    def __init__(self, user: Robot, node: Process) -> None:
        self.user, self.node = user, node
        node.wait_for_output('tracking on /image')
        self.detections = user.subscribe(Detection2DArray, '/tracker/detections')
        self.reports = user.subscribe(DiagnosticArray, '/diagnostics')

    def look(self, degrees: float, transform: bool = True) -> list[int]:
        """Publish what the robot sees in a direction until it is tracked; return the ids."""

        def messages(header: Header) -> list[tuple[str, object]]:
            yaw = Rotation.from_euler('y', -degrees, degrees=True).as_quat()
            moved = TransformStamped(
                header=Header(stamp=header.stamp, frame_id='odom'),
                child_frame_id=header.frame_id,
            )
            for axis, value in zip('xyzw', yaw.tolist()):
                setattr(moved.transform.rotation, axis, value)
            middle = WIDTH / 2 + FOCAL * np.tan(np.radians([degrees - ANGLE, degrees]))
            boxes = np.column_stack([middle - 10, [20, 20], middle + 10, [80, 80]])
            info = CameraInfo(header=header, width=WIDTH, height=HEIGHT, k=K)
            return [
                ('/camera_info', info),
                *([('/tf', TFMessage(transforms=[moved]))] if transform else []),
                ('/boxes', boxes_message(header, boxes=boxes.astype(np.float32))),
                ('/image', array_to_image(GREY, header)),
            ]

        answer = self.user.exchange(messages, self.detections)
        middles = [detection.bbox.center.position.x for detection in answer.detections]
        assert middles == sorted(middles)
        return [int(detection.id) for detection in answer.detections]

    def count(self) -> int:
        """Return the counter of a report that was made after this call."""
        seen = len(self.reports)
        assert self.user.spin_until(lambda: len(self.reports) >= seen + 2)
        values = {value.key: value.value for value in self.reports[-1].status[0].values}
        return int(values['without_ego_motion'])


@pytest.fixture(scope='module')
def turning() -> Iterator[Turning]:
    with (
        tracker_node(
            checkpoint='random',
            min_hits=1,
            threads=1,
            detections_topic='boxes',
            camera_motion_frame='odom',
        ) as node,
        robot() as user,
    ):
        yield Turning(user, node)


def test_ids_survive_turns_that_the_images_do_not_show(turning):
    ids = [turning.look(0) for _ in range(4)]
    assert ids[0] == ids[-1]
    before = turning.count()  # the very first messages may be lost
    for degrees in (ANGLE, ANGLE, 0, ANGLE, 0, 0):
        assert turning.look(degrees) == ids[0]
    assert turning.count() == before


def test_an_image_without_its_transform_is_tracked_counted_and_named_once(turning):
    ids = turning.look(0)
    before = turning.count()
    for _ in range(2):
        assert turning.look(0, transform=False) == ids  # grey images: not known to have moved
    said = (
        'the motion of the camera of /image is estimated from its images where transforms do not '
        "tell it: the newest transform of frame 'optical' in 'odom' is"
    )
    turning.node.wait_for_output(said)
    assert turning.look(0) == ids
    # The image after one without a transform has its own: the missing one lies between two others.
    assert turning.look(ANGLE) == ids
    assert turning.count() >= before + 2  # more if an image was sent again
    # Each reason is named once; the very first images may have another one.
    assert turning.node.output.count(said) == 1


def test_a_reset_ends_the_tracks_and_not_the_motion(turning):
    ids, before = turning.look(0), turning.count()
    assert turning.user.call(Trigger, '/tracker/reset').success
    after = [turning.look(0) for _ in range(3)]
    assert not set(after[0]) & set(ids)
    for degrees in (ANGLE, 0):
        assert turning.look(degrees) == after[0]
    assert turning.count() == before
