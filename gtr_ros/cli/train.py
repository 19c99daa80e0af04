# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr train`: train a model as a configuration says."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_ros.cli.console import console
from gtr_ros.cli.tasks import show_tasks
from gtr_ros.cli.tasks import Start
from gtr_ros.cli.tasks import Task

if TYPE_CHECKING:
    import torch

    from gtr_ros.model.gtr import GTR
    from gtr_ros.training.config import Config
    from gtr_ros.training.run import Callbacks


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `train` to the commands."""
    command = commands.add_parser(
        'train',
        help='train a model',
        description='Train a model as a YAML file says (config/training has those of the paper). '
        'With several GPUs or machines: torchrun --nproc-per-node=4 -m gtr_ros.cli train ...',
    )
    command.add_argument('config', type=Path, metavar='CONFIG.yaml')
    command.add_argument(
        '--out', type=Path, help="folder of the run (default: runs/ and the configuration's name)"
    )
    command.add_argument(
        '--data',
        type=Path,
        default=Path(),
        metavar='DIR',
        help="folder that the configuration's paths are relative to (default: the current one)",
    )
    command.add_argument(
        '--check',
        action='store_true',
        help='train nothing: decode every image once, build the model, and compute the loss of '
        'one batch',
    )
    command.add_argument(
        '--resume',
        action='store_true',
        help='continue the run in the folder; with more schedule.iterations, also a finished one',
    )
    command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    command.add_argument(
        '--set',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change the configuration, such as schedule.iterations=100 or clips.0.weight=2',
    )
    command.set_defaults(run=train)


def train(options: argparse.Namespace) -> None:
    """Train a model, or only check whether it could be trained, and show the progress."""
    # Imported here: `gtr train --help` needs no torch, and the other commands not its libraries.
    from gtr_ros.runtime.device import choose_device
    from gtr_ros.training.config import read_config

    config = read_config(options.config, tuple(options.set))
    device, first = options.device, os.environ.get('RANK', '0') == '0'
    if device == 'auto' and 'LOCAL_RANK' in os.environ and choose_device('auto').type == 'cuda':
        device = f'cuda:{os.environ["LOCAL_RANK"]}'
    if options.check:
        _check(options, config, choose_device(device))
    elif first:
        _train(options, config, choose_device(device))
    else:  # another of torchrun's processes
        _run(options, config, choose_device(device), None)


def _check(options: argparse.Namespace, config: Config, device: torch.device) -> None:
    """Print what a training would begin with."""
    from gtr_ros.training.trial import check_training

    if options.resume:
        raise ValueError('--check starts no run: leave out --resume')
    with show_tasks() as start:
        for line in check_training(
            config, options.data, device, _count_task(start, 'checking images')
        ):
            console.print(line, markup=False)
    console.print(f'{options.config} can be trained', markup=False)


def _train(options: argparse.Namespace, config: Config, device: torch.device) -> None:
    """Train, and show the progress."""
    from gtr_ros.training.run import Callbacks
    from gtr_ros.training.run import Step

    with show_tasks() as start:
        steps: list[Task] = []

        def on_start(done: int, iterations: int) -> None:
            steps.append(start(config.model, iterations, done))

        def on_step(step: Step) -> None:
            losses = ' '.join(f'{name} {value:.3f}' for name, value in step.losses.items())
            steps[0].update(step.iteration, losses)

        def on_validation(iteration: int, metrics: dict[str, float]) -> None:
            values = ', '.join(f'{name} {value:.4g}' for name, value in metrics.items())
            console.print(f'iteration {iteration}: {values or "no validation is configured"}')

        def on_calibration() -> None:
            console.print('measuring the calibration of the cues, which takes a minute or more')

        callbacks = Callbacks(
            on_check=_count_task(start, 'checking images'),
            on_store=_count_task(start, 'storing clips'),
            on_start=on_start,
            on_step=on_step,
            on_calibration=on_calibration,
            on_validation=on_validation,
        )
        weights = _run(options, config, device, callbacks)
    console.print(f'wrote {weights}; try it with: gtr track VIDEO --checkpoint {weights}')


def _run(
    options: argparse.Namespace,
    config: Config,
    device: torch.device,
    callbacks: Callbacks | None,
) -> Path:
    """Run the training; without callbacks, it shows nothing."""
    from gtr_ros.training import run

    return run.train(
        config,
        options.out or Path('runs') / options.config.stem,
        options.data,
        device,
        options.resume,
        callbacks or run.Callbacks(),
        _validation(config, options.data),
    )


def _count_task(start: Start, title: str) -> Callable[[int, int], None]:
    """Return what shows how many of something are done."""
    tasks: list[Task] = []

    def update(done: int, total: int) -> None:
        if not tasks:
            tasks.append(start(title, total, done))
        tasks[0].update(done)

    return update


def _validation(config: Config, data: Path) -> Callable[[GTR], dict[str, float]] | None:
    """Return the function that measures a model as the configuration says; None: nothing to do."""
    wanted = config.validation
    if wanted.detection is None and not wanted.sequences:
        return None
    from gtr_ros.data.opening import resolve_source
    from gtr_ros.evaluation.validation import validate
    from gtr_ros.model.registry import rule_name

    return partial(
        validate,
        rule=rule_name(None, config.model),
        detection=None if wanted.detection is None else data / wanted.detection,
        sequences=[resolve_source(source, data) for source in wanted.sequences],
        half=wanted.half,
        window=wanted.window,
    )
