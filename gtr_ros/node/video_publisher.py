# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish a video file or a camera as images, in the video's own time."""

from __future__ import annotations

import argparse
import sys
from time import monotonic

import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoFrame
from gtr_ros.media.video import VideoReader
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.running import interrupt_once

_NAME = 'video_publisher'
# Reliable, as image_publisher and most drivers: both kinds of subscribers can listen.
_QOS = QoSProfile(depth=1)


class VideoPublisher(Node):
    """
    Publishes frames on `image` when they are due.

    :param rate: frames a second; None: the video's own
    :param frame_id: of the images' headers
    """

    def __init__(self, frame_id: str, rate: float | None) -> None:
        super().__init__(_NAME)
        self._frame_id = frame_id
        self._rate = rate
        self._publisher = self.create_publisher(Image, 'image', _QOS)
        self._begin: float | None = None
        self.published = 0

    def wait_for_subscriber(self, seconds: float) -> bool:
        """Return whether somebody listens within this time."""
        deadline = monotonic() + seconds
        while not self._publisher.get_subscription_count():
            if monotonic() > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True

    def restart(self) -> None:
        """Let the next frame be due at once: the video begins again."""
        self._begin = None

    def publish(self, frame: VideoFrame) -> None:
        """Wait until the frame is due and publish it; a late one goes out at once."""
        elapsed = frame.index / self._rate if self._rate else frame.stamp / 1e9
        now = monotonic()
        self._begin = now - elapsed if self._begin is None else self._begin
        while (wait := self._begin + elapsed - monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=wait)
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        self._publisher.publish(array_to_image(frame.image, header))
        self.published += 1


def main(args: list[str] | None = None) -> int:
    """
    Publish until the video ends, or the process is told to stop.

    :return: exit code: 0 at the end or after Ctrl-C, 1 if there is no such video
    """
    command_line = sys.argv if args is None else args
    options = _parser().parse_args(remove_ros_args(command_line)[1:])
    end_begins = interrupt_once()
    rclpy.init(args=command_line)
    node = VideoPublisher(options.frame_id, options.rate)
    try:
        _publish_all(node, options)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except VideoError as error:
        get_logger(_NAME).fatal(str(error))
        return 1
    finally:
        end_begins()
        get_logger(_NAME).info(f'published {node.published} images')
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def _publish_all(node: VideoPublisher, options: argparse.Namespace) -> None:
    """Publish the video once, or until told to stop."""
    waited = False
    while rclpy.ok():
        with VideoReader(options.source) as video:
            if not waited and not node.wait_for_subscriber(options.wait):
                node.get_logger().info(f'nobody subscribed within {options.wait:g} s; going on')
            waited = True
            node.restart()
            for frame in video:
                if frame.index == options.frames or not rclpy.ok():
                    break
                node.publish(frame)
        if not options.loop:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_NAME, description=__doc__)
    parser.add_argument('source', help='video file, or camera as /dev/video0')
    parser.add_argument(
        '--rate', type=float, metavar='HZ', help="frames a second (default: the video's own)"
    )
    parser.add_argument('--frames', type=int, metavar='N', help='end after this many')
    parser.add_argument('--loop', action='store_true', help='begin again at the end')
    parser.add_argument(
        '--wait',
        type=float,
        default=5.0,
        metavar='S',
        help='seconds to wait for a subscriber (default: %(default)s)',
    )
    parser.add_argument('--frame-id', default='camera', help='(default: %(default)s)')
    return parser


if __name__ == '__main__':
    sys.exit(main())
