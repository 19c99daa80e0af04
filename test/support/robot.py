# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The other nodes of a robot: cameras, a detector, and a user of services."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from node_processes import ANSWER_SECONDS
from node_processes import START_SECONDS
import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from gtr_ros.boxes import centre_to_corners
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.structures import Tracks

HEIGHT, WIDTH = 96, 128
BOXES = np.array([[10, 20, 40, 80], [70, 10, 100, 60]], np.float32)


class Robot:
    """A node that publishes and subscribes to any topic, and calls services."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('robot', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers = {}
        self.stamp = self.node.get_clock().now().nanoseconds

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin_until(self, condition: Callable[[], bool], timeout: float = ANSWER_SECONDS) -> bool:
        deadline = monotonic() + timeout
        while not condition() and monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return condition()

    def subscribe(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> list:
        """Wait for a topic's publisher; return a list to which its messages will be appended."""
        kept = []
        self.node.create_subscription(kind, topic, kept.append, qos)
        assert self.spin_until(lambda: self.node.count_publishers(topic) > 0, START_SECONDS), topic
        return kept

    def publish(self, topic: str, message: object) -> None:
        if topic not in self._publishers:
            publisher = self.node.create_publisher(type(message), topic, 10)
            self._publishers[topic] = publisher
            assert self.spin_until(lambda: publisher.get_subscription_count() > 0), topic
        self._publishers[topic].publish(message)

    def publisher(self, topic: str) -> Publisher:
        """Return the publisher of a topic on which something was published before."""
        return self._publishers[topic]

    def replace_publisher(self, topic: str, kind: type, qos: QoSProfile) -> None:
        """Publish on a topic with another quality of service from now on."""
        self.node.destroy_publisher(self._publishers.pop(topic))
        publisher = self._publishers[topic] = self.node.create_publisher(kind, topic, qos)
        assert self.spin_until(lambda: publisher.get_subscription_count() > 0), topic

    def header(self) -> Header:
        """Return the header of the next image, 0.1 s after the one before."""
        self.stamp += 100_000_000
        return Header(stamp=nanoseconds_to_stamp(self.stamp), frame_id='optical')

    def exchange(
        self, messages: Callable[[Header], list[tuple[str, object]]], received: list
    ) -> object:
        """Publish until the answer with the stamp arrives: best effort may lose some."""
        for _ in range(3):
            header = self.header()
            for topic, message in messages(header):
                self.publish(topic, message)
                self.spin_until(lambda: False, 0.05)

            def answers(header: Header = header) -> list:
                return [message for message in received if message.header.stamp == header.stamp]

            if self.spin_until(lambda: bool(answers()), ANSWER_SECONDS / 3):
                return answers()[-1]
        raise AssertionError('no answer to three images')

    def call(self, kind: type, name: str, **fields: object) -> object:
        client = self.node.create_client(kind, name)
        assert self.spin_until(client.service_is_ready, START_SECONDS), name
        future = client.call_async(kind.Request(**fields))
        assert self.spin_until(future.done), f'no response from {name}'
        self.node.destroy_client(client)
        return future.result()


@contextmanager
def robot() -> Iterator[Robot]:
    made = Robot()
    yield made
    made.close()


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def boxes_message(
    header: Header, scale: float = 1.0, name: str = 'forklift', boxes: np.ndarray = BOXES
) -> Detection2DArray:
    """Return the message of another detector."""
    tracks = Tracks(
        ids=np.array([7, 8]),
        boxes=boxes * np.float32(scale),
        scores=np.array([0.9, 0.8], np.float32),
        labels=np.array([0, 0]),
        confirmed=np.array([True, True]),
    )
    return detections_message(tracks, header, [name])


def corners(message: Detection2DArray) -> np.ndarray:
    """Return x1, y1, x2, y2 of each detection, (N, 4)."""
    boxes = [detection.bbox for detection in message.detections]
    return np.array(
        [
            centre_to_corners(box.center.position.x, box.center.position.y, box.size_x, box.size_y)
            for box in boxes
        ]
    )
