# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A fake camera with a tracker that publishes results for every second image, one image later.

Run as a program with the encoding of the images, this publishes until it is interrupted.
"""

from __future__ import annotations

from contextlib import suppress
import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import ObjectHypothesisWithPose

from gtr_ros.boxes import corners_to_centre
from gtr_ros.msg import Trajectory
from gtr_ros.msg import TrajectoryArray
from gtr_ros.msg import TrajectoryBox
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress

WIDTH, HEIGHT = 320, 240
QUADRANTS = (40, 90, 140, 190)
#: colour of an image for which the tracker never publishes
UNANSWERED = (255, 0, 0)
#: id, class, score, box (xyxy)
OBJECTS = ((7, 'person', 0.91, (100, 60, 160, 180)), (12, 'car', 0.55, (190, 110, 300, 200)))
TENTATIVE = (31, (200, 20, 260, 60))
#: midpoints of the bottom edges of the earlier boxes
TRAIL = ((20, 220), (60, 220), (100, 210))


def scene() -> np.ndarray:
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    halves = slice(None, HEIGHT // 2), slice(HEIGHT // 2, None)
    sides = slice(None, WIDTH // 2), slice(WIDTH // 2, None)
    for i, grey in enumerate(QUADRANTS):
        picture[halves[i // 2], sides[i % 2]] = grey
    return picture


def set_box(message: Detection2D | TrajectoryBox, box: tuple[float, ...]) -> None:
    x, y, width, height = corners_to_centre(*map(float, box))
    message.bbox.size_x, message.bbox.size_y = width, height
    message.bbox.center.position.x, message.bbox.center.position.y = x, y


def detection(identity: str, name: str, score: float, box: tuple[float, ...]) -> Detection2D:
    hypothesis = ObjectHypothesisWithPose()
    hypothesis.hypothesis.class_id, hypothesis.hypothesis.score = name, score
    message = Detection2D(id=identity, results=[hypothesis])
    set_box(message, box)
    return message


def trajectory(identity: str, boxes: list[tuple[float, ...]], confirmed: bool) -> Trajectory:
    message = Trajectory(id=identity, confirmed=confirmed)
    for box in boxes:
        message.boxes.append(TrajectoryBox(probability=1.0))
        set_box(message.boxes[-1], box)
    return message


def results(header: Header) -> tuple[Detection2DArray, TrajectoryArray]:
    detections = Detection2DArray(header=header)
    trajectories = TrajectoryArray(header=header)
    for identity, name, score, box in OBJECTS:
        detections.detections.append(detection(str(identity), name, score, box))
        earlier = [(x - 20, y - 100, x + 20, y) for x, y in TRAIL] if identity == 7 else []
        trajectories.trajectories.append(trajectory(str(identity), [*earlier, box], True))
    trajectories.trajectories.append(trajectory(str(TENTATIVE[0]), [TENTATIVE[1]], False))
    return detections, trajectories


class Publisher(Node):
    """Publishes images and results, and prints the number of subscribers to the images."""

    def __init__(self, encoding: str) -> None:
        super().__init__('publisher')
        self._encoding = encoding
        self._images = self.create_publisher(Image, 'image', qos_profile_sensor_data)
        self._compressed = self.create_publisher(
            CompressedImage, 'image/compressed', qos_profile_sensor_data
        )
        self._detections = self.create_publisher(Detection2DArray, 'tracker/detections', 10)
        self._trajectories = self.create_publisher(TrajectoryArray, 'tracker/trajectories', 10)
        self._pending: Header | None = None
        self._count, self._subscribers = 0, -1
        self.create_timer(0.05, self._on_timer)

    def _on_timer(self) -> None:
        subscribers = self._images.get_subscription_count()
        if subscribers != self._subscribers:
            self._subscribers = subscribers
            print(f'subscribers: {subscribers}', flush=True)
        self._count += 1
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id='camera')
        picture = scene()
        if self._pending:
            picture[:] = UNANSWERED
        image = array_to_image(picture, header)
        image.encoding = self._encoding
        self._images.publish(image)
        self._compressed.publish(compress(picture, header))
        if self._pending:
            detections, trajectories = results(self._pending)
            self._detections.publish(detections)
            self._trajectories.publish(trajectories)
        self._pending = None if self._pending else header


def main() -> None:
    rclpy.init(args=sys.argv)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Publisher(sys.argv[1]))


if __name__ == '__main__':
    main()
