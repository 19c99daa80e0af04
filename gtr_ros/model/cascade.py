# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cascade of `gtr_tao`: three box heads that classify and refine proposals."""

from __future__ import annotations

from collections.abc import Sequence
import math

import torch
from torch import nn
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from gtr_ros.model.roi import BoxHead
from gtr_ros.model.roi import pool_boxes

#: divisors of each stage's deltas, x, y, width and height: later stages move boxes less
DELTA_WEIGHTS = ((10.0, 10.0, 5.0, 5.0), (20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0))

#: maximum logarithm of a side's growth: from one cell of stride 16 to 1000 pixels
_LARGEST_GROWTH = math.log(1000 / 16)


def decode_deltas(deltas: Tensor, boxes: Tensor, weights: Sequence[float]) -> Tensor:
    """
    Apply the deltas of a stage to boxes.

    :param deltas: (N, 4), shift of the centre relative to the box's sides, x and y, and logarithms
        of the growth of width and height, each multiplied by its weight
    :param boxes: (N, 4), xyxy
    :param weights: of x, y, width and height
    :return: (N, 4), xyxy
    """
    scaled = deltas / deltas.new_tensor(weights)
    size = boxes[:, 2:] - boxes[:, :2]
    centre = boxes[:, :2] + size / 2 + scaled[:, :2] * size
    half = scaled[:, 2:].clamp(max=_LARGEST_GROWTH).exp() * size / 2
    return torch.cat((centre - half, centre + half), dim=1)


class CascadeStage(nn.Module):
    """
    One box head: class logits, and class-agnostic box deltas.

    :param channels: C, channels of the pooled map
    :param classes: number of classes; there is one more logit, which is in the published weights
        but unused
    :param weights: divisors of the deltas
    """

    def __init__(self, channels: int, classes: int, weights: Sequence[float]) -> None:
        super().__init__()
        self.weights = tuple(weights)
        features = 1024
        self.head = BoxHead(channels, size=7, features=features)
        self.classify = nn.Linear(features, classes + 1)
        self.regress = nn.Linear(features, 4)
        nn.init.normal_(self.classify.weight, std=0.01)
        nn.init.constant_(self.classify.bias, -math.log(99))  # sigmoid = 0.01: few objects
        nn.init.normal_(self.regress.weight, std=0.001)
        nn.init.zeros_(self.regress.bias)

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """NxCx7x7 -> logits, Nx(classes + 1), and deltas, Nx4."""
        features = self.head(pooled)
        return self.classify(features), self.regress(features)


class Cascade(nn.Module):
    """
    Three stages, each applied to the refined boxes of the previous one.

    :param channels: C, total channels of the maps
    :param classes: number of classes
    :param strides: of each map, input pixels per cell
    """

    def __init__(self, channels: int, classes: int, strides: Sequence[int]) -> None:
        super().__init__()
        self.strides = tuple(strides)
        self.stages = nn.ModuleList(CascadeStage(channels, classes, w) for w in DELTA_WEIGHTS)

    def forward(
        self, maps: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[tuple[int, int]]
    ) -> tuple[list[Tensor], Tensor]:
        """
        Refine and classify the proposals of a batch.

        :param maps: one (B, C_l, H_l, W_l) for each level l
        :param proposals: for each of the B images (N_b, 4), xyxy, pixels of the network's input
        :param sizes: (height, width) of each image in the network's input, without padding
        :return: boxes of each image from the last stage, (N_b, 4), not clipped; class
            probabilities, mean of the stages, (sum N_b, classes)
        """
        counts = [len(boxes) for boxes in proposals]
        boxes = list(proposals)
        probabilities = []
        for i, stage in enumerate(self.stages):
            if i:
                boxes = [clip_boxes_to_image(b, s) for b, s in zip(boxes, sizes, strict=True)]
            logits, deltas = stage(pool_boxes(maps, self.strides, boxes))
            refined = decode_deltas(deltas, torch.cat(boxes), stage.weights)
            boxes = list(refined.split(counts))
            probabilities.append(logits[:, :-1].sigmoid())
        return boxes, torch.stack(probabilities).mean(dim=0)
