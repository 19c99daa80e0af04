# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How cost grows with objects, window and cameras on one thread, and the cores that a fleet needs.

    python -m benchmarks.scaling docs/scaling.png      # measures, plots, and prints the projection
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import sys
from time import perf_counter

import numpy as np
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import machine_limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from benchmarks.pipeline import images
from benchmarks.trackers import time_alternating
from gtr_ros.model.association import Association
from gtr_ros.model.build import make_transformer
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.packed import pack
from gtr_ros.runtime.loading import load_model
from gtr_ros.tracking import LikelihoodRule
from gtr_ros.tracking import Tracker

OBJECTS = (5, 10, 20, 50, 100, 200)
WINDOWS = (4, 8, 16, 32, 64)
CAMERAS = (1, 2, 4, 8, 16)
#: defaults of window and objects while another axis grows
_WINDOW, _OBJECTS = 16, 20
_CAMERA = (640, 480)
#: without a memory in seconds, which would keep fewer frames than the window allows
_RULE = LikelihoodRule(memory=None)

#: cameras and frames per second of the projection
FLEET, RATE = 1000, 10


@dataclass(frozen=True)
class Point:
    """
    One measurement.

    :param axis: what grows: 'objects', 'window' or 'cameras'
    :param value: number of objects, frames or cameras
    :param line: what is measured, the same along the axis
    :param seconds: per frame, of each repetition
    """

    axis: str
    value: int
    line: str
    seconds: list[float]

    @property
    def milliseconds(self) -> float:
        """The median."""
        return 1e3 * float(np.median(self.seconds))


def points(quick: bool = False) -> Iterator[Point]:
    """Measure along each axis."""
    for axis, values in (('objects', OBJECTS), ('window', WINDOWS)):
        for value in values[:2] if quick else values:
            objects = value if axis == 'objects' else _OBJECTS
            window = value if axis == 'window' else _WINDOW
            for line, seconds in _track(objects, window).items():
                yield Point(axis, value, line, seconds)
    yield from _cameras(CAMERAS[:2] if quick else CAMERAS)


def _links() -> dict[str, Association]:
    made = {}
    for line, causal in (('causal encoder', True), ('full encoder', False)):
        made[line] = make_transformer('mobile', causal=causal).eval()
        pack(made[line])
    return made


def _track(objects: int, window: int) -> dict[str, list[float]]:
    """Return the seconds per frame with full windows, for both encoders."""
    trackers = {line: Tracker(link, _RULE, window) for line, link in _links().items()}
    return time_alternating(trackers, objects, window + 2, 10 if objects * window > 2000 else 30)


def _cameras(counts: tuple[int, ...]) -> Iterator[Point]:
    """Measure one image of each camera: detection in one batch, one tracker per camera."""
    model = load_model(ModelOptions(device='cpu', runtime='torch'))
    pictures = images(_CAMERA, 8)
    for count in counts:
        trackers = [Tracker(model.association, _RULE, _WINDOW) for _ in range(count)]
        detecting, tracking = [], []
        for t in range(_WINDOW + max(4, 16 // count)):
            batch = [pictures[(t + i) % len(pictures)] for i in range(count)]
            start = perf_counter()
            found = model.detect(batch, [t * 100_000_000] * count)
            middle = perf_counter()
            for tracker, detections in zip(trackers, found, strict=True):
                tracker.update(detections)
            if t >= _WINDOW:
                detecting.append(middle - start)
                tracking.append(perf_counter() - middle)
        yield Point('cameras', count, 'detector', detecting)
        yield Point('cameras', count, 'trackers', tracking)


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with the current number of torch threads; the axis replaces a comparator."""
    for point in points(quick):
        yield row(f'scaling, {point.value} {point.axis}, {point.line}', point.seconds)


def draw(measured: list[Point], file: Path) -> None:
    """Plot the cost along each axis."""
    import matplotlib

    matplotlib.use('agg')
    from matplotlib import pyplot

    titles = {
        'objects': f'objects (window of {_WINDOW} frames)',
        'window': f'window, frames ({_OBJECTS} objects)',
        'cameras': f'cameras of {_CAMERA[0]} x {_CAMERA[1]}, one image each',
    }
    figure, panels = pyplot.subplots(1, len(titles), figsize=(12, 3.6), layout='constrained')
    for panel, (axis, title) in zip(panels, titles.items()):
        along = [point for point in measured if point.axis == axis]
        for line in dict.fromkeys(point.line for point in along):
            same = [point for point in along if point.line == line]
            x, y = [p.value for p in same], [p.milliseconds for p in same]
            low, high = (
                [1e3 * np.percentile(p.seconds, percent) for p in same] for percent in (10, 90)
            )
            [curve] = panel.plot(x, y, marker='o', markersize=3, label=line)
            panel.fill_between(x, low, high, color=curve.get_color(), alpha=0.2, linewidth=0)
        panel.set(xscale='log', yscale='log', xlabel=title, ylabel='ms on one thread')
        panel.set_xticks(sorted({p.value for p in along}), labels=None)
        panel.xaxis.set_major_formatter('{x:.0f}')
        panel.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        panel.yaxis.set_major_formatter('{x:g}')
        panel.grid(alpha=0.3)
        panel.legend(frameon=False)
    figure.savefig(file, dpi=110)


def project(measured: list[Point]) -> str:
    """Return the cores that a fleet needs, from the cost per camera if several share a model."""
    most = max(point.value for point in measured if point.axis == 'cameras')
    each = {
        point.line: point.milliseconds / most
        for point in measured
        if (point.axis, point.value) == ('cameras', most)
    }
    total = sum(each.values())
    cores = FLEET * RATE * total / 1e3
    parts = ', '.join(f'{line} {ms:.1f} ms' for line, ms in each.items())
    return (
        f'A frame from one of {most} cameras takes {total:.1f} ms of one core ({parts}): {FLEET} '
        f'cameras at {RATE} frames per second need {cores:.0f} such cores, '
        f'{cores * each["trackers"] / total:.0f} of them for the trackers.'
    )


def main() -> int:
    """Run the command line: measure, draw, project."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.scaling', description=__doc__)
    parser.add_argument('picture', type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    limits = machine_limits()
    measured = []
    for point in points():
        measured.append(point)
        print(f'{point.value} {point.axis}, {point.line}: {point.milliseconds:.2f} ms', flush=True)
    draw(measured, options.picture)
    print(f'{limits.flops / 1e9:.0f} GFLOP/s and {limits.bandwidth / 1e9:.0f} GB/s')
    print(project(measured))
    return 0


if __name__ == '__main__':
    sys.exit(main())
