# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adapts box head and transformer to an unlabelled recording; the detector stays as it is."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
import math
import time

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.calibration import Calibration
from gtr_ros.model.calibration import CUES
from gtr_ros.model.gtr import GTR
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.training.agreement import Agreement
from gtr_ros.training.agreement import Gain
from gtr_ros.training.agreement import gain_of
from gtr_ros.training.agreement import Samples
from gtr_ros.training.excerpts import Excerpt
from gtr_ros.training.optimisation import make_optimiser
from gtr_ros.training.optimisation import Schedule
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.path_consistency import choose_paths
from gtr_ros.training.path_consistency import crowding
from gtr_ros.training.path_consistency import disagreement
from gtr_ros.training.path_consistency import follow
from gtr_ros.training.windows import related
from gtr_ros.training.windows import WindowLogits

_FRAMES = 5  # of a window
_GAPS = 0.3, 8.0  # seconds from the oldest to the newest frame of a window

_HELD_OUT = 0.25  # share of the frames, at the end of the recording
_PAUSE = 1.0  # seconds between the frames to train on and those held out
_LEAST_FRAMES = 40
_LEAST_SAMPLES, _LEAST_OBJECTS = 20, 2

_SHARE = 0.5  # of the training's change of the weights that is kept


@dataclass(frozen=True)
class AdaptOptions:
    """
    How long, and how, an association is adapted.

    :param iterations: maximum number of optimiser steps
    :param seconds: of training after which it stops earlier; None: no limit
    :param seed: of the windows
    :param windows: per step
    :param learning_rate: the maximum
    :param paths: weight of the disagreement of paths
    :param tracklets: weight of finding the box that the tracker followed frame by frame
    :param crowding: weight of the boxes that are chosen more than once
    """

    iterations: int = 80
    seconds: float | None = None
    seed: int = 0
    windows: int = 8
    learning_rate: float = 1e-4
    paths: float = 1.0
    tracklets: float = 1.0
    crowding: float = 0.1


@dataclass(frozen=True)
class Measure:
    """
    The measure of one cue on the held-out part, before and after.

    :param before: of the original model
    :param after: of the adapted one
    """

    before: Samples
    after: Samples

    @property
    def gain(self) -> Gain:
        """Mean gain in log-probability, and its uncertainty."""
        return gain_of(self.before, self.after)


@dataclass(frozen=True)
class Adaptation:
    """
    The result of an adaptation.

    :param model: adapted; in evaluation mode
    :param calibration: of the adapted model
    :param measures: by cue
    :param kept: whether the held-out part got better
    :param reason: why it is kept or not, for users
    :param iterations: number of optimiser steps
    """

    model: GTR
    calibration: Calibration
    measures: dict[str, Measure]
    kept: bool
    reason: str
    iterations: int


#: called after each step, with its number and the loss
OnStep = Callable[[int, float], None]


def split_excerpts(excerpts: Sequence[Excerpt]) -> tuple[list[Excerpt], list[Excerpt]]:
    """Split a recording into the part to train on, and the last quarter, which is held out."""
    total = sum(map(len, excerpts))
    left = round(total * (1 - _HELD_OUT))
    train, held = [], []
    for excerpt in excerpts:
        here = min(left, len(excerpt))
        left -= here
        train.append(excerpt.part(0, here))
        begin = here
        if here > 0:
            pause = excerpt.stamps - excerpt.stamps[here - 1] < _PAUSE * NANOSECONDS
            begin = max(here, int(pause.sum()))
        held.append(excerpt.part(begin, len(excerpt)))
    return [e for e in train if len(e)], [e for e in held if len(e)]


