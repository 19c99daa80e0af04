# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node in a process of its own, and a camera that publishes to it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import signal
import subprocess
import sys
import threading
from time import monotonic

from ament_index_python.packages import get_package_prefix
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from paths import REPOSITORY
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp

# At startup torch is imported and a model is built, possibly on a busy machine.
START_SECONDS = 90.0
ANSWER_SECONDS = 30.0
# A signal during startup waits for the import of torch.
STOP_SECONDS = 60.0

_FRAME_NANOSECONDS = 100_000_000


@contextmanager
def ros_environment() -> Iterator[None]:
    """Restrict this process and its children to this machine and to a domain of their own."""
    profile = str(REPOSITORY / 'config/fastdds_large_images.xml')
    settings = {
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'ROS_PYTHON_CHECK_FIELDS': '1',
        'AMENT_PREFIX_PATH': sys.prefix,
        # Fast DDS 2 (Humble, Jazzy) and 3 (Kilted and later) read different names.
        'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
        'FASTDDS_DEFAULT_PROFILES_FILE': profile,
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            if name not in os.environ:
                patch.setenv(name, value)
        yield


class Process:
    """A running program, and its output so far."""

    def __init__(self, *command: object, environment: dict[str, str] | None = None) -> None:
        self._popen = subprocess.Popen(
            [str(part) for part in command],
            text=True,
            errors='replace',
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, 'PYTHONUNBUFFERED': '1', **(environment or {})},
        )
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._popen.pid

    @property
    def output(self) -> str:
        """The output of the program so far, stdout and stderr."""
        with self._changed:
            return ''.join(self._lines)

    def wait_for_output(self, text: str, timeout: float = START_SECONDS) -> None:
        """Wait until the output contains this text."""
        with self._changed:
            self._changed.wait_for(lambda: text in ''.join(self._lines) or self._ended, timeout)
        assert text in self.output, f'the output never contained {text!r}:\n{self.output}'

    def wait(self, timeout: float = START_SECONDS) -> int:
        """Wait for the program's end and return its exit code."""
        try:
            code = self._popen.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f'still running after {timeout} s:\n{self.output}') from None
        self._reader.join(timeout)
        return code

    def send(self, number: signal.Signals) -> None:
        """Send the program a signal."""
        self._popen.send_signal(number)

    def end(self) -> None:
        """Interrupt the program, and kill it only if needed: that leaks its shared memory."""
        self._popen.send_signal(signal.SIGINT)
        try:
            self._popen.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._popen.kill()
            self._popen.wait()
        self._reader.join(STOP_SECONDS)
        self._popen.stdout.close()

    def _read(self) -> None:
        for line in self._popen.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def process(*command: object, environment: dict[str, str] | None = None) -> Iterator[Process]:
    """Run a program for the length of a `with` block."""
    running = Process(*command, environment=environment)
    try:
        yield running
    finally:
        running.end()


def executable(name: str) -> list[str]:
    """Return the command line of a program that this package installs."""
    path = Path(get_package_prefix('gtr_ros'), 'lib', 'gtr_ros', name)
    return [sys.executable, str(path)]


@contextmanager
def tracker_node(
    *remappings: str,
    environment: dict[str, str] | None = None,
    **parameters: object,
) -> Iterator[Process]:
    """
    Run the node.

    :param remappings: such as 'image:=/camera/image'
    :param parameters: values as on a command line
    """
    arguments = [word for rule in remappings for word in ('-r', rule)]
    for name, value in parameters.items():
        arguments += ['-p', f'{name}:={value}']
    command = [*executable('tracker_node'), *(['--ros-args', *arguments] if arguments else [])]
    with process(*command, environment=environment) as running:
        yield running


