# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Show a camera's images, and what a tracker says of them, in a web browser."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
import math
import sys
from time import monotonic
import traceback
from typing import NamedTuple
from typing import TYPE_CHECKING
import zlib

import numpy as np
from PIL import Image as Picture
import rclpy
from rclpy.clock import Clock
from rclpy.clock import ClockType
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
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.pairing import Recent
from gtr_ros.node.messages.pairing import stamp_of
from gtr_ros.node.running import interrupt_once
from gtr_ros.node.tracker.diagnostics import explain_silence
from gtr_ros.node.tracker.diagnostics import Throttle
from gtr_ros.node.tracker.parameters import ConfigurationError
from gtr_ros.node.tracker.parameters import declare_all
from gtr_ros.node.tracker.parameters import parameter
from gtr_ros.node.tracker.parameters import Parameters
from gtr_ros.node.viewer.server import FrameEncoder
from gtr_ros.node.viewer.server import WebServer

if TYPE_CHECKING:
    from rclpy.subscription import Subscription
    from vision_msgs.msg import BoundingBox2D
    from vision_msgs.msg import Detection2D

_NAME = 'web_viewer'
# Images wait for their detections: all of them are wanted, or the right one may be missing.
_QOS = QoSProfile(depth=10, reliability=QoSReliabilityPolicy.BEST_EFFORT)
_TIMER_SECONDS = 0.2
# Without a message, until a browser is told why.
_SILENCE_SECONDS = 3.0
_WAITING = 'waiting for the next image'


