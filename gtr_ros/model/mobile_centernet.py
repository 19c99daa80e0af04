# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The detector of `gtr_mobile`: a one-stage CenterNet with a heat map for each class."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import batched_nms
from torchvision.ops import SqueezeExcitation

from gtr_ros.model.coco import CLASS_NAMES
from gtr_ros.model.detector import Candidates
from gtr_ros.model.detector import candidates
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.mobilenet import MobileFeatures
from gtr_ros.model.mobilenet import MobileNetV3
from gtr_ros.model.mobilenet import SameConv
from gtr_ros.model.mobilenet import separable
from gtr_ros.model.mobilenet import upsample2_corner
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import FixedArea
from gtr_ros.model.resize import Resize
from gtr_ros.model.suppression import first_rows
from gtr_ros.model.suppression import suppress

STRIDE = 4


class Peaks(NamedTuple):
    """
    The K highest peaks of each image's heat maps, best first, before non-maximum suppression.

    :param boxes: (B, K, 4) float, xyxy, pixels of the network's input
    :param scores: (B, K) float in [0, 1]
    :param labels: (B, K) int64
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor


class Upsample(nn.Module):
    """Two parallel separable convolutions, 3x3 and 5x5, summed and upsampled by 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.narrow = separable(inputs, outputs, 3)
        self.wide = separable(inputs, outputs, 5)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxC'x2Hx2W."""
        return upsample2_corner(self.narrow(x) + self.wide(x))


