# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Time of the trackers per frame, without the detector, compared with baselines.

- evidence: the default rule with the cosine of features; the transformer is not used
- evidence, transformer: the same rule with the transformer's logit; the encoder is causal
- gaussian, streaming or cached: the former default rule, which always uses the transformer, with
  the causal or the full encoder
- bytetrack etc.: the trackers from the package `trackers`, which use only boxes

All trackers process the same boxes, alternating frame by frame. Trajectories are not read; with
the default rule, likelihoods are computed only when trajectories are read.
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
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.packed import pack
from gtr_ros.model.registry import model_spec
from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import LikelihoodRule
from gtr_ros.tracking import Tracker

WINDOW = 16
OBJECTS = (20, 100, 300)
#: our former default, with which our other trackers are compared, in addition to the fastest
#: baseline
FORMER = 'gaussian, streaming'
_FRAMES, _WARM_UP = 120, 30


def crowd(objects: int, frames: int) -> list[Detections]:
    """Return frames of walking people at 10 frames per second, 1920 x 1080, with features."""
    rng = np.random.default_rng(0)
    size = model_spec('mobile').transformer['features']
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


def time_alternating(
    trackers: dict[str, Tracker | ExternalTracker], objects: int, warm_up: int, frames: int
) -> dict[str, list[float]]:
    """Return the seconds that each tracker takes per frame with a crowd, after the warm-up."""
    times: dict[str, list[float]] = {name: [] for name in trackers}
    for t, detections in enumerate(crowd(objects, warm_up + frames)):
        for name, tracker in trackers.items():
            start = perf_counter()
            tracker.update(detections)
            if t >= warm_up:
                times[name].append(perf_counter() - start)
    return times


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with the current number of torch threads."""
    for objects in OBJECTS[:1] if quick else OBJECTS:
        yield from _measure(objects)


def rules() -> dict[str, Tracker]:
    """Return our trackers, by the names of their rows."""
    links = {}
    for kind, causal in (('streaming', True), ('cached', False)):
        links[kind] = make_transformer('mobile', causal=causal).eval()
        pack(links[kind])  # as in `load_model`
    calibrated = copy(links['streaming'])  # shares the weights
    calibrated.calibration = Calibration(logit_slope=1.0)
    gaussian, evidence = LikelihoodRule(), EvidenceRule(appearance='cosine')
    return {
        'evidence': Tracker(links['streaming'], evidence, WINDOW),
        'evidence, transformer': Tracker(
            calibrated, replace(evidence, appearance='transformer'), WINDOW
        ),
        **{f'gaussian, {kind}': Tracker(link, gaussian, WINDOW) for kind, link in links.items()},
    }


def _measure(objects: int) -> Iterator[Row]:
    ours = rules()
    times = time_alternating(
        ours | {name: ExternalTracker(name) for name in EXTERNAL_TRACKERS},
        objects,
        _WARM_UP,
        _FRAMES,
    )
    fastest = min(EXTERNAL_TRACKERS, key=lambda name: np.median(times[name]))
    title = f'tracker, T = {WINDOW}, {objects} objects'
    for name, seconds in times.items():
        baseline = (f'{fastest}, the fastest baseline', times[fastest]) if name in ours else ()
        yield row(f'{title}, {name}', seconds, *baseline)
        if name in ours and name != FORMER:
            yield row(f'{title}, {name}, against {FORMER}', seconds, FORMER, times[FORMER])
