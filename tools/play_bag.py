# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Play a ROS 2 bag: publish its messages, as they are, on their topics, when they are due.

For environments without `ros2 bag play`, such as the one that `make env` makes from wheels. With
--clock, nodes with `use_sim_time` live in the time of the bag.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
import sys
from time import monotonic

import rclpy
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from rclpy.utilities import remove_ros_args
from rosbags.interfaces import Connection
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosReliability
from rosgraph_msgs.msg import Clock

from gtr_ros.data.formats.bag_reader import guarded
from gtr_ros.data.formats.bag_reader import open_bag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.running import run_node
from gtr_ros.stamps import NANOSECONDS

_TICK = 0.01  # s, between messages on /clock
_DEPTH = 100
_ACKNOWLEDGE = 5  # s, for which reliable subscribers may still take the last messages


class BagPlayer(Node):
    """
    Publishes the messages of a bag; topics of types that are not installed are left out.

    :param path: folder or storage file of the bag
    :param clock: whether to publish the time of the bag on /clock
    :raises FormatError: if it cannot be read
    """

    def __init__(self, path: Path, clock: bool) -> None:
        self._path, self._reader = path, open_bag(path)
        super().__init__('bag_player')
        self._clock_publisher = self.create_publisher(Clock, '/clock', 10) if clock else None
        self._by_connection: dict[int, Publisher] = {}
        for connection in self._reader.connections:
            package, _, name = connection.msgtype.split('/')
            try:
                kind = getattr(import_module(f'{package}.msg'), name)
            except (ImportError, AttributeError):
                self.get_logger().warning(
                    f'{connection.topic} is left out: its type {connection.msgtype} is not '
                    f'installed; install {package}'
                )
                continue
            publisher = self.create_publisher(kind, connection.topic, _qos(connection))
            self._by_connection[connection.id] = publisher

    def stop(self) -> None:
        """Close the bag."""
        self._reader.close()

    def wait_for_subscribers(self, timeout: float) -> None:
        """Wait at most this many seconds until every topic has a subscriber, and name the rest."""
        deadline = monotonic() + timeout
        while rclpy.ok() and monotonic() < deadline and self._unheard():
            rclpy.spin_once(self, timeout_sec=0.05)
        if names := self._unheard():
            self.get_logger().info(f'nobody subscribes to {", ".join(names)}')

    def play(self, speed: float) -> int:
        """
        Publish all messages; return their number.

        :param speed: seconds of the bag per second
        :raises FormatError: if the bag is damaged
        """
        start, first, published = monotonic(), None, 0
        for connection, received, data in self._messages():
            first = received if first is None else first
            due = (received - first) / NANOSECONDS / speed
            while (wait := due - (monotonic() - start)) > 0:
                self._tick(received - round(wait * speed * NANOSECONDS))
                rclpy.spin_once(self, timeout_sec=min(wait, _TICK))
            self._tick(received)
            if connection.id in self._by_connection:
                self._by_connection[connection.id].publish(bytes(data))
                published += 1
        for publisher in self._by_connection.values():
            # Who ends now takes what is on its way along.
            publisher.wait_for_all_acked(Duration(seconds=_ACKNOWLEDGE))
        return published

    def _messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield the messages by receive time, nanoseconds; raise FormatError if one is damaged."""
        messages = self._reader.messages()
        while (read := guarded(self._path, 'damaged', next, messages, None)) is not None:
            yield read

    def _tick(self, time: int) -> None:
        if self._clock_publisher is not None:
            self._clock_publisher.publish(Clock(clock=nanoseconds_to_stamp(time)))

    def _unheard(self) -> list[str]:
        heard = self._by_connection.values()
        return [p.topic_name for p in heard if not p.get_subscription_count()]


def _qos(connection: Connection) -> QoSProfile:
    """Return the durability and reliability with which a topic was recorded; or reliable."""
    offered = connection.ext.offered_qos_profiles
    latched = any(q.durability == QosDurability.TRANSIENT_LOCAL for q in offered)
    lossy = bool(offered) and all(q.reliability == QosReliability.BEST_EFFORT for q in offered)
    policy, durability = QoSReliabilityPolicy, QoSDurabilityPolicy
    return QoSProfile(
        depth=_DEPTH if latched else 10,
        durability=durability.TRANSIENT_LOCAL if latched else durability.VOLATILE,
        reliability=policy.BEST_EFFORT if lossy else policy.RELIABLE,
    )


def main() -> int:
    """Run the command line; return the exit code: 1 if the bag cannot be read."""
    parser = argparse.ArgumentParser(prog='play_bag.py', description=__doc__)
    parser.add_argument('bag', type=Path, help='folder or storage file')
    parser.add_argument('--clock', action='store_true', help='publish the time of the bag')
    parser.add_argument(
        '--speed', type=float, default=1.0, help='seconds of the bag per second (default: 1)'
    )
    parser.add_argument(
        '--wait',
        type=float,
        default=5.0,
        metavar='S',
        help='maximum time to wait for a subscriber of each topic, seconds (default: 5)',
    )
    options = parser.parse_args(remove_ros_args(sys.argv)[1:])
    if not options.speed > 0:
        parser.error(f'--speed is {options.speed}; expected a number above 0')

    def run(node: BagPlayer, _: object) -> int:
        node.wait_for_subscribers(options.wait)
        print(f'published {node.play(options.speed)} messages', flush=True)
        return 0

    return run_node(
        'bag_player', lambda: BagPlayer(options.bag, options.clock), run, sys.argv, FormatError
    )


if __name__ == '__main__':
    sys.exit(main())
