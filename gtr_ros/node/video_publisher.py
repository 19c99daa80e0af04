# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the frames of a video file or a camera as images, at the rate of the video."""

from __future__ import annotations

import argparse
import sys
from time import monotonic

import rclpy
from rclpy.logging import get_logger
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.media.image_files import ImageFilesReader
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoFrame
from gtr_ros.media.video import VideoReader
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.running import run_node
from gtr_ros.node.unused import warn_of_unused
from gtr_ros.node.usage import video_parser
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import image_files
from gtr_ros.stamps import NANOSECONDS

_NAME = 'video_publisher'
# Reliable, as in image_publisher and most drivers, and thus compatible with both kinds of
# subscribers.
_QOS = QoSProfile(depth=1)


class VideoPublisher(Node):
    """
    Publishes frames on `image` when they are due.

    :param frame_id: of the images' headers
    :param rate: frames per second; None: the rate of the video
    """

    def __init__(self, frame_id: str, rate: float | None) -> None:
        super().__init__(_NAME)
        self._frame_id = frame_id
        self._rate = rate
        self._publisher = self.create_publisher(Image, 'image', _QOS)
        self._start: float | None = None  # start of the video, seconds of the steady clock
        self._elapsed = 0.0  # from there to the newest frame, seconds
        self._published = 0
        warn_of_unused(self)

    def wait_for_subscriber(self, timeout: float) -> bool:
        """Wait at most this many seconds for a subscriber; return whether there is one."""
        deadline = monotonic() + timeout
        while not self._publisher.get_subscription_count():
            if monotonic() > deadline:
                return False
            rclpy.spin_once(self, timeout_sec=0.05)
        return True

    def restart(self, interval: float) -> None:
        """
        Restart the video: its first frame is due after its last one, at once if that was late.

        :param interval: between frames, seconds
        """
        if self._start is not None:
            self._start = max(self._start + self._elapsed + interval, monotonic())

    def publish(self, frame: VideoFrame) -> None:
        """Wait until the frame is due and publish it; a late frame is published at once."""
        elapsed = frame.index / self._rate if self._rate else frame.stamp / NANOSECONDS
        now = monotonic()
        self._start = now - elapsed if self._start is None else self._start
        self._elapsed = elapsed
        while (wait := self._start + elapsed - monotonic()) > 0:
            rclpy.spin_once(self, timeout_sec=wait)
        header = Header(stamp=self.get_clock().now().to_msg(), frame_id=self._frame_id)
        self._publisher.publish(array_to_image(frame.image, header))
        self._published += 1

    def stop(self) -> None:
        """Log how many images were published."""
        # Not by the node's name, whose logger cannot publish once a signal was handled.
        get_logger(f'gtr_ros.{_NAME}').info(f'published {self._published} images')


def main(args: list[str] | None = None) -> int:
    """
    Publish until the video ends or the process is interrupted.

    :return: exit code of the process: 0 at the end or after Ctrl-C, 1 if the video cannot be read
    """
    command_line = sys.argv if args is None else args
    options = video_parser().parse_args(remove_ros_args(command_line)[1:])
    return run_node(
        _NAME,
        lambda: VideoPublisher(options.frame_id, options.rate),
        lambda node, _: _publish_video(node, options),
        command_line,
        VideoError,
    )


def _open(options: argparse.Namespace) -> VideoReader | ImageFilesReader:
    """Open a video, a camera or images as `gtr track` does."""
    try:
        files = image_files(options.source)
    except ValueError as error:
        raise VideoError(str(error)) from None
    if files is None:
        return VideoReader(options.source)
    return ImageFilesReader(files, options.rate or TrackingOptions.rate)


def _publish_video(node: VideoPublisher, options: argparse.Namespace) -> int:
    """Publish the video once, or in a loop until the context is shut down; return 0."""
    waited = False
    while rclpy.ok():
        with _open(options) as video:
            if not waited and not node.wait_for_subscriber(options.wait):
                node.get_logger().info(f'no subscriber within {options.wait:g} s; continuing')
            waited = True
            node.restart(1 / (options.rate or video.rate))
            for count, frame in enumerate(video):
                if count == options.frames or not rclpy.ok():
                    break
                node.publish(frame)
        if not options.loop:
            break
    return 0


if __name__ == '__main__':
    sys.exit(main())
