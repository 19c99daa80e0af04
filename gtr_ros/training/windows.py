# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Windows of the frames of an excerpt: which boxes belong together, and their logits."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gtr_ros.model.gtr import GTR
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.training.excerpts import Excerpt

#: seconds from the oldest to the newest frame of a window that is measured
GAPS = (0.5, 1.0, 2.0, 4.0)

_EVERY = 0.5  # seconds from one newest frame to the next
_STEPS = 3  # of the path through frames in between


def features_of(model: GTR, excerpt: Excerpt) -> Tensor:
    """Return the features of the boxes of an excerpt, (N, D) float32."""
    if not len(excerpt.maps):
        return torch.zeros(0, 1)
    return torch.cat([model.head(m.float()).float() for m in excerpt.maps.split(256)])


def related(excerpt: Excerpt, new: int, old: int) -> tuple[Tensor, Tensor]:
    """Return which boxes of two frames show the same and different objects, (M, K) bool each."""
    now, then = (excerpt.tracklets[excerpt.rows(t)] for t in (new, old))
    known = (now > 0)[:, None] & (then > 0)
    same = (now[:, None] == then) & known
    # Two tracklets are of different objects if one frame has boxes of both.
    together = torch.isin(then, now)[None] | torch.isin(now, then)[:, None]
    different = known & ~same & together
    if not excerpt.doubles:
        return same, different
    for i, k in different.nonzero().tolist():
        if (int(now[i]), int(then[k])) in excerpt.doubles:
            different[i, k] = False
    return same, different


class WindowLogits:
    """
    The logits between the boxes of the frames of a window; see `path_consistency.Logits`.

    :param model: its association is used
    :param features: (N_t, D) of each frame, oldest first
    :param boxes: (N_t, 4) of each frame, relative to its width and height
    :param cue: one of `CUES`
    :param scale: slope and level: the logit is slope * (similarity - level)
    """

    def __init__(
        self,
        model: GTR,
        features: Sequence[Tensor],
        boxes: Sequence[Tensor],
        cue: str,
        scale: tuple[float, float],
    ) -> None:
        self._counts = [len(part) for part in features]
        self._slope, self._level = scale
        window = torch.cat(list(features))
        if cue == 'cosine':
            unit = F.normalize(window, dim=1)
            self._values = unit @ unit.T
        else:
            every = torch.cat(list(boxes))
            self._values = model.association.logits(window, self._counts, slice(None), every)[-1]

    def __call__(self, new: int, old: int) -> Tensor:
        """Return the logits of two frames, (M, K)."""
        parts = self._values.split(self._counts, dim=0)[new].split(self._counts, dim=1)
        return self._slope * (parts[old] - self._level)


def logits_between(
    model: GTR,
    excerpt: Excerpt,
    features: Tensor,
    frames: Sequence[int],
    cue: str,
    scale: tuple[float, float] = (1.0, 0.0),
) -> WindowLogits:
    """Return the logits between the boxes of some frames of an excerpt."""
    rows = [excerpt.rows(t) for t in frames]
    boxes = [excerpt.boxes[r] for r in rows]
    return WindowLogits(model, [features[r] for r in rows], boxes, cue, scale)


def regular_windows(excerpt: Excerpt) -> Iterator[list[int]]:
    """Yield the frames of windows, oldest first: of each length, ending at regular times."""
    seconds = (excerpt.stamps - excerpt.stamps[0]) / NANOSECONDS
    last = -np.inf
    for new in range(1, len(excerpt)):
        if seconds[new] - last < _EVERY - 0.01:
            continue
        last = seconds[new]
        for gap in GAPS:
            wanted = seconds[new] - gap * np.arange(_STEPS, 0, -1) / _STEPS
            if wanted[0] < -0.01:
                break
            frames = [int(np.abs(seconds - w).argmin()) for w in wanted]
            if seconds[new] - seconds[frames[0]] <= 1.5 * gap and len({*frames, new}) > _STEPS:
                yield [*frames, new]


def followed(excerpt: Excerpt, new: int, old: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return rows, columns and tracklets of the boxes with the same tracklet in both frames."""
    same, _ = related(excerpt, new, old)
    # Where there is nothing else to choose from, nothing is learnt.
    if same.shape[1] < 2 and same.shape[0] < 2:
        same = torch.zeros_like(same)
    rows, columns = same.nonzero(as_tuple=True)
    return rows, columns, excerpt.tracklets[excerpt.rows(new)][rows]
