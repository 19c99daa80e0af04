# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole frame without ROS: image in, identities out, and what each part of it takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.model.build import build
from gtr_ros.tracking import Tracker

#: a photograph with four people in it
PICTURE = Path(__file__).resolve().parent.parent / 'docs' / 'demo.jpg'
SIZES = ((640, 480), (1920, 1080))
_FRAMES, _WARM_UP = 60, 20


def images(size: tuple[int, int], count: int) -> list[np.ndarray]:
    """Return (H, W, 3) uint8 images of a size (width, height), each moved by some pixels."""
    picture = np.array(Image.open(PICTURE).convert('RGB').resize(size))
    return [np.roll(picture, (t % 8, 2 * t % 16), (0, 1)) for t in range(count)]


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure `gtr_mobile` with the weights that come along, with torch's threads."""
    for size in SIZES[:1] if quick else SIZES:
        model = build('mobile')
        tracker = Tracker(model.association, window=16)
        times: dict[str, list[float]] = {'detector and features': [], 'tracker': [], 'all': []}
        for t, image in enumerate(images(size, _WARM_UP + _FRAMES)):
            start = perf_counter()
            [detections] = model.detect([image], [t * 66_000_000])
            found = perf_counter()
            tracker.update(detections)
            end = perf_counter()
            if t >= _WARM_UP:
                for name, seconds in zip(times, (found - start, end - found, end - start)):
                    times[name].append(seconds)
        share = np.median(np.divide(times['tracker'], times['all']))
        rate = 1 / np.median(times['all'])
        notes = {
            'all': f'{rate:.1f} frames/s, {torch.get_num_threads()} threads',
            'tracker': f'{share:.1%} of all, {len(detections)} objects',
        }
        for name, seconds in times.items():
            title = f'gtr_mobile at {size[0]} x {size[1]}, {name}'
            yield row(title, seconds, note=notes.get(name, ''))
