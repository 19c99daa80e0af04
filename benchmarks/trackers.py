# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A whole tracker's frame, without the detector, beside other rules and the trackers of others.

- evidence: the default rule; features are compared by their cosine, the transformer is not asked
- evidence, transformer: likewise, but its logit is the likeness; the encoder is causal
- gaussian, streaming or cached: the rule that was the default before, which always asks the
  transformer; with the causal encoder or the full one
- bytetrack and so on: the trackers of the package `trackers`, which see boxes alone

All see the same boxes in turns, frame by frame. Nobody reads the trajectories, of which the
default rule would compute the likelihoods only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from time import perf_counter

import numpy as np
import torch

from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.baselines.external import ExternalTracker
from gtr_ros.model.build import make_transformer
from gtr_ros.model.build import TRANSFORMERS
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.packed import pack
from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import LinkingRule
from gtr_ros.tracking import Tracker

WINDOW = 16
OBJECTS = (20, 100, 300)
#: of ours, what the others of ours are compared with, beside the fastest peer
BEFORE = 'gaussian, streaming'
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
    trackers: dict[str, Tracker | ExternalTracker], objects: int, warm_up: int, frames: int
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
    """Measure with torch's threads; comparators are the fastest peer, and the rule before."""
    for objects in OBJECTS[:1] if quick else OBJECTS:
        yield from _measure(objects)


def rules() -> dict[str, Tracker]:
    """Return our trackers, by the names of their rows."""
    links = {}
    for kind, causal in (('streaming', True), ('cached', False)):
        links[kind] = make_transformer('mobile', causal=causal).eval()
        pack(links[kind])  # as loading does
    asked = copy(links['streaming'])  # which shares its weights
    asked.calibration = Calibration(logit_slope=1.0)
    gaussian, evidence = LinkingRule(), EvidenceRule(appearance='cosine')
    return {
        'evidence': Tracker(links['streaming'], evidence, WINDOW),
        'evidence, transformer': Tracker(
            asked, replace(evidence, appearance='transformer'), WINDOW
        ),
        **{f'gaussian, {kind}': Tracker(link, gaussian, WINDOW) for kind, link in links.items()},
    }


def _measure(objects: int) -> Iterator[Row]:
    ours = rules()
    times = in_turns(
        ours | {name: ExternalTracker(name) for name in EXTERNAL_TRACKERS},
        objects,
        _WARM_UP,
        _FRAMES,
    )
    fastest = min(EXTERNAL_TRACKERS, key=lambda name: np.median(times[name]))
    title = f'tracker, T = {WINDOW}, {objects} objects'
    for name, own in times.items():
        peer = (f'{fastest}, the fastest peer', times[fastest]) if name in ours else ()
        yield row(f'{title}, {name}', own, *peer)
        if name in ours and name != BEFORE:
            yield row(f'{title}, {name}, beside {BEFORE}', own, BEFORE, times[BEFORE])
