# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The training loop: loads clips, steps the optimiser, saves and loads checkpoints.

An iteration depends only on the seed and its number. A resumed run is therefore the same as an
uninterrupted one, and the clips do not depend on the number of processes.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
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

from gtr_ros.files import atomic_write
from gtr_ros.model.gtr import GTR
from gtr_ros.training.clip import Clip
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.objective import Objective
from gtr_ros.training.optimisation import make_optimiser
from gtr_ros.training.optimisation import PRECISIONS
from gtr_ros.training.optimisation import Schedule
from gtr_ros.training.optimisation import TrainingError


class NumberedClips(Dataset):
    """The clips of a training run by number, each created with its own random stream."""

    def __init__(self, source: ClipSource, seed: int) -> None:
        self.source = source
        self.seed = seed

    def __getitem__(self, number: int) -> Clip | TrainingError:
        """
        Create a clip.

        An error in the data is returned: one that is raised in a worker process would reach the
        training with another type, and the text of a traceback as its message.
        """
        try:
            return self.source(np.random.default_rng([self.seed, number]))
        except (ValueError, OSError) as error:
            return TrainingError(
                f'clip {number} cannot be created: {error}. Correct the data, and continue from '
                'the last checkpoint with --resume'
            )


def usable(clips: list[Clip | TrainingError]) -> list[Clip]:
    """Return the clips of a batch; raise the first error in its place, if there is one."""
    for clip in clips:
        if isinstance(clip, TrainingError):
            raise clip
    return clips


@dataclass(frozen=True)
class Step:
    """
    The result of one iteration.

    :param iteration: counted from 1
    :param losses: by name
    :param rate: the learning rate, as a fraction of the maximum
    :param gradient: norm of the gradient before it was limited
    """

    iteration: int
    losses: Mapping[str, float]
    rate: float
    gradient: float


class Trainer:
    """
    Trains a model, together with the other processes if torchrun started this one.

    :param objective: losses of the model, which is already on the training device
    :param source: of clips
    :param schedule: of the optimisation
    :param seed: of all random numbers
    :param workers: number of processes that create clips; 0: this process creates them
    :raises TrainingError: if the batch cannot be divided by the number of processes
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
        in_parallel = distributed.is_available() and distributed.is_initialized()
        self.rank = distributed.get_rank() if in_parallel else 0
        self.processes = distributed.get_world_size() if in_parallel else 1
        if schedule.batch % self.processes:
            raise TrainingError(
                f'a batch of {schedule.batch} clips cannot be divided evenly among '
                f'{self.processes} processes'
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
        if in_parallel:
            ids = [device.index] if device.type == 'cuda' else None
            # For some clips, some parameters have no gradient.
            self._parallel = DistributedDataParallel(
                objective, device_ids=ids, find_unused_parameters=True
            )

    @property
    def model(self) -> GTR:
        """The model being trained."""
        return self.objective.model

    @property
    def averaged(self) -> GTR:
        """The model to save and validate: the moving average if there is one."""
        return self.model if self._average is None else self._average.module

    def steps(self) -> Iterator[Step]:
        """
        Train to the end of the schedule; the caller may validate, save or stop after each step.

        :raises TrainingError: if a clip cannot be created, or a loss is not finite; the weights
            are then those from before the step
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
            yield self._step(usable(clips))

    def try_batch(self) -> dict[str, float]:
        """
        Return the losses of the next batch by name; their gradients are computed and discarded.

        :raises TrainingError: if a clip cannot be created, or a loss is not finite
        """
        [numbers] = self._batches(self.iteration, self.iteration + 1)
        total, values = self._losses(usable([self._clips[number] for number in numbers]))
        total.backward()
        self._optimiser.zero_grad(set_to_none=True)
        return values

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
        total, values = self._losses(clips)
        self._optimiser.zero_grad(set_to_none=True)
        self._scaler.scale(total).backward()
        gradient = self._limit_gradient()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._average is not None:
            self._average.update_parameters(self.model)
        self.iteration += 1
        return Step(self.iteration, values, rate, gradient)

    def _losses(self, clips: list[Clip]) -> tuple[Tensor, dict[str, float]]:
        """Return the sum of a batch's losses, () with its gradient, and their values by name."""
        self._parallel.train()
        device = self.model.device.type
        autocast_type = self._autocast_type
        with torch.autocast(device, autocast_type) if autocast_type else nullcontext():
            losses = self._parallel(clips)
            total = sum(losses.values())
        values = {name: loss.item() for name, loss in losses.items()}
        if not math.isfinite(sum(values.values())):
            values_text = ', '.join(f'{name} {value:.4g}' for name, value in values.items())
            raise TrainingError(
                f'iteration {self.iteration + 1}: the loss is not finite ({values_text}) for the '
                f'clips {"; ".join(c.source for c in clips)}. Lower learning_rate, or check this '
                'data; continue from the last checkpoint with --resume'
            )
        return total, values

    def _limit_gradient(self) -> float:
        """Limit the gradient according to the schedule; return its previous norm."""
        self._scaler.unscale_(self._optimiser)
        parameters = [p for group in self._optimiser.param_groups for p in group['params']]
        limit = self.schedule.gradient_norm or math.inf
        norm = nn.utils.clip_grad_norm_(parameters, limit).item()
        if self.schedule.gradient_value:
            nn.utils.clip_grad_value_(parameters, self.schedule.gradient_value)
        return norm

    def save(self, path: Path) -> None:
        """
        Write the state of the training run atomically: completely or not at all.

        :raises TrainingError: if it cannot be written; an existing file is unchanged
        """
        state = {
            'iteration': self.iteration,
            'seed': self.seed,
            'model': self.model.state_dict(),
            'average': None if self._average is None else self._average.state_dict(),
            'optimiser': self._optimiser.state_dict(),
            'scaler': self._scaler.state_dict(),
        }
        try:
            with atomic_write(path) as part:
                torch.save(state, part)
        except (OSError, RuntimeError) as error:
            raise TrainingError(
                f'cannot write {path}: {error}. The previous checkpoint is unchanged; free disk '
                'space and continue with --resume'
            ) from error

    def load(self, path: Path) -> None:
        """
        Restore the state that `save` wrote.

        :raises TrainingError: if it cannot be read, or belongs to another training run
        """
        try:
            state = torch.load(path, map_location=self.model.device, weights_only=True)
            if state['seed'] != self.seed:
                raise TrainingError(f'{path} has seed {state["seed"]}, not {self.seed}')
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
                f'cannot resume from {path} ({error}); it is damaged, or belongs to another model'
            ) from error
