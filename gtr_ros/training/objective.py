# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What training minimises: a model's losses on clips."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import distributed
from torch import nn
from torch import Tensor

from gtr_ros.model.gtr import GTR
from gtr_ros.training.clip import Clip


class Objective(nn.Module):
    """
    The losses of one model; each model has its own kind.

    Its gradient, averaged over processes, is that of one process with all their clips.

    :param model: what is trained
    """

    def __init__(self, model: GTR) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """
        Compute the losses of a batch; their sum is minimised.

        :param clips: the process's share of the batch, at least one
        :return: () float32 by name; always the same names
        """
        raise NotImplementedError


def mean_over_processes(count: Tensor | float) -> float:
    """
    Average a count, by which a sum is divided, over all processes of a training.

    Then the processes' gradients, averaged, are those of one process with all their clips.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return float(count)
    device = 'cuda' if distributed.get_backend() == 'nccl' else 'cpu'
    total = torch.as_tensor(float(count), dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()
