# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The web viewer node: shows a camera's images and tracks in a browser."""

from __future__ import annotations

import sys
from time import monotonic
import traceback
from typing import NamedTuple
from typing import TYPE_CHECKING

import numpy as np
from rclpy.clock import Clock
from rclpy.clock import ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.media.pixels import encode_jpeg
from gtr_ros.media.pixels import ImageError
from gtr_ros.msg import Counts
from gtr_ros.msg import FollowedState
from gtr_ros.msg import TrajectoryArray
from gtr_ros.msg import ZoneArray
from gtr_ros.node.declaring import declare_all
from gtr_ros.node.image_transport import image_topic
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.synchronizing import ExactSynchronizer
from gtr_ros.node.running import run_node
from gtr_ros.node.running import spin
from gtr_ros.node.throttle import Throttle
from gtr_ros.node.topics import explain_silence
from gtr_ros.node.unused import warn_of_unused
from gtr_ros.node.viewer.following import FollowRequests
from gtr_ros.node.viewer.frames import FrameEncoder
from gtr_ros.node.viewer.objects import followed_to_show
from gtr_ros.node.viewer.objects import objects_to_draw
from gtr_ros.node.viewer.objects import zones_to_draw
from gtr_ros.node.viewer.parameters import ViewerParameters
from gtr_ros.node.viewer.server import WebServer
from gtr_ros.options import ConfigurationError

if TYPE_CHECKING:
    from rclpy.subscription import Subscription

_NAME = 'web_viewer'
# Images wait for their detections, so all messages must be received.
_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_LATCHED_QOS = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
# What frames do not wait for: topics of the tracker, latched; other trackers lack them.
_EXTRAS = {'zones': ZoneArray, 'counts': Counts, 'followed/state': FollowedState}
_TIMER_SECONDS = 0.2
# Time without a message after which the browser shows why.
_SILENCE_SECONDS = 3.0
_WAITING = 'waiting for the next image'


class SynchronizedMessages(NamedTuple):
    """The messages with one stamp."""

    image: Image | CompressedImage
    detections: Detection2DArray
    trajectories: TrajectoryArray


