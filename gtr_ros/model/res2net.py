# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Res2Net-101 with deformable convolutions: the backbone of `gtr_tao`."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import FrozenBatchNorm2d

from gtr_ros.model.deformable import DeformableConv2d


class ConvNorm(nn.Sequential):
    """A convolution without bias, and a batch norm with frozen statistics."""

    def __init__(self, conv: nn.Module, outputs: int) -> None:
        super().__init__(conv, FrozenBatchNorm2d(outputs))


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> ConvNorm:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
    return ConvNorm(conv, outputs)


class Bottleneck(nn.Module):
    """
    A residual block whose 3x3 convolution is split into a hierarchy over groups of channels.

    Each group except the last has its own convolution, whose input includes the output of the
    previous group; the last group is passed through. In the first block of a stage the groups are
    independent. The stride is in the first 1x1 convolution, as in the published weights.

    :param inputs: input channels
    :param outputs: output channels
    :param width: channels of a group
    :param groups: number of groups
    :param stride: 1 or 2
    :param deformable: whether the 3x3 convolutions are deformable
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, groups: int, stride: int, deformable: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.first = inputs != outputs
        self.shortcut = None
        if self.first:
            pool = nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)
            self.shortcut = nn.Sequential(pool, _conv(inputs, outputs, 1))
        self.reduce = _conv(inputs, width * groups, 1, stride)
        self.groups = nn.ModuleList(
            ConvNorm(DeformableConv2d(width, width, bias=False), width)
            if deformable
            else _conv(width, width, 3)
            for _ in range(groups - 1)
        )
        self.expand = _conv(width * groups, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxC'xH'xW', H' = H / stride rounded up."""
        *parts, last = F.relu(self.reduce(x)).split(self.width, dim=1)
        done: list[Tensor] = []
        for part, group in zip(parts, self.groups, strict=True):
            if done and not self.first:
                part = part + done[-1]
            done.append(F.relu(group(part)))
        residual = x if self.shortcut is None else self.shortcut(x)
        return F.relu(self.expand(torch.cat((*done, last), dim=1)) + residual)


def _stage(
    inputs: int, outputs: int, width: int, blocks: int, stride: int, deformable: bool
) -> nn.Sequential:
    first = Bottleneck(inputs, outputs, width, 4, stride, deformable)
    others = (Bottleneck(outputs, outputs, width, 4, 1, deformable) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)


class Res2Net101(nn.Module):
    """
    Res2Net-101 with 4 groups of 26 channels, deformable in the last two stages, frozen norms.

    The maps have the strides 8, 16 and 32.
    """

    #: channels of the three maps
    channels = (512, 1024, 2048)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            _conv(3, 32, 3, stride=2),
            nn.ReLU(),
            _conv(32, 32, 3),
            nn.ReLU(),
            _conv(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.res2 = _stage(64, 256, 26, blocks=3, stride=1, deformable=False)
        self.res3 = _stage(256, 512, 52, blocks=4, stride=2, deformable=False)
        self.res4 = _stage(512, 1024, 104, blocks=23, stride=2, deformable=True)
        self.res5 = _stage(1024, 2048, 208, blocks=3, stride=2, deformable=True)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """
        Compute the maps of the three strides.

        :param images: (B, 3, H, W) float, normalised RGB; H and W multiples of 32
        :return: (B, 512, H/8, W/8), (B, 1024, H/16, W/16), (B, 2048, H/32, W/32)
        """
        res3 = self.res3(self.res2(self.stem(images)))
        res4 = self.res4(res3)
        return res3, res4, self.res5(res4)