class Lateral(nn.Sequential):
    """A backbone map, reduced to a quarter of its channels, then to those of the decoder."""

    def __init__(self, inputs: int, outputs: int) -> None:
        squeezed = SameConv(inputs, inputs // 4, 1, activation=nn.ReLU)
        super().__init__(squeezed, separable(inputs // 4, outputs, 5))


class MobileCenterNet(Detector):
    """
    MobileNetV3 features, a three-step decoder to stride 4, heat maps and box sides.

    :param class_names: one for each heat map
    :param resize: images of any size -> the network's input; although trained on stretched images,
        it is better on images with their original aspect ratio (person AP50 on COCO 0.68 against
        0.63)
    :param max_detections: K, maximum number of peaks per image
    :param nms_threshold: IoU above which, of two boxes of a class, the one with the lower score is
        removed
    """

    #: unit of the box regression, pixels
    side_scale = 16.0

    strides = (2, 4, 8, 16)
    channels = MobileNetV3.appearance_channels
    exact_layers = ('sides',)
    pack_pointwise = True
    fixed = True

    def __init__(
        self,
        class_names: tuple[str, ...] = CLASS_NAMES,
        resize: Resize = FixedArea(512 * 512),
        max_detections: int = 100,
        nms_threshold: float = 0.5,
    ) -> None:
        super().__init__()
        self.class_names = class_names
        self.resize = resize
        self.max_detections = max_detections
        self.nms_threshold = nms_threshold
        self.backbone = MobileNetV3()
        widths = (64, 96, 128)  # of the decoder at strides 4, 8, 16
        tops = (2 * 96, 2 * 128, MobileNetV3.top_channels)  # inputs of each upsampling step
        self.laterals = nn.ModuleList(map(Lateral, MobileNetV3.lateral_channels, widths))
        self.upsamples = nn.ModuleList(map(Upsample, tops, widths))
        channels = 2 * widths[0]
        self.attention = SqueezeExcitation(channels, channels // 4)
        self.heatmap = separable(channels, len(class_names), 3)
        self.sides = separable(channels, 4, 3)
        # The published attention has no bias in its second layer; here it is zero.
        nn.init.zeros_(self.attention.fc2.bias)
        nn.init.constant_(self.heatmap[1][0].bias, -4.6)  # sigmoid = 0.01: few objects initially
        nn.init.constant_(self.sides[1][0].bias, 0.5)  # 8 pixels to each side

    def adopt_classes(
        self, state: dict[str, Tensor], class_names: Sequence[str], prefix: str = ''
    ) -> None:
        """
        Adapt weights for other classes: classes with the same name are kept, others are untrained.

        :param state: changed in place; unchanged if it has no heat map
        :param class_names: the classes of the weights
        :param prefix: of the detector's keys in the state
        """
        last = self.heatmap[1][0].state_dict(prefix=f'{prefix}heatmap.1.0.')
        for key, untrained in last.items():
            if key not in state:
                continue
            rows = untrained.clone()
            for row, name in zip(rows, self.class_names):
                if name in class_names:
                    row.copy_(state[key][class_names.index(name)])
            state[key] = rows

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to the input of the network."""
        return self.resize(images, device)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, MobileFeatures]:
        """
        Run the network.

        :param images: (B, 3, H, W) float, RGB, 0..255; H and W multiples of 32
        :return: heat-map logits (B, C, H/4, W/4); distances from the cell's corner to the left,
            top, right and bottom side of the box, (B, 4, H/4, W/4), pixels; the backbone's maps
        """
        features = self.backbone(images)
        x = features.top
        for lateral, upsample, tap in zip(
            reversed(self.laterals), reversed(self.upsamples), reversed(features.lateral)
        ):
            x = F.relu(torch.cat((lateral(tap), upsample(x)), dim=1), inplace=True)
        x = self.attention(x)
        return self.heatmap(x), self.sides(x) * self.side_scale, features

    def peaks(self, logits: Tensor, sides: Tensor) -> Peaks:
        """
        Decode the boxes of the K best local maxima, over 3x3 cells, of each image's heat maps.

        :param logits: (B, C, h, w)
        :param sides: (B, 4, h, w), pixels
        """
        heat = logits.sigmoid()
        heat = heat * (heat == F.max_pool2d(heat, 3, 1, 1))
        _, _, height, width = heat.shape
        count = min(self.max_detections, heat[0].numel())
        scores, index = heat.flatten(1).topk(count)  # BxK
        labels, cell = index // (height * width), index % (height * width)
        x, y = cell % width, cell // width
        boxes = _boxes(x, y, sides.flatten(2).gather(2, cell[:, None].expand(-1, 4, -1)))
        return Peaks(boxes, scores, labels)

    def strong_peaks(
        self, logits: Tensor, sides: Tensor, score_threshold: float
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """
        Decode the peaks that score at least the threshold; like `peaks`, but faster on a CPU.

        Only a few of a million cells are above it, and only these and their neighbours are read.

        :param logits: (B, C, h, w)
        :param sides: (B, 4, h, w), pixels
        :param score_threshold: above 0
        :return: boxes, scores and labels of each image, as in `Peaks`, best first
        """
        images, _, height, width = logits.shape
        # Slightly lower than the threshold: the exact comparison follows below.
        score = min(score_threshold, 1 - 1e-7)  # above, the sigmoid is 1 in float32
        level = math.log(score / (1 - score)) - 1e-3
        image, y, x, label = (torch.from_numpy(i) for i in _cells_above(logits, level))
        cells = logits.permute(0, 2, 3, 1)
        step = torch.arange(-1, 2, device=logits.device)
        # Neighbours outside the map are replaced by cells inside it.
        ys = (y[:, None] + step).clamp(0, height - 1)[:, :, None]
        xs = (x[:, None] + step).clamp(0, width - 1)[:, None]
        around = cells[image[:, None, None], ys, xs, label[:, None, None]].sigmoid()  # Nx3x3
        scores = around[:, 1, 1]
        best = (scores >= around.flatten(1).amax(1)) & (scores >= score_threshold)
        image, y, x, label, scores = (values[best] for values in (image, y, x, label, scores))
        boxes = _boxes(x, y, sides[image, :, y, x])
        results = []
        for i in range(images):
            index = (image == i).nonzero()[:, 0]
            index = index[
                scores[index].argsort(descending=True, stable=True)[: self.max_detections]
            ]
            results.append((boxes[index], scores[index], label[index]))
        return results

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the backbone's maps with strides 2 to 16."""
        return self.backbone(batch.pixels).appearance

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the backbone's maps with strides 2 to 16, heat-map logits and sides."""
        logits, sides, features = self(pixels)
        return *features.appearance, logits, sides

    def candidates(self, outputs: Sequence[Tensor], score_threshold: Tensor) -> Candidates:
        """Return the peaks that score at least the threshold, in `max_detections` rows."""
        *_, logits, sides = outputs
        boxes, scores, labels = self.peaks(logits, sides)
        valid = (scores >= score_threshold) & (boxes[..., 2:] > boxes[..., :2]).all(dim=2)
        kept, exact = suppress(boxes, valid, self.nms_threshold, labels)
        rows = first_rows(kept, kept.shape[1])
        return candidates(rows, kept, boxes, scores, labels, exact)

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[RawDetections]:
        """Return the peaks that score at least the threshold, after non-maximum suppression."""
        *_, logits, sides = outputs
        if logits.is_cuda or score_threshold <= 0:  # without synchronising a GPU
            peaks = zip(*self.peaks(logits, sides), strict=True)
        else:
            peaks = self.strong_peaks(logits, sides, score_threshold)
        detections = []
        for boxes, scores, labels in peaks:
            keep = (scores >= score_threshold) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
            keep = batched_nms(boxes, scores, labels, self.nms_threshold)
            detections.append(
                RawDetections(boxes[keep], scores[keep], labels[keep], regions=boxes[keep])
            )
        return detections


def _cells_above(logits: Tensor, level: float) -> tuple[np.ndarray, ...]:
    """
    Return image, y, x and label of the cells above a level, in this order, each (N,) int64.

    NumPy searches several times as fast as torch, in the order of the memory.

    :param logits: (B, C, h, w) float32, on the CPU; torch's have the channels last in memory,
        those of other runtimes have not
    """
    values = logits.detach().numpy()
    cells = values.transpose(0, 2, 3, 1)
    if not values.flags.c_contiguous:
        return np.unravel_index(np.flatnonzero(cells > level), cells.shape)
    image, label, y, x = np.unravel_index(np.flatnonzero(values > level), values.shape)
    order = np.lexsort((label, x, y, image))
    return image[order], y[order], x[order], label[order]


def _boxes(x: Tensor, y: Tensor, sides: Tensor) -> Tensor:
    """Return xyxy boxes, (..., 4), of cells at x and y; the sides are along dimension 1."""
    left, top, right, bottom = sides.unbind(1)
    x, y = x * STRIDE, y * STRIDE
    return torch.stack((x - left, y - top, x + right, y + bottom), dim=-1)
