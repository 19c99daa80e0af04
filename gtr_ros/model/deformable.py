# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Modulated deformable convolution (DCNv2) for the CenterNet head and Res2Net."""

from __future__ import annotations

from torch import nn
from torch import Tensor
from torchvision.ops import deform_conv2d

KERNEL = 3


class DeformableConv2d(nn.Module):
    """
    A 3x3 convolution that samples each of its nine taps at a learnt offset, with a learnt weight.

    The offsets are initialised to 0 and the weights to 1/2.

    :param inputs: input channels
    :param outputs: output channels
    :param bias: whether both convolutions have a bias, including the one that predicts offsets
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super().__init__()
        taps = KERNEL * KERNEL
        #: y and x of each tap, then the logits of the weights
        self.offset = nn.Conv2d(inputs, 3 * taps, KERNEL, padding=1, bias=bias)
        self.conv = nn.Conv2d(inputs, outputs, KERNEL, padding=1, bias=bias)
        nn.init.zeros_(self.offset.weight)
        if bias:
            nn.init.zeros_(self.offset.bias)

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxC'xHxW."""
        taps = KERNEL * KERNEL
        offset, weight = self.offset(x).split((2 * taps, taps), dim=1)
        return deform_conv2d(
            x, offset, self.conv.weight, self.conv.bias, padding=1, mask=weight.sigmoid()
        )
