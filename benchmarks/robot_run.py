# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Play a bag to a node in its own process, follow somebody, and keep what the node publishes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
import os
from pathlib import Path
import signal
import subprocess
import sys
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import PointCloud2
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray

from benchmarks.node_overhead import isolated
from benchmarks.node_overhead import REPOSITORY
from benchmarks.robot_bag import COLOUR
from benchmarks.robot_bag import DEPTH
from benchmarks.robot_bag import INFO
from benchmarks.robot_bag import ODOM
from gtr_ros.msg import Counts
from gtr_ros.msg import Crop
from gtr_ros.msg import FollowedState
from gtr_ros.msg import Track3DArray
from gtr_ros.msg import TrackEventArray
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.srv import Follow

_START_SECONDS, _STOP_SECONDS, _QUIET_SECONDS = 120.0, 20.0, 3.0
_LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
_MANY = QoSProfile(depth=1000)
_TOPICS = {
    'detections': (Detection2DArray, _MANY),
    'tracks_3d': (Detection3DArray, _MANY),
    'tracks_with_velocity': (Track3DArray, _MANY),
    'obstacles': (PointCloud2, _MANY),
    'events': (TrackEventArray, _MANY),
    'counts': (Counts, _LATCHED),
    'crops': (Crop, _MANY),
    'followed/state': (FollowedState, QoSProfile(depth=1000, durability=_LATCHED.durability)),
    'followed/pose': (PoseStamped, _MANY),
}

#: returns the pixel, x and y, of whom to follow, as soon as these detections show that person
Choose = Callable[[Detection2DArray], tuple[float, float] | None]


class RunError(RuntimeError):
    """The node or the player failed; the message has the end of its output."""


@dataclass
class Heard:
    """
    What the node published.

    :param messages: by topic, in the order of their arrival
    :param status: the newest report in /diagnostics
    :param asked: stamp of the image in which somebody was chosen; None: nobody was
    :param answer: of the service; None: there was none
    """

    messages: dict[str, list] = field(default_factory=lambda: {name: [] for name in _TOPICS})
    status: dict[str, str] = field(default_factory=dict)
    asked: int | None = None
    answer: Follow.Response | None = None

    def by_stamp(self, topic: str) -> dict[int, object]:
        """Return the messages of a topic by the stamps of their images."""
        return {stamp_to_nanoseconds(m.header.stamp): m for m in self.messages[topic]}


def run(
    bag: Path, zones: Path, choose: Choose, arguments: list[str], speed: float, folder: Path
) -> Heard:
    """
    Play a bag to a node.

    :param zones: file for the parameter zones_file
    :param choose: whom to follow
    :param arguments: more arguments of the node, after `--ros-args`
    :param speed: seconds of the bag per second
    :param folder: for the output of both processes
    :raises RunError: if one of them fails
    """
    parameters = {
        'use_sim_time': 'true',
        'target_frame': ODOM,
        'depth': 'true',
        'zones_file': zones,
        'class_names': '[person]',
        'runtime': 'torch',
    }
    topics = {'image': COLOUR, 'depth': DEPTH, 'camera_info': INFO}
    words = [w for name, topic in topics.items() for w in ('-r', f'{name}:={topic}')]
    words += [w for name, value in parameters.items() for w in ('-p', f'{name}:={value}')]
    node_command = [REPOSITORY / 'scripts' / 'tracker_node', '--ros-args', *words, *arguments]
    player_command = [REPOSITORY / 'tools' / 'play_bag.py', bag, '--clock', '--wait', '60']
    player_command += ['--speed', str(speed)]
    with isolated(), _listening(choose) as listener:
        with _program('tracker_node', node_command, folder) as node:
            listener.wait_for('tracks_with_velocity', node)
            with _program('play_bag', player_command, folder) as player:
                quiet_since, count = monotonic(), 0
                while not player.ended() or monotonic() - quiet_since < _QUIET_SECONDS:
                    node.check()
                    listener.spin()
                    if listener.count != count:
                        quiet_since, count = monotonic(), listener.count
        return listener.heard


class _Listener:
    """A node that hears everything, and asks to follow somebody."""

    def __init__(self, choose: Choose) -> None:
        self.heard, self._choose = Heard(), choose
        self._node = rclpy.create_node('listener')
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._client = self._node.create_client(Follow, '/tracker/follow')
        self._future = None
        for name, (kind, qos) in _TOPICS.items():
            self._node.create_subscription(
                kind, f'/tracker/{name}', lambda m, name=name: self._on_message(name, m), qos
            )
        self._node.create_subscription(DiagnosticArray, '/diagnostics', self._on_report, 10)

    @property
    def count(self) -> int:
        """Number of messages so far."""
        return sum(map(len, self.heard.messages.values()))

    def close(self) -> None:
        self._executor.shutdown()
        self._node.destroy_node()

    def spin(self) -> None:
        """Take what has arrived."""
        self._executor.spin_once(timeout_sec=0.05)
        if self._future is not None and self._future.done():
            self.heard.answer, self._future = self._future.result(), None

    def wait_for(self, topic: str, node: _Program) -> None:
        """Wait until the node is ready: it advertises the topic, and has subscribed."""
        deadline = monotonic() + _START_SECONDS
        while not (
            self._node.count_publishers(f'/tracker/{topic}')
            and self._node.count_subscribers(COLOUR)
            and self._client.service_is_ready()
        ):
            node.check()
            if monotonic() > deadline:
                raise RunError(f'the node was not ready after {_START_SECONDS:g} s')
            self.spin()

    def _on_message(self, topic: str, message: object) -> None:
        self.heard.messages[topic].append(message)
        if topic != 'detections' or self.heard.asked is not None:
            return
        if pixel := self._choose(message):
            self.heard.asked = stamp_to_nanoseconds(message.header.stamp)
            request = Follow.Request(id='pixel', x=pixel[0], y=pixel[1])
            self._future = self._client.call_async(request)

    def _on_report(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == 'tracker: tracker':
                self.heard.status = {value.key: value.value for value in status.values}


@contextmanager
def _listening(choose: Choose) -> Iterator[_Listener]:
    rclpy.init(args=[])
    listener = _Listener(choose)
    try:
        yield listener
    finally:
        listener.close()
        rclpy.try_shutdown()


class _Program:
    """A process, with its output in a file."""

    def __init__(self, name: str, command: list[object], folder: Path) -> None:
        self._name, self._log = name, folder / f'{name}.log'
        # This checkout, not an installed copy.
        path = os.pathsep.join(filter(None, (str(REPOSITORY), os.environ.get('PYTHONPATH'))))
        with self._log.open('w') as output:
            self._process = subprocess.Popen(
                [sys.executable, *map(str, command)],
                env={**os.environ, 'PYTHONPATH': path},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def ended(self) -> bool:
        """Return whether it has ended with exit code 0; raise RunError after another one."""
        code = self._process.poll()
        if code:
            lines = '\n'.join(self._log.read_text(errors='replace').splitlines()[-15:])
            raise RunError(f'{self._name} ended with exit code {code}:\n{lines}')
        return code == 0

    def check(self) -> None:
        """Raise RunError if it has ended."""
        if self.ended():
            raise RunError(f'{self._name} ended early; see {self._log}')

    def stop(self) -> None:
        """Interrupt it; kill it if it does not end in time."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def _program(name: str, command: list[object], folder: Path) -> Iterator[_Program]:
    program = _Program(name, command, folder)
    try:
        yield program
    finally:
        program.stop()
