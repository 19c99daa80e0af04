# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of `gtr_mobile`'s detector: a heat map for each class, and box sides at the centres."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gtr_ros.training.centernet_loss import giou_losses


class HeatmapTargets(NamedTuple):
    """
    Targets for the maps of B images, (h, w) cells each, with N objects.

    :param heatmap: (B, C, h, w) float32 in [0, 1], 1 in the cell of an object's centre
    :param weight: (B, 1, h, w) float32, 0 in crowds, whose objects are not labelled
    :param cells: (N, 4) int64: image, class, row and column of each object's centre
    :param sides: (N, 4) float32, from the cell's corner to the left, top, right and bottom of its
        box, pixels of the network's input
    """

    heatmap: Tensor
    weight: Tensor
    cells: Tensor
    sides: Tensor


class HeatmapLosses(NamedTuple):
    """
    Sums of the losses over a batch, and the number of objects to divide them by.

    :param heat: () float32, focal loss of all cells
    :param boxes: () float32, GIoU loss of the objects' boxes
    :param count: number of objects
    """

    heat: Tensor
    boxes: Tensor
    count: int


def heatmap_targets(
    boxes: Sequence[Tensor],
    labels: Sequence[Tensor],
    crowds: Sequence[Tensor],
    shape: tuple[int, int, int],
    stride: int,
) -> HeatmapTargets:
    r"""
    Draw the targets for the maps.

    An object of class k with centre c adds exp(-\|p - c\|^2 / 2 sigma^2) to map k, p in whole
    cells; sigma is 1/18 of the box's width horizontally and of its height vertically, as in the
    maps of the imported detector. Where objects overlap, the maximum counts. Objects whose centre
    is outside the image are ignored.

    :param boxes: of each of the B images (N_b, 4) float32, xyxy, pixels of the network's input
    :param labels: of each image (N_b,) int64
    :param crowds: of each image (R_b, 4) float32, xyxy; detections there are not penalised
    :param shape: C, h and w of the maps
    :param stride: input pixels per cell
    """
    _, height, width = shape
    device = boxes[0].device
    heatmap = torch.zeros((len(boxes), *shape), device=device)
    weight = torch.ones((len(boxes), 1, height, width), device=device)
    rows = torch.arange(height, device=device)
    columns = torch.arange(width, device=device)
    cells, sides = [], []
    images = zip(boxes, labels, crowds, strict=True)
    for image, (image_boxes, image_labels, regions) in enumerate(images):
        for x1, y1, x2, y2 in (regions / stride).tolist():
            inside = ((rows >= y1 - 1) & (rows <= y2))[:, None] & (columns >= x1 - 1)
            weight[image, 0][inside & (columns <= x2)] = 0
        for box, label in zip(image_boxes, image_labels.tolist()):
            x1, y1, x2, y2 = box.tolist()
            column, row = int((x1 + x2) / 2 // stride), int((y1 + y2) / 2 // stride)
            if not (0 <= column < width and 0 <= row < height):
                continue
            sigma_x = max((x2 - x1) / stride / 18, 0.4)
            sigma_y = max((y2 - y1) / stride / 18, 0.4)
            horizontal = torch.exp(-((columns - column) ** 2) / (2 * sigma_x**2))
            vertical = torch.exp(-((rows - row) ** 2) / (2 * sigma_y**2))
            target = heatmap[image, label]
            torch.maximum(target, vertical[:, None] * horizontal, out=target)
            weight[image, 0, row, column] = 1
            cells.append((image, label, row, column))
            x, y = column * stride, row * stride
            sides.append((x - x1, y - y1, x2 - x, y2 - y))
    return HeatmapTargets(
        heatmap,
        weight,
        torch.tensor(cells, dtype=torch.int64, device=device).reshape(-1, 4),
        torch.tensor(sides, dtype=torch.float32, device=device).reshape(-1, 4),
    )


def heatmap_losses(
    logits: Tensor, sides: Tensor, targets: HeatmapTargets, stride: int
) -> HeatmapLosses:
    """
    Compare the maps with their targets t: CenterNet's focal loss, and GIoU.

    With p the probability, `heat` is -sum (1 - p)^2 log(p) where t = 1, and
    -sum (1 - t)^4 p^2 log(1 - p) elsewhere.

    :param logits: (B, C, h, w) float
    :param sides: (B, 4, h, w) float, pixels of the network's input
    :param targets: of the same images
    :param stride: input pixels per cell
    """
    p = logits.float().sigmoid().clamp(1e-4, 1 - 1e-4)
    image, label, row, column = targets.cells.unbind(dim=1)
    miss = (1 - targets.heatmap) ** 4 * p**2 * (1 - p).log() * targets.weight
    hit = p[image, label, row, column]
    heat = -miss.sum() - ((1 - hit) ** 2 * hit.log()).sum()
    predicted = sides.float()[image, :, row, column]
    # The corner of the cell may be outside a box that is thinner than the cell.
    boxes = giou_losses(predicted.clamp(min=0) / stride, targets.sides.clamp(min=1e-3) / stride)
    return HeatmapLosses(heat, boxes.sum() + sides.sum() * 0, len(targets.cells))
