# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A whole tracker's frame, without the detector, beside the trackers that others have written."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter

import numpy as np
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.evaluation.peers import Peer
from gtr_ros.evaluation.peers import PEERS
from gtr_ros.model.build import make_transformer
from gtr_ros.model.build import TRANSFORMERS
from gtr_ros.model.packed import pack
from gtr_ros.structures import Detections
from gtr_ros.tracking import Tracker

WINDOW = 16
OBJECTS = (20, 50, 100)
_FRAMES, _WARM_UP = 120, 30


def crowd(objects: int, frames: int) -> list[Detections]:
    """Return people who walk at 10 frames a second in 1920 x 1080 pixels, with their features."""
    rng = np.random.default_rng(0)
    size = TRANSFORMERS['mobile']['features']
    looks = torch.randn(objects, size, generator=torch.Generator().manual_seed(0))
    place = rng.uniform((0, 0), (1800, 900), (objects, 2))
    velocity = rng.normal(0, 2, (objects, 2))
    scene = []
    for t in range(frames):
        corner = place + velocity * t + rng.normal(0, 1, place.shape)
        noisy = looks + 0.3 * torch.randn(looks.shape)
        scene.append(
            Detections(
                boxes=np.hstack((corner, corner + np.array([40, 100]))).astype(np.float32),
                scores=np.full(objects, 0.8, np.float32),
                labels=np.zeros(objects, np.int64),
                features=torch.nn.functional.normalize(noisy, dim=1),
                image_size=(1080, 1920),
                stamp=t * 100_000_000,
            )
        )
    return scene


def in_turns(
    trackers: dict[str, Tracker | Peer], objects: int, warm_up: int, frames: int
) -> dict[str, list[float]]:
    """Return the seconds that each tracker takes for a frame of a crowd, after the warm-up's."""
    times: dict[str, list[float]] = {name: [] for name in trackers}
    for t, detections in enumerate(crowd(objects, warm_up + frames)):
        for name, tracker in trackers.items():
            start = perf_counter()
            tracker.update(detections)
            if t >= warm_up:
                times[name].append(perf_counter() - start)
    return times


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with torch's threads; the comparator is the fastest peer."""
    for objects in OBJECTS[:1] if quick else OBJECTS:
        yield from _measure(objects)


def _measure(objects: int) -> Iterator[Row]:
    trackers = {}
    for kind, causal in (('streaming', True), ('cached', False)):
        association = make_transformer('mobile', causal=causal).eval()
        pack(association)  # as loading does
        trackers[f'gtr_mobile, {kind}'] = Tracker(association, window=WINDOW)
    ours = list(trackers)
    trackers |= {name: Peer(name) for name in PEERS}
    times = in_turns(trackers, objects, _WARM_UP, _FRAMES)
    fastest = min(PEERS, key=lambda name: np.median(times[name]))
    for name in trackers:
        compared = name in ours
        yield row(
            f'tracker, T = {WINDOW}, {objects} objects, {name}',
            times[name],
            f'{fastest}, the fastest peer' if compared else '',
            times[fastest] if compared else None,
        )
