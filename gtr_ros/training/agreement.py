# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well an association that skips frames agrees with the tracks found frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student
import torch
from torch import Tensor

from gtr_ros.model.calibration import Calibration
from gtr_ros.model.gtr import GTR
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.training.calibration import fit_log_ratio
from gtr_ros.training.excerpts import Excerpt
from gtr_ros.training.path_consistency import choose_paths
from gtr_ros.training.path_consistency import follow
from gtr_ros.training.windows import features_of
from gtr_ros.training.windows import followed
from gtr_ros.training.windows import logits_between
from gtr_ros.training.windows import regular_windows
from gtr_ros.training.windows import related

_LONG = 1.0  # seconds from which a pair is like one after an absence
_LEAST_PAIRS = 20


@dataclass(frozen=True)
class Samples:
    """
    Boxes of which the tracker says which box of an earlier frame shows the same object.

    :param values: (P,) float, log-probability of that box, mean over the paths
    :param hits: (P,) float, share of the paths that find that box the most likely
    :param objects: (P,) int64, the tracklet
    """

    values: np.ndarray
    hits: np.ndarray
    objects: np.ndarray

    def __len__(self) -> int:
        return len(self.values)

    @property
    def probability(self) -> float:
        """Geometric mean of the probability that the same box is found although frames miss."""
        return float(np.exp(self.values.mean()))


@dataclass(frozen=True)
class _Pairs:
    """Similarities of two boxes, (P,) float64 each, by whether they show the same object."""

    same: np.ndarray
    different: np.ndarray
    successive: np.ndarray


class _Change(NamedTuple):
    """
    How a cue has changed between two models, on the same pairs.

    :param same: change of the mean of the same object
    :param different: change of the mean of different objects
    :param spread: ratio of the deviations
    :param drop: change of how much higher successive boxes are
    """

    same: float
    different: float
    spread: float
    drop: float


