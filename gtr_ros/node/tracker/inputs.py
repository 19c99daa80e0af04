# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What one camera sends: its subscriptions, and what of it is to be tracked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from time import monotonic
from time import perf_counter
from typing import Any
from typing import TYPE_CHECKING

from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.pairing import Pairing
from gtr_ros.node.messages.pairing import Recent
from gtr_ros.node.tracker.diagnostics import explain_silence
from gtr_ros.stamps import NANOSECONDS

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.subscription import Subscription

    from gtr_ros.node.tracker.parameters import NodeParameters

_NEWEST_QOS = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
# Where messages wait for others all of them are wanted, and a detector's may be few.
_ALL_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_IMAGE_WAY_OUT = (
    "Is its driver running, and is 'image' remapped to its topic (image_topic:=... of the launch "
    'file)?'
)
_DETECTIONS_WAY_OUT = 'Is the other detector running, and is detections_topic its topic?'
# How long after an image its depth image may come: depth is computed, and often last.
_DEPTH_SECONDS = 0.05


@dataclass(frozen=True)
class Request:
    """
    An image that is to be tracked.

    :param boxes: of another detector; None: ours is to look
    :param arrived: when all of it was there, seconds of `time.perf_counter`
    """

    image: Image | CompressedImage
    boxes: Detection2DArray | None = None
    arrived: float = field(default_factory=perf_counter)


@dataclass
class Arrivals:
    """
    What came of a camera, and when.

    :param received: images
    :param skipped: of them, those that were more than `max_rate` asks for
    :param last: seconds of the steady clock when there last was something to track
    """

    received: int = 0
    skipped: int = 0
    last: float = field(default_factory=monotonic)


class Inputs:
    """
    The subscriptions of one camera, from `open` to `close`.

    :param node: that they belong to
    :param camera: its name; '' is the one without
    :param parameters: returns the node's, as they are now
    :param submit: called with everything that is to be tracked
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        parameters: Callable[[], NodeParameters],
        submit: Callable[[str, Request], None],
    ) -> None:
        self.camera = camera
        self.arrivals = Arrivals()
        self._node = node
        self._parameters = parameters
        self._submit = submit
        self._subscriptions: list[Subscription] = []
        settings = parameters()
        self._pairing = None
        if settings.detections_topic:
            self._pairing = Pairing(round(settings.detections_slop * NANOSECONDS))
        self._depth_slop = round(settings.depth_slop * NANOSECONDS)
        self._depths = Recent(10)
        #: the newest; None: there was none
        self.camera_info: CameraInfo | None = None
        self._next_time = 0.0
        self._image = self._open(settings)

    @property
    def topic(self) -> str:
        """The full name of the topic that images come on."""
        return self._image.topic_name

    @property
    def unmatched(self) -> int:
        """How many images another detector never said anything of."""
        return self._pairing.unmatched if self._pairing else 0

    def close(self) -> None:
        """Stop listening."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def forget(self) -> None:
        """Drop what waits for its like: the clock began again."""
        self._depths.clear()
        if self._pairing:
            self._pairing.clear()

    def depth_at(self, stamp: int) -> Image | None:
        """
        Return the depth image of a moment, if there is one; one that is due is waited for.

        :param stamp: nanoseconds
        """
        return self._depths.wait_for(stamp, self._depth_slop, _DEPTH_SECONDS)

    def explain_silence(self) -> str:
        """Say why there may be nothing to track."""
        reasons = []
        for subscription, what, way_out in self._needed:
            publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
            reasons.append(explain_silence(what, subscription, publishers, way_out))
        return '; '.join(reasons)

    def _open(self, settings: NodeParameters) -> Subscription:
        compressed = settings.image_transport == 'compressed'
        # As image_transport does: the topic that is remapped is the base's.
        base = self._name('image')
        if compressed:
            base = f'{self._node.resolve_topic_name(base)}/compressed'
        kind = CompressedImage if compressed else Image
        qos = _ALL_QOS if self._pairing else _NEWEST_QOS
        image = self._subscribe(kind, base, self._on_image, qos)
        self._needed = [(image, 'image', _IMAGE_WAY_OUT)]
        if self._pairing:
            topic = self._name(settings.detections_topic)
            boxes = self._subscribe(Detection2DArray, topic, self._on_boxes, _ALL_QOS)
            self._needed.append((boxes, 'detections', _DETECTIONS_WAY_OUT))
        if settings.depth:
            self._subscribe(Image, self._name('depth'), self._depths.add, _ALL_QOS)
            self._subscribe(CameraInfo, self._name('camera_info'), self._on_info, _ALL_QOS)
        return image

    def _name(self, topic: str) -> str:
        """Return a topic's name under the camera's."""
        return f'{self.camera}/{topic}' if self.camera and topic[:1] not in '/~' else topic

    def _subscribe(
        self, kind: type, topic: str, callback: Callable[[Any], object], qos: QoSProfile
    ) -> Subscription:
        def on_incompatible(_: object) -> None:
            publishers = self._node.get_publishers_info_by_topic(subscription.topic_name)
            self._node.get_logger().warning(
                explain_silence(kind.__name__, subscription, publishers, _IMAGE_WAY_OUT)
            )

        subscription = self._node.create_subscription(
            kind,
            topic,
            callback,
            qos,
            event_callbacks=SubscriptionEventCallbacks(incompatible_qos=on_incompatible),
            qos_overriding_options=QoSOverridingOptions.with_default_policies(),
        )
        self._subscriptions.append(subscription)
        return subscription

    def _on_image(self, message: Image | CompressedImage) -> None:
        self.arrivals.received += 1
        now, most = monotonic(), self._parameters().max_rate
        if most and now < self._next_time:
            self.arrivals.skipped += 1
            self.arrivals.last = now
            return
        if most:
            # Due times and not distances: a camera's jitter must not lower the rate.
            self._next_time = max(self._next_time + 1 / most, now - 1 / most)
        if self._pairing is None:
            self._track(message)
        elif pair := self._pairing.add_image(message):
            self._track(*pair)

    def _on_boxes(self, message: Detection2DArray) -> None:
        if pair := self._pairing.add_boxes(message):
            self._track(*pair)

    def _on_info(self, message: CameraInfo) -> None:
        self.camera_info = message

    def _track(
        self, image: Image | CompressedImage, boxes: Detection2DArray | None = None
    ) -> None:
        self.arrivals.last = monotonic()
        self._submit(self.camera, Request(image, boxes))
