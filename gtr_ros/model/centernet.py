# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The paper's CenterNet: a class-agnostic heat map and box sides on five pyramid levels."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import nms

from gtr_ros.model.deformable import DeformableConv2d
from gtr_ros.model.detector import Candidates
from gtr_ros.model.detector import candidates
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import Resize
from gtr_ros.model.suppression import first_rows
from gtr_ros.model.suppression import suppress

#: strides of the levels P3 to P7, input pixels per cell
LEVEL_STRIDES = (8, 16, 32, 64, 128)

#: minimum probability for a cell to become a proposal
_LEAST = 1e-4
#: minimum side of a box, pixels
_THINNEST = 0.01
#: maximum number of boxes that suppress each other in a fixed shape; its square is in memory
_MOST_SUPPRESSED = 2048
#: score of a box that is not a candidate
_NONE = -1.0


class Proposals(NamedTuple):
    """
    Boxes decoded from the heat maps of one image, best first.

    :param boxes: (N, 4) float32, xyxy, pixels of the network's input; may reach beyond the image
    :param scores: (N,) float32 in [0, 1], square root of the heat map's probability
    """

    boxes: Tensor
    scores: Tensor


def decode(
    logits: Sequence[Tensor],
    sides: Sequence[Tensor],
    strides: Sequence[int] = LEVEL_STRIDES,
    pre_nms: int = 1000,
    nms_threshold: float = 0.6,
    post_nms: int = 128,
) -> list[Proposals]:
    """
    Decode the maps of the head to boxes.

    :param logits: of the heat map, (B, 1, H_l, W_l) for each level l
    :param sides: distances from a cell's centre to the left, top, right and bottom of its box,
        (B, 4, H_l, W_l) for each level, in units of the level's stride
    :param strides: of each level, input pixels per cell
    :param pre_nms: maximum number of cells per level
    :param nms_threshold: IoU above which the box with the lower score is removed
    :param post_nms: maximum number of boxes per image; more if the last ones have equal scores
    :return: the proposals of each of the B images
    """
    boxes, probabilities = _cells(logits, sides, strides, pre_nms)
    proposals = []
    for box, probability in zip(boxes, probabilities):
        likely = probability > _LEAST
        box, score = box[likely], probability[likely].sqrt()
        keep = nms(box, score, nms_threshold)
        box, score = box[keep], score[keep]
        if len(score) > post_nms:
            count = int((score >= score[post_nms - 1]).sum())
            box, score = box[:count], score[:count]
        proposals.append(Proposals(box, score))
    return proposals


def _cells(
    logits: Sequence[Tensor], sides: Sequence[Tensor], strides: Sequence[int], count: int
) -> tuple[Tensor, Tensor]:
    """Return boxes (B, N, 4) and probabilities (B, N) of the best cells of all levels."""
    levels = [
        _best_cells(heat, side, stride, count)
        for heat, side, stride in zip(logits, sides, strides, strict=True)
    ]
    boxes, probabilities = zip(*levels)
    return torch.cat(boxes, dim=1), torch.cat(probabilities, dim=1)


def decode_fixed(
    logits: Sequence[Tensor],
    sides: Sequence[Tensor],
    score_threshold: Tensor,
    strides: Sequence[int] = LEVEL_STRIDES,
    pre_nms: int = 1000,
    nms_threshold: float = 0.6,
    post_nms: int = 128,
) -> Candidates:
    """
    Decode the maps of the head like `decode`, above a score, in tensors of fixed shapes.

    It is not exact if the boxes to suppress are too many, or their chains too long, or if more
    than `post_nms` boxes remain because the last ones have equal scores.

    :param score_threshold: () float32, scores of the boxes are above it
    :return: `post_nms` candidates; fewer if there are fewer cells
    """
    boxes, probabilities = _cells(logits, sides, strides, pre_nms)
    scores = probabilities.sqrt()
    valid = (probabilities > _LEAST) & (scores > score_threshold)
    scores, order = scores.where(valid, _NONE).sort(dim=1, descending=True, stable=True)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    # Worse boxes do not change what is kept of better ones: the best of them are enough.
    most = min(_MOST_SUPPRESSED, scores.shape[1])
    boxes, rest, scores = boxes[:, :most], scores[:, most : most + 1], scores[:, :most]
    kept, exact = suppress(boxes, scores > _NONE, nms_threshold)
    rows = first_rows(kept, post_nms + 1)
    following = scores.where(kept, _NONE).gather(1, rows)[:, post_nms - 1 :]  # Bx2, or fewer
    following = torch.cat((following, rest), dim=1)
    if following.shape[1] > 1:
        # What follows the last row must score less; without a last row, nothing may follow.
        last, others = following[:, :1], following[:, 1:]
        exact = exact & ((others == _NONE) | (others < last)).all(dim=1)
    labels = torch.zeros_like(kept, dtype=torch.long)
    return candidates(rows[:, :post_nms], kept, boxes, scores, labels, exact)