@dataclass(frozen=True)
class ViewerParameters(Parameters):
    """What the viewer is started with; nothing of it changes while it runs."""

    tracker: str = parameter(
        'tracker',
        'Name of the tracker node: detections and trajectories are taken from below it. With '
        'several cameras: and the name of one, such as tracker/front.',
    )
    image_transport: str = parameter(
        'raw',
        'How images arrive: sensor_msgs/Image on the topic image, or sensor_msgs/CompressedImage '
        'on image/compressed.',
        choices=('raw', 'compressed'),
    )
    address: str = parameter(
        '127.0.0.1',
        'Address to serve on. There is no authentication: on any other than a loopback address '
        'everybody who reaches it sees the camera.',
    )
    port: int = parameter(8090, 'Port to serve on; 0: any that is free.', limits=(0, 65535))
    max_rate: float = parameter(
        15.0, 'Frames a second that are encoded at most.', limits=(0.1, 1000.0)
    )
    jpeg_quality: int = parameter(80, 'Quality of the JPEGs that browsers get.', limits=(1, 95))


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
    """
    Shows a camera and its tracker to browsers; listens to them only while a browser is there.

    Up to 30 images wait for their detections, as raw as they came.

    :raises ConfigurationError: if it cannot start with its parameters
    """

    def __init__(self) -> None:
        super().__init__(_NAME)
        self._settings = declare_all(self, ViewerParameters)
        self._kinds = self._find_topics()
        self._topics = [self.resolve_topic_name(name) for name in self._kinds]
        self._open: list[Subscription] = []
        self._matching = Matching(len(self._topics))
        self._heard_at = [0.0] * len(self._topics)
        self._matched_at = 0.0
        self._status = _WAITING
        self._error, self._error_at = '', -float('inf')
        self._throttle = Throttle(_SILENCE_SECONDS)
        self._frames: FrameEncoder | None = None
        self._server: WebServer | None = None

    def start(self) -> None:
        """
        Serve, from now on.

        :raises ConfigurationError: if that is not possible on this address and port
        """
        self._frames = FrameEncoder(self._make, self._complain, self._settings.max_rate)
        self._server = self._serve()
        # Steady: with use_sim_time and no /clock, it goes on.
        self.create_timer(
            _TIMER_SECONDS, self._on_timer, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def stop(self) -> None:
        """Serve no more, and say how many images were encoded."""
        if self._frames is not None:
            self._frames.close()
        if self._server is not None:
            self._server.close()
            # By its name alone: after a signal the context is gone, and the node's logger with it.
            get_logger(_NAME).info(f'encoded {self._frames.made} images')

    def _find_topics(self) -> dict[str, type]:
        """Return the name and type of the image's topic and of the tracker's."""
        settings = self._settings
        image, kind = 'image', Image
        if settings.image_transport == 'compressed':
            # As image_transport does: the topic that is remapped is the base's.
            image, kind = f'{self.resolve_topic_name(image)}/compressed', CompressedImage
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
            server = WebServer(address, port, self._frames, lambda: self._status)
        except (OSError, UnicodeError) as error:
            raise ConfigurationError(
                f'cannot serve on address {address!r}, port {port}: {error}. Expected an address '
                'of this machine, such as 127.0.0.1 (or 0.0.0.0: all of them), and a port that is '
                'free (0: any)'
            ) from None
        self.get_logger().info(f'showing {", ".join(self._topics)} at {server.url}')
        if not server.is_loopback:
            self.get_logger().warning(
                f'address {address} can be reached from other machines, and there is no '
                'authentication: everybody who reaches it sees the camera. Safer: 127.0.0.1 and '
                f'ssh -L {server.port}:127.0.0.1:{server.port} from there'
            )
        return server

    def _on_timer(self) -> None:
        wanted = self._frames.wanted
        if wanted and self._open:
            self._status = self._explain()
        elif wanted:
            self._listen()
        elif self._open:
            self._ignore()

    def _listen(self) -> None:
        self._matched_at = monotonic()
        self._heard_at = [self._matched_at] * len(self._topics)
        self._status = _WAITING
        self._open = [
            self.create_subscription(
                kind, name, lambda message, i=i: self._on_message(i, message), _QOS
            )
            for i, (name, kind) in enumerate(self._kinds.items())
        ]

    def _ignore(self) -> None:
        for subscription in self._open:
            self.destroy_subscription(subscription)
        self._open.clear()
        self._matching = Matching(len(self._topics))
        self._frames.clear()

    def _on_message(self, topic: int, message: object) -> None:
        self._heard_at[topic] = monotonic()
        if messages := self._matching.add(topic, message):
            self._matched_at = monotonic()
            self._frames.put(Moment(*messages))

    def _explain(self) -> str:
        """Say why there may be nothing new to show."""
        now = monotonic()
        if now - self._error_at < _SILENCE_SECONDS:
            return f'cannot show an image of {self._topics[0]}: {self._error}'
        reasons = [
            self._explain_silence(subscription)
            for subscription, heard_at in zip(self._open, self._heard_at)
            if now - heard_at > _SILENCE_SECONDS
        ]
        if not reasons and now - self._matched_at > _SILENCE_SECONDS:
            reasons.append(
                f'{", ".join(self._topics)}: all arrive, but never with the same stamp. Is this '
                'the image that the tracker gets?'
            )
        return '; '.join(reasons) or _WAITING

    def _explain_silence(self, subscription: Subscription) -> str:
        topic = subscription.topic_name
        publishers = self.get_publishers_info_by_topic(topic)
        way_out = 'Remap image to its topic' if topic == self._topics[0] else 'Set tracker'
        return explain_silence(subscription.msg_type.__name__, subscription, publishers, way_out)

    def _make(self, moment: Moment) -> tuple[dict, bytes]:
        pixels = image_to_array(moment.image)
        buffer = BytesIO()
        Picture.fromarray(np.ascontiguousarray(pixels)).save(
            buffer, 'JPEG', quality=self._settings.jpeg_quality
        )
        head = {
            'topic': self._topics[0],
            'objects': objects_of(moment.detections, moment.trajectories),
        }
        return head, buffer.getvalue()

    def _complain(self, error: Exception) -> None:
        self._error, self._error_at = str(error), monotonic()
        if self._throttle.admits(str(error), monotonic()):
            expected = isinstance(error, ImageError)
            text = str(error) if expected else ''.join(traceback.format_exception(error))
            self.get_logger().error(f'cannot show an image of {self._topics[0]}: {text}')


def objects_of(detections: Detection2DArray, trajectories: TrajectoryArray) -> list[dict]:
    """
    Say what is to be drawn, for JSON: confirmed objects, and those that are not yet.

    Of each its label, colour (RGB, 0..255), box (xyxy, pixels of the image), the middles of its
    boxes' lower sides, oldest first, as its trail, and whether it is confirmed.
    """
    trails = {
        trajectory.id: [_corners(box.bbox) for box in trajectory.boxes]
        for trajectory in trajectories.trajectories
    }
    objects = []
    for detection in detections.detections:
        trail = trails.pop(detection.id, [])
        box = _corners(detection.bbox)
        objects.append(_object(detection.id, _label(detection), box, trail, confirmed=True))
    for identity, trail in trails.items():
        if trail:
            objects.append(_object(identity, identity, trail[-1], trail, confirmed=False))
    # JSON has no other numbers, and screens have no place for them.
    return [each for each in objects if all(map(math.isfinite, each['box']))]


def _object(
    identity: str, label: str, box: list[float], trail: Iterable[list[float]], confirmed: bool
) -> dict:
    # Other trackers may have ids that are no numbers.
    number = int(identity) if identity.isdecimal() else zlib.crc32(identity.encode())
    return {
        'label': label,
        'colour': colour_of(number),
        'box': box,
        'trail': [((x1 + x2) / 2, y2) for x1, _, x2, y2 in trail],
        'confirmed': confirmed,
    }


def _label(detection: Detection2D) -> str:
    if not detection.results:
        return detection.id
    best = max((result.hypothesis for result in detection.results), key=lambda each: each.score)
    return f'{detection.id} {best.class_id} {best.score:.2f}'


def _corners(box: BoundingBox2D) -> list[float]:
    x, y = box.center.position.x, box.center.position.y
    return [x - box.size_x / 2, y - box.size_y / 2, x + box.size_x / 2, y + box.size_y / 2]


def main(args: list[str] | None = None) -> int:
    """
    Serve until told to stop.

    :return: the process's exit code: 0 after SIGINT or SIGTERM, 1 if it could not start
    """
    end_begins = interrupt_once()
    try:
        rclpy.init(args=args)
    except RuntimeError as error:
        get_logger(_NAME).fatal(str(error))
        return 1
    node = None
    try:
        executor = SingleThreadedExecutor()
        node = WebViewer()
        node.start()
        executor.add_node(node)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except ConfigurationError as error:
        get_logger(_NAME).fatal(str(error))
        return 1
    finally:
        end_begins()
        if node is not None:
            node.stop()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


if __name__ == '__main__':
    sys.exit(main())
