# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Overhead of the node beyond its model: raw images in, detections out, over DDS.

The node runs in a separate process, with a detector that returns the same boxes for every image
and takes no time. Alternating with it, a bare rclpy node receives the same image and publishes an
empty Detection2DArray; the difference is the node's overhead. The next image is sent after the
answer to the previous one has arrived, so nothing is queued. Answers are not deserialized during
the measurement, because that is the subscriber's cost.
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
#: width and height of the images, pixels; bgr8
SIZE = (1920, 1080)
#: numbers of objects that the detector returns
OBJECTS = (20, 100)
FRAMES = 300
_WARM_UP = 50
_START_SECONDS = 90.0
_ANSWER_SECONDS = 5.0
_STOP_SECONDS = 20.0
_MEMORY_EVERY = 10  # rounds
# Keep freed memory: the bare node's heap is so small that glibc would return the three copies of
# an image to the system each time, which costs 4500 page faults, or 10 ms, that no larger node
# has.
_BARE = {'MALLOC_TRIM_THRESHOLD_': str(1 << 30), 'MALLOC_MMAP_THRESHOLD_': str(1 << 25)}


class ServedNode:
    """
    One of the two compared nodes, in a separate process.

    :param kind: 'node' or 'bare'; also the namespace of its topics
    :param arguments: of this module's command line
    :param client: the node that sends images and receives answers
    """

    def __init__(self, kind: str, arguments: list[str], client) -> None:
        from rclpy.qos import qos_profile_sensor_data
        from sensor_msgs.msg import Image
        from vision_msgs.msg import Detection2DArray

        self.kind = kind
        self._process = subprocess.Popen(
            [sys.executable, '-m', 'benchmarks.node_overhead', kind, *arguments],
            cwd=REPOSITORY,
            env={**os.environ, **(_BARE if kind == 'bare' else {})},
            stdout=sys.stderr,
        )
        self._images = client.create_publisher(Image, f'{kind}/image', qos_profile_sensor_data)
        self._answers = client.create_subscription(
            Detection2DArray, f'{kind}/detections', self._on_answer, 10, raw=True
        )
        # Linux's id for the clock of a process's CPU time; see clock_getcpuclockid(3).
        self._cpu_clock = (~self._process.pid << 3) | 2
        self.answer: bytes | None = None
        self.answered = 0.0

    @property
    def ready(self) -> bool:
        """Whether publisher and subscription are both connected."""
        if self._process.poll() is not None:
            raise RuntimeError(
                f'the process {self.kind!r} ended with exit code {self._process.returncode}'
            )
        return bool(self._images.get_subscription_count() and self._answers.get_publisher_count())

    @property
    def cpu_seconds(self) -> float:
        """CPU time used by all threads of the process so far."""
        return time.clock_gettime(self._cpu_clock)

    @property
    def megabytes(self) -> float:
        """Resident memory of the process."""
        pages = int(Path(f'/proc/{self._process.pid}/statm').read_text().split()[1])
        return pages * os.sysconf('SC_PAGE_SIZE') / 1e6

    def send(self, image) -> None:
        """Publish an image."""
        self.answer = None
        self._images.publish(image)

    def has_answer(self) -> bool:
        """Whether the answer to the image has arrived."""
        return self.answer is not None

    def stop(self) -> None:
        """Interrupt the process; kill it if it does not end in time."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _on_answer(self, message: bytes) -> None:
        self.answered, self.answer = perf_counter(), message


@dataclass
class Measurements:
    """
    Measurements of one of the two nodes.

    :param seconds: from just before an image is published until its answer has arrived
    :param cpu: CPU seconds of the process from one image to the next
    :param megabytes: (round, resident memory), every few rounds
    :param lost: number of images without an answer
    :param objects: number of objects in the last answer
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    megabytes: list[tuple[int, float]] = field(default_factory=list)
    lost: int = 0
    objects: int = 0

    @property
    def slope(self) -> float:
        """Growth of the memory, MB per 1000 rounds: a line fitted to the last nine tenths."""
        rounds, megabytes = np.transpose(self.megabytes[len(self.megabytes) // 10 :])
        return float(1000 * np.polyfit(rounds, megabytes, 1)[0])


def run(objects: int, frames: int, parameters: list[str] = ()) -> dict[str, Measurements]:
    """
    Measure both nodes alternately.

    :param objects: number of objects that the detector returns
    :param frames: number of timed rounds, after a warm-up
    :param parameters: of the node, such as 'profile:=true'
    :return: by kind, 'node' and 'bare'; `seconds` excludes lost images
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.serialization import deserialize_message
    from rclpy.signals import SignalHandlerOptions
    from vision_msgs.msg import Detection2DArray

    arguments = ['--objects', str(objects), *(f'--parameter={text}' for text in parameters)]
    with isolated(), ExitStack() as stack:
        rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
        stack.callback(rclpy.try_shutdown)
        client = rclpy.create_node('node_overhead')
        executor = SingleThreadedExecutor()
        executor.add_node(client)
        served = []
        for kind in ('node', 'bare'):
            served.append(ServedNode(kind, arguments, client))
            stack.callback(served[-1].stop)
        _spin_until(executor, lambda: all(each.ready for each in served), _START_SECONDS)
        image = _image()
        measured = {each.kind: Measurements() for each in served}
        cpu = {}
        for i in range(-_WARM_UP, frames + 1):
            for each in served:
                own, now = measured[each.kind], each.cpu_seconds
                if i > 0:
                    own.cpu.append(now - cpu[each.kind])
                cpu[each.kind] = now
                image.header.stamp = client.get_clock().now().to_msg()
                start = perf_counter()
                each.send(image)
                answered = _spin_until(executor, each.has_answer)
                if i < 0 or i == frames:
                    continue
                if answered:
                    own.seconds.append(each.answered - start)
                else:
                    own.lost += 1
                if i % _MEMORY_EVERY == 0:
                    own.megabytes.append((i, each.megabytes))
        for each in served:
            if each.answer is not None:
                message = deserialize_message(each.answer, Detection2DArray)
                measured[each.kind].objects = len(message.detections)
        return measured


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with each number of objects; the comparator is the bare node."""
    for objects in OBJECTS[:1] if quick else OBJECTS:
        yield from rows(objects, run(objects, FRAMES))


def rows(objects: int, measured: dict[str, Measurements]) -> Iterator[Row]:
    """Yield the rows of a run, see `run`."""
    node, bare = measured['node'], measured['bare']
    title = f'node, {SIZE[0]} x {SIZE[1]}, {objects} objects'
    count = min(len(node.seconds), len(bare.seconds))
    seconds, others = node.seconds[-count:], bare.seconds[-count:]
    note = (
        f'{_p95(seconds)}, {node.objects} published, {node.lost} of {len(node.cpu)} lost, '
        f'{node.megabytes[-1][1]:.0f} MB, {node.slope:+.2f} MB per 1000 frames'
    )
    yield row(f'{title}, image to message', seconds, 'bare', others, note=note)
    yield row(f'{title}, bare node', others, note=f'{_p95(others)}, {bare.lost} lost')
    yield row(f'{title}, overhead', np.subtract(seconds, others), note='difference within rounds')
    yield row(f'{title}, CPU', node.cpu, 'bare', bare.cpu, note='of all threads, per image')
    yield row(f'{title}, CPU of the bare node', bare.cpu)


def _p95(seconds: list[float]) -> str:
    return f'95 %: {1e3 * np.percentile(seconds, 95):.2f} ms'


def _image():
    """Return an image of random pixels, which cannot be compressed."""
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
    """Restrict DDS to this machine, with a profile that does not lose large images."""
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
    """Run the node with a detector that takes no time."""
    import torch

    from gtr_ros.model.association import CosineAssociation
    from gtr_ros.model.detector import Detector
    from gtr_ros.model.registry import MODELS
    from gtr_ros.model.registry import ModelSpec
    from gtr_ros.model.registry import RANDOM
    from gtr_ros.node.tracker.node import main as node_main
    from gtr_ros.structures import Detections

    class ConstantModel(torch.nn.Module):
        """A model that returns the same objects, with orthogonal features, for every image."""

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

    MODELS['mobile'] = ModelSpec('no network', ConstantModel, 'evidence', weights='none')
    topics = ('image:=node/image', '~/detections:=node/detections')
    settings = (f'checkpoint:={RANDOM}', 'device:=cpu', 'threads:=1', 'min_hits:=1', *parameters)
    arguments = [word for remapping in topics for word in ('-r', remapping)]
    arguments += [word for setting in settings for word in ('-p', setting)]
    return node_main(['node', '--ros-args', *arguments])


def serve_bare() -> int:
    """Run a minimal rclpy node: an image in, an empty message out."""
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
    """Run the command line: measure, or run one of the two nodes."""
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks.node_overhead', description=__doc__
    )
    parser.add_argument(
        'kind', nargs='?', choices=('node', 'bare'), help='run this node instead of measuring'
    )
    parser.add_argument('--objects', type=int, default=OBJECTS[0], help='(default: %(default)s)')
    parser.add_argument('--frames', type=int, default=FRAMES, help='(default: %(default)s)')
    parser.add_argument(
        '--parameter',
        action='append',
        default=[],
        metavar='NAME:=VALUE',
        help='parameter of the node',
    )
    options = parser.parse_args()
    if options.kind == 'node':
        return serve_node(options.objects, options.parameter)
    if options.kind == 'bare':
        return serve_bare()
    for each in rows(options.objects, run(options.objects, options.frames, options.parameter)):
        ratio = '' if each.ratio is None else f' {each.ratio:.2f} times as fast as the bare node;'
        print(
            f'{each.name}: {each.milliseconds:.2f} ms ({each.low:.2f} to {each.high:.2f});'
            f'{ratio} {each.note}'
        )
    return 0


if __name__ == '__main__':
    sys.exit(main())
