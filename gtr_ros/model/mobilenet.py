# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MobileNetV3-large with width 0.75, batch norms folded into the convolutions."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation


class MobileFeatures(NamedTuple):
    """
    Feature maps of images of (H, W) pixels, H and W multiples of 32.

    :param appearance: outputs of the last blocks with strides 2, 4, 8, 16:
        (B, 16, H/2, W/2), (B, 24, H/4, W/4), (B, 32, H/8, W/8), (B, 88, H/16, W/16)
    :param lateral: inputs of the detector's decoder at strides 4, 8, 16:
        (B, 72, H/4, W/4), (B, 96, H/8, W/8), (B, 88, H/16, W/16)
    :param top: (B, 480, H/32, W/32)
    """

    appearance: tuple[Tensor, ...]
    lateral: tuple[Tensor, ...]
    top: Tensor


class SameConv(nn.Sequential):
    """
    A convolution with TensorFlow's 'SAME' padding, a bias (the folded norm) and an activation.

    With stride 2 and an even input the padding is one pixel larger at the right and the bottom.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        bias: bool = True,
        activation: type[nn.Module] | None = None,
    ) -> None:
        total = kernel - stride
        conv = AsymmetricConv if total % 2 else nn.Conv2d
        layers = [conv(inputs, outputs, kernel, stride, total // 2, groups=groups, bias=bias)]
        if total % 2:
            layers.insert(0, nn.Identity())  # in place of the padding layer in checkpoint keys
        if activation is not None:
            layers.append(activation(inplace=True))
        super().__init__(*layers)


class AsymmetricConv(nn.Conv2d):
    """A convolution with padding that is one pixel larger at the right and the bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxC'xH'xW'."""
        if torch.onnx.is_in_onnx_export():  # ONNX has asymmetric padding, constant weights
            least, most = self.padding[0], self.padding[0] + 1
            x = F.pad(x, (least, most, least, most))
            return F.conv2d(x, self.weight, self.bias, self.stride, groups=self.groups)
        # Equivalent to padding x, but the weights have only a thousandth of its size: a row and a
        # column of zeros are added before the kernel, and all sides get the larger padding.
        weight = F.pad(self.weight, (1, 0, 1, 0))
        padding = self.padding[0] + 1
        return F.conv2d(x, weight, self.bias, self.stride, padding, groups=self.groups)


class InvertedResidual(nn.Module):
    """Expand 1x1, depthwise kxk, squeeze-and-excite, project 1x1, shortcut if sizes match."""

    def __init__(
        self,
        inputs: int,
        expanded: int,
        outputs: int,
        kernel: int,
        stride: int,
        squeeze: int,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.expand = (
            SameConv(inputs, expanded, 1, activation=activation) if expanded != inputs else None
        )
        self.depthwise = SameConv(
            expanded, expanded, kernel, stride, groups=expanded, activation=activation
        )
        self.excite = (
            SqueezeExcitation(expanded, squeeze, scale_activation=nn.Hardsigmoid)
            if squeeze
            else None
        )
        self.project = SameConv(expanded, outputs, 1)
        self.shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output and the expanded input, (B, outputs, ...) and (B, expanded, ...)."""
        expanded = x if self.expand is None else self.expand(x)
        y = self.depthwise(expanded)
        if self.excite is not None:
            y = self.excite(y)
        y = self.project(y)
        return (x + y if self.shortcut else y), expanded


class MobileNetV3(nn.Module):
    """
    The backbone of `gtr_mobile`: feature maps with strides 2 to 32.

    Channel counts are rounded to multiples of eight, as published for width 0.75.
    """

    #: channels of `MobileFeatures.appearance`, strides 2 to 16
    appearance_channels = (16, 24, 32, 88)
    #: channels of `MobileFeatures.lateral`, strides 4 to 16
    lateral_channels = (72, 96, 88)
    top_channels = 480

    def __init__(self) -> None:
        super().__init__()
        relu, swish = nn.ReLU, nn.Hardswish
        self.stem = SameConv(3, 16, 3, 2, activation=swish)
        self.blocks = nn.ModuleList(
            InvertedResidual(*row)
            for row in (
                # inputs, expanded, outputs, kernel, stride, squeeze, activation
                (16, 16, 16, 3, 1, 0, relu),
                (16, 64, 24, 3, 2, 0, relu),
                (24, 72, 24, 3, 1, 0, relu),
                (24, 72, 32, 5, 2, 24, relu),
                (32, 96, 32, 5, 1, 24, relu),
                (32, 96, 32, 5, 1, 24, relu),
                (32, 192, 64, 3, 2, 0, swish),
                (64, 160, 64, 3, 1, 0, swish),
                (64, 144, 64, 3, 1, 0, swish),
                (64, 144, 64, 3, 1, 0, swish),
                (64, 384, 88, 3, 1, 96, swish),
                (88, 528, 88, 3, 1, 136, swish),
                (88, 528, 120, 5, 2, 136, swish),
                (120, 720, 120, 5, 1, 184, swish),
                (120, 720, 120, 5, 1, 184, swish),
            )
        )
        self.last = SameConv(120, self.top_channels, 1, activation=swish)

    def forward(self, images: Tensor) -> MobileFeatures:
        """
        Compute the maps.

        :param images: (B, 3, H, W) float, RGB, 0..255; H and W multiples of 32
        """
        x = self.stem(images)
        outputs, expansions = [], []
        for block in self.blocks:
            x, expanded = block(x)
            outputs.append(x)
            expansions.append(expanded)
        return MobileFeatures(
            appearance=(outputs[0], outputs[2], outputs[5], outputs[11]),
            # The two finer maps are the expanded inputs of the next block.
            lateral=(expansions[3], expansions[5], outputs[11]),
            top=self.last(x),
        )


def upsample2_corner(x: Tensor) -> Tensor:
    """
    Upsample bilinearly by 2 on TensorFlow's legacy grid, where output pixel i samples input i / 2.

    :param x: (B, C, H, W)
    :return: (B, C, 2H, 2W)
    """
    height, width = x.shape[-2:]
    padded = F.pad(x, (0, 1, 0, 1), mode='replicate')
    size = (2 * height + 1, 2 * width + 1)
    return F.interpolate(padded, size, mode='bilinear', align_corners=True)[
        ..., : 2 * height, : 2 * width
    ]


def separable(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Return the decoder's convolution: depthwise kxk without bias, then 1x1 with bias."""
    return nn.Sequential(
        SameConv(inputs, inputs, kernel, groups=inputs, bias=False), SameConv(inputs, outputs, 1)
    )
