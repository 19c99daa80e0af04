# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The loss of CenterNet: targets for its heat maps and box sides, and the losses against them.

The K cells of all levels and images are numbered in the order of `flatten_levels`: level by
level, within a level image by image, within an image row by row.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import math
from typing import NamedTuple

import torch
from torch import Tensor

from gtr_ros.model.centernet import LEVEL_STRIDES

#: range of half the diagonal of boxes that are assigned to each level, P3 to P7, pixels, both ends
#: included; an object in two ranges is assigned to both levels
LEVEL_SIZES = ((0.0, 80.0), (64.0, 160.0), (128.0, 320.0), (256.0, 640.0), (512.0, 1e7))

#: radius of an object's peak per side of its box: (1 - IoU) / (1 + IoU) for an IoU of 0.8
_DELTA = 0.2 / 1.8
#: minimum radius of a peak, pixels
_MIN_RADIUS = 4.0
#: smaller values of the heat map's target are set to 0
_MIN_HEAT = 1e-4


class CenterNetTargets(NamedTuple):
    """
    Targets for the head's outputs on a batch.

    :param positives: (P,) int64, indices of the cells that contain an object's centre: one for
        each object and level it is assigned to, in this order; objects may share a cell
    :param heatmap: (K,) float32 in [0, 1]
    :param regressed: (R,) int64, indices of the cells that learn a box, ascending
    :param sides: (R, 4) float32, distances from the points of these cells to the left, top, right
        and bottom of their boxes, in units of the level's stride
    """

    positives: Tensor
    heatmap: Tensor
    regressed: Tensor
    sides: Tensor


class CenterNetLosses(NamedTuple):
    """
    The three losses, whose sum is minimised.

    :param boxes: () float32, mean GIoU loss of the cells that learn a box
    :param positive: () float32, focal loss of the cells with an object
    :param negative: () float32, focal loss of all cells, reduced near objects
    """

    boxes: Tensor
    positive: Tensor
    negative: Tensor


@dataclass(frozen=True)
class FocalLossOptions:
    """
    Options of the focal loss.

    :param alpha: weight of a positive; that of a negative is 1 - alpha
    :param gamma: exponent of the error, which reduces the loss of easy cells
    :param beta: exponent of 1 - target, which reduces the loss of negatives near an object
    :param clamp: minimum distance of probabilities from 0 and 1
    :param positive_weight: of the positives' loss
    :param negative_weight: of the negatives' loss
    :param ignore_high_fp: negatives with at least this probability are ignored, because they may
        be objects without annotation: 0.85 in `gtr_tao`; None: none are ignored
    """

    alpha: float = 0.25
    gamma: float = 2.0
    beta: float = 4.0
    clamp: float = 1e-4
    positive_weight: float = 0.5
    negative_weight: float = 0.5
    ignore_high_fp: float | None = None


def flatten_levels(maps: Sequence[Tensor]) -> Tensor:
    """
    Concatenate the cells of all levels.

    :param maps: (B, C, H_l, W_l) for each level l
    :return: (K, C), K the sum of B * H_l * W_l
    """
    return torch.cat([m.permute(0, 2, 3, 1).flatten(0, 2) for m in maps])  # BxCxHxW -> BHWxC


def assign_levels(boxes: Tensor, ranges: Sequence[tuple[float, float]] = LEVEL_SIZES) -> Tensor:
    """
    Assign objects to levels: low <= sqrt(w^2 + h^2) / 2 <= high.

    :param boxes: (N, 4) float, xyxy, pixels of the network's input
    :param ranges: (low, high) of each of the L levels, pixels
    :return: (N, L) bool
    """
    size = (boxes[:, 2:] - boxes[:, :2]).square().sum(dim=1, keepdim=True).sqrt() / 2  # Nx1
    low, high = size.new_tensor(ranges).T
    return (size >= low) & (size <= high)


