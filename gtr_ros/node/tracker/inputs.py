# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of one camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from time import monotonic
from time import perf_counter
from typing import Any
from typing import TYPE_CHECKING

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.event_handler import UnsupportedEventTypeError
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.image_transport import image_topic
from gtr_ros.node.messages.synchronizing import ImageBoxesSynchronizer
from gtr_ros.node.messages.synchronizing import MessageCache
from gtr_ros.node.messages.synchronizing import stamp_of
from gtr_ros.node.messages.synchronizing import Synchronized
from gtr_ros.node.topics import explain_silence
from gtr_ros.node.topics import overridable
from gtr_ros.node.topics import qos_overrides_checked
from gtr_ros.node.tracker.missing import Arrivals
from gtr_ros.stamps import NANOSECONDS

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.subscription import Subscription

    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.statistics import CameraStatistics

_NEWEST_QOS = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
# Messages that are synchronized with others must all be received; boxes may come in bursts.
_ALL_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
# Seconds between the stamps of images and detections that are no rounding or delay any more.
_OUT_OF_STEP = 1.0

_DEPTH_CACHE_SIZE = 10
_IMAGE_HINT = (
    "Is its driver running, and is 'image' remapped to its topic (image_topic:=... of the launch "
    'file)?'
)
_DETECTIONS_HINT = 'Is the other detector running, and is detections_topic its topic?'
# How long after its image a depth image may arrive: depth must be computed, and often arrives
# last.
_DEPTH_SECONDS = 0.05


@dataclass(frozen=True)
class CameraRequest:
    """
    The messages that belong to an image to be tracked.

    :param boxes: from another detector; None: use the built-in detector
    :param arrived: time when the last of them arrived, seconds of `time.perf_counter`
    """

    image: Image | CompressedImage
    boxes: Detection2DArray | None = None
    arrived: float = field(default_factory=perf_counter)