class Camera:
    """Publishes images to the node, and keeps the messages that it publishes."""

    def __init__(self, tracker: str = '/tracker', image_topic: str = '/image') -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('camera', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._tracker = tracker
        self._images = self.node.create_publisher(Image, image_topic, qos_profile_sensor_data)
        self._debug_subscription = None
        self._stamp = self.node.get_clock().now().nanoseconds
        self.sent: set[int] = set()
        self.detections: dict[int, Detection2DArray] = {}
        self.trajectories: dict[int, TrajectoryArray] = {}
        self.debug_images: dict[int, Image] = {}
        self.diagnostics: list[dict[str, str]] = []
        for kind, topic, kept in (
            (Detection2DArray, f'{tracker}/detections', self.detections),
            (TrajectoryArray, f'{tracker}/trajectories', self.trajectories),
        ):
            self.node.create_subscription(
                kind, topic, lambda message, kept=kept: self._keep(message, kept), 10
            )
        self.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def close(self) -> None:
        """Destroy the node of this camera."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin_until(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Spin until the condition holds; return whether it does."""
        deadline = monotonic() + timeout
        while not condition() and monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return condition()

    def wait_for_tracker(self) -> None:
        """Wait until the topics of this camera and of the node are matched."""
        node = self.node
        assert self.spin_until(
            lambda: (
                self._images.get_subscription_count() == 1
                and node.count_publishers(f'{self._tracker}/detections') == 1
                and node.count_publishers(f'{self._tracker}/trajectories') == 1
            ),
            START_SECONDS,
        ), f'no node at {self._tracker}'

    def send(self, image: np.ndarray | Image, encoding: str = 'rgb8', padding: int = 0) -> int:
        """
        Publish an image, one tenth of a second after the one before, and return its stamp.

        :param image: a message, whose header is replaced, or pixels in the encoding's order
        :param padding: bytes to add to every row
        """
        self._stamp += _FRAME_NANOSECONDS
        header = Header(stamp=nanoseconds_to_stamp(self._stamp), frame_id='camera_optical')
        if isinstance(image, Image):
            image.header = header
        else:
            height, width = image.shape[:2]
            flat = image.reshape(height, -1)
            rows = np.pad(flat, ((0, 0), (0, padding)), constant_values=137)
            image = array_to_image(rows, header, 'mono8')
            image.encoding, image.width = encoding, width
        self._images.publish(image)
        self.sent.add(self._stamp)
        return self._stamp

    def send_now(self, image: np.ndarray) -> int:
        """Publish an RGB image with the current time as its stamp, and return the stamp."""
        self.jump_to(self.node.get_clock().now().nanoseconds)
        return self.send(image)

    def exchange(
        self,
        image: np.ndarray | Image,
        encoding: str = 'rgb8',
        padding: int = 0,
    ) -> Detection2DArray:
        """
        Publish an image until its detections arrive: best effort may lose some.

        The first ones of a node may also be without trajectories, if it does not know yet that
        somebody subscribes to them.
        """
        for seconds in (5, ANSWER_SECONDS, ANSWER_SECONDS):
            stamp = self.send(image, encoding, padding)
            if self.spin_until(
                lambda stamp=stamp: stamp in self.detections and stamp in self.trajectories,
                seconds,
            ):
                return self.detections[stamp]
        raise AssertionError('no detections for three images')

    def jump_to(self, nanoseconds: int) -> None:
        """Give the next image this stamp."""
        self._stamp = nanoseconds - _FRAME_NANOSECONDS

    def next_diagnostics(self) -> dict[str, str]:
        """Wait for a diagnostics message that was made after this call, and return it."""
        seen = len(self.diagnostics)
        # The next one may have been made already, but not the one after it.
        assert self.spin_until(lambda: len(self.diagnostics) >= seen + 2, ANSWER_SECONDS), (
            'no /diagnostics'
        )
        return self.diagnostics[-1]

    def watch_debug_image(self) -> None:
        """Subscribe to the debug image, and wait for its publisher."""
        topic = f'{self._tracker}/debug_image'
        self._debug_subscription = self.node.create_subscription(
            Image, topic, lambda message: self._keep(message, self.debug_images), 10
        )
        assert self.spin_until(lambda: self.node.count_publishers(topic) == 1, ANSWER_SECONDS)

    def ignore_debug_image(self) -> None:
        """Unsubscribe from the debug image."""
        self.node.destroy_subscription(self._debug_subscription)

    def _keep(self, message: object, kept: dict[int, object]) -> None:
        stamp: Time = message.header.stamp
        kept[stamp.sec * 1_000_000_000 + stamp.nanosec] = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == f'{self._tracker.lstrip("/")}: tracker':
                self.diagnostics.append(
                    {
                        'level': str(status.level[0]),
                        'message': status.message,
                        **{value.key: value.value for value in status.values},
                    }
                )
