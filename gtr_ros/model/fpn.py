# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The feature pyramid of `gtr_tao`: five maps of strides 8 to 128."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7


class FPN(FeaturePyramidNetwork):
    """
    Torchvision's pyramid with two more levels: P6 from P5, P7 from the ReLU of P6.

    :param inputs: channels of the backbone's maps, finest first
    :param channels: of every map of the pyramid
    """

    def __init__(self, inputs: Sequence[int], channels: int = 256) -> None:
        # With equal input and output channels, LastLevelP6P7 reads P5, not the backbone's last
        # map.
        super().__init__(list(inputs), channels, LastLevelP6P7(channels, channels))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """
        Compute the pyramid from the backbone's maps.

        :param maps: (B, C_l, H_l, W_l), finest first
        :return: (B, channels, H_l, W_l) for each, then the two additional levels
        """
        return list(super().forward({str(i): m for i, m in enumerate(maps)}).values())
