# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The optimiser: parameter groups, learning rates, precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
import math

import torch
from torch import nn
from torch import Tensor

#: precision of the forward pass, by name; None: no autocast
PRECISIONS = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class TrainingError(ValueError):
    """A training run that cannot start or continue; the message states the reason and a remedy."""


@dataclass(frozen=True)
class Schedule:
    """
    The schedule of an optimisation.

    :param iterations: number of optimiser steps
    :param batch: clips per step, over all processes
    :param optimiser: 'adamw', or 'sgd' with a momentum of 0.9
    :param learning_rate: the maximum, after the warm-up
    :param rates: factors of the learning rate, by prefix of the parameters' names; the longest
        matching prefix counts; 0: these parameters are frozen
    :param weight_decay: of all parameters except norms and biases
    :param norm_weight_decay: of norms and biases
    :param gradient_norm: maximum norm of the gradient of all parameters; None: no limit
    :param gradient_value: maximum magnitude of each element of the gradient; None: no limit
    :param warmup: iterations over which the learning rate rises linearly
    :param warmup_start: learning rate of the first iteration, as a fraction of the maximum
    :param ema: decay of the exponential moving average of the weights, which is saved as the
        result; 0: no average
    :param precision: one of `PRECISIONS`
    """

    iterations: int
    batch: int = 4
    optimiser: str = 'adamw'
    learning_rate: float = 5e-5
    rates: Mapping[str, float] = field(default_factory=dict)
    weight_decay: float = 1e-4
    norm_weight_decay: float = 1e-4
    gradient_norm: float | None = 0.1
    gradient_value: float | None = None
    warmup: int = 1000
    warmup_start: float = 1e-3
    ema: float = 0.0
    precision: str = 'float32'

    def rate_at(self, iteration: int) -> float:
        """Return the learning rate of an iteration (from 0), as a fraction of the maximum."""
        cosine = (1 + math.cos(math.pi * min(iteration / self.iterations, 1))) / 2
        if iteration >= self.warmup:
            return cosine
        progress = iteration / self.warmup
        return cosine * (self.warmup_start * (1 - progress) + progress)


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict]:
    """
    Group parameters by learning rate and weight decay; freeze those of rate 0.

    :raises TrainingError: if a prefix in `rates` matches no parameter, or all parameters are
        frozen
    """
    names = [name for name, _ in model.named_parameters()]
    for prefix in schedule.rates:
        if not any(name.startswith(prefix) for name in names):
            raise TrainingError(f'rates: no parameter has a name that begins with {prefix!r}')
    norms = {
        f'{name}.{key}'
        for name, module in model.named_modules()
        for key, _ in module.named_parameters(recurse=False)
        if 'Norm' in type(module).__name__ or key == 'bias'
    }
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        fitting = [p for p in schedule.rates if name.startswith(p)]
        rate = schedule.rates[max(fitting, key=len)] if fitting else 1.0
        parameter.requires_grad_(rate > 0)
        if rate > 0:
            decay = schedule.norm_weight_decay if name in norms else schedule.weight_decay
            groups.setdefault((rate, decay), []).append(parameter)
    if not groups:
        raise TrainingError('rates freezes every parameter; at least one must be trained')
    return [
        {'params': parameters, 'lr': schedule.learning_rate * rate, 'weight_decay': decay}
        for (rate, decay), parameters in groups.items()
    ]


def make_optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Return the optimiser of a schedule."""
    groups = parameter_groups(model, schedule)
    if schedule.optimiser == 'adamw':
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, momentum=0.9)
