# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole frame without ROS: image in, identities out, and what each part of it takes."""

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
from gtr_ros.profiling import Profiler
from gtr_ros.runtime.export import export_model
from gtr_ros.runtime.loading import load_model
from gtr_ros.tracking import Tracker

#: a photograph with four people in it
PICTURE = Path(__file__).resolve().parent.parent / 'docs' / 'demo.jpg'
SIZES = ((640, 480), (1920, 1080))
_FRAMES, _WARM_UP = 60, 20


def images(size: tuple[int, int], count: int) -> list[np.ndarray]:
    """Return (H, W, 3) uint8 images of a size (width, height), each moved by some pixels."""
    picture = np.array(Image.open(PICTURE).convert('RGB').resize(size))
    return [np.roll(picture, (t % 8, 2 * t % 16), (0, 1)) for t in range(count)]


class _Chain:
    """A model and its tracker, each part timed."""

    parts = ('prepare', 'network', 'decode', 'features', 'tracker', 'all')

    def __init__(self, model: GTR) -> None:
        self.model = model
        self.tracker = Tracker(model.association, window=16)
        self.times: dict[str, list[float]] = {part: [] for part in self.parts}
        self._profiler = Profiler(())
        for part in self.parts[:3]:
            self._profiler.watch(model.detector, part)
        self._profiler.watch(model, 'features')

    def run(self, image: np.ndarray, stamp: int) -> int:
        """Track an image; return how many objects there are."""
        start = perf_counter()
        [detections] = self.model.detect([image], [stamp])
        found = perf_counter()
        self.tracker.update(detections)
        end = perf_counter()
        parts = {**self._profiler.take_parts(), 'tracker': end - found, 'all': end - start}
        for part, seconds in parts.items():
            self.times[part].append(seconds)
        return len(detections)


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure `gtr_mobile` with the weights that come along, in every form, in turns."""
    with TemporaryDirectory() as folder:
        exported = Path(folder) / 'mobile'
        export_model(build('mobile'), exported)
        forms: dict[str, Callable[[], GTR]] = {
            'plain': partial(build, 'mobile'),
            'torch': partial(load_model, 'mobile', device='cpu'),
            'onnxruntime': partial(
                load_model, 'mobile', None, 'onnxruntime', 'cpu', 'cpu', exported
            ),
            'bfloat16': partial(load_model, 'mobile', device='cpu', precision='bfloat16'),
            'bfloat16, compiled': partial(
                load_model, 'mobile', device='cpu', precision='bfloat16', compiled=True
            ),
        }
        if quick:  # without a compiler
            forms = {name: forms[name] for name in ('plain', 'torch', 'onnxruntime')}
        for size in SIZES[:1] if quick else SIZES:
            chains = {name: _Chain(make()) for name, make in forms.items()}
            for t, image in enumerate(images(size, _WARM_UP + _FRAMES)):
                for chain in chains.values():
                    count = chain.run(image, t * 66_000_000)
            plain = chains['plain'].times
            for name, chain in chains.items():
                for part in chain.parts:
                    seconds, others = chain.times[part][_WARM_UP:], plain[part][_WARM_UP:]
                    beside = ('plain', others) if name != 'plain' else ('', None)
                    title = f'gtr_mobile at {size[0]} x {size[1]}, {name}, {part}'
                    note = ''
                    if part == 'tracker':
                        share = np.median(np.divide(seconds, chain.times['all'][_WARM_UP:]))
                        note = f'{share:.1%} of all, {count} objects'
                    if part == 'all':
                        rate = 1 / np.median(seconds)
                        note = f'{rate:.1f} frames/s, {torch.get_num_threads()} threads'
                    yield row(title, seconds, *beside, note=note)
