# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Calibration of a trained model's appearance cues on clips with known identities."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize
import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.gtr import GTR
from gtr_ros.structures import Detections
from gtr_ros.tracking.appearance import AppearanceModel
from gtr_ros.tracking.appearance import mean_logits
from gtr_ros.tracking.window import Window
from gtr_ros.training.clip import Clip
from gtr_ros.training.clip import ClipSource

#: number of clips to calibrate on, and maximum number of frames of each; takes about a minute
CLIPS, FRAMES = 40, 8

_MIN_DEVIATION = 0.15  # of cosines; clips show fewer places than a camera in use

_MIN_LOGIT_DEVIATION = 0.5

_MIN_RETURNS = 20  # with fewer returning objects, all pairs of the same object are used

# regularises the slope at unit deviation; for separable logits, it would otherwise be unbounded
_RIDGE = 1e-3

_STREAM = 0xCA11B  # distinguishes the random streams from those of the training clips


def draw_clips(
    source: ClipSource, seed: int, count: int = CLIPS, frames: int = FRAMES
) -> Iterator[Clip]:
    """
    Draw clips that were not used for training, one at a time to save memory.

    :param seed: of the training run
    :param count: of clips
    :param frames: maximum per clip; of a longer clip, the first ones are used
    """
    for number in range(count):
        clip = source(np.random.default_rng([seed, number, _STREAM]))
        yield replace(
            clip,
            **{
                name: getattr(clip, name)[:frames]
                for name in ('images', 'boxes', 'labels', 'ids', 'crowds')
            },
        )


def calibrate(model: GTR, clips: Iterable[Clip], cue: str = 'cosine') -> Calibration:
    """
    Measure the similarity that a model computes for boxes of the same and of different objects.

    Objects are tracked by their true boxes and ids, as by a tracker without errors. Pairs of the
    same object count only if the object returns after it was out of sight, because from one frame
    to the next it is easy to recognise; if too few objects return, all pairs count.

    :param model: is switched to evaluation mode
    :param clips: clips of one frame or with fewer than two identities are ignored
    :param cue: appearance cue of the model's tracker, one of `gtr_ros.model.calibration.CUES`
    :return: the defaults if no clip can be used
    """
    model.eval()
    parts = [_collect_pairs(model, clip) for clip in clips if _is_usable(clip)]
    if not parts:
        return Calibration(cue=cue)
    values, is_same, gap = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ('values', 'is_same', 'gap')
    )
    returned, successive = values[is_same & (gap > 1)], values[is_same & (gap == 1)]
    same = returned if len(returned) >= _MIN_RETURNS else values[is_same]
    different = values[~is_same]
    if not len(same) or not len(different):
        return Calibration(cue=cue)
    cosine, logit = _measure(same[:, 0], different[:, 0]), _measure(same[:, 1], different[:, 1])
    drop = (successive.mean(axis=0) - same.mean(axis=0)).clip(0) if len(successive) else (0, 0)
    calibration = Calibration(
        cue=cue,
        same=_rounded(cosine.same),
        different=_rounded(cosine.different),
        deviation=_rounded(max(cosine.deviation, _MIN_DEVIATION)),
        drop=_rounded(drop[0]),
    )
    slope, level = fit_log_ratio(same[:, 1], different[:, 1])
    if not slope:  # without a transformer
        return calibration
    return replace(
        calibration,
        logit_slope=_rounded(slope),
        logit_level=_rounded(level),
        logit_deviation=_rounded(max(logit.deviation, _MIN_LOGIT_DEVIATION)),
        logit_drop=_rounded(drop[1]),
    )


class _Distributions(NamedTuple):
    """Means of the same and of different objects' similarity, and the deviation of both."""

    same: float
    different: float
    deviation: float


def _measure(same: np.ndarray, different: np.ndarray) -> _Distributions:
    deviation = float(np.sqrt((same.var() + different.var()) / 2))
    return _Distributions(float(same.mean()), float(different.mean()), deviation)


def _rounded(value: float) -> float:
    """Return the value without digits that would depend on the machine."""
    return round(float(value), 4)


