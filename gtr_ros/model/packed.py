# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers with weights in oneDNN's memory format: on many CPUs twice as fast as torch's layers."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

#: number of rows above which a matrix product is computed in chunks. oneDNN caches a kernel of 0.3
#: MB for every layer and number of rows, up to a thousand: 300 MB for all numbers of objects
_MOST_ROWS = 256


class PackedLinear(nn.Linear):
    """
    A linear layer for a CPU, equal up to rounding; its weights must not change afterwards.

    torch's float32 product uses the BLAS library that torch was built with, which does not use all
    instructions of every processor; oneDNN, which torch also includes, does.

    :param weight: (C', C) float32
    :param bias: (C',) float32
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        # The original weights, for code that reads them.
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)
        with torch.no_grad():
            self._packed = torch.ops.mkldnn._reorder_linear_weight(self.weight.detach(), None)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C) -> (N, C')."""
        if torch.is_grad_enabled() or x.device.type != 'cpu' or x.dtype != torch.float32:
            return F.linear(x, self.weight, self.bias)
        if len(x) > _MOST_ROWS:
            return torch.cat([self._multiply(part) for part in x.split(_MOST_ROWS)])
        return self._multiply(x)

    def _multiply(self, x: Tensor) -> Tensor:
        rows, full = len(x), rounded_rows(len(x))
        if full != rows:
            x = F.pad(x, (0, 0, 0, full - rows))
        product = torch.ops.mkldnn._linear_pointwise(x, self._packed, self.bias, 'none', [], '')
        return product[:rows]


def rounded_rows(count: int) -> int:
    """Return the padded number of rows computed for `count` rows, at most `_MOST_ROWS`."""
    step = 8 if count <= 64 else 16 if count <= 128 else 32
    return max(step, -(-count // step) * step)


class PackedPointwise(nn.Conv2d):
    """
    A 1x1 convolution with packed weights for a CPU; on one thread, torch does not use oneDNN.

    :param plain: the convolution, with stride 1
    """

    def __init__(self, plain: nn.Conv2d) -> None:
        super().__init__(
            plain.in_channels,
            plain.out_channels,
            kernel_size=1,
            padding=plain.padding,
            groups=plain.groups,
            bias=plain.bias is not None,
        )
        self.weight, self.bias = plain.weight, plain.bias  # the original weights
        with torch.no_grad():
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(
                self.weight.detach(), *self._shape, None
            )

    @property
    def _shape(self) -> tuple[list[int], list[int], list[int], int]:
        """Padding, stride, dilation and groups."""
        return list(self.padding), list(self.stride), list(self.dilation), self.groups

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxC'xHxW."""
        if torch.is_grad_enabled() or x.device.type != 'cpu' or x.dtype != torch.float32:
            return super().forward(x)
        return torch.ops.mkldnn._convolution_pointwise(
            x, self._packed, self.bias, *self._shape, 'none', [], ''
        )


class Packable(nn.Module):
    """A module that packs its own weights on first use if `packed` is set."""

    packed = False


def pack(module: nn.Module) -> None:
    """
    Pack the weights of a module's layers, if this torch supports it and they are on a CPU.

    The weights must not change afterwards. The packed copy doubles their memory.
    """
    if not all(_can_pack(parameter) for parameter in module.parameters()):
        return
    for parent in list(module.modules()):
        if isinstance(parent, Packable):
            parent.packed = True
        for name, layer in list(parent.named_children()):
            if isinstance(layer, nn.Linear) and layer.bias is not None:
                setattr(parent, name, PackedLinear(layer.weight, layer.bias))
            elif type(layer) is nn.Conv2d and layer.kernel_size == layer.stride == (1, 1):
                setattr(parent, name, PackedPointwise(layer))


def _can_pack(weight: Tensor) -> bool:
    """Return whether this torch has the internal oneDNN operators to pack such weights."""
    names = (
        '_reorder_linear_weight',
        '_linear_pointwise',
        '_reorder_convolution_weight',
        '_convolution_pointwise',
    )
    return (
        weight.device.type == 'cpu'
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in names)
    )