def centernet_targets(
    boxes: Sequence[Tensor],
    sizes: Sequence[tuple[int, int]],
    shapes: Sequence[tuple[int, int]],
    strides: Sequence[int] = LEVEL_STRIDES,
    ranges: Sequence[tuple[float, float]] = LEVEL_SIZES,
) -> CenterNetTargets:
    r"""
    Compute the targets of the head.

    Cell (j, i) of stride s has the point p = (j s + floor(s / 2), i s + floor(s / 2)). With
    c an object's centre and r^2 = max(2 delta^2 w h, 4^2), delta = (1 - 0.8) / (1 + 0.8), its
    distance is d^2 = \|p - c\|^2 / r^2, but 0 in the cell that contains c.

    - Heat map: exp(-min d^2) over all objects, on all levels; 0 if less than 1e-4.
    - Positive: on each level of the object, the cell that contains c after c was clamped to the
      image, [0, w - 1] x [0, h - 1].
    - Regressed: on each level of the object, the cells, among the 3 x 3 around c, whose points are
      inside the box; a cell that qualifies for several objects learns the one of minimum d^2.

    :param boxes: the objects of each of the B images, (N_b, 4) float32, xyxy, pixels of the
        network's input; may reach beyond the image
    :param sizes: (height, width) of each image in the network's input, without padding
    :param shapes: (H_l, W_l) of each level's maps
    :param strides: input pixels per cell of each level
    :param ranges: of `assign_levels`
    :return: the targets, on the boxes' device
    """
    device = boxes[0].device
    grids = [_cells(shape, device) for shape in shapes]
    counts = [len(grid) for grid in grids]
    cells = torch.cat(grids)
    stride = torch.tensor(strides, device=device)
    level = torch.arange(len(strides), device=device).repeat_interleave(
        torch.tensor(counts, device=device)
    )
    drawn = [
        _draw_image(b, cells, stride[level], assign_levels(b, ranges)[:, level]) for b in boxes
    ]
    heatmap, regressed, sides = (
        torch.cat([part.flatten(0, 1) for part in torch.stack(parts).split(counts, dim=1)])
        for parts in zip(*drawn, strict=True)
    )
    positives = [
        _positives(b, i, len(boxes), size, shapes, stride, ranges)
        for i, (b, size) in enumerate(zip(boxes, sizes, strict=True))
    ]
    return CenterNetTargets(
        torch.cat(positives), heatmap, regressed.nonzero().squeeze(1), sides[regressed]
    )


def _cells(shape: tuple[int, int], device: torch.device) -> Tensor:
    """Return the column and row of each cell of a map, (H * W, 2) int64, row by row."""
    rows, columns = (torch.arange(n, device=device) for n in shape)
    return torch.cartesian_prod(rows, columns).reshape(-1, 2).flip(1)


