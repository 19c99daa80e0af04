# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What tests of faults share: a running node, two cameras, and what must hold after each fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextlib import contextmanager
from enum import IntEnum
import math
from pathlib import Path
import sys

from diagnostic_msgs.msg import DiagnosticArray
from node_processes import ANSWER_SECONDS
from node_processes import Process
from node_processes import process
from node_processes import START_SECONDS
import numpy as np
from rcl_interfaces.msg import Parameter
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter as LocalParameter
from robot import Robot
from robot import robot
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray

from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.gallery import GalleryOptions

#: what the model of `faulty_node` says when it begins with an image that takes it long
BUSY = 'the model is busy'
PROGRAM = Path(__file__).parent / 'faulty_node.py'
SIZE = (64, 96)
#: areas of the scene, and thus boxes of its objects, xyxy
OBJECTS = ((8, 8, 24, 24), (64, 40, 80, 60))
_FRAME = 100_000_000
#: before now, so that stamps from a clock follow later
_HEAD_START = 600_000_000_000
_TRIES = 3
#: images for which new objects may wait, while they may be lost ones; with random weights all look
#: alike
_SETTLING = math.ceil(GalleryOptions.wait * NANOSECONDS / _FRAME) + 5
#: where an image that was received ends
_ENDS = ('processed', 'failed', 'dropped', 'skipped', 'unmatched')
_COUNTERS = ('received', *_ENDS, 'split')


class Mark(IntEnum):
    """What the model of `faulty_node` does with an image whose first pixel has this value."""

    RAISES = 11
    TOO_LARGE = 12
    NAN = 13
    SLOW = 14
    HANGS = 16  # for longer than the diagnostics wait before they warn
    CROWDED = 15  # fails for lack of memory in a batch with other images
    ALIKE = 17  # has the same features everywhere


def scene(
    mark: int = 0,
    objects: Sequence[tuple[int, int, int, int]] = OBJECTS,
    size: tuple[int, int] = SIZE,
) -> np.ndarray:
    """Return an image of bright objects on dark ground, (H, W, 3) uint8."""
    image = np.zeros((*size, 3), np.uint8)
    for index, (x1, y1, x2, y2) in enumerate(objects):
        image[y1:y2, x1:x2] = (250, 160, 160) if index % 2 == 0 else (160, 160, 250)
    image[0, 0] = mark
    return image