def _is_usable(clip: Clip) -> bool:
    """Return whether a clip has several frames and several identities."""
    return len(clip) > 1 and len(np.unique([i for ids in clip.ids for i in ids if i > 0])) > 1


@dataclass(frozen=True)
class _Pairs:
    """
    Pairs of a box and a previously seen identity that is also in the box's frame.

    :param values: (P, 2) float64: cosine of the box's feature and the identity's mean feature; the
        transformer's logit G, mean of the identity's boxes, 0 without a transformer
    :param is_same: (P,) bool, whether the box has this identity
    :param gap: (P,) int64, frames since the identity was last seen; 1: seen in the previous frame
    """

    values: np.ndarray
    is_same: np.ndarray
    gap: np.ndarray


def _collect_pairs(model: GTR, clip: Clip) -> _Pairs:
    """Track the true boxes of a clip by their ids, and compare each with previous identities."""
    transformer = isinstance(model.association, AssociationTransformer)
    window = Window(model.association, len(clip), None) if transformer else None
    appearance = AppearanceModel(Calibration(), memory=1.0, drift=1.0)
    known, last = np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, sames, gaps = [], [], []
    for t, ids in enumerate(clip.ids):
        now = _describe(model, clip, t)
        features = appearance.unit(now.features)
        same = (ids[:, None] == known) & (ids > 0)[:, None]  # MxK
        cosine = appearance.compare(features) if len(known) else np.zeros(same.shape)
        logit = np.zeros(same.shape)
        if window is not None:
            logit = mean_logits(window.view(now), known)
            window.add(now, ids)
        # Only identities in the same frame are certain to be different objects.
        paired = (ids > 0)[:, None] & same.any(axis=0)
        values.append(np.stack([cosine[paired], logit[paired]], axis=1))
        sames.append(same[paired])
        gaps.append(np.broadcast_to(t - last, same.shape)[paired])
        found, rows = np.nonzero(same)
        new = np.flatnonzero((ids > 0) & ~same.any(axis=1))
        appearance.update(rows, found, features, seconds=0.0)
        appearance.begin(features[torch.from_numpy(new)])
        last[rows] = t
        known, last = np.append(known, ids[new]), np.append(last, np.full(len(new), t))
    return _Pairs(np.concatenate(values), np.concatenate(sames), np.concatenate(gaps))


def _describe(model: GTR, clip: Clip, t: int) -> Detections:
    """Return the true boxes of a frame as detections with the model's features."""
    image, count = clip.images[t], len(clip.boxes[t])
    truth = Detections(
        boxes=clip.boxes[t],
        scores=np.ones(count, np.float32),
        labels=clip.labels[t],
        features=torch.zeros(count, 0),
        image_size=image.shape[:2],
    )
    return model.describe(image, truth)


def fit_log_ratio(same: np.ndarray, different: np.ndarray) -> tuple[float, float]:
    """
    Fit the log-ratio of same to different, slope * (logit - level), by logistic regression.

    Both classes have the same total weight.

    :param same: (S,) logits of pairs of the same object, S at least 1
    :param different: (D,) logits of pairs of different objects, D at least 1
    :return: slope and level; 0, 0 if a larger logit is not evidence for the same object
    """
    logits = np.concatenate([same, different])
    centre, spread = float(logits.mean()), float(logits.std())
    if not spread > 0:
        return 0.0, 0.0
    x = (logits - centre) / spread
    sign = np.repeat([1.0, -1.0], [len(same), len(different)])
    weight = np.repeat([0.5 / len(same), 0.5 / len(different)], [len(same), len(different)])

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, offset = parameters
        margin = sign * (slope * x + offset)
        gradient = -weight * sign / (1 + np.exp(np.minimum(margin, 500)))
        value = weight @ np.logaddexp(0, -margin) + _RIDGE / 2 * slope**2
        return value, np.array([gradient @ x + _RIDGE * slope, gradient.sum()])

    slope, offset = minimize(loss, np.zeros(2), jac=True, method='BFGS').x.tolist()
    if slope < 1e-3:  # the level is then undefined
        return 0.0, 0.0
    return slope / spread, centre - spread * offset / slope
