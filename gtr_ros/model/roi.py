# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Features of boxes: RoIAlign on the detector's maps, and heads that compute vectors."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import roi_align

#: side of a square pooled map, or its rows and columns; cells
PoolSize = int | tuple[int, int]


def rows_and_columns(size: PoolSize) -> tuple[int, int]:
    """Return the rows and the columns of a pooled map."""
    return (size, size) if isinstance(size, int) else size


def pool_boxes(
    maps: Sequence[Tensor], strides: Sequence[int], boxes: Sequence[Tensor], size: PoolSize = 7
) -> Tensor:
    """
    Pool every box from every map, and concatenate the channels.

    :param maps: one (B, C_l, H_l, W_l) for each level l
    :param strides: of each map, input pixels per cell
    :param boxes: for each of the B images (N_b, 4), xyxy, pixels of the network's input
    :param size: of the pooled map
    :return: (N, sum C_l, rows, columns), N = sum N_b, in the order of the images
    """
    return pool_regions(maps, strides, regions_of(boxes), size)


def regions_of(boxes: Sequence[Tensor]) -> Tensor:
    """Prepend the image index to each box: (N_b, 4) for each image -> (sum N_b, 5)."""
    images = [b.new_full((len(b), 1), i) for i, b in enumerate(boxes)]
    return torch.cat((torch.cat(images), torch.cat(list(boxes))), dim=1)


def pool_regions(
    maps: Sequence[Tensor], strides: Sequence[int], regions: Tensor, size: PoolSize = 7
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
    The box head of `gtr_mobile`: the sum of a linear embedding and two residuals, normalised.

    The embedding, and a residual of two fully connected layers on top of it, see the pooled map
    averaged to 4x4 cells; the other residual, `CellConvolutions`, sees all cells. The embedding
    can be initialised from `Whitening`, so that training starts from the detector's features.

    :param channels: C, channels of the pooled map
    :param features: D, length of the feature
    """

    #: rows and columns of the pooled map: people are tall
    pool_size = (16, 8)

    #: rows and columns that the embedding sees
    coarse_size = (4, 4)

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Linear(channels * prod(self.coarse_size), features)
        self.fc1 = nn.Linear(features, 2 * features)
        self.fc2 = nn.Linear(2 * features, features)
        self.cells = CellConvolutions(channels, self.pool_size, features)

    def forward(self, pooled: Tensor) -> Tensor:
        """NxCx16x8 -> NxD, unit length."""
        coarse = _average(pooled, self.pool_size, self.coarse_size)
        x = F.normalize(self.embed(coarse.flatten(1)), dim=1)
        residual = self.fc2(F.relu(self.fc1(x))) + self.cells(pooled)
        return F.normalize(x + residual, dim=1)

    @torch.no_grad()
    def start_as(self, whitening: Whitening) -> None:
        """Initialise the layers so that the output is that of `whitening`."""
        self.embed.weight.copy_(whitening.components)
        self.embed.bias.copy_(-whitening.components @ whitening.mean)
        nn.init.zeros_(self.fc2.weight)
        nn.init.zeros_(self.fc2.bias)
        self.cells.start_as_zero()
        self.cells.mean.copy_(whitening.channel_means)
        self.cells.deviation.copy_(whitening.channel_deviations)


class CellConvolutions(nn.Module):
    """
    A small convolutional network on a pooled map: what is worn where, at the map's resolution.

    :param channels: C, channels of the pooled map
    :param size: rows H and columns W of the pooled map, multiples of 4
    :param features: D, length of the output
    :param width: channels of the first layers; those of the last are twice as many
    """

    def __init__(
        self, channels: int, size: tuple[int, int], features: int, width: int = 64
    ) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(channels))
        self.register_buffer('deviation', torch.ones(channels))
        self.stem = nn.Conv2d(channels, width, 1)
        self.body = nn.Sequential(
            ResidualSeparable(width), separable_half(width), ResidualSeparable(2 * width)
        )
        self.half = (size[0] // 2, size[1] // 2)
        self.quarter = (size[0] // 4, size[1] // 4)
        self.out = nn.Linear(2 * width * prod(self.quarter), features)

    def forward(self, pooled: Tensor) -> Tensor:
        """NxCxHxW -> NxD."""
        x = (pooled - self.mean[:, None, None]) / self.deviation[:, None, None]
        x = self.body(F.relu(self.stem(x)))
        return self.out(_average(x, self.half, self.quarter).flatten(1))

    @torch.no_grad()
    def start_as_zero(self) -> None:
        """Initialise the last layer so that the output is 0."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)


class ResidualSeparable(nn.Module):
    """A depthwise 3x3 and a pointwise convolution, initially zero, and a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        nn.init.zeros_(self.pointwise.weight)
        nn.init.zeros_(self.pointwise.bias)

    def forward(self, x: Tensor) -> Tensor:
        """NxCxHxW -> NxCxHxW, not negative."""
        return F.relu(x + self.pointwise(F.relu(self.depthwise(x))))


def separable_half(channels: int) -> nn.Sequential:
    """Return a depthwise 3x3 convolution of stride 2 and a pointwise one, twice the channels."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, 2 * channels, 1),
        nn.ReLU(inplace=True),
    )


def _average(x: Tensor, size: tuple[int, int], smaller: tuple[int, int]) -> Tensor:
    """Average maps of a size to a smaller one that divides it."""
    return F.avg_pool2d(x, (size[0] // smaller[0], size[1] // smaller[1]))


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
        self.channels = channels
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

    @property
    def channel_means(self) -> Tensor:
        """Mean of each channel of the pooled maps, (C,)."""
        return self.mean.view(self.channels, -1).mean(dim=1)

    @property
    def channel_deviations(self) -> Tensor:
        """Standard deviation of each channel of the pooled maps, in the components, (C,)."""
        # A component is its direction divided by the deviation along it.
        along = 1 / self.components.norm(dim=1, keepdim=True)
        variances = (self.components * along**2).square().sum(dim=0)
        within = variances.view(self.channels, -1).mean(dim=1)
        between = self.mean.view(self.channels, -1).var(dim=1, correction=0)
        return (within + between).sqrt()