def _draw_image(
    boxes: Tensor, cells: Tensor, stride: Tensor, assigned: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """
    Compute the targets of the M cells of an image.

    :param boxes: (N, 4)
    :param cells: (M, 2), column and row
    :param stride: (M,), of each cell's level
    :param assigned: (N, M), whether the object is assigned to the cell's level
    :return: heat map, (M,); whether a cell learns a box, (M,) bool; sides of that box, (M, 4)
    """
    if len(boxes) == 0:
        blank = boxes.new_zeros(len(cells))
        return blank, blank.bool(), boxes.new_zeros(len(cells), 4)
    stride = stride[:, None]
    points = (cells * stride + stride // 2).to(boxes.dtype)  # Mx2
    low, high = boxes[:, :2], boxes[:, 2:]
    centre = (low + high) / 2
    offset = (cells[:, None] - (centre / stride[:, None]).trunc()).abs().amax(dim=-1)  # MxN, cells
    radius2 = (2 * _DELTA**2 * (high - low).prod(dim=1)).clamp(min=_MIN_RADIUS**2)
    distance = (points[:, None] - centre).square().sum(dim=-1)
    distance = distance.masked_fill(offset == 0, 0) / radius2
    heat = (-distance.amin(dim=1)).exp()
    heat = heat.masked_fill(heat < _MIN_HEAT, 0)
    inside = ((points[:, None] > low) & (points[:, None] < high)).all(dim=-1)
    candidates = (offset <= 1) & inside & assigned.T
    nearest, which = distance.masked_fill(~candidates, math.inf).min(dim=1)
    sides = torch.cat((points - low[which], high[which] - points), dim=1) / stride
    return heat, nearest.isfinite(), sides


def _positives(
    boxes: Tensor,
    image: int,
    images: int,
    size: tuple[int, int],
    shapes: Sequence[tuple[int, int]],
    strides: Tensor,
    ranges: Sequence[tuple[float, float]],
) -> Tensor:
    """Return the indices of the cells with the centres of an image's objects, object by object."""
    height, width = size
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    x, y = centre[:, 0].clamp(0, width - 1), centre[:, 1].clamp(0, height - 1)
    rows, columns = torch.tensor(shapes, device=boxes.device).T
    areas = rows * columns
    before = images * (areas.cumsum(0) - areas) + image * areas  # L
    column = (x[:, None] / strides).long()  # NxL
    row = (y[:, None] / strides).long()
    return (before + row * columns + column)[assign_levels(boxes, ranges)]


def focal_losses(
    logits: Tensor, positives: Tensor, heatmap: Tensor, options: FocalLossOptions
) -> tuple[Tensor, Tensor]:
    """
    Compute the focal losses of the heat map with target t.

    With p the probability, clamped, and P the number of positives or 1,
    positive = -w_p alpha sum_positives (1 - p)^gamma log(p) / P and
    negative = -w_n (1 - alpha) sum_all p^gamma (1 - t)^beta log(1 - p) / P.

    :param logits: (K,) float
    :param positives: (P,) int64; a repeated cell counts repeatedly
    :param heatmap: (K,) float32, t
    :param options: of the loss
    :return: the losses of positives and of negatives, () float32 each
    """
    p = logits.float().sigmoid().clamp(options.clamp, 1 - options.clamp)
    count = max(len(positives), 1)
    hit = p[positives]
    positive = -(hit.log() * (1 - hit) ** options.gamma).sum()
    false_alarm = (1 - p).log() * p**options.gamma * (1 - heatmap) ** options.beta
    if options.ignore_high_fp is not None:
        false_alarm = false_alarm * (p < options.ignore_high_fp)
    negative = -false_alarm.sum()
    return (
        options.positive_weight * options.alpha * positive / count,
        options.negative_weight * (1 - options.alpha) * negative / count,
    )


def giou_losses(sides: Tensor, targets: Tensor) -> Tensor:
    """
    Compute the GIoU losses of boxes given by the distances of their sides from the same points.

    With I and U the areas of intersection and union and C that of the smallest enclosing box, the
    loss is 1 - ((I + 1) / (U + 1) - (C - U) / C): the 1 is the area of a cell, and reduces the
    loss of boxes that are small for their level.

    :param sides: (R, 4) float, left, top, right and bottom, not negative, in units of the stride
    :param targets: (R, 4) float32, the same, but positive
    :return: (R,) float32
    """
    sides = sides.float()
    common = _area(torch.minimum(sides, targets))
    union = _area(sides) + _area(targets) - common
    hull = _area(torch.maximum(sides, targets))
    return 1 - ((common + 1) / (union + 1) - (hull - union) / hull)


def _area(sides: Tensor) -> Tensor:
    left, top, right, bottom = sides.unbind(dim=1)
    return (left + right) * (top + bottom)


def centernet_losses(
    logits: Sequence[Tensor],
    sides: Sequence[Tensor],
    targets: CenterNetTargets,
    options: FocalLossOptions = FocalLossOptions(),
    count: Callable[[int], float] = float,
) -> CenterNetLosses:
    """
    Compute the losses of the head.

    :param logits: of the heat map, (B, 1, H_l, W_l) for each level l
    :param sides: (B, 4, H_l, W_l) for each level l, not negative, units of the level's stride
    :param targets: of the same images and shapes
    :param options: of the focal loss
    :param count: returns the divisor of a sum over a number of cells, which is the mean of that
        number over processes if several train together
    :return: the losses; if there are no cells, 0 with a gradient of zeros
    """
    flat = flatten_levels(logits).squeeze(1)
    if len(flat) != len(targets.heatmap):
        raise ValueError(
            f'the maps have {len(flat)} cells, the targets {len(targets.heatmap)}; compute the'
            ' targets for the same number of images and the same shapes'
        )
    positive, negative = focal_losses(flat, targets.positives, targets.heatmap, options)
    local = len(targets.positives)
    scale = max(local, 1) / max(count(local), 1)
    boxes = giou_losses(flatten_levels(sides)[targets.regressed], targets.sides)
    regressed = boxes.sum() / max(count(len(boxes)), 1)
    return CenterNetLosses(regressed, positive * scale, negative * scale)
