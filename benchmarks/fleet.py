# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Many cameras on one device: how old detections are when they are ready, and what is dropped.

The classes of the node without ROS: a mailbox with the newest image of each camera, one thread,
one batch of all waiting images of a size, a tracker per camera. The cameras send at the same rate,
one after the other in even steps. Times are ages: from the moment at which an image is due to its
tracks.

    python -m benchmarks fleet --seconds 120 --json fleet.json      # 1, 2, 4, ... 64 on a GPU
    python -m benchmarks fleet --cameras 1 2 --rate 5 --size 1280x720 --device cpu
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
import math
from time import perf_counter
from time import sleep

import numpy as np
import torch

from benchmarks.measuring import Row
from benchmarks.measuring import row
from benchmarks.pipeline import images
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.pipeline import CameraFrame
from gtr_ros.node.tracker.pipeline import Pipeline
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.tracker.worker import Worker

#: numbers of cameras, by the type of the device
CAMERAS = {'cuda': (1, 2, 4, 8, 16, 32, 64), 'cpu': (1, 2)}

_PICTURES = 16
_STOP_SECONDS = 60.0


@dataclass(frozen=True)
class Fleet:
    """
    What is simulated.

    :param cameras: numbers of cameras, one after the other
    :param size: (width, height) of their images, pixels
    :param rate: of each camera, images per second
    :param warm_up: seconds before those that are measured, for each number
    :param seconds: that are measured for each number
    """

    cameras: Sequence[int] = (1,)
    size: tuple[int, int] = (640, 480)
    rate: float = 25.0
    warm_up: float = 3.0
    seconds: float = 5.0


@dataclass(frozen=True)
class _Request:
    """An image; `due` is when it arrives, seconds of perf_counter."""

    number: int
    due: float


@dataclass
class _Camera:
    """One camera, as the worker knows it: reads images, and tracks what is found in them."""

    name: str
    pipeline: Pipeline
    pictures: Sequence[np.ndarray]
    statistics: CameraStatistics = field(default_factory=CameraStatistics)
    #: due time and age of each image that was tracked, seconds
    ages: list[tuple[float, float]] = field(default_factory=list)

    def read(self, request: _Request) -> CameraFrame:
        image = self.pictures[request.number % len(self.pictures)]
        return CameraFrame(image, round(1e9 * request.due))

    def track(self, request: _Request, frame: CameraFrame, detections) -> None:
        detections = self.pipeline.compensate(frame, detections, self.name)
        self.pipeline.track(detections, self.name)
        self.ages.append((request.due, perf_counter() - request.due))


def measure(
    device: torch.device,
    fleet: Fleet,
    seconds: float = math.inf,
    on_skip: Callable[[str], None] = lambda name: None,
    model: str = 'mobile',
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Row]:
    """
    Simulate each number of cameras, in float16 on CUDA.

    :param seconds: after which no further number of cameras is begun
    :param on_skip: called with the name of what was left out for want of time
    :param say: called with a line of text about what runs
    """
    end = perf_counter() + seconds
    names = tuple(f'camera{i}' for i in range(max(fleet.cameras)))
    precision = 'float16' if device.type == 'cuda' else 'float32'
    parameters = NodeParameters(
        model=model, cameras=names, device=str(device), precision=precision
    )
    pipeline = Pipeline(parameters, say)
    try:
        for count in fleet.cameras:
            width, height = fleet.size
            title = (
                f'{device.type}: fleet, {model}, {count} x {width} x {height} at {fleet.rate:g} Hz'
            )
            if perf_counter() > end:
                on_skip(title)
                continue
            yield _simulate(pipeline, names[:count], fleet, title)
    finally:
        pipeline.close()


def _simulate(pipeline: Pipeline, names: Sequence[str], fleet: Fleet, title: str) -> Row:
    pipeline.reset()
    pictures = images(fleet.size, _PICTURES)
    cameras = {name: _Camera(name, pipeline, pictures) for name in names}
    batches: list[tuple[float, int]] = []
    failures: list[Exception] = []

    def detect(frames: Sequence[CameraFrame]):
        batches.append((perf_counter(), len(frames)))
        return pipeline.detect(frames)

    worker = Worker(
        cameras,
        detect,
        lambda camera, error: failures.append(error),
        lambda size, error: failures.append(error),
        pipeline.warm_up,
    )
    worker.start()
    begin = perf_counter() + 0.1
    measured = begin + fleet.warm_up
    dropped = 0
    for step in range(math.ceil((fleet.warm_up + fleet.seconds) * fleet.rate * len(names))):
        due = begin + step / (fleet.rate * len(names))
        sleep(max(0.0, due - perf_counter()))
        if due < measured:
            dropped = sum(camera.statistics.dropped for camera in cameras.values())
        number, index = divmod(step, len(names))
        worker.submit(cameras[names[index]], _Request(number, due))
    if not worker.stop(_STOP_SECONDS):
        raise RuntimeError(f'{title}: the worker is still busy after {_STOP_SECONDS:g} s')
    if failures:
        raise RuntimeError(f'{title}: {len(failures)} images failed: {failures[0]}')
    dropped = sum(camera.statistics.dropped for camera in cameras.values()) - dropped
    ages = [age for camera in cameras.values() for due, age in camera.ages if due >= measured]
    if not ages:
        raise RuntimeError(f'{title}: no image was tracked in {fleet.seconds:g} s')
    sizes = Counter(size for time, size in batches if time >= measured)
    usual = ', '.join(f'{size} ({times})' for size, times in sizes.most_common(3))
    p95 = 1e3 * np.percentile(ages, 95)
    note = (
        f'age p95 {p95:.1f} ms, max {1e3 * max(ages):.1f} ms; {len(ages)} images tracked, '
        f'{dropped} dropped; most frequent batch sizes (times): {usual}'
    )
    return row(title, ages, note=note)
