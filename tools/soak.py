# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Run the node for a while and look at its memory: it must not grow.

Images of a walk through synthetic scenes go to a node in a process of its own, over DDS, as fast
as a camera sends them. Half of the time somebody looks at the debug image.
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
#: what the last quarter of the time may have more than the second, part of it
MOST_GROWTH = 0.03
_SIZE = (480, 640)


def resident_megabytes(pid: int) -> float:
    """Return the memory that a process holds."""
    for line in Path(f'/proc/{pid}/status').read_text().splitlines():
        if line.startswith('VmRSS:'):
            return int(line.split()[1]) / 1e3
    raise ValueError(f'process {pid} has no memory: it has ended')


def picture(t: int, texture: np.ndarray) -> np.ndarray:
    """Return frame t: ten textured boxes that walk about on grey, (H, W, 3) uint8."""
    frame = np.full((*_SIZE, 3), 90, np.uint8)
    for i in range(10):
        x = int((37 * i + t * (1 + i % 4)) % (_SIZE[1] - 60))
        y = int((53 * i + t * (i % 3)) % (_SIZE[0] - 120))
        frame[y : y + 120, x : x + 60] = texture[i]
    return frame


def soak(minutes: float, rate: float, checkpoint: str) -> list[float]:
    """Run the node; return its memory in megabytes, once a second."""
    program = Path(sys.prefix, 'lib', 'gtr_ros', 'tracker_node')
    settings = ['-p', 'score_threshold:=0.02']
    if checkpoint:
        settings += ['-p', f'checkpoint:={checkpoint}']
    node = subprocess.Popen([sys.executable, program, '--ros-args', *settings])
    rclpy.init()
    user = rclpy.create_node('soak')
    executor = SingleThreadedExecutor()
    executor.add_node(user)
    images = user.create_publisher(Image, 'image', qos_profile_sensor_data)
    answers = [0]

    def count(_: Detection2DArray) -> None:
        answers[0] += 1

    user.create_subscription(Detection2DArray, 'tracker/detections', count, 10)
    texture = np.random.default_rng(0).integers(0, 256, (10, 120, 60, 3), np.uint8)
    memory, sent, watching = [], 0, None
    try:
        while images.get_subscription_count() == 0:
            executor.spin_once(timeout_sec=0.1)
            if node.poll() is not None:
                raise SystemExit(f'the node ended with {node.returncode}')
        start = monotonic()
        while monotonic() - start < 60 * minutes:
            stamp = user.get_clock().now().to_msg()
            images.publish(array_to_image(picture(sent, texture), Header(stamp=stamp)))
            sent += 1
            due = start + sent / rate
            while monotonic() < due:
                executor.spin_once(timeout_sec=max(0.0, due - monotonic()))
            if monotonic() - start < len(memory):
                continue
            memory.append(resident_megabytes(node.pid))
            if len(memory) % 30 == 0:
                print(f'{len(memory)} s: {memory[-1]:.0f} MB, {sent} sent, {answers[0]} answers')
                # Somebody comes and goes.
                if watching is None:
                    watching = user.create_subscription(
                        Image, 'tracker/debug_image', lambda _: None, 1
                    )
                else:
                    user.destroy_subscription(watching)
                    watching = None
        return memory
    finally:
        node.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            node.wait(30)
        user.destroy_node()
        rclpy.try_shutdown()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=10)
    parser.add_argument('--rate', type=float, default=30, help='images a second')
    parser.add_argument('--checkpoint', default='', help='(default: the weights that come along)')
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
    return growth > MOST_GROWTH


if __name__ == '__main__':
    sys.exit(main())