class Rig:
    """
    Two cameras of a running node, and a user who reads what it publishes.

    :param namespace: of the node and its cameras, such as '/faults'; absolute
    :param compressed: whether images are sent as JPEG
    """

    cameras = ('left', 'right')

    def __init__(self, node: Process, user: Robot, namespace: str, compressed: bool) -> None:
        self.node = node
        self.user = user
        user.stamp -= _HEAD_START
        self.namespace = namespace
        self.compressed = compressed
        self._expected: dict[str, Counter[str]] = {name: Counter() for name in self.cameras}
        self.status: dict[str, dict[str, str]] = {}
        self.reports = 0
        self.clock = 0  # of the node when it made the newest report, seconds
        self.detections: dict[str, dict[int, Detection2DArray]] = {}
        user.node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        for name in self.cameras:
            kept = self.detections[name] = {}
            user.node.create_subscription(
                Detection2DArray,
                f'{namespace}/tracker/{name}/detections',
                lambda message, kept=kept: kept.update(
                    {stamp_to_nanoseconds(message.header.stamp): message}
                ),
                10,
            )
        assert user.spin_until(
            lambda: all(
                user.node.count_publishers(f'{namespace}/tracker/{name}/detections')
                for name in self.cameras
            ),
            START_SECONDS,
        ), node.output

    def topic(self, name: str) -> str:
        """Return the topic of a camera's images."""
        return f'{self.namespace}/{name}/image{"/compressed" if self.compressed else ""}'

    def message(self, picture: np.ndarray, header: Header) -> object:
        """Return the message of an image."""
        return (compress if self.compressed else array_to_image)(picture, header)

    def send(self, name: str, image: object, stamp: int | None = None) -> int:
        """Publish an image of a camera, pixels or a message, and return its stamp."""
        if stamp is None:
            self.user.stamp += _FRAME
            stamp = self.user.stamp
        header = Header(stamp=nanoseconds_to_stamp(stamp), frame_id='optical')
        if isinstance(image, np.ndarray):
            image = self.message(image, header)
        else:
            image.header.stamp = header.stamp
        self.user.publish(self.topic(name), image)
        return stamp

    def keep_busy(self, name: str, mark: Mark = Mark.SLOW) -> int:
        """Publish an image that takes the model a second or more; wait until it has begun."""
        count = self.node.output.count(BUSY)
        for _ in range(_TRIES):  # best effort may lose some
            stamp = self.send(name, scene(mark))
            if self.user.spin_until(
                lambda: self.node.output.count(BUSY) > count, ANSWER_SECONDS / _TRIES
            ):
                return stamp
        raise AssertionError(f'the model never began:\n{self.node.output[-3000:]}')

    def publish_bytes(self, name: str, data: bytes) -> None:
        """Publish bytes as if they were a message of the type of a camera's images."""
        self.user.publisher(self.topic(name)).publish(data)
        self.user.spin_until(lambda: False, 0.1)

    def answer(self, name: str, stamp: int, timeout: float = ANSWER_SECONDS) -> Detection2DArray:
        """Wait for the detections of an image."""
        found = self.detections[name]
        assert self.user.spin_until(lambda: stamp in found, timeout), (
            f'no detections of {name} at {stamp}:\n{self.node.output[-3000:]}'
        )
        self._expected[name]['processed'] += 1
        return found.pop(stamp)

    def exchange(
        self, name: str, image: object, timeout: float = ANSWER_SECONDS
    ) -> Detection2DArray:
        """Publish an image until its detections arrive: best effort may lose some."""
        found = self.detections[name]
        for _ in range(_TRIES):
            stamp = self.send(name, image)
            if self.user.spin_until(lambda stamp=stamp: stamp in found, timeout / _TRIES):
                break
        return self.answer(name, stamp)

    def ids(self, name: str) -> list[int]:
        """Publish the scene, and return the ids of its objects from left to right."""
        return ids_of(self.exchange(name, scene()))

    def settled_ids(self, name: str) -> list[int]:
        """Publish the scene until all its objects, which may be new, are confirmed."""
        for _ in range(_SETTLING):
            ids = self.ids(name)
            if len(ids) == len(OBJECTS):
                break
        return ids

    def connect(self) -> None:
        """Publish until both cameras are tracked, and count from there."""
        for name in self.cameras:
            found = self.detections[name]
            for _ in range(int(10 * START_SECONDS)):
                stamp = self.send(name, scene())
                # The answer to an earlier one will do: it may take longer than this.
                if self.user.spin_until(lambda found=found: found, 0.1):
                    break
            self.answer(name, stamp)
            self.recount(name)

    def recount(self, name: str) -> None:
        """Count from what the diagnostics report once nothing is on its way."""
        reports = self.reports
        assert self.user.spin_until(lambda: self.reports >= reports + 2)
        self._expected[name] = Counter({key: int(self.status[name][key]) for key in _COUNTERS})

    def counted(self, name: str, **more: int) -> dict[str, str]:
        """
        Wait until the diagnostics report exactly the expected numbers; return all they report.

        :param more: what the fault adds to the counters of this camera, such as failed=1
        """
        self._expected[name].update(more)
        expected = {key: self._expected[name][key] for key in (*_ENDS, *more)}

        def agree() -> bool:
            status = self.status.get(name, {})
            return all(status.get(key) == str(value) for key, value in expected.items())

        assert self.user.spin_until(agree), (
            f'{name}: expected {expected}, reported {self.status.get(name)}\n'
            f'{self.node.output[-3000:]}'
        )
        status = self.status[name]
        assert int(status['received']) == sum(int(status[key]) for key in _ENDS), status
        return status

    @contextmanager
    def survives(self, same_ids: bool = True) -> Iterator[None]:
        """Check that a fault costs neither camera its tracks, and that nothing is miscounted."""
        before = {name: self.ids(name) for name in self.cameras}
        yield
        ids = self.ids if same_ids else self.settled_ids
        after = {name: ids(name) for name in self.cameras}
        for name in self.cameras:
            assert len(after[name]) == len(OBJECTS), name
            if same_ids:
                assert after[name] == before[name], name
            self.counted(name)

    def fails(self, name: str, image: object, words: str) -> dict[str, str]:
        """Publish an image that cannot be tracked; check that it is named and counted."""
        failed = self._expected[name]['failed'] + 1
        for _ in range(_TRIES):
            self.send(name, image)
            if self.user.spin_until(
                lambda: self.status.get(name, {}).get('failed') == str(failed),
                ANSWER_SECONDS / _TRIES,
            ):
                break
        status = self.counted(name, failed=1)
        assert words in status['last_error'], status['last_error']
        # A message that differs from a recent one in numbers only is not logged again.
        self.node.wait_for_output(f'skipped an image of {self.topic(name)}', ANSWER_SECONDS)
        return status

    def set(self, **values: object) -> list[str]:
        """Set parameters one after the other; return the reasons why they were refused, or ''."""
        parameters: list[Parameter] = [
            LocalParameter(name, value=value).to_parameter_msg() for name, value in values.items()
        ]
        answer = self.user.call(
            SetParameters, f'{self.namespace}/tracker/set_parameters', parameters=parameters
        )
        return [('' if r.successful else r.reason or 'refused') for r in answer.results]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            node, _, name = status.name.partition(': ')
            if f'/{node}' == f'{self.namespace}/tracker' and name in self.cameras:
                self.status[name] = {v.key: v.value for v in status.values}
                self.status[name] |= {'message': status.message, 'level': str(status.level[0])}
                self.reports += name == self.cameras[0]
                self.clock = message.header.stamp.sec


def ids_of(message: Detection2DArray) -> list[int]:
    """Return the ids of a message's objects from left to right."""
    ordered = sorted(message.detections, key=lambda d: d.bbox.center.position.x)
    return [int(detection.id) for detection in ordered]


def faulty_node(namespace: str, **parameters: object) -> AbstractContextManager[Process]:
    """Run the faulty node for the length of a `with` block."""
    given = {
        'model': 'toy',
        'checkpoint': 'random',
        'cameras': '[left, right, spare]',
        'min_hits': 1,
        'threads': 1,
        'max_age': 0.0,
        **parameters,
    }
    words = ['-r', f'__ns:={namespace}']
    for name, value in given.items():
        words += ['-p', f'{name}:={value}']
    return process(sys.executable, PROGRAM, '--ros-args', *words)


@contextmanager
def rig(namespace: str, compressed: bool = False, **parameters: object) -> Iterator[Rig]:
    """Run the faulty node, and connect to two of its cameras, for the length of a `with` block."""
    transport = 'compressed' if compressed else 'raw'
    with (
        faulty_node(namespace, image_transport=transport, **parameters) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on')
        made = Rig(node, user, namespace, compressed)
        made.connect()
        yield made
