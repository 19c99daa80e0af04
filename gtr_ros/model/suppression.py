# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression of a fixed number of boxes, without waiting for the device."""

from __future__ import annotations

import torch
from torch import Tensor

#: suppression is computed exactly if no chain of boxes that suppress one another is longer
ITERATIONS = 12


def suppress(
    boxes: Tensor,
    valid: Tensor,
    threshold: float,
    labels: Tensor | None = None,
    iterations: int = ITERATIONS,
) -> tuple[Tensor, Tensor]:
    """
    Keep the boxes that greedy non-maximum suppression keeps.

    A box is kept unless it overlaps a better one that is kept. All boxes are decided at once, from
    what was kept in the last iteration: after n iterations, the decision is right for every box at
    the end of a chain of at most n. If an iteration changes nothing, it is right for all boxes.

    :param boxes: (B, K, 4) float32, xyxy, any unit, best first
    :param valid: (B, K) bool; the others are not kept, and suppress nothing
    :param threshold: IoU above which the worse of two boxes is removed
    :param labels: (B, K) int64: boxes with different labels do not suppress each other
    :param iterations: at least 1
    :return: kept, (B, K) bool; whether that is what greedy suppression keeps, (B,) bool
    """
    better = torch.ones(boxes.shape[1], boxes.shape[1], dtype=torch.bool, device=boxes.device)
    iou = _iou(boxes)
    if boxes.device.type == 'cpu':
        iou = iou.double()  # torchvision rounds the threshold to float32 only on a GPU
    suppresses = (iou > threshold) & better.tril(-1)  # BxKxK: [b, i, j]: j suppresses i
    if labels is not None:
        suppresses &= labels[:, :, None] == labels[:, None]
    kept = last = valid
    for _ in range(iterations):
        kept, last = valid & ~(suppresses & kept[:, None]).any(dim=2), kept
    return kept, (kept == last).all(dim=1)


def first_rows(chosen: Tensor, count: int) -> Tensor:
    """
    Return the indices of the first chosen rows in their order, followed by others.

    :param chosen: (B, K) bool
    :param count: C, at most K
    :return: (B, C) int64
    """
    return chosen.byte().argsort(dim=1, descending=True, stable=True)[:, :count]


def _iou(boxes: Tensor) -> Tensor:
    """Return the intersection over union of all pairs, BxKx4 -> BxKxK; NaN for empty ones."""
    low, high = boxes.split(2, dim=2)
    area = (high - low).prod(dim=2)
    overlap = torch.minimum(high[:, :, None], high[:, None])
    overlap = overlap - torch.maximum(low[:, :, None], low[:, None])
    shared = overlap.clamp(min=0).prod(dim=3)
    # In this order, to be rounded as in torchvision.
    return shared / (area[:, :, None] + area[:, None] - shared)
