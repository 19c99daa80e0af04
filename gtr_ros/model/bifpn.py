# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The BiFPN of `gtr_mot`: five maps of strides 8 to 128, fused top-down and bottom-up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

#: the nodes of a layer in order: level (0 for P3), and inputs, as indices into a list of the five
#: input maps, P3 first, followed by the previous nodes
NODES = (
    (3, (3, 4)),
    (2, (2, 5)),
    (1, (1, 6)),
    (0, (0, 7)),
    (1, (1, 7, 8)),
    (2, (2, 6, 9)),
    (3, (3, 5, 10)),
    (4, (4, 11)),
)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels)


def _narrow(inputs: int, outputs: int) -> nn.Sequential:
    """Return a 1x1 convolution and its norm, or the identity if the channels match."""
    if inputs == outputs:
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs))


def _halve(x: Tensor) -> Tensor:
    return F.max_pool2d(x, 2)


class BiFPNNode(nn.Module):
    """
    A weighted mean of maps, a swish, a 3x3 convolution and its norm.

    :param inputs: channels of each input map
    :param channels: of the output
    """

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(_narrow(i, channels) for i in inputs)
        self.weights = nn.Parameter(torch.ones(len(inputs)))
        self.conv = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.norm = _norm(channels)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Fuse (B, C_i, H_i, W_i), of double, half or the same size, into (B, channels, *size)."""
        weights = F.relu(self.weights)
        mixed = sum(
            weight * self._fit(narrow(x), size)
            for weight, narrow, x in zip(weights, self.narrow, maps, strict=True)
        )
        return self.norm(self.conv(F.silu(mixed / (weights.sum() + 1e-4))))

    @staticmethod
    def _fit(x: Tensor, size: Sequence[int]) -> Tensor:
        if x.shape[2] > size[0]:
            return _halve(x)
        if x.shape[2] < size[0]:
            return F.interpolate(x, scale_factor=2.0, mode='nearest')
        return x


class BiFPNLayer(nn.Module):
    """
    One top-down pass, from coarse to fine, and one bottom-up pass.

    :param inputs: channels of the five input maps
    :param channels: of the five output maps
    """

    def __init__(self, inputs: Sequence[int], channels: int) -> None:
        super().__init__()
        known = [*inputs, *(channels for _ in NODES)]
        self.nodes = nn.ModuleList(
            BiFPNNode([known[s] for s in sources], channels) for _, sources in NODES
        )

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Five maps, finest first -> five maps of the same sizes."""
        maps = list(levels)
        for node, (level, sources) in zip(self.nodes, NODES, strict=True):
            maps.append(node([maps[s] for s in sources], levels[level].shape[2:]))
        return maps[-len(levels) :]


class BiFPN(nn.Module):
    """
    The feature pyramid: two levels above the backbone's maps, then the layers.

    :param inputs: channels of the backbone's maps of strides 8, 16, 32
    :param channels: of every level; a multiple of 32
    :param layers: number of BiFPN layers
    """

    def __init__(
        self, inputs: Sequence[int] = (128, 256, 512), channels: int = 160, layers: int = 3
    ) -> None:
        super().__init__()
        self.top = _narrow(inputs[-1], channels)
        first = [*inputs, channels, channels]
        widths = [first, *([channels] * len(first) for _ in range(layers - 1))]
        self.layers = nn.ModuleList(BiFPNLayer(width, channels) for width in widths)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """
        Compute the pyramid from the backbone's maps.

        :param maps: (B, C_l, H_l, W_l) of strides 8, 16, 32 of an input whose sides are multiples
            of 128
        :return: (B, channels, H_l, W_l) of strides 8, 16, 32, 64, 128
        """
        p6 = _halve(self.top(maps[-1]))
        levels = [*maps, p6, _halve(p6)]
        for layer in self.layers:
            levels = layer(levels)
        return levels
