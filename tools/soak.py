# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the node for several minutes and check that its memory does not grow.

Synthetic images with moving objects are sent over DDS, at a camera's rate, to a node in a separate
process. Half of the time the debug image has a subscriber.
"""

from __future__ import annotations

import argparse
from contextlib import suppress
import os
from pathlib import Path
import signal
import statistics
import subprocess
import sys
from time import monotonic

import numpy as np
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.images import array_to_image

REPOSITORY = Path(__file__).resolve().parent.parent
#: largest accepted growth of the median memory from the second to the last quarter of the run
MAX_GROWTH = 0.03
_SIZE = (480, 640)


def resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process, in megabytes."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1e3
    raise ValueError(f'process {pid} has ended')


def draw_frame(t: int, texture: np.ndarray) -> np.ndarray:
    """Draw frame t: ten textured boxes that move over grey, (H, W, 3) uint8."""
    frame = np.full((*_SIZE, 3), 90, np.uint8)
    for i in range(10):
        x = int((37 * i + t * (1 + i % 4)) % (_SIZE[1] - 60))
        y = int((53 * i + t * (i % 3)) % (_SIZE[0] - 120))
        frame[y : y + 120, x : x + 60] = texture[i]
    return frame


def soak(minutes: float, rate: float, checkpoint: str) -> list[float]:
    """
    Run the node; return its memory in megabytes, sampled once a second.

    :param rate: images per second
    :param checkpoint: of the node; '': the default checkpoint
    """
    program = Path(sys.prefix, 'lib', 'gtr_ros', 'tracker_node')
    arguments = ['-p', 'score_threshold:=0.02']
    if checkpoint:
        arguments += ['-p', f'checkpoint:={checkpoint}']
    node = subprocess.Popen([sys.executable, program, '--ros-args', *arguments])
    rclpy.init()
    client = rclpy.create_node('soak')
    executor = SingleThreadedExecutor()
    executor.add_node(client)
    images = client.create_publisher(Image, 'image', qos_profile_sensor_data)
    received = [0]

    def count(_: Detection2DArray) -> None:
        received[0] += 1

    client.create_subscription(Detection2DArray, 'tracker/detections', count, 10)
    texture = np.random.default_rng(0).integers(0, 256, (10, 120, 60, 3), np.uint8)
    memory, sent, subscription = [], 0, None
    try:
        while images.get_subscription_count() == 0:
            executor.spin_once(timeout_sec=0.1)
            if node.poll() is not None:
                raise SystemExit(f'the node ended with exit code {node.returncode}')
        start = monotonic()
        while monotonic() - start < 60 * minutes:
            stamp = client.get_clock().now().to_msg()
            images.publish(array_to_image(draw_frame(sent, texture), Header(stamp=stamp)))
            sent += 1
            due = start + sent / rate
            while monotonic() < due:
                executor.spin_once(timeout_sec=max(0.0, due - monotonic()))
            if monotonic() - start < len(memory):
                continue
            memory.append(resident_megabytes(node.pid))
            if len(memory) % 30 == 0:
                print(
                    f'{len(memory)} s: {memory[-1]:.0f} MB, {sent} images sent, '
                    f'{received[0]} detection messages received'
                )
                # Alternate between having and not having a subscriber.
                if subscription is None:
                    subscription = client.create_subscription(
                        Image, 'tracker/debug_image', lambda _: None, 1
                    )
                else:
                    client.destroy_subscription(subscription)
                    subscription = None
        return memory
    finally:
        node.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            node.wait(30)
        client.destroy_node()
        rclpy.try_shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=10, help='(default: %(default)s)')
    parser.add_argument(
        '--rate', type=float, default=30, help='images per second (default: %(default)s)'
    )
    parser.add_argument(
        '--checkpoint', default='', help='(default: the weights included in the package)'
    )
    options = parser.parse_args()
    profile = str(REPOSITORY / 'config/fastdds_large_images.xml')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        os.environ.setdefault(name, profile)
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    memory = soak(options.minutes, options.rate, options.checkpoint)
    quarter = len(memory) // 4
    before = statistics.median(memory[quarter : 2 * quarter])
    after = statistics.median(memory[3 * quarter :])
    growth = after / before - 1
    print(f'{before:.0f} MB in the second quarter, {after:.0f} MB in the last: {growth:+.1%}')
    return growth > MAX_GROWTH


if __name__ == '__main__':
    sys.exit(main())
