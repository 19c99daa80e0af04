# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A whole frame without ROS: image in, ids out, with the time of each stage, in every runtime.

The runtimes run as `runtime: auto` takes them: the network of the detector in that runtime, the
rest in torch.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
import os
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import FORCED
from gtr_ros.model.options import ModelOptions
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.choice import installed
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.camera_motion import CameraMotion

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

    stages = ('prepare', 'network', 'decode', 'features', 'camera motion', 'tracker', 'all')

    def __init__(self, model: GTR) -> None:
        self.model = model
        self.motion = CameraMotion()
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
        camera = self.motion.update(image, detections.boxes)
        moved = perf_counter()
        self.tracker.update(replace(detections, camera=camera))
        end = perf_counter()
        times = {
            **self._profiler.take_parts(),
            'camera motion': moved - detected,
            'tracker': end - moved,
            'all': end - start,
        }
        for stage, seconds in times.items():
            self.times[stage].append(seconds)
        return len(detections)


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure `gtr_mobile` with the default checkpoint; the variants run alternately."""
    keep_freed_memory()  # as the node does
    torch_form = ModelOptions(device='cpu', runtime='torch')
    variants: dict[str, Callable[[], GTR]] = {
        'plain': partial(build, 'mobile'),
        'torch': partial(load_model, torch_form),
        **{name: partial(_in_runtime, name) for name in installed()},
        'bfloat16': partial(load_model, replace(torch_form, precision='bfloat16')),
        'bfloat16, compiled': partial(
            load_model, replace(torch_form, precision='bfloat16', compile=True)
        ),
    }
    if quick:  # also works without a compiler
        variants = {name: load for name, load in variants.items() if 'bfloat16' not in name}
    for size in SIZES[:1] if quick else SIZES:
        pipelines = {name: _Pipeline(load()) for name, load in variants.items()}
        for t, image in enumerate(images(size, _WARM_UP + _FRAMES)):
            for pipeline in pipelines.values():
                count = pipeline.run(image, t * 66_000_000)
        torch_times = pipelines['torch'].times
        for name, pipeline in pipelines.items():
            for stage in pipeline.stages:
                seconds, others = pipeline.times[stage][_WARM_UP:], torch_times[stage][_WARM_UP:]
                comparison = ('torch', others) if name != 'torch' else ('', None)
                title = f'gtr_mobile at {size[0]} x {size[1]}, {name}, {stage}'
                note = ''
                if stage == 'tracker':
                    share = np.median(np.divide(seconds, pipeline.times['all'][_WARM_UP:]))
                    note = f'{share:.1%} of the frame, {count} objects'
                if stage == 'all':
                    rate = 1 / np.median(seconds)
                    note = f'{rate:.1f} frames/s, {torch.get_num_threads()} threads'
                yield row(title, seconds, *comparison, note=note)


def _in_runtime(name: str) -> GTR:
    """Return the model as `runtime: auto` loads it if this runtime is the fastest."""
    before = os.environ.get(FORCED)
    os.environ[FORCED] = name
    try:
        return load_model(ModelOptions(device='cpu'))
    finally:
        if before is None:
            del os.environ[FORCED]
        else:
            os.environ[FORCED] = before
