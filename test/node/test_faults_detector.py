# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of another detector and of depth, against the node in its own process: docs/trust.md."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import faulty_node
from faults import OBJECTS
from faults import Rig
from faults import scene
from faults import SIZE
from node_processes import ANSWER_SECONDS
from node_processes import ros_environment
from robot import boxes_message
from robot import robot
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray

from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.structures import Tracks

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = SIZE
BOXES = np.array(OBJECTS, np.float32)


class DetectorRig(Rig):
    """Publishes the boxes of another detector with each image; `boxes_for` makes them."""

    boxes_for: Callable[[Header], Detection2DArray] = staticmethod(
        lambda header: boxes_message(header, name='person', boxes=BOXES)
    )

    def send(self, name: str, image: object, stamp: int | None = None) -> int:
        stamp = super().send(name, image, stamp)
        self.publish_boxes(name, self.boxes_for(self.header(stamp)))
        return stamp

    def send_alone(self, name: str) -> int:
        """Publish an image without boxes; return its stamp."""
        return super().send(name, scene())

    def header(self, stamp: int) -> Header:
        return Header(stamp=nanoseconds_to_stamp(stamp), frame_id='optical')

    def publish_boxes(self, name: str, message: Detection2DArray) -> None:
        self.user.publish(f'{self.namespace}/{name}/boxes', message)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def module_rig() -> Iterator[DetectorRig]:
    parameters = {'detections_topic': 'boxes', 'depth': 'true'}
    with faulty_node('/detector', **parameters) as node, robot() as user:
        node.wait_for_output('tracking on')
        made = DetectorRig(node, user, '/detector', compressed=False)
        made.connect()
        yield made


@pytest.fixture
def running(module_rig) -> Iterator[DetectorRig]:
    usual = module_rig.boxes_for
    yield module_rig
    module_rig.boxes_for = usual


def changed(change: Callable[[Detection2DArray], None]) -> Callable[[Header], Detection2DArray]:
    """Return a detector that makes a mistake."""

    def boxes_for(header: Header) -> Detection2DArray:
        message = boxes_message(header, name='person', boxes=BOXES)
        change(message)
        return message

    return boxes_for


def set_width(width: float) -> Callable[[Detection2DArray], None]:
    return lambda message: setattr(message.detections[0].bbox, 'size_x', width)


def set_score(score: float) -> Callable[[Detection2DArray], None]:
    return lambda message: setattr(message.detections[0].results[0].hypothesis, 'score', score)


def move(message: Detection2DArray) -> None:
    """Move all boxes far outside the image."""
    message.detections = message.detections * 3
    for detection in message.detections:
        detection.bbox.center.position.x = 5000.0


@pytest.mark.parametrize(
    ('mistake', 'words'),
    [
        (set_width(float('nan')), 'detection 0 has the box [nan'),
        (set_width(float('inf')), 'detection 0 has the box [-inf'),
        (set_width(-5.0), 'detection 0 has a box of -5 x'),
        (set_score(float('nan')), 'finite numbers'),
        (set_score(87.0), 'expected a number from 0 to 1'),
        (lambda message: message.detections[0].results.clear(), 'detection 0 has no results'),
        (move, 'have their centre outside'),
    ],
    ids=['nan', 'inf', 'negative', 'nan score', 'per cent', 'no results', 'outside'],
)
def test_boxes_that_are_wrong(running, mistake, words):
    usual = running.boxes_for
    with running.survives():
        running.boxes_for = changed(mistake)
        running.fails('left', scene(), words)
        running.boxes_for = usual


def test_boxes_with_another_frame_id_belong_to_the_image_of_their_stamp(running):
    usual = running.boxes_for
    with running.survives():
        running.boxes_for = changed(lambda m: setattr(m.header, 'frame_id', 'somewhere'))
        message = running.exchange('left', scene())
        assert message.header.frame_id == 'optical'
        assert len(message.detections) == len(OBJECTS)
        running.boxes_for = usual


def test_a_detector_that_floods_the_node_with_boxes_without_images(running):
    with running.survives():
        for stamp in range(500):
            running.publish_boxes('left', running.boxes_for(running.header(stamp + 1)))
        running.user.spin_until(lambda: False, 0.2)


def test_a_detector_that_sends_every_message_twice(running):
    usual = running.boxes_for
    with running.survives():
        for _ in range(10):
            stamp = running.send('left', scene())
            running.publish_boxes('left', usual(running.header(stamp)))
            running.answer('left', stamp)


