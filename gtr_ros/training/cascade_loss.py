# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The loss of a stage of the cascade: a federated loss of the classes and one of the boxes.

A data set of very many classes annotates each image for a few of them only. The loss then looks
at those that occur in the batch and at a few more, drawn by chance, and says nothing of the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F


class StageLosses(NamedTuple):
    """
    The two terms of a stage; their sum over the stages is the loss.

    :param classes: () float32, of `federated_loss`
    :param boxes: () float32, of `box_loss`
    """

    classes: Tensor
    boxes: Tensor


def sample_classes(
    labels: Tensor,
    image_counts: Tensor,
    count: int = 50,
    generator: torch.Generator | None = None,
) -> Tensor:
    """
    Choose the classes that a batch is judged by.

    All labels that occur, background among them, are topped up to `count` by others, drawn
    without replacement with a probability proportional to sqrt(image_count).

    :param labels: (B,) int64, of the proposals, 0 to C - 1; C is the background
    :param image_counts: (C,), training images in which each class is annotated
    :param count: how many; more if more labels occur, fewer if no more classes have images
    :param generator: of the draw, on the labels' device; None: torch's own
    :return: (at least `count`,) int64, no class twice, those that occur first
    """
    classes = len(image_counts)
    present = labels.unique()
    if len(present) and not 0 <= int(present[0]) <= int(present[-1]) <= classes:
        raise ValueError(
            f'labels from {int(present[0])} to {int(present[-1])} do not fit {classes} classes;'
            f' expected 0 to {classes - 1}, and {classes} for the background'
        )
    weight = F.pad(image_counts.to(labels.device, torch.float32).sqrt(), (0, 1))
    weight[present] = 0
    more = min(count - len(present), int((weight > 0).sum()))
    if more <= 0:
        return present
    return torch.cat((present, torch.multinomial(weight, more, generator=generator)))


def federated_loss(logits: Tensor, labels: Tensor, subset: Tensor) -> Tensor:
    """
    Judge the classes of a subset, each for itself.

    sum_b sum_{c in subset, c < C} BCE(sigmoid(logits[b, c]), [labels[b] = c]) / B: the background
    has no column of its own, its target is 0 everywhere.

    :param logits: (B, C + 1) float; the last column is not read
    :param labels: (B,) int64, 0 to C - 1; C is the background
    :param subset: (S,) int64, classes, none twice; the background among them is ignored
    :return: () float32; 0 if B is
    """
    judged = subset[subset < logits.shape[1] - 1]
    truth = (labels[:, None] == judged).float()  # BxS
    loss = F.binary_cross_entropy_with_logits(logits[:, judged].float(), truth, reduction='sum')
    return loss / max(len(labels), 1)


def encode_deltas(boxes: Tensor, targets: Tensor, weights: Sequence[float]) -> Tensor:
    """
    Say what `decode_deltas` needs to turn boxes into others.

    With centres c and sides s, w_xy (c' - c) / s and w_wh log(s' / s).

    :param boxes: (N, 4) float, xyxy; their sides are positive
    :param targets: (N, 4) float, xyxy; their sides are positive
    :param weights: of x, y, width and height
    :return: (N, 4) float
    """
    for name, side in (('boxes', _size(boxes)), ('targets', _size(targets))):
        if not (side > 0).all():
            row = int((side <= 0).any(dim=1).nonzero()[0])
            raise ValueError(
                f'{name}[{row}] has the sides {side[row].tolist()}; a box to be encoded needs'
                ' positive ones: drop empty boxes before'
            )
    size, target_size = _size(boxes), _size(targets)
    shift = (targets[:, :2] + target_size / 2 - boxes[:, :2] - size / 2) / size
    deltas = torch.cat((shift, (target_size / size).log()), dim=1)
    return deltas * deltas.new_tensor(weights)


def _size(boxes: Tensor) -> Tensor:
    return boxes[:, 2:] - boxes[:, :2]


def box_loss(
    deltas: Tensor,
    boxes: Tensor,
    targets: Tensor,
    foreground: Tensor,
    weights: Sequence[float],
    beta: float = 0.0,
) -> Tensor:
    """
    Compare a stage's deltas with those that lead to the true boxes.

    sum over the foreground of smooth L1(deltas - encode_deltas(boxes, targets)) / B, with
    B all proposals, so that each proposal weighs as much as in the loss of the classes.

    :param deltas: (B, 4) float, of the stage
    :param boxes: (B, 4) float32, xyxy, pixels, that the stage looked at
    :param targets: (B, 4) float32, xyxy, pixels; only those of the foreground are read
    :param foreground: (B,) bool, whether a proposal shows an object
    :param weights: the stage's, of `DELTA_WEIGHTS`
    :param beta: below this difference the loss is quadratic; 0, as published, is L1
    :return: () float32; 0 if nothing is foreground
    """
    expected = encode_deltas(boxes[foreground], targets[foreground], weights)
    loss = F.smooth_l1_loss(deltas[foreground].float(), expected, reduction='sum', beta=beta)
    return loss / max(len(foreground), 1)


def stage_losses(
    logits: Tensor,
    deltas: Tensor,
    boxes: Tensor,
    targets: Tensor,
    labels: Tensor,
    subset: Tensor,
    weights: Sequence[float],
    beta: float = 0.0,
    count: Callable[[int], float] = float,
) -> StageLosses:
    """
    Judge one stage of the cascade by the proposals of a batch.

    :param logits: (B, C + 1) float
    :param deltas: (B, 4) float
    :param boxes: (B, 4) float32, xyxy, pixels, that the stage looked at
    :param targets: (B, 4) float32, xyxy, pixels, the matched objects; any where there is none
    :param labels: (B,) int64, 0 to C - 1, of the matched objects; C is the background
    :param subset: (S,) int64, of `sample_classes`
    :param weights: the stage's, of `DELTA_WEIGHTS`
    :param beta: of `box_loss`
    :param count: makes of B what the sums are divided by: its mean over processes, where several
        train together
    :return: both terms
    """
    foreground = labels < logits.shape[1] - 1
    scale = max(len(labels), 1) / max(count(len(labels)), 1)
    return StageLosses(
        federated_loss(logits, labels, subset) * scale,
        box_loss(deltas, boxes, targets, foreground, weights, beta) * scale,
    )
