# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
One of two training processes.

Spawned processes import it by name, which they cannot do with a test module.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import distributed
from training_data import rectangles

from gtr_ros.model.build import gtr_mobile
from gtr_ros.training.mobile import MobileObjective


def exact_objective() -> MobileObjective:
    """Return an objective without randomness."""
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return MobileObjective(model, jitter=0.0, missed=0.0).train()


def gradients_of(objective: MobileObjective) -> dict[str, torch.Tensor]:
    """Return the gradients of the model's parameters by name."""
    return {n: p.grad.clone() for n, p in objective.model.named_parameters() if p.grad is not None}


def train_half_of_a_batch(rank: int, folder: Path) -> None:
    """Compute gradients as one of two processes; the first writes them to `gradients.pt`."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2
    )
    objective = exact_objective()
    parallel = torch.nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True)
    # The halves have different numbers of objects: losses must be divided by those of the batch.
    clips = [rectangles(1, objects=1)] if rank == 0 else [rectangles(2, objects=3)]
    sum(parallel(clips).values()).backward()
    if rank == 0:
        torch.save(gradients_of(objective), folder / 'gradients.pt')
    distributed.destroy_process_group()
