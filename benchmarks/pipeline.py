# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole frame without ROS: image in, ids out, with the time of each stage."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from PIL import Image
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.export import export_model
from gtr_ros.runtime.loading import load_model
from gtr_ros.tracking import Tracker

#: a photograph with four people in it
PICTURE = Path(__file__).resolve().parent.parent / 'docs' / 'demo.jpg'
SIZES = ((640, 480), (1920, 1080))
_FRAMES, _WARM_UP = 60, 20


def images(size: tuple[int, int], count: int) -> list[np.ndarray]:
    """Return (H, W, 3) uint8 images of size (width, height), each shifted by a few pixels."""
    picture = np.array(Image.open(PICTURE).convert('RGB').resize(size))
    return [np.roll(picture, (t % 8, 2 * t % 16), (0, 1)) for t in range(count)]


class _Pipeline:
    """A model and a tracker with timed stages."""

    stages = ('prepare', 'network', 'decode', 'features', 'tracker', 'all')

    def __init__(self, model: GTR) -> None:
        self.model = model
        self.tracker = Tracker(model.association, window=16)
        self.times: dict[str, list[float]] = {stage: [] for stage in self.stages}
        self._profiler = Profiler(())
        for stage in self.stages[:3]:
            self._profiler.watch(model.detector, stage)
        self._profiler.watch(model, 'features')

    def run(self, image: np.ndarray, stamp: int) -> int:
        """Track an image, and keep the seconds of each stage; return the number of objects."""
        start = perf_counter()
        [detections] = self.model.detect([image], [stamp])
        detected = perf_counter()
        self.tracker.update(detections)
        end = perf_counter()
        times = {**self._profiler.take_parts(), 'tracker': end - detected, 'all': end - start}
        for stage, seconds in times.items():
            self.times[stage].append(seconds)
        return len(detections)


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure `gtr_mobile` with the default checkpoint; the variants run alternately."""
    with TemporaryDirectory() as folder:
        exported = Path(folder) / 'mobile'
        export_model(build('mobile'), exported)
        variants: dict[str, Callable[[], GTR]] = {
            'plain': partial(build, 'mobile'),
            'torch': partial(load_model, ModelOptions(device='cpu')),
            'onnxruntime': partial(
                load_model,
                ModelOptions(
                    runtime='onnxruntime', device='cpu', provider='cpu', exported=str(exported)
                ),
            ),
            'bfloat16': partial(load_model, ModelOptions(device='cpu', precision='bfloat16')),
            'bfloat16, compiled': partial(
                load_model, ModelOptions(device='cpu', precision='bfloat16', compile=True)
            ),
        }
        if quick:  # also works without a compiler
            variants = {name: variants[name] for name in ('plain', 'torch', 'onnxruntime')}
        for size in SIZES[:1] if quick else SIZES:
            pipelines = {name: _Pipeline(load()) for name, load in variants.items()}
            for t, image in enumerate(images(size, _WARM_UP + _FRAMES)):
                for pipeline in pipelines.values():
                    count = pipeline.run(image, t * 66_000_000)
            plain = pipelines['plain'].times
            for name, pipeline in pipelines.items():
                for stage in pipeline.stages:
                    seconds, others = pipeline.times[stage][_WARM_UP:], plain[stage][_WARM_UP:]
                    comparison = ('plain', others) if name != 'plain' else ('', None)
                    title = f'gtr_mobile at {size[0]} x {size[1]}, {name}, {stage}'
                    note = ''
                    if stage == 'tracker':
                        share = np.median(np.divide(seconds, pipeline.times['all'][_WARM_UP:]))
                        note = f'{share:.1%} of the frame, {count} objects'
                    if stage == 'all':
                        rate = 1 / np.median(seconds)
                        note = f'{rate:.1f} frames/s, {torch.get_num_threads()} threads'
                    yield row(title, seconds, *comparison, note=note)