class Agreement:
    """
    Measures a model on excerpts; the same boxes, windows and tracklets for every model.

    For a box of one frame, and an earlier frame up to four seconds away, paths with and without
    the frames in between should find the box that the tracker followed frame by frame. "None" and
    several boxes alike are wrong answers, so a collapsed association scores badly.

    :param excerpts: of a recording
    """

    def __init__(self, excerpts: Sequence[Excerpt]) -> None:
        self._excerpts = excerpts
        self._windows = [list(regular_windows(excerpt)) for excerpt in excerpts]

    @cached_property
    def _tracklets(self) -> list[tuple[int, int]]:
        """Excerpt and tracklet of each box that can be compared."""
        return [
            (i, tracklet)
            for i, (excerpt, windows) in enumerate(zip(self._excerpts, self._windows))
            for window in windows
            for tracklet in followed(excerpt, window[-1], window[0])[2].tolist()
        ]

    @property
    def pairs(self) -> int:
        """Number of boxes that can be compared with an earlier frame."""
        return len(self._tracklets)

    @property
    def objects(self) -> int:
        """Number of tracklets of these boxes."""
        return len(set(self._tracklets))

    @torch.inference_mode()
    def measure(self, model: GTR, cue: str, scale: tuple[float, float]) -> Samples:
        """
        Follow the paths.

        :param model: in evaluation mode
        :param cue: one of `CUES`
        :param scale: slope and level of its logit, see `fit_scale`
        """
        values, hits, objects = [], [], []
        offset = 0
        for excerpt, windows in zip(self._excerpts, self._windows):
            features = features_of(model, excerpt)
            for window in windows:
                rows, columns, tracklets = followed(excerpt, window[-1], window[0])
                if not len(rows):
                    continue
                odds = []
                for path in choose_paths(len(window), ()):
                    frames = [window[t] for t in sorted(path)]
                    logits = logits_between(model, excerpt, features, frames, cue, scale)
                    steps = range(len(frames) - 1, -1, -1)
                    odds.append(follow(logits, steps)[rows])
                odds = torch.stack(odds)  # paths, P, K + 1
                right = odds[:, torch.arange(len(rows)), columns].clamp_min(1e-6)
                values.append(right.log().mean(dim=0))
                hits.append((odds.argmax(dim=2) == columns).float().mean(dim=0))
                objects.append(tracklets + offset)
            offset += int(excerpt.tracklets.max()) + 1 if len(excerpt.tracklets) else 0
        if not values:
            return Samples(*(np.zeros(0),) * 3)
        return Samples(*(torch.cat(part).numpy() for part in (values, hits, objects)))

    def fit_scale(self, model: GTR, cue: str) -> tuple[float, float]:
        """Return slope and level with which a cue's similarity is evidence for the same object."""
        pairs = self._pairs(model, cue)
        if not len(pairs.same) or not len(pairs.different):
            return 0.0, 0.0
        return fit_log_ratio(pairs.same, pairs.different)

    def recalibrate(self, before: GTR, after: GTR, calibration: Calibration) -> Calibration:
        """
        Return the calibration of an adapted model: that of the original, shifted by the change.

        Tracklets are easier than the returns that a calibration was measured on: measured anew on
        them, it would promise too much. How far adaptation has moved the cosines and logits of
        pairs of boxes is known from them, however.

        :param before: the original model
        :param after: the adapted model
        :param calibration: of the original model
        """
        cosine = self._change(before, after, 'cosine')
        if cosine is None:
            return calibration
        values = {
            'same': calibration.same + cosine.same,
            'different': calibration.different + cosine.different,
            'deviation': calibration.deviation * cosine.spread,
            'drop': max(calibration.drop + cosine.drop, 0.0),
        }
        if calibration.logit_slope:
            logit = self._change(before, after, 'transformer')
            deviation = calibration.logit_deviation * logit.spread
            # Of two normal distributions with one deviation: slope = (same - different) / its
            # square, and the level is half-way.
            distance = calibration.logit_slope * calibration.logit_deviation**2
            distance += logit.same - logit.different
            values |= {
                'logit_slope': distance / deviation**2,
                'logit_level': calibration.logit_level + (logit.same + logit.different) / 2,
                'logit_deviation': deviation,
                'logit_drop': max(calibration.logit_drop + logit.drop, 0.0),
            }
        # Further digits would depend on the machine.
        return replace(calibration, **{name: round(value, 4) for name, value in values.items()})

    def _change(self, before: GTR, after: GTR, cue: str) -> _Change | None:
        """Return how a cue has changed; None: there are too few pairs to say."""
        old, new = (self._pairs(model, cue) for model in (before, after))
        if min(len(old.same), len(old.different)) < _LEAST_PAIRS:
            return None
        same = float(new.same.mean() - old.same.mean())
        successive = 0.0
        if len(old.successive):
            successive = float(new.successive.mean() - old.successive.mean())
        return _Change(
            same=same,
            different=float(new.different.mean() - old.different.mean()),
            spread=max(_spread(new), 1e-6) / max(_spread(old), 1e-6),
            drop=successive - same,
        )

    @torch.inference_mode()
    def _pairs(self, model: GTR, cue: str) -> _Pairs:
        """Compare boxes of two frames, and those of successive frames."""
        parts: dict[str, list[Tensor]] = {'same': [], 'different': [], 'successive': []}
        for excerpt, windows in zip(self._excerpts, self._windows):
            features = features_of(model, excerpt)
            for window in windows:
                new, old = window[-1], window[0]
                long = (excerpt.stamps[new] - excerpt.stamps[old]) / NANOSECONDS >= _LONG - 0.01
                for then, kind in ((old, 'same'), (new - 1, 'successive')):
                    if kind == 'same' and not long:
                        continue
                    logits = logits_between(model, excerpt, features, [then, new], cue)(1, 0)
                    same, different = related(excerpt, new, then)
                    parts[kind].append(logits[same])
                    if kind == 'same':
                        parts['different'].append(logits[different])
        return _Pairs(
            **{
                kind: torch.cat(part).double().numpy() if part else np.zeros(0)
                for kind, part in parts.items()
            }
        )


class Gain(NamedTuple):
    """
    How much better one model is than another, in log-probability.

    :param mean: over the samples
    :param margin: half the width of the 95 % confidence interval of the mean
    """

    mean: float
    margin: float


def gain_of(before: Samples, after: Samples) -> Gain:
    """
    Compare two models on the same samples.

    The samples of one object are not independent, so that only objects count: of three static
    bottles, a hundred samples say no more than three.
    """
    change = after.values - before.values
    names, index = np.unique(before.objects, return_inverse=True)
    count = len(names)
    if count < 2:
        return Gain(float(change.mean()) if len(change) else 0.0, np.inf)
    # The variance of a ratio of sums over objects.
    sums = np.bincount(index, change - change.mean())
    error = np.sqrt((sums**2).sum() * count / (count - 1)) / len(change)
    return Gain(float(change.mean()), float(student.ppf(0.975, count - 1) * error))


def _spread(pairs: _Pairs) -> float:
    return float(np.sqrt((pairs.same.var() + pairs.different.var()) / 2))