def adapt(
    model: GTR,
    excerpts: Sequence[Excerpt],
    options: AdaptOptions = AdaptOptions(),
    on_step: OnStep = lambda step, loss: None,
) -> Adaptation:
    """
    Adapt a model to a recording.

    The weights are the mean of the original and the trained ones (Wortsman et al., "Robust
    fine-tuning of zero-shot models", CVPR 2022): in other places, they lose less.

    :param model: is not changed
    :param excerpts: of the recording
    :param on_step: called after each step
    :raises TrainingError: if there is nothing to learn from
    """
    check_excerpts(excerpts)
    train, held = split_excerpts(excerpts)
    original = model.eval()
    adapted = deepcopy(model)
    steps = _train(adapted, train, options, on_step)
    _interpolate(adapted.eval(), original, 1 - _SHARE)
    return _judge(original, adapted, train, held, steps)


def check_excerpts(excerpts: Sequence[Excerpt]) -> None:
    """Raise TrainingError if nothing can be learnt from a recording; name what it lacks."""
    frames = sum(map(len, excerpts))
    if frames < _LEAST_FRAMES:
        raise TrainingError(
            f'the recording is too short: {frames} frames at least 0.075 s apart; expected '
            f'{_LEAST_FRAMES} or more, better minutes'
        )
    boxes = sum(len(excerpt.boxes) for excerpt in excerpts)
    if not boxes:
        raise TrainingError(
            f'the detector found no object in {frames} frames; there is nothing to tell apart'
        )
    names = ('the first three quarters', 'the last quarter')
    for name, part in zip(names, split_excerpts(excerpts)):
        agreement = Agreement(part)
        if agreement.pairs < _LEAST_SAMPLES or agreement.objects < _LEAST_OBJECTS:
            raise TrainingError(
                f'in {name} of the recording, there is too little to tell apart: '
                f'{agreement.objects} tracks beside others, in {agreement.pairs} comparisons; '
                f'expected {_LEAST_OBJECTS} and {_LEAST_SAMPLES} or more. Give a longer '
                'recording, in which several objects are seen at the same time'
            )


def _judge(
    original: GTR,
    adapted: GTR,
    train: Sequence[Excerpt],
    held: Sequence[Excerpt],
    steps: int,
) -> Adaptation:
    """Measure both models on the held-out part, and decide whether the adapted one is kept."""
    fitting, testing = Agreement(train), Agreement(held)
    calibration = original.association.calibration
    measures = {}
    for cue in CUES:
        # Each model gets the scale that suits it best on the part to train on: a network is not
        # better because its similarities are larger.
        before, after = (
            testing.measure(model, cue, fitting.fit_scale(model, cue))
            for model in (original, adapted)
        )
        measures[cue] = Measure(before, after)
    kept, reason = _decide(measures, calibration.cue)
    return Adaptation(
        adapted,
        testing.recalibrate(original, adapted, calibration),
        measures,
        kept,
        reason,
        steps,
    )


def _decide(measures: dict[str, Measure], cue: str) -> tuple[bool, str]:
    """Return whether the adapted model is kept, and why."""
    main = measures[cue]
    if not main.gain.mean > main.gain.margin:
        return False, f'on the held-out part, the {cue} is not certainly better'
    if main.after.hits.mean() < main.before.hits.mean():
        return False, f'on the held-out part, the {cue} finds fewer of the right boxes'
    for name, other in measures.items():
        if other.gain.mean < -other.gain.margin:
            return False, f'on the held-out part, the {name} is worse'
    return True, f'on the held-out part, the {cue} is better'