def _best_cells(logits: Tensor, sides: Tensor, stride: int, count: int) -> tuple[Tensor, Tensor]:
    """Return boxes (B, K, 4) and probabilities (B, K) of the K <= count best cells of a level."""
    width = logits.shape[3]
    probabilities = logits.sigmoid().flatten(1)
    probabilities, cell = probabilities.topk(min(count, probabilities.shape[1]))
    reach = sides.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)).mT * stride  # BxKx4
    centre = torch.stack((cell % width, cell // width), dim=-1) * stride + stride // 2
    low = centre - reach[..., :2]
    high = torch.maximum(centre + reach[..., 2:], low + _THINNEST)
    return torch.cat((low, high), dim=-1), probabilities


class CenterNetHead(nn.Module):
    """
    Convolutions shared by all levels: a tower of four, then heat map and box sides.

    :param channels: of every level; a multiple of 32
    :param deformable: whether the last convolution of the tower is deformable
    """

    def __init__(self, channels: int, deformable: bool = True) -> None:
        super().__init__()
        tower: list[nn.Module] = []
        for i in range(4):
            last = deformable and i == 3
            conv = DeformableConv2d(channels, channels) if last else _conv(channels, channels)
            tower += [conv, nn.GroupNorm(32, channels), nn.ReLU()]
        self.tower = nn.Sequential(*tower)
        self.heatmap = _conv(channels, 1, bias=-math.log(99))  # sigmoid = 0.01: few objects
        self.sides = _conv(channels, 4, bias=8.0)  # strides from a cell to each side of its box
        self.scales = nn.ParameterList(nn.Parameter(torch.ones(1)) for _ in LEVEL_STRIDES)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """
        Compute heat map and box sides of every level.

        :param levels: (B, channels, H_l, W_l) for each level l
        :return: logits of the heat map, (B, 1, H_l, W_l); distances from a cell's centre to the
            left, top, right and bottom side, (B, 4, H_l, W_l), in units of the level's stride
        """
        logits, sides = [], []
        for level, scale in zip(levels, self.scales, strict=True):
            tower = self.tower(level)
            logits.append(self.heatmap(tower))
            sides.append(F.relu(self.sides(tower) * scale))
        return logits, sides


def _conv(inputs: int, outputs: int, bias: float = 0.0) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 3, padding=1)
    nn.init.normal_(conv.weight, std=0.01)
    nn.init.constant_(conv.bias, bias)
    return conv


class CenterNet(Detector):
    """
    The one-stage detector of `gtr_mot`, and the proposal network of `gtr_tao`.

    Group norms include the padding: in a batch with a larger image, which increases the padding,
    the scores of an image differ slightly from those that it has alone.

    :param backbone: (B, 3, H, W) images -> maps of strides 8, 16, 32
    :param pyramid: these maps -> five levels of the head's channels
    :param head: the levels -> heat maps and box sides
    :param resize: images of any size -> the network's input
    :param class_names: of the single class, or of the classes of a second stage
    :param channels: of the levels
    :param pre_nms: maximum number of cells per level
    :param nms_threshold: IoU above which the box with the lower score is removed
    :param post_nms: maximum number of boxes per image
    """

    strides = LEVEL_STRIDES[:1]
    exact_layers = ('head.heatmap', 'head.sides')
    fixed = True

    def __init__(
        self,
        backbone: nn.Module,
        pyramid: nn.Module,
        head: nn.Module,
        resize: Resize,
        class_names: tuple[str, ...],
        channels: int,
        pre_nms: int = 1000,
        nms_threshold: float = 0.6,
        post_nms: int = 128,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.head = head
        self.resize = resize
        self.class_names = class_names
        self.channels = (channels,)
        self.pre_nms = pre_nms
        self.nms_threshold = nms_threshold
        self.post_nms = post_nms

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to the input of the network."""
        return self.resize(images, device)

    def forward(self, images: Tensor) -> tuple[Sequence[Tensor], list[Tensor], list[Tensor]]:
        """
        Run the network.

        :param images: (B, 3, H, W) float, normalised RGB; H and W as required by the pyramid
        :return: the levels, (B, C, H_l, W_l), P3 to P7; logits and sides of the head
        """
        levels = self.pyramid(self.backbone(images))
        return (levels, *self.head(levels))

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return P3."""
        return self.pyramid(self.backbone(batch.pixels))[:1]

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return P3, then logits and sides of the five levels."""
        levels, logits, sides = self(pixels)
        return levels[0], *logits, *sides

    def propose(self, outputs: Sequence[Tensor]) -> list[Proposals]:
        """Return each image's proposals from the outputs of `network`, whatever their score."""
        _, *maps = outputs
        count = len(LEVEL_STRIDES)
        return decode(
            maps[:count],
            maps[count:],
            LEVEL_STRIDES,
            self.pre_nms,
            self.nms_threshold,
            self.post_nms,
        )

    def candidates(self, outputs: Sequence[Tensor], score_threshold: Tensor) -> Candidates:
        """Return the proposals that score above the threshold, in `post_nms` rows."""
        _, *maps = outputs
        count = len(LEVEL_STRIDES)
        return decode_fixed(
            maps[:count],
            maps[count:],
            score_threshold,
            LEVEL_STRIDES,
            self.pre_nms,
            self.nms_threshold,
            self.post_nms,
        )

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[RawDetections]:
        """Return the proposals that score above the threshold; the published threshold is 0.55."""
        detections = []
        for boxes, scores in self.propose(outputs):
            keep = scores > score_threshold
            boxes, scores = boxes[keep], scores[keep]
            labels = torch.zeros_like(scores, dtype=torch.long)
            detections.append(RawDetections(boxes, scores, labels, regions=boxes))
        return detections
