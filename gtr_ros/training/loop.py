# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The loop of training: clips in, steps of the optimiser, checkpoints out.

What an iteration does follows from the seed and its number alone, so a run that was stopped goes
on as if it had not been, and any number of processes see the same clips.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from dataclasses import field
import math
from pathlib import Path

import numpy as np
import torch
from torch import distributed
from torch import nn
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset

from gtr_ros.model.gtr import GTR
from gtr_ros.training.clip import Clip
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.objective import Objective

#: training in lower precision, by the names that users give
PRECISIONS = {'float32': None, 'bfloat16': torch.bfloat16, 'float16': torch.float16}


class TrainingError(ValueError):
    """Training cannot go on; the message says why and what to do."""


@dataclass(frozen=True)
class Schedule:
    """
    How the weights are changed.

    :param iterations: steps of the optimiser
    :param batch: clips of a step, all processes together
    :param optimiser: 'adamw', or 'sgd' with a momentum of 0.9
    :param learning_rate: at its highest
    :param rates: factor of the learning rate for parameters by the beginning of their name, the
        longest that fits; 0: they are not trained
    :param weight_decay: of everything but norms
    :param norm_weight_decay: of norms and biases
    :param gradient_norm: the gradient of all parameters is scaled down to this length; None: not
    :param gradient_value: each element of the gradient is cut to this; None: not
    :param warmup: iterations in which the rate rises to its highest, linearly
    :param warmup_start: what it begins with, as a part of the highest
    :param ema: decay of the moving average of the weights, which is what is saved; 0: none
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
        """Return the learning rate of an iteration, from 0, as a part of the highest."""
        cosine = (1 + math.cos(math.pi * min(iteration / self.iterations, 1))) / 2
        if iteration >= self.warmup:
            return cosine
        part = iteration / self.warmup
        return cosine * (self.warmup_start * (1 - part) + part)


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict]:
    """
    Sort parameters by learning rate and weight decay; what has the rate 0 is frozen.

    :raises TrainingError: if the schedule gives a rate to parameters that do not exist
    """
    names = [name for name, _ in model.named_parameters()]
    for prefix in schedule.rates:
        if not any(name.startswith(prefix) for name in names):
            raise TrainingError(f'rates names {prefix!r}, and no parameter begins so')
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
        raise TrainingError('rates freezes every parameter: there is nothing to train')
    return [
        {'params': parameters, 'lr': schedule.learning_rate * rate, 'weight_decay': decay}
        for (rate, decay), parameters in groups.items()
    ]


def make_optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    """Make the optimiser of a schedule."""
    groups = parameter_groups(model, schedule)
    if schedule.optimiser == 'adamw':
        return torch.optim.AdamW(groups)
    return torch.optim.SGD(groups, momentum=0.9)


class NumberedClips(Dataset):
    """Clip number n of a training: made by a random stream of its own, whoever asks for it."""

    def __init__(self, source: ClipSource, seed: int) -> None:
        self.source = source
        self.seed = seed

    def __getitem__(self, number: int) -> Clip:
        """Make the clip."""
        return self.source(np.random.default_rng([self.seed, number]))


@dataclass(frozen=True)
class Step:
    """
    What an iteration was like.

    :param iteration: from 1
    :param losses: by name
    :param rate: the learning rate, as a part of the highest
    :param gradient: length of the gradient before it was scaled
    """

    iteration: int
    losses: Mapping[str, float]
    rate: float
    gradient: float


class Trainer:
    """
    Trains a model in this process, and in others beside it where torchrun started them.

    :param objective: its model is on the device where it is to be trained
    :param source: of clips
    :param schedule: how the weights are changed
    :param seed: of everything random
    :param workers: processes that make clips; 0: this one
    :raises TrainingError: if the batch cannot be shared by the processes
    """

    def __init__(
        self,
        objective: Objective,
        source: ClipSource,
        schedule: Schedule,
        seed: int = 0,
        workers: int = 0,
    ) -> None:
        self.objective = objective
        self.schedule = schedule
        self.seed = seed
        self.workers = workers
        self.iteration = 0
        self._clips = NumberedClips(source, seed)
        together = distributed.is_available() and distributed.is_initialized()
        self.rank = distributed.get_rank() if together else 0
        self.processes = distributed.get_world_size() if together else 1
        if schedule.batch % self.processes:
            raise TrainingError(
                f'a batch of {schedule.batch} clips cannot be shared evenly by {self.processes} '
                'processes'
            )
        self._optimiser = make_optimiser(self.model, schedule)
        self._base_rates = [group['lr'] for group in self._optimiser.param_groups]
        device = self.model.device
        self._autocast_type = PRECISIONS[schedule.precision]
        scaled = schedule.precision == 'float16'
        self._scaler = torch.amp.GradScaler(device.type, enabled=scaled)
        self._average = None
        if schedule.ema:
            update = get_ema_multi_avg_fn(schedule.ema)
            self._average = AveragedModel(self.model, multi_avg_fn=update, use_buffers=True)
        self._parallel: nn.Module = objective
        if together:
            ids = [device.index] if device.type == 'cuda' else None
            # Not every clip has what every parameter learns from.
            self._parallel = DistributedDataParallel(
                objective, device_ids=ids, find_unused_parameters=True
            )

    @property
    def model(self) -> GTR:
        """The model, as it is trained."""
        return self.objective.model

    @property
    def averaged(self) -> GTR:
        """The model to be used: the moving average where there is one."""
        return self.model if self._average is None else self._average.module

    def steps(self) -> Iterator[Step]:
        """
        Train to the end of the schedule; after each step the caller may validate, save, or stop.

        :raises TrainingError: if a loss is no longer a number; the weights are those before
        """
        batches = self._batches(self.iteration, self.schedule.iterations)
        loader = DataLoader(
            self._clips,
            batch_sampler=batches,
            collate_fn=list,
            num_workers=self.workers,
            prefetch_factor=4 if self.workers else None,
        )
        for clips in loader:
            yield self._step(clips)

    def _batches(self, first: int, last: int) -> list[list[int]]:
        """Return the numbers of this process's clips, iteration by iteration."""
        batch, share = self.schedule.batch, self.schedule.batch // self.processes
        return [
            [i * batch + self.rank * share + k for k in range(share)] for i in range(first, last)
        ]

    def _step(self, clips: list[Clip]) -> Step:
        stream = np.random.SeedSequence([self.seed, self.iteration, self.rank])
        torch.manual_seed(int(stream.generate_state(1)[0]))
        rate = self.schedule.rate_at(self.iteration)
        for group, base in zip(self._optimiser.param_groups, self._base_rates):
            group['lr'] = base * rate
        self._parallel.train()
        device = self.model.device.type
        lower = self._autocast_type
        with torch.autocast(device, lower) if lower else nullcontext():
            losses = self._parallel(clips)
            total = sum(losses.values())
        values = {name: loss.item() for name, loss in losses.items()}
        if not math.isfinite(sum(values.values())):
            said = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
            raise TrainingError(
                f'iteration {self.iteration + 1}: the loss is not a number ({said}), with the '
                f'clips {"; ".join(c.source for c in clips)}. Lower learning_rate, or look at '
                'these data; go on from the last checkpoint with --resume'
            )
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        gradient = self._limit_gradient()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.model)
        self.iteration += 1
        return Step(self.iteration, values, rate, gradient)

    def _limit_gradient(self) -> float:
        """Scale and cut the gradient; return its length before."""
        self._scaler.unscale_(self._optimiser)
        parameters = [p for group in self._optimiser.param_groups for p in group['params']]
        limit = self.schedule.gradient_norm or math.inf
        length = nn.utils.clip_grad_norm_(parameters, limit).item()
        if self.schedule.gradient_value:
            nn.utils.clip_grad_value_(parameters, self.schedule.gradient_value)
        return length

    def save(self, path: Path) -> None:
        """
        Write what `load` needs to go on, whole or not at all.

        :raises TrainingError: if it cannot be written; what was there before is as it was
        """
        state = {
            'iteration': self.iteration,
            'seed': self.seed,
            'model': self.model.state_dict(),
            'average': None if self._average is None else self._average.state_dict(),
            'optimiser': self._optimiser.state_dict(),
            'scaler': self._scaler.state_dict(),
        }
        part = path.with_name(f'{path.name}.part')
        try:
            torch.save(state, part)
            part.replace(path)
        except (OSError, RuntimeError) as error:
            raise TrainingError(
                f'cannot write {path}: {error}. The checkpoint before it is untouched; make '
                'room and go on with --resume'
            ) from error
        finally:
            part.unlink(missing_ok=True)

    def load(self, path: Path) -> None:
        """
        Go on where `save` was called.

        :raises TrainingError: if it cannot be read, or is of another training
        """
        try:
            state = torch.load(path, map_location=self.model.device, weights_only=True)
            if state['seed'] != self.seed:
                raise TrainingError(f'{path} is of seed {state["seed"]}, not {self.seed}')
            self.model.load_state_dict(state['model'])
            if self._average is not None:
                self._average.load_state_dict(state['average'])
            self._optimiser.load_state_dict(state['optimiser'])
            self._scaler.load_state_dict(state['scaler'])
            self.iteration = state['iteration']
        except TrainingError:
            raise
        except Exception as error:  # a damaged or foreign file may raise anything
            raise TrainingError(
                f'{path} cannot be resumed from ({error}); it is damaged, or of another model'
            ) from error