def _train(model: GTR, excerpts: Sequence[Excerpt], options: AdaptOptions, on_step: OnStep) -> int:
    """Train head and transformer; return the number of steps."""
    schedule = Schedule(
        iterations=options.iterations,
        learning_rate=options.learning_rate,
        rates={'detector': 0},
        weight_decay=0.0,
        norm_weight_decay=0.0,
        gradient_norm=1.0,
        warmup=max(options.iterations // 10, 1),
    )
    optimiser = make_optimiser(model, schedule)
    rng = np.random.default_rng(options.seed)
    begin = time.monotonic()
    calibration = model.association.calibration
    slope = (calibration.same - calibration.different) / calibration.deviation**2
    scales = {
        'cosine': (slope, (calibration.same + calibration.different) / 2),
        'transformer': (1.0, 0.0),
    }
    parameters = [p for group in optimiser.param_groups for p in group['params']]
    windows = WindowSampler(excerpts)
    for step in range(options.iterations):
        if options.seconds is not None and time.monotonic() - begin > options.seconds:
            return step
        for group in optimiser.param_groups:
            group['lr'] = options.learning_rate * schedule.rate_at(step)
        optimiser.zero_grad(set_to_none=True)
        total = 0.0
        for _ in range(options.windows):
            excerpt, frames = windows(rng)
            loss = window_loss(model, excerpt, frames, scales, options, rng) / options.windows
            loss.backward()
            total += loss.item()
        if not math.isfinite(total):
            raise TrainingError(f'step {step + 1}: the loss is {total}; nothing is written')
        nn.utils.clip_grad_norm_(parameters, schedule.gradient_norm)
        optimiser.step()
        on_step(step + 1, total)
    return options.iterations


@torch.no_grad()
def _interpolate(model: GTR, towards: GTR, share: float) -> None:
    """
    Move the parameters of a model towards those of another one, in place.

    :param share: of the way, 0 to 1; at 1, they are those of the other one
    """
    for own, other in zip(model.parameters(), towards.parameters(), strict=True):
        own.lerp_(other, share)


class WindowSampler:
    """
    Draws windows of frames that show several objects.

    :param excerpts: of a recording
    """

    def __init__(self, excerpts: Sequence[Excerpt]) -> None:
        self._ends = [
            (excerpt, t)
            for excerpt in excerpts
            for t in range(1, len(excerpt))
            if excerpt.counts[t] > 1
        ]

    def __call__(self, rng: np.random.Generator) -> tuple[Excerpt, list[int]]:
        """Draw an excerpt, and frames of it, oldest first."""
        excerpt, new = self._ends[int(rng.integers(len(self._ends)))]
        seconds = (excerpt.stamps[new] - excerpt.stamps[:new]) / NANOSECONDS
        gap = np.exp(rng.uniform(*np.log(_GAPS)))
        old = int(np.abs(seconds - gap).argmin())
        between = np.arange(old + 1, new)
        count = min(_FRAMES - 2, len(between))
        chosen = np.sort(rng.choice(between, count, replace=False)).tolist() if count else []
        return excerpt, [old, *chosen, new]


def window_loss(
    model: GTR,
    excerpt: Excerpt,
    frames: Sequence[int],
    scales: dict[str, tuple[float, float]],
    options: AdaptOptions,
    rng: np.random.Generator,
) -> Tensor:
    """
    Compute the loss of a window.

    :param frames: of the excerpt, oldest first
    :param scales: slope and level of the logit of each cue
    :return: () float
    """
    rows = [excerpt.rows(t) for t in frames]
    maps = torch.cat([excerpt.maps[r] for r in rows]).float()
    counts = [excerpt.counts[t] for t in frames]
    if not counts[0] or not counts[-1]:
        return sum(p.sum() for p in model.head.parameters()) * 0
    features = list(model.head(maps).float().split(counts))
    same, _ = related(excerpt, frames[-1], frames[0])
    known, target = same.nonzero(as_tuple=True)
    some = [t for t in range(1, len(frames) - 1) if rng.random() < 0.5]
    total = features[0].sum() * 0
    for cue in CUES:
        paths = []
        for path in choose_paths(len(frames), some):
            seen = sorted(path)
            logits = WindowLogits(
                model,
                [features[t] for t in seen],
                [excerpt.boxes[rows[t]] for t in seen],
                cue,
                scales[cue],
            )
            paths.append(follow(logits, range(len(seen) - 1, -1, -1)))
        total = total + options.paths * disagreement(paths)
        total = total + options.crowding * sum(map(crowding, paths)) / len(paths)
        if len(known):
            right = torch.stack(paths)[:, known, target].clamp_min(1e-6)
            total = total - options.tracklets * right.log().mean()
    return total
