# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The subscriptions of /tf and /tf_static."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.tracker.transforms import TransformError
from gtr_ros.node.tracker.transforms import Transforms
from gtr_ros.stamps import NANOSECONDS

if TYPE_CHECKING:
    from rclpy.node import Node

_QOS = QoSProfile(depth=100)
_STATIC_QOS = QoSProfile(depth=100, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
#: nanoseconds that a transform may be ahead of the node's clock and of the newest image: some are
#: stamped with the time until which they hold
MOST_AHEAD = 10 * NANOSECONDS


class TransformListener:
    """
    The transforms on /tf and /tf_static, for all cameras of a node, until `close`.

    :param node: the node that subscribes
    :param warn: logs a warning, unless it was logged a moment ago
    """

    def __init__(self, node: Node, warn: Callable[[str], object]) -> None:
        self.transforms = Transforms()
        #: number of transforms that were ignored, because they are not valid or of the future
        self.refused = 0
        #: the newest stamp of an image, nanoseconds
        self.newest_image = 0
        #: called after transforms have arrived
        self.on_arrival: list[Callable[[], None]] = []
        self._node, self._warn = node, warn
        self._clock = node.get_clock()
        self._subscriptions = [
            node.create_subscription(TFMessage, topic, partial(self._add, static), qos)
            for topic, static, qos in (('/tf', False, _QOS), ('/tf_static', True, _STATIC_QOS))
        ]

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self.on_arrival.clear()

    def _add(self, static: bool, message: TFMessage) -> None:
        newest = max(self._clock.now().nanoseconds, self.newest_image) + MOST_AHEAD
        for entry in message.transforms:
            stamp = stamp_to_nanoseconds(entry.header.stamp)
            shift, turn = entry.transform.translation, entry.transform.rotation
            try:
                if stamp > newest and not static:
                    ahead = (stamp - newest + MOST_AHEAD) / NANOSECONDS
                    raise TransformError(
                        f'the transform of frame {entry.child_frame_id!r} in '
                        f'{entry.header.frame_id!r} is {ahead:.1f} s in the future. Are the '
                        'clocks right?'
                    )
                self.transforms.add(
                    entry.header.frame_id,
                    entry.child_frame_id,
                    stamp,
                    (shift.x, shift.y, shift.z),
                    (turn.x, turn.y, turn.z, turn.w),
                    static,
                )
            except TransformError as error:
                self.refused += 1
                self._warn(f'a transform is ignored: {error}')
        for call in self.on_arrival:
            call()