class Inputs:
    """
    The subscriptions of one camera, from `open` to `close`.

    :param node: the node that subscribes
    :param camera: name of the camera; '' for a single camera without a name
    :param parameters: returns the node's current parameters
    :param statistics: of the camera; its received, lost, skipped, unmatched and last_arrival are
        updated
    :param submit: called with every image to be tracked
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        parameters: Callable[[], NodeParameters],
        statistics: CameraStatistics,
        submit: Callable[[CameraRequest], None],
    ) -> None:
        self._node = node
        self._camera = camera
        self._parameters = parameters
        self._statistics = statistics
        self._submit = submit
        settings = parameters()
        self._subscriptions: list[Subscription] = []
        #: the subscriptions without which nothing is tracked, each with its content and a hint for
        #: the user
        self._required: list[tuple[Subscription, str, str]] = []
        #: the full name of the image topic; known from `open` on, and kept by `close`: images
        #: that are in progress are still reported
        self.topic = ''
        self._synchronizer = None
        if settings.detections_topic:
            slop = round(settings.detections_slop * NANOSECONDS)
            self._synchronizer = ImageBoxesSynchronizer(slop)
        self._depth_slop = round(settings.depth_slop * NANOSECONDS)
        self._depths = MessageCache(_DEPTH_CACHE_SIZE)
        #: the newest camera_info; None if none was received
        self.camera_info: CameraInfo | None = None
        self._next_time = 0.0
        #: the stamps of all images, including skipped ones
        self.arrivals = Arrivals()

    def open(self) -> None:
        """Subscribe."""
        settings = self._parameters()
        base, kind = image_topic(self._node, self._qualified('image'), settings.image_transport)
        qos = _ALL_QOS if self._synchronizer else _NEWEST_QOS
        try:
            image = self._subscribe(kind, base, self._on_image, qos, self._on_lost)
        except UnsupportedEventTypeError:
            self._statistics.lost = None
            image = self._subscribe(kind, base, self._on_image, qos)
        self.topic = image.topic_name
        self._required = [(image, 'image', _IMAGE_HINT)]
        if self._synchronizer:
            topic = self._qualified(settings.detections_topic)
            boxes = self._subscribe(Detection2DArray, topic, self._on_boxes, _ALL_QOS)
            self._required.append((boxes, 'detections', _DETECTIONS_HINT))
        if settings.depth:
            self._subscribe(Image, self._qualified('depth'), self._depths.add, _ALL_QOS)
        if settings.depth or settings.needs_transforms:
            topic = self._qualified('camera_info')
            self._subscribe(CameraInfo, topic, self._on_camera_info, _ALL_QOS)

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def clear(self) -> None:
        """Discard all messages that wait for others, for example after the clock was reset."""
        self._depths.clear()
        if self._synchronizer:
            self._statistics.unmatched += self._synchronizer.clear()

    def depth_at(self, stamp: int) -> Image | None:
        """
        Return the depth image that belongs to an image, or None; wait for it if it is due.

        :param stamp: of the image, nanoseconds
        """
        return self._depths.wait_for(stamp, self._depth_slop, _DEPTH_SECONDS)

    def explain_silence(self) -> str:
        """Return possible reasons why there is nothing to track."""
        difference = self._synchronizer.difference if self._synchronizer else None
        if difference is not None:
            return self._explain_difference(difference / NANOSECONDS)
        reasons = []
        for subscription, content, hint in self._required:
            publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
            reasons.append(explain_silence(content, subscription, publishers, hint))
        return '; '.join(reasons)

    def _explain_difference(self, seconds: float) -> str:
        """Return why images and detections that arrive are not synchronized."""
        image, boxes = (subscription.topic_name for subscription, *_ in self._required)
        remedy = 'or set detections_slop'
        if seconds >= _OUT_OF_STEP:
            remedy = 'let the clocks of detector and camera agree, or restart the detector'
        return (
            f'images on {image} and detections on {boxes} arrived, but their stamps differ by '
            f'{seconds:.6g} s or more, and detections_slop is '
            f'{self._parameters().detections_slop:g} s. Publish detections with the header of '
            f'their image, {remedy}'
        )

    def _qualified(self, topic: str) -> str:
        """Return a topic's name under that of the camera."""
        return f'{self._camera}/{topic}' if self._camera and topic[:1] not in '/~' else topic

    def _subscribe(
        self,
        kind: type,
        topic: str,
        callback: Callable[[Any], object],
        qos: QoSProfile,
        on_lost: Callable[[Any], None] | None = None,
    ) -> Subscription:
        def on_incompatible(_: object) -> None:
            publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
            self._node.get_logger().warning(
                explain_silence(kind.__name__, subscription, publishers, _IMAGE_HINT)
            )

        with qos_overrides_checked():
            subscription = self._node.create_subscription(
                kind,
                topic,
                callback,
                event_callbacks=SubscriptionEventCallbacks(
                    incompatible_qos=on_incompatible, message_lost=on_lost
                ),
                **overridable(qos),
            )
        self._subscriptions.append(subscription)
        return subscription

    def _on_lost(self, event: Any) -> None:
        self._statistics.lost += event.total_count_change

    def _on_image(self, message: Image | CompressedImage) -> None:
        self._statistics.received += 1
        self.arrivals.add(stamp_of(message))
        now, max_rate = monotonic(), self._parameters().max_rate
        if max_rate and now < self._next_time:
            self._statistics.skipped += 1
            self._statistics.last_arrival = now
            return
        if max_rate:
            # Compare due times instead of intervals, so that a camera's jitter does not lower the
            # rate.
            self._next_time = max(self._next_time + 1 / max_rate, now - 1 / max_rate)
        if self._synchronizer is None:
            self._request(message)
        else:
            self._request_pair(self._synchronizer.add_image(message))

    def _on_boxes(self, message: Detection2DArray) -> None:
        self._request_pair(self._synchronizer.add_boxes(message))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self.camera_info = message

    def _request_pair(self, synchronized: Synchronized) -> None:
        self._statistics.unmatched += synchronized.unmatched
        if synchronized.pair:
            self._request(*synchronized.pair)

    def _request(
        self, image: Image | CompressedImage, boxes: Detection2DArray | None = None
    ) -> None:
        self._statistics.last_arrival = monotonic()
        self._submit(CameraRequest(image, boxes))
