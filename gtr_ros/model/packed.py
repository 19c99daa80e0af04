# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Layers whose weights lie as oneDNN wants them: on many CPUs twice as fast as torch's own."""

from __future__ import annotations

import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

#: rows of a product, above which it is made in pieces. oneDNN keeps a program of 0.3 MB for every
#: layer and number of rows that it has met, up to a thousand: of all numbers of objects 300 MB
_MOST_ROWS = 256


class PackedLinear(nn.Linear):
    """
    A linear layer for a CPU, the same but for rounding; its weights must not change any more.

    torch's own product in float32 is that of the library it was built with, which does not use all
    instructions of every processor; oneDNN, which torch has too, does.

    :param weight: (C', C) float32
    :param bias: (C',) float32
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        nn.Module.__init__(self)
        self.out_features, self.in_features = weight.shape
        # As they were, for those who read them.
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
    """Return how many rows are computed where so many are wanted, up to `_MOST_ROWS`."""
    step = 8 if count <= 64 else 16 if count <= 128 else 32
    return max(step, -(-count // step) * step)


class PackedPointwise(nn.Conv2d):
    """
    A 1x1 convolution for a CPU, likewise: on one thread torch computes it without oneDNN.

    :param plain: the convolution, of stride 1
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
        self.weight, self.bias = plain.weight, plain.bias  # as they were
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
    """A module that packs weights of its own when it first needs them, if it is told to."""

    packed = False


def pack(module: nn.Module) -> None:
    """
    Pack the weights of a module's layers, where this torch can and they are on a CPU.

    They must not change any more; what is kept of them stays beside them, as much memory again.
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
    """Say whether this torch, which calls oneDNN by names of its own, can pack such weights."""
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
