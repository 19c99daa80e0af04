# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the node costs beyond its model: raw images in, detections out, over DDS.

The node runs in a process of its own, around a detector that finds the same boxes in every image
at no cost. Beside it, in turns, a bare rclpy node receives the same image and publishes an empty
Detection2DArray: what is left is the node's own. A turn begins when the answer to the one before
has come, so nothing queues. Nothing unpacks the answers meanwhile: that is their reader's cost.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import ExitStack
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from time import perf_counter

import numpy as np

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row

REPOSITORY = Path(__file__).resolve().parent.parent
#: width and height, pixels, of the images; bgr8
SIZE = (1920, 1080)
#: what the detector finds in each
OBJECTS = (20, 100)
FRAMES = 300
_WARM_UP = 50
_START_SECONDS = 90.0
_ANSWER_SECONDS = 5.0
_STOP_SECONDS = 20.0
_MEMORY_EVERY = 10  # turns
# The bare node's heap is so small that glibc gives the image's three copies back after each one:
# 4500 page faults an image, 10 ms that no node of any size pays. So it keeps what it has freed.
_BARE = {'MALLOC_TRIM_THRESHOLD_': str(1 << 30), 'MALLOC_MMAP_THRESHOLD_': str(1 << 25)}


class Side:
    """
    A node in a process of its own, and how one asks it.

    :param kind: 'node' or 'bare'; its topics are under this name
    :param settings: of the command line of `serve`
    :param user: the node that asks
    """

    def __init__(self, kind: str, settings: list[str], user) -> None:
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import Image
        from vision_msgs.msg import Detection2DArray

        self.kind = kind
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.node_overhead', kind, *settings],
            cwd=REPOSITORY,
            env={**os.environ, **(_BARE if kind == 'bare' else {})},
            stdout=sys.stderr,
        )
        self._images = user.create_publisher(Image, f'{kind}/image', qos_profile_sensor_data)
        self._answers = user.create_subscription(
            Detection2DArray, f'{kind}/detections', self._on_answer, 10, raw=True
        )
        # Linux numbers the clock of a process's CPU time so; see clock_getcpuclockid(3).
        self._cpu_clock = (~self._process.pid << 3) | 2
        self.answer: bytes | None = None
        self.answered = 0.0

    @property
    def ready(self) -> bool:
        """Whether it hears and is heard."""
        if self._process.poll() is not None:
            raise RuntimeError(f'the {self.kind} ended with {self._process.returncode}')
        return bool(self._images.get_subscription_count() and self._answers.get_publisher_count())

    @property
    def cpu_seconds(self) -> float:
        """What it has used of the processor so far, of all its threads."""
        return time.clock_gettime(self._cpu_clock)

    @property
    def megabytes(self) -> float:
        """The memory that it holds."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 1e6

    def send(self, image) -> None:
        """Publish an image."""
        self.answer = None
        self._images.publish(image)

    def has_answer(self) -> bool:
        """Whether the image's answer has come."""
        return self.answer is not None

    def end(self) -> None:
        """Ask the process to end; end it if it does not."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _on_answer(self, message: bytes) -> None:
        self.answered, self.answer = perf_counter(), message


@dataclass
class Turns:
    """
    What one side did.

    :param seconds: from before an image is published until its answer has come
    :param cpu: seconds that the side's process computed from one image to its next
    :param megabytes: (turn, what the process holds), now and then
    :param lost: images without an answer
    :param objects: in the last answer
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: list[tuple[int, float]] = field(default_factory=list)
    lost: int = 0
    objects: int = 0

    @property
    def slope(self) -> float:
        """Megabytes that its memory grows in 1000 turns: a line through the last nine tenths."""
        turns, megabytes = np.transpose(self.megabytes[len(self.megabytes) // 10 :])
        return float(1000 * np.polyfit(turns, megabytes, 1)[0])


def run(objects: int, frames: int, parameters: list[str] = ()) -> dict[str, Turns]:
    """
    Measure both sides in turns.

    :param objects: that the detector finds in each image
    :param frames: turns that count
    :param parameters: of the node, such as 'profile:=true'
    :return: by kind, 'node' and 'bare'; lost images are in neither's seconds
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.serialization import deserialize_message
    from rclpy.signals import SignalHandlerOptions
    from vision_msgs.msg import Detection2DArray

    settings = ['--objects', str(objects), *(f'--parameter={text}' for text in parameters)]
    with isolated(), ExitStack() as stack:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        user = rclpy.create_node('node_overhead')
        executor = SingleThreadedExecutor()
        executor.add_node(user)
        sides = []
        for kind in ('node', 'bare'):
            sides.append(Side(kind, settings, user))
            stack.callback(sides[-1].end)
        _spin_until(executor, lambda: all(side.ready for side in sides), _START_SECONDS)
        image = _image()
        turns = {side.kind: Turns() for side in sides}
        cpu = {}
        for turn in range(-_WARM_UP, frames + 1):
            for side in sides:
                own, now = turns[side.kind], side.cpu_seconds
                if turn > 0:
                    own.cpu.append(now - cpu[side.kind])
                cpu[side.kind] = now
                image.header.stamp = user.get_clock().now().to_msg()
                start = perf_counter()
                side.send(image)
                answered = _spin_until(executor, side.has_answer)
                if turn < 0 or turn == frames:
                    continue
                if answered:
                    own.seconds.append(side.answered - start)
                else:
                    own.lost += 1
                if turn % _MEMORY_EVERY == 0:
                    own.megabytes.append((turn, side.megabytes))
        for side in sides:
            if side.answer is not None:
                message = deserialize_message(side.answer, Detection2DArray)
                turns[side.kind].objects = len(message.detections)
        return turns


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with the detector's objects, fewest first; the comparator is the bare node."""
    for objects in OBJECTS[:1] if quick else OBJECTS:
        yield from rows(objects, run(objects, FRAMES))


def rows(objects: int, turns: dict[str, Turns]) -> Iterator[Row]:
    """Say what a run has shown."""
    node, bare = turns['node'], turns['bare']
    title = f'node, {SIZE[0]} x {SIZE[1]}, {objects} objects'
    count = min(len(node.seconds), len(bare.seconds))
    seconds, others = node.seconds[-count:], bare.seconds[-count:]
    note = (
        f'{_p95(seconds)}, {node.objects} published, {node.lost} of {len(node.cpu)} lost, '
        f'{node.megabytes[-1][1]:.0f} MB, {node.slope:+.2f} MB a 1000 frames'
    )
    yield row(f'{title}, image to message', seconds, 'bare', others, note=note)
    yield row(f'{title}, bare', others, note=f'{_p95(others)}, {bare.lost} lost')
    yield row(f'{title}, overhead', np.subtract(seconds, others), note='the difference of turns')
    yield row(f'{title}, CPU', node.cpu, 'bare', bare.cpu, note='of all threads')
    yield row(f'{title}, CPU of the bare', bare.cpu)


def _p95(seconds: list[float]) -> str:
    return f'95 %: {1e3 * np.percentile(seconds, 95):.2f} ms'


def _image():
    """Return an image whose pixels all differ, so that nothing can be clever."""
    from std_msgs.msg import Header

    from gtr_ros.node.messages.images import array_to_image

    pixels = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    return array_to_image(pixels, Header(frame_id='camera'), 'bgr8')


def _spin_until(executor, condition, timeout: float = _ANSWER_SECONDS) -> bool:
    deadline = perf_counter() + timeout
    while not condition() and perf_counter() < deadline:
        executor.spin_once(timeout_sec=0.05)
    return condition()


@contextmanager
def isolated() -> Iterator[None]:
    """Keep this process and its children to this machine, and large images whole."""
    profile = str(REPOSITORY / 'config/fastdds_large_images.xml')
    before = dict(os.environ)
    for name, value in {
        'AMENT_PREFIX_PATH': sys.prefix,
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'FASTRTPS_DEFAULT_PROFILES_FILE': profile,
        'FASTDDS_DEFAULT_PROFILES_FILE': profile,
    }.items():
        os.environ.setdefault(name, value)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def serve_node(objects: int, parameters: list[str]) -> int:
    """Run the node around a detector without cost."""
    import torch

    from gtr_ros.model.association import CosineAssociation
    from gtr_ros.model.build import MODELS
    from gtr_ros.model.build import RANDOM
    from gtr_ros.model.detector import Detector
    from gtr_ros.node.tracker.node import main as node_main
    from gtr_ros.structures import Detections

    class Still(torch.nn.Module):
        """A model that finds the same objects in every image; they look nothing like another."""

        class_names = ('thing',)
        device = torch.device('cpu')

        def __init__(self) -> None:
            super().__init__()
            self.detector, self.head = Detector(), torch.nn.Identity()
            self.association = CosineAssociation()
            rng = np.random.default_rng(0)
            corner = rng.uniform((0, 0), (SIZE[0] - 40, SIZE[1] - 100), (objects, 2))
            self._found = Detections(
                boxes=np.hstack((corner, corner + np.array((40, 100)))).astype(np.float32),
                scores=np.full(objects, 0.8, np.float32),
                labels=np.zeros(objects, np.int64),
                features=torch.eye(objects, max(objects, 256)),
                image_size=SIZE[::-1],
            )

        def detect(self, images, stamps=None, score_threshold=0.4):
            return [replace(self._found, stamp=stamp) for stamp in stamps or [None] * len(images)]

    MODELS['mobile'] = Still
    topics = ('image:=node/image', '~/detections:=node/detections')
    settings = (f'checkpoint:={RANDOM}', 'device:=cpu', 'threads:=1', 'min_hits:=1', *parameters)
    arguments = [word for rule in topics for word in ('-r', rule)]
    arguments += [word for setting in settings for word in ('-p', setting)]
    return node_main(['node', '--ros-args', *arguments])


def serve_bare() -> int:
    """Run the least that rclpy can: an image in, an empty message out."""
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image
    from vision_msgs.msg import Detection2DArray

    rclpy.init(args=[])
    node = rclpy.create_node('bare')
    publisher = node.create_publisher(Detection2DArray, 'bare/detections', 10)

    def answer(image: Image) -> None:
        publisher.publish(Detection2DArray(header=image.header))

    node.create_subscription(Image, 'bare/image', answer, qos_profile_sensor_data)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def main() -> int:
    """Run the command line: measure, or be one of the sides."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.node_overhead', description=__doc__
    )
    parser.add_argument('kind', nargs='?', choices=('node', 'bare'), help='be this side')
    parser.add_argument('--objects', type=int, default=OBJECTS[0], help='(default: %(default)s)')
    parser.add_argument('--frames', type=int, default=FRAMES, help='(default: %(default)s)')
    parser.add_argument(
        '--parameter', action='append', default=[], metavar='NAME:=VALUE', help='of the node'
    )
    options = parser.parse_args()
    if options.kind == 'node':
        return serve_node(options.objects, options.parameter)
    if options.kind == 'bare':
        return serve_bare()
    for each in rows(options.objects, run(options.objects, options.frames, options.parameter)):
        ratio = '' if each.ratio is None else f' {each.ratio:.2f} times as fast as the bare;'
        print(
            f'{each.name}: {each.milliseconds:.2f} ms ({each.low:.2f} to {each.high:.2f});'
            f'{ratio} {each.note}'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
