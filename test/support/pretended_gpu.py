# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Tensors without data on a GPU that need not exist, to see what code for a GPU would do.

To be used in `FakeTensorMode`, in which reading a value, or a shape that depends on values, is an
error: a GPU would be waited for, and a CUDA graph could not be captured.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class Transfers(TorchDispatchMode):
    """Notes the shapes of what is copied from the host, and to it."""

    def __init__(self) -> None:
        super().__init__()
        self.uploads: list[tuple[int, ...]] = []
        self.downloads: list[tuple[int, ...]] = []

    def __torch_dispatch__(
        self,
        function: Callable,
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = function(*args, **(kwargs or {}))
        given = [value for value in args if isinstance(value, Tensor)]
        made = [result] if isinstance(result, Tensor) else []
        shapes = [tuple(value.shape) for value in given]
        if any(t.is_cuda for t in made) and any(t.device.type == 'cpu' for t in given):
            self.uploads += shapes[:1]
        if any(t.device.type == 'cpu' for t in made) and any(t.is_cuda for t in given):
            self.downloads += shapes[:1]
        return result


def move_to_pretended_gpu(model: nn.Module) -> None:
    """
    Replace parameters and buffers by tensors without data; in `FakeTensorMode`.

    The test is skipped where torch (2.6) asks for a GPU to index such a tensor.
    """
    try:
        torch.zeros(2, device='cuda')[:1]
    except RuntimeError as error:
        first = str(error).partition('\n')[0]
        pytest.skip(f'torch {torch.__version__} cannot pretend a GPU: {first}')
    for module in model.modules():
        for name, value in module._parameters.items():
            if value is not None:
                made = torch.empty(value.shape, device='cuda')
                module._parameters[name] = nn.Parameter(made, requires_grad=False)
        for name, value in module._buffers.items():
            if value is not None:
                made = torch.empty(value.shape, device='cuda', dtype=value.dtype)
                module._buffers[name] = made
