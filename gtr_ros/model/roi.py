# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of boxes: RoIAlign on the detector's maps, and heads that compute vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align


def pool_boxes(
    maps: Sequence[Tensor], strides: Sequence[int], boxes: Sequence[Tensor], size: int = 7
) -> Tensor:
    """
    Pool every box from every map, and concatenate the channels.

    :param maps: one (B, C_l, H_l, W_l) for each level l
    :param strides: of each map, input pixels per cell
    :param boxes: for each of the B images (N_b, 4), xyxy, pixels of the network's input
    :param size: side of the pooled map, cells
    :return: (N, sum C_l, size, size), N = sum N_b, in the order of the images
    """
    return pool_regions(maps, strides, regions_of(boxes), size)


def regions_of(boxes: Sequence[Tensor]) -> Tensor:
    """Prepend the image index to each box: (N_b, 4) for each image -> (sum N_b, 5)."""
    images = [b.new_full((len(b), 1), i) for i, b in enumerate(boxes)]
    return torch.cat((torch.cat(images), torch.cat(list(boxes))), dim=1)


def pool_regions(
    maps: Sequence[Tensor], strides: Sequence[int], regions: Tensor, size: int = 7
) -> Tensor:
    """
    Pool every region from every map, and concatenate the channels, like `pool_boxes`.

    :param regions: (N, 5), image index and xyxy, pixels of the network's input
    """
    levels = [
        # `aligned` shifts by half a cell; sampling_ratio 0 means as many samples as the box has
        # cells.
        roi_align(m, regions, size, 1 / stride, sampling_ratio=0, aligned=True)
        for m, stride in zip(maps, strides, strict=True)
    ]
    return torch.cat(levels, dim=1)


class BoxHead(nn.Module):
    """
    The paper's box head: two fully connected layers on the flattened pooled map.

    :param channels: C, channels of the pooled map
    :param size: side of the pooled map, cells
    :param features: D, length of the feature
    """

    def __init__(self, channels: int, size: int, features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels * size * size, features)
        self.fc2 = nn.Linear(features, features)

    def forward(self, pooled: Tensor) -> Tensor:
        """NxCxSxS -> NxD, not negative."""
        return F.relu(self.fc2(F.relu(self.fc1(pooled.flatten(1)))))


class Embedding(nn.Module):
    """
    The box head of `gtr_mobile`: a linear embedding and a residual layer, normalised.

    It can be initialised from `Whitening`, so that training starts from the detector's features.

    :param channels: C, channels of the pooled map
    :param size: side of the pooled map, cells
    :param features: D, length of the feature
    """

    def __init__(self, channels: int, size: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels * size * size, features)
        self.fc1 = nn.Linear(features, 2 * features)
        self.fc2 = nn.Linear(2 * features, features)

    def forward(self, pooled: Tensor) -> Tensor:
        """NxCxSxS -> NxD, unit length."""
        x = F.normalize(self.embed(pooled.flatten(1)), dim=1)
        return F.normalize(x + self.fc2(F.relu(self.fc1(x))), dim=1)

    @torch.no_grad()
    def start_as(self, whitening: Whitening) -> None:
        """Initialise the layers so that the output is that of `whitening`."""
        self.embed.weight.copy_(whitening.components)
        self.embed.bias.copy_(-whitening.components @ whitening.mean)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)


class Whitening(nn.Module):
    """
    A head without training: whitened principal components of the pooled maps of many objects.

    Features have unit length, so the dot product of two is their cosine similarity.

    :param channels: C, channels of the pooled map
    :param size: side of the pooled map, cells
    :param features: D, number of components
    """

    def __init__(self, channels: int, size: int, features: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels * size * size))
        self.register_buffer('components', torch.eye(features, channels * size * size))

    def forward(self, pooled: Tensor) -> Tensor:
        """NxCxSxS -> NxD, unit length."""
        return F.normalize((pooled.flatten(1) - self.mean) @ self.components.T, dim=1)

    @torch.no_grad()
    def learn(self, pooled: Tensor) -> None:
        """Fit to (N, C, S, S), the pooled maps of many objects; N at least D."""
        maps = pooled.flatten(1)
        self.mean.copy_(maps.mean(dim=0))
        _, deviations, directions = torch.linalg.svd(maps - self.mean, full_matrices=False)
        count = len(self.components)
        scale = len(maps) ** 0.5 / deviations[:count, None]
        self.components.copy_(directions[:count] * scale)
