# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The loss of a cascade stage: a federated classification loss and a box regression loss.

A data set of very many classes annotates each image for only a few of them. The federated loss
therefore covers the classes that occur in the batch and a few random ones, and ignores the rest.
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
    The two losses of a stage; the sum over all stages is minimised.

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
    Choose the classes that the loss of a batch covers.

    These are all labels in the batch, including the background, followed by classes drawn without
    replacement with a probability proportional to sqrt(image_count).

    :param labels: (B,) int64, of the proposals, 0 to C - 1; C is the background
    :param image_counts: (C,), number of training images in which each class is annotated
    :param count: number of classes; more are returned if more labels occur, fewer if too few
        classes have images
    :param generator: for the draw, on the labels' device; None: torch's default
    :return: (S,) int64, unique classes, those of the batch first
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
    Compute the binary cross-entropy of each class of a subset.

    sum_b sum_{c in subset, c < C} BCE(sigmoid(logits[b, c]), [labels[b] = c]) / B: the background
    has no target column; its proposals have the target 0 for every class.

    :param logits: (B, C + 1) float; the last column is not used
    :param labels: (B,) int64, 0 to C - 1; C is the background
    :param subset: (S,) int64, unique classes; the background is ignored
    :return: () float32; 0 if B is 0
    """
    classes = subset[subset < logits.shape[1] - 1]
    truth = (labels[:, None] == classes).float()  # BxS
    loss = F.binary_cross_entropy_with_logits(logits[:, classes].float(), truth, reduction='sum')
    return loss / max(len(labels), 1)


def encode_deltas(boxes: Tensor, targets: Tensor, weights: Sequence[float]) -> Tensor:
    """
    Return the deltas that `decode_deltas` turns into the targets.

    With centres c and sides s, these are w_xy (c' - c) / s and w_wh log(s' / s).

    :param boxes: (N, 4) float, xyxy, of positive size
    :param targets: (N, 4) float, xyxy, of positive size
    :param weights: of x, y, width and height
    :return: (N, 4) float
    :raises ValueError: if a box or a target is empty
    """
    for name, side in (('boxes', _size(boxes)), ('targets', _size(targets))):
        if not (side > 0).all():
            row = int((side <= 0).any(dim=1).nonzero()[0])
            raise ValueError(
                f'{name}[{row}] has the sides {side[row].tolist()}; expected positive values: '
                'remove empty boxes first'
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
    Compute the regression loss of a stage's deltas.

    sum over the foreground of smooth L1(deltas - encode_deltas(boxes, targets)) / B, with B the
    number of all proposals, so that a proposal has the same weight as in the classification loss.

    :param deltas: (B, 4) float, of the stage
    :param boxes: (B, 4) float32, xyxy, pixels, the input of the stage
    :param targets: (B, 4) float32, xyxy, pixels; only those of the foreground are used
    :param foreground: (B,) bool, whether a proposal has an object
    :param weights: of the stage, from `DELTA_WEIGHTS`
    :param beta: below this difference, the loss is quadratic; 0, as published: L1
    :return: () float32; 0 without foreground
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
    Compute both losses of a stage of the cascade on the proposals of a batch.

    :param logits: (B, C + 1) float
    :param deltas: (B, 4) float
    :param boxes: (B, 4) float32, xyxy, pixels, the input of the stage
    :param targets: (B, 4) float32, xyxy, pixels, of the assigned objects; arbitrary for background
    :param labels: (B,) int64, 0 to C - 1, of the assigned objects; C is the background
    :param subset: (S,) int64, of `sample_classes`
    :param weights: of the stage, from `DELTA_WEIGHTS`
    :param beta: of `box_loss`
    :param count: returns the divisor of the sums for B proposals, which is the mean of B over
        processes if several train together
    :return: both losses
    """
    foreground = labels < logits.shape[1] - 1
    scale = max(len(labels), 1) / max(count(len(labels)), 1)
    return StageLosses(
        federated_loss(logits, labels, subset) * scale,
        box_loss(deltas, boxes, targets, foreground, weights, beta) * scale,
    )