class WebViewer(Node):
    """
    Serves a camera's images and tracks to browsers; subscribes only while one is connected.

    Up to 30 images wait for their detections, in the encoding in which they were received.

    :raises ConfigurationError: if a parameter is invalid
    """

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._settings = declare_all(self, ViewerParameters)
        self._kinds = self._find_topics()
        self._topics = [self.resolve_topic_name(name) for name in self._kinds]
        tracker = self._settings.tracker.rstrip('/')
        self._extra_topics = {f'{tracker}/{name}': name for name in _EXTRAS}
        self._extras: dict[str, object] = {}  # the newest message, by the names of _EXTRAS
        self._follow = FollowRequests(self, tracker)
        self._open_subscriptions: list[Subscription] = []
        self._extra_subscriptions: list[Subscription] = []
        self._synchronizer = ExactSynchronizer(len(self._topics))
        self._received_at = [0.0] * len(self._topics)
        self._synchronized_at = 0.0
        self._status = _WAITING
        self._error, self._error_at = '', -float('inf')
        self._throttle = Throttle(_SILENCE_SECONDS)
        self._encoder: FrameEncoder | None = None
        self._server: WebServer | None = None

    def start(self) -> None:
        """
        Start serving.

        :raises ConfigurationError: if the address or the port cannot be used
        """
        self._encoder = FrameEncoder(self._encode, self._report_error, self._settings.max_rate)
        self._server = self._serve()
        # Steady: it must also run if use_sim_time is set but there is no /clock.
        self.create_timer(
            _TIMER_SECONDS, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        # Its topics are those that it subscribes to while a browser is connected.
        warn_of_unused(self, [*self._kinds, *self._extra_topics, *self._follow.services])

    def stop(self) -> None:
        """Stop serving, and log how many images were encoded."""
        if self._encoder is not None:
            self._encoder.close()
        if self._server is not None:
            self._server.close()
            # Not by the node's name, whose logger cannot publish once a signal was handled.
            get_logger(f'gtr_ros.{_NAME}').info(f'encoded {self._encoder.encoded} images')

    def _find_topics(self) -> dict[str, type]:
        """Return the names and types of the image topic and of the tracker's topics."""
        settings = self._settings
        image, kind = image_topic(self, 'image', settings.image_transport)
        tracker = settings.tracker.rstrip('/')
        kinds = {
            image: kind,
            f'{tracker}/detections': Detection2DArray,
            f'{tracker}/trajectories': TrajectoryArray,
        }
        try:
            for name in kinds:
                self.resolve_topic_name(name)
        except RuntimeError as error:
            raise ConfigurationError(
                f'tracker is {tracker!r}; expected the name of a node, such as /tracker ({error})'
            ) from None
        return kinds

    def _serve(self) -> WebServer:
        address, port = self._settings.address, self._settings.port
        try:
            server = WebServer(
                address, port, self._encoder, lambda: self._status, self._follow.follow
            )
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                f'cannot serve on address {address!r}, port {port}: {error}. Expected an address '
                'of this machine, such as 127.0.0.1 (0.0.0.0: all of them), and a free port (0: '
                'any)'
            ) from None
        self.get_logger().info(f'showing {", ".join(self._topics)} at {server.url}')
        if not server.is_loopback:
            self.get_logger().warning(
                f'address {address} can be reached from other machines, and there is no '
                'authentication: anyone who can reach it can see the images. Safer: serve on '
                f'127.0.0.1, and run ssh -L {server.port}:127.0.0.1:{server.port} on the other '
                'machine'
            )
        return server

    def _on_timer(self) -> None:
        wanted = self._encoder.wanted
        if wanted and self._open_subscriptions:
            self._status = self._explain()
        elif wanted:
            self._subscribe()
        elif self._open_subscriptions:
            self._unsubscribe()

    def _subscribe(self) -> None:
        self._synchronized_at = monotonic()
        self._received_at = [self._synchronized_at] * len(self._topics)
        self._status = _WAITING
        self._open_subscriptions = [
            self.create_subscription(
                kind, name, lambda message, i=i: self._on_message(i, message), _QOS
            )
            for i, (name, kind) in enumerate(self._kinds.items())
        ]
        self._extra_subscriptions = [
            self.create_subscription(
                _EXTRAS[name],
                topic,
                lambda message, name=name: self._extras.update({name: message}),
                _LATCHED_QOS,
            )
            for topic, name in self._extra_topics.items()
        ]

    def _unsubscribe(self) -> None:
        for subscription in self._open_subscriptions + self._extra_subscriptions:
            self.destroy_subscription(subscription)
        self._open_subscriptions.clear()
        self._extra_subscriptions.clear()
        self._extras.clear()
        self._synchronizer = ExactSynchronizer(len(self._topics))
        self._encoder.clear()

    def _on_message(self, topic: int, message: object) -> None:
        self._received_at[topic] = monotonic()
        if messages := self._synchronizer.add(topic, message):
            self._synchronized_at = monotonic()
            self._encoder.put(SynchronizedMessages(*messages))

    def _explain(self) -> str:
        """Return possible reasons why there is no new frame."""
        now = monotonic()
        if now - self._error_at < _SILENCE_SECONDS:
            return f'cannot show an image of {self._topics[0]}: {self._error}'
        reasons = [
            self._explain_silence(subscription)
            for subscription, received_at in zip(self._open_subscriptions, self._received_at)
            if now - received_at > _SILENCE_SECONDS
        ]
        if not reasons and now - self._synchronized_at > _SILENCE_SECONDS:
            reasons.append(
                f'{", ".join(self._topics)}: messages arrive on all of these topics, but never '
                'with the same stamp. Does the tracker subscribe to the same image topic?'
            )
        return '; '.join(reasons) or _WAITING

    def _explain_silence(self, subscription: Subscription) -> str:
        topic = subscription.topic_name
        publishers = self.get_publishers_info_by_topic(topic)
        hint = 'Remap image to its topic' if topic == self._topics[0] else 'Set tracker'
        return explain_silence(subscription.msg_type.__name__, subscription, publishers, hint)

    def _encode(self, messages: SynchronizedMessages) -> tuple[dict, bytes]:
        """Return the JSON header of a frame and its JPEG; runs on the encoder's thread."""
        pixels = np.ascontiguousarray(image_to_array(messages.image))
        jpeg = encode_jpeg(pixels, self._settings.jpeg_quality)
        extras = dict(self._extras)
        zones = extras.get('zones') or ZoneArray()
        header = {
            'topic': self._topics[0],
            'objects': objects_to_draw(messages.detections, messages.trajectories),
            'zones': zones_to_draw(zones, extras.get('counts'), pixels.shape[:2]),
            'followed': followed_to_show(extras.get('followed/state')),
            'can_follow': self._server.is_loopback,
        }
        return header, jpeg

    def _report_error(self, error: Exception) -> None:
        self._error, self._error_at = str(error), monotonic()
        if self._throttle.admits(str(error), monotonic()):
            expected = isinstance(error, ImageError)
            text = str(error) if expected else ''.join(traceback.format_exception(error))
            self.get_logger().error(f'cannot show an image of {self._topics[0]}: {text}')


def main(args: list[str] | None = None) -> int:
    """
    Run the viewer until it is interrupted.

    :return: exit code of the process: 0 after SIGINT or SIGTERM, 1 if it could not start
    """
    return run_node(_NAME, WebViewer, _run, args)


def _run(node: WebViewer, executor: SingleThreadedExecutor) -> int:
    node.start()
    return spin(node, executor)


if __name__ == '__main__':
    sys.exit(main())
