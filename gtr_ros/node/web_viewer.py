# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show a camera's images, and what a tracker says of them, in a web browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
import sys
from time import monotonic
import traceback
from typing import NamedTuple
from typing import TYPE_CHECKING
import zlib

import numpy as np
from PIL import Image as Picture
from rcl_interfaces.msg import FloatingPointRange
from rcl_interfaces.msg import IntegerRange
from rcl_interfaces.msg import ParameterDescriptor
import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.exceptions import InvalidParameterTypeException
from rclpy.exceptions import InvalidParameterValueException
from rclpy.executors import ExternalShutdownException
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.media.drawing import colour_of
from gtr_ros.media.pixels import ImageError
from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.diagnostics import explain_silence
from gtr_ros.node.diagnostics import Throttle
from gtr_ros.node.images import image_to_array
from gtr_ros.node.interrupts import interrupt_once
from gtr_ros.node.pairing import Recent
from gtr_ros.node.pairing import stamp_of
from gtr_ros.node.parameters import ConfigurationError
from gtr_ros.node.web_server import Frames
from gtr_ros.node.web_server import WebServer

if TYPE_CHECKING:
    from rclpy.subscription import Subscription
    from vision_msgs.msg import BoundingBox2D

_NAME = 'web_viewer'
# Images wait for their detections: all of them are wanted, or the right one may be missing.
_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_TIMER_SECONDS = 0.2
_ERROR_SECONDS = 5.0


@dataclass(frozen=True)
class ViewerParameters:
    """What the viewer is started with; nothing of it changes while it runs."""

    tracker: str = 'tracker'
    image_transport: str = 'raw'
    address: str = '127.0.0.1'
    port: int = 8090
    max_rate: float = 15.0
    jpeg_quality: int = 80


_DESCRIPTIONS = {
    'tracker': 'Name of the tracker node: detections and trajectories are taken from below it. '
    'With several cameras: and the name of one, such as tracker/front.',
    'image_transport': 'How images arrive, raw or compressed: sensor_msgs/Image on the topic '
    'image, or sensor_msgs/CompressedImage on image/compressed.',
    'address': 'Address to serve on. There is no authentication: on any other than a loopback '
    'address everybody who reaches it sees the camera.',
    'port': 'Port to serve on; 0: any that is free.',
    'max_rate': 'Frames a second that are encoded at most.',
    'jpeg_quality': 'Quality of the JPEGs that browsers get.',
}
_LIMITS = {'port': (0, 65535), 'max_rate': (0.1, 1000.0), 'jpeg_quality': (1, 95)}


class Moment(NamedTuple):
    """What was seen at one time, and what the tracker said of it."""

    image: Image | CompressedImage
    detections: Detection2DArray
    trajectories: TrajectoryArray


class Matching:
    """Messages of several topics, in whatever order they come, matched by equal stamps."""

    def __init__(self, topics: int) -> None:
        self._recent = [Recent() for _ in range(topics)]

    def add(self, topic: int, message: object) -> tuple | None:
        """Take a message; return those of its moment, one of each topic, if all are there."""
        self._recent[topic].add(message)
        stamp = stamp_of(message)
        found = tuple(recent.nearest(stamp, 0) for recent in self._recent)
        if None in found:
            return None
        for recent in self._recent:
            recent.forget_until(stamp)
        return found


class WebViewer(Node):
    """Listens to a camera and a tracker, but only while a browser is there; changes nothing."""

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._settings = _declare_all(self)
        self._topics = self._resolve_topics()
        self._subscriptions_open: list[Subscription] = []
        self._matching = Matching(len(self._topics))
        self._throttle = Throttle(_ERROR_SECONDS)
        self._counts = [0] * len(self._topics)
        self._shown_at = 0.0
        self._status = ''
        self.frames = Frames(self._make, self._complain, self._settings.max_rate)
        self._server: WebServer | None = None
        self._server = self._serve()
        # Steady: with use_sim_time and no /clock, it goes on.
        self.create_timer(
            _TIMER_SECONDS, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
