# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Path consistency: an association must be the same whichever frames in between are observed.

After Lu et al., "Self-Supervised Multi-Object Tracking with Path Consistency", CVPR 2024. A path
leads from a box of the newest frame of a window back to the oldest frame, over some of the frames
in between. Each path gives a probability for every box of the oldest frame, and for "none".
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: logits of the M boxes of a frame and the K boxes of an earlier frame, (M, K) float; called with
#: the indices of the two frames
Logits = Callable[[int, int], Tensor]


def with_none(logits: Tensor) -> Tensor:
    """
    Return the probabilities of the boxes of a frame and of "none", whose logit is 0 (Eq. 1).

    :param logits: (M, K) float
    :return: (M, K + 1), rows sum to 1; the last column is "none"
    """
    return F.pad(logits, (0, 1)).softmax(dim=1)


def follow(logits: Logits, path: Sequence[int]) -> Tensor:
    """
    Follow a path from the boxes of its first frame to those of its last one.

    A box that has no counterpart in a frame of the path goes on to the next one from where it was
    last seen, so that a missed detection does not end it.

    :param path: frames in the order in which they are visited, at least two
    :return: (M, K + 1), probabilities of the K boxes of the last frame and of "none"
    """
    first = with_none(logits(path[0], path[1]))
    # Probability of each box to be where the object was seen last, by frame.
    seen = [(path[0], torch.diag_embed(first[:, -1])), (path[1], first[:, :-1])]
    for frame in path[2:]:
        found, left = 0.0, []
        for place, share in seen:
            step = with_none(logits(place, frame))
            found = found + share @ step[:, :-1]
            left.append((place, share * step[:, -1]))
        seen = [*left, (frame, found)]
    none = sum(share.sum(dim=1) for _, share in seen[:-1])
    return torch.cat((seen[-1][1], none[:, None]), dim=1)


def disagreement(paths: Sequence[Tensor], confidence: float = 0.1) -> Tensor:
    """
    Compute how much paths differ: the mean divergence of each from their mean, and its entropy.

    The divergence alone is also 0 if every path says "none", or all boxes alike. The entropy of
    the mean prevents the second; `crowding` and a loss on tracklets prevent the first.

    :param paths: (M, K + 1) each, of the same boxes
    :param confidence: weight of the entropy
    :return: () float, mean over the M boxes
    """
    stack = torch.stack(list(paths)).clamp_min(1e-6)
    mean = stack.mean(dim=0)
    # Symmetric: the divergence of the mean from each path, and of each path from the mean.
    ratio = stack.log() - mean.log()
    divergence = ((stack - mean) * ratio).sum(dim=2).mean() / 2
    entropy = -(mean * mean.log()).sum(dim=1).mean()
    return divergence + confidence * entropy


def crowding(path: Tensor) -> Tensor:
    """
    Compute how many boxes too many come from one box: an object has one box per frame.

    :param path: (M, K + 1)
    :return: () float, mean over the K boxes
    """
    if path.shape[1] == 1:
        return path.sum() * 0
    return (path[:, :-1].sum(dim=0) - 1).clamp_min(0).square().mean()


def choose_paths(frames: int, chosen: Sequence[int]) -> list[tuple[int, ...]]:
    """
    Return paths from the newest frame of a window to the oldest: direct, some, and all frames.

    :param frames: T, at least 2
    :param chosen: frames in between of the second path, in any order
    """
    between = range(frames - 2, 0, -1)
    paths = [(), tuple(t for t in between if t in set(chosen)), tuple(between)]
    return [(frames - 1, *path, 0) for path in dict.fromkeys(paths)]