def test_images_that_get_no_boxes_are_counted(running):
    with running.survives():
        for _ in range(5):
            running.send_alone('left')
            running.user.spin_until(lambda: False, 0.05)
        running.exchange('left', scene())
        running.counted('left', unmatched=5)


def test_images_that_wait_for_boxes_during_a_reset_are_counted(running):
    with running.survives(same_ids=False):
        for _ in range(3):
            running.send_alone('left')
            running.user.spin_until(lambda: False, 0.05)
        assert running.user.call(Trigger, '/detector/tracker/reset').success
        running.counted('left', unmatched=3)


def test_thousands_of_boxes_and_of_class_names_in_a_message(running):
    count = 2_000
    grid = np.arange(count)
    corners = np.stack([grid % 40 * 2, grid // 40], 1).astype(np.float32)

    def boxes_for(header: Header) -> Detection2DArray:
        tracks = Tracks(
            ids=grid + 1,
            boxes=np.hstack([corners, corners + 2]),
            scores=np.full(count, 0.9, np.float32),
            labels=grid,
            confirmed=np.ones(count, bool),
        )
        return detections_message(tracks, header, [f'class {i}' for i in range(count)])

    usual = running.boxes_for
    with running.survives(same_ids=False):
        running.boxes_for = boxes_for
        message = running.exchange('left', scene(), timeout=90.0)
        assert len({detection.id for detection in message.detections}) == count
        running.boxes_for = usual


def depth(values: np.ndarray, header: Header, encoding: str = '32FC1') -> Image:
    height, width = values.shape
    return Image(
        header=header,
        height=height,
        width=width,
        encoding=encoding,
        step=values.strides[0],
        data=array('B', values.tobytes()),
    )


def calibration(header: Header, focal: float = 100.0) -> CameraInfo:
    matrix = np.array([focal, 0, WIDTH / 2, 0, focal, HEIGHT / 2, 0, 0, 1])
    return CameraInfo(header=header, width=WIDTH, height=HEIGHT, k=matrix)


FULL = np.full(SIZE, 2.0, np.float32)


@pytest.mark.parametrize(
    ('values', 'encoding', 'focal', 'said'),
    [
        (np.zeros_like(FULL), '32FC1', 100.0, ''),
        (np.full_like(FULL, np.nan), '32FC1', 100.0, ''),
        (np.full_like(FULL, np.inf), '32FC1', 100.0, ''),
        (np.full((7, 300), 2.0, np.float32), '32FC1', 100.0, 'no objects of'),
        (FULL, 'rgb8', 100.0, 'no objects of'),
        (FULL, '32FC1', 0.0, 'no objects of'),
        (FULL, '32FC1', float('nan'), 'no objects of'),
    ],
    ids=['zeros', 'nan', 'inf', 'shape', 'encoding', 'focal 0', 'focal nan'],
)
def test_depth_and_calibration_that_cannot_be_used(running, values, encoding, focal, said):
    solid = running.user.subscribe(Detection3DArray, '/detector/tracker/left/detections_3d')

    def show(values: np.ndarray, encoding: str, focal: float) -> None:
        header = running.header(running.user.stamp + 100_000_000)
        running.user.publish('/detector/left/camera_info', calibration(header, focal))
        running.user.publish('/detector/left/depth', depth(values, header, encoding))
        running.user.spin_until(lambda: False, 0.1)
        assert len(running.exchange('left', scene()).detections) == len(OBJECTS)

    with running.survives():
        without = int(running.counted('left')['without_depth'])
        show(values, encoding, focal)
        assert running.user.spin_until(
            lambda: int(running.status['left']['without_depth']) == without + len(OBJECTS)
        )
        running.node.wait_for_output(said, ANSWER_SECONDS)
        for _ in range(3):  # the next good ones are placed
            solid.clear()
            show(FULL, '32FC1', 100.0)
            if running.user.spin_until(lambda: solid and solid[-1].detections, 3.0):
                break
        assert len(solid[-1].detections) == len(OBJECTS)


def test_without_depth_and_calibration_objects_are_counted_and_tracked_in_the_image(running):
    with running.survives():
        without = int(running.counted('right')['without_depth'])
        running.ids('right')
        assert running.user.spin_until(
            lambda: int(running.status['right']['without_depth']) == without + len(OBJECTS)
        )
