# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the numbers of a trained network are worth, measured where it is known who is who."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace

import numpy as np
from scipy.optimize import minimize
import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.gtr import GTR
from gtr_ros.structures import Detections
from gtr_ros.tracking.likeness import best_logits
from gtr_ros.tracking.likeness import Likeness
from gtr_ros.tracking.window import Window
from gtr_ros.training.clip import Clip
from gtr_ros.training.clip import ClipSource

#: clips that a training measures at its end, and frames of each at most: a minute's work
CLIPS, FRAMES = 40, 8

_LEAST_DEVIATION = 0.15  # of cosines: clips are of fewer places than a camera will see

_LEAST_BACK = 20  # objects that come back: the mean of fewer is less true than that of all

_RIDGE = 1e-3  # of the slope, where logits have the deviation 1: without it some have no limit

_STREAM = 0xCA11B  # tells the random streams from those of the clips that were trained on


def draw_clips(
    source: ClipSource, seed: int, count: int = CLIPS, frames: int = FRAMES
) -> Iterator[Clip]:
    """
    Draw clips that were not trained on, one at a time: large ones would fill the memory.

    :param seed: of the training
    :param frames: of a clip at most; the first ones of a longer clip
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
    Measure how alike the same and different objects look to a model.

    Objects of the clips are followed by their true boxes and ids, as a tracker without errors
    would. The same object counts where it comes back from out of sight, as it is easy to know in
    the frame after; where in all clips that hardly happens, it always counts.

    :param model: is put into evaluation mode
    :param clips: those with fewer than two identities, or of one frame, say nothing
    :param cue: what the model's tracker goes by, one of `gtr_ros.model.calibration.CUES`
    :return: the defaults if no clip says anything
    """
    model.eval()
    parts = [_compare(model, clip) for clip in clips if _tells(clip)]
    if not parts:
        return Calibration(cue=cue)
    values, own, gap = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ('values', 'own', 'gap')
    )
    back, easy, different = values[own & (gap > 1)], values[own & (gap == 1)], values[~own]
    same = back if len(back) >= _LEAST_BACK else values[own]
    if not len(same) or not len(different):
        return Calibration(cue=cue)
    mean, other = float(same[:, 0].mean()), float(different[:, 0].mean())
    deviation = float(np.sqrt((same[:, 0].var() + different[:, 0].var()) / 2))
    drop = float(easy[:, 0].mean()) - mean if len(easy) else 0.0
    slope, level = fit_log_ratio(same[:, 1], different[:, 1])
    # More digits are the arithmetic's of one machine, not the network's.
    return Calibration(
        cue=cue,
        same=round(mean, 4),
        different=round(other, 4),
        deviation=round(max(deviation, _LEAST_DEVIATION), 4),
        drop=round(max(drop, 0.0), 4),
        logit_slope=round(slope, 4),
        logit_level=round(level, 4),
    )


def _tells(clip: Clip) -> bool:
    """Say whether there is anybody to be taken for somebody else later."""
    return len(clip) > 1 and len(np.unique([i for ids in clip.ids for i in ids if i > 0])) > 1


@dataclass(frozen=True)
class _Pairs:
    """
    The objects of a clip, each with the identities of its frame that were seen before.

    :param values: (P, 2) float64: cosine of the object's feature and the identity's mean one; the
        transformer's logit G of the object and the identity's best box, 0 without a transformer
    :param own: (P,) bool, whether the identity is the object's own
    :param gap: (P,) int64, frames since the identity was seen; 1: in the frame before
    """

    values: np.ndarray
    own: np.ndarray
    gap: np.ndarray


def _compare(model: GTR, clip: Clip) -> _Pairs:
    """Go through a clip as a tracker does that makes no errors."""
    transformer = isinstance(model.association, AssociationTransformer)
    window = Window(model.association, len(clip), None) if transformer else None
    likeness = Likeness(Calibration(), memory=1.0)
    known, last = np.zeros(0, np.int64), np.zeros(0, np.int64)
    values, owns, gaps = [], [], []
    for t, ids in enumerate(clip.ids):
        now = _describe(model, clip, t)
        features = likeness.unit(now.features)
        own = (ids[:, None] == known) & (ids > 0)[:, None]  # MxK
        cosine = likeness.compare(features) if len(known) else np.zeros(own.shape)
        logit = np.zeros(own.shape)
        if window is not None:
            logit = best_logits(window.view(now), known)
            window.add(now, ids)
        # Of two that are in one frame it is certain that they are not the same.
        taken = (ids > 0)[:, None] & own.any(axis=0)
        values.append(np.stack([cosine[taken], logit[taken]], axis=1))
        owns.append(own[taken])
        gaps.append(np.broadcast_to(t - last, own.shape)[taken])
        found, rows = np.nonzero(own)
        new = np.flatnonzero((ids > 0) & ~own.any(axis=1))
        likeness.update(rows, found, features, seconds=0.0)
        likeness.begin(features[torch.from_numpy(new)])
        last[rows] = t
        known, last = np.append(known, ids[new]), np.append(last, np.full(len(new), t))
    return _Pairs(np.concatenate(values), np.concatenate(owns), np.concatenate(gaps))


def _describe(model: GTR, clip: Clip, t: int) -> Detections:
    """Return the true objects of a clip's frame with the features that the model gives them."""
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

    :param same: (S,) logits, S at least 1; as many in all, however many they are, as
    :param different: (D,) logits, D at least 1
    :return: slope and level; 0, 0 where a larger logit does not speak for the same
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
        pull = -weight * sign / (1 + np.exp(np.minimum(margin, 500)))
        value = weight @ np.logaddexp(0, -margin) + _RIDGE / 2 * slope**2
        return value, np.array([pull @ x + _RIDGE * slope, pull.sum()])

    slope, offset = minimize(loss, np.zeros(2), jac=True, method='BFGS').x.tolist()
    if slope < 1e-3:  # and the level is nowhere
        return 0.0, 0.0
    return slope / spread, centre - spread * offset / slope
