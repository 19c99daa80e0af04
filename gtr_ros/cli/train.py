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
from gtr_ros.cli.console import show_progress
from gtr_ros.runtime.device import choose_device
from gtr_ros.tracking.rules import rule_name

if TYPE_CHECKING:
    from gtr_ros.model.gtr import GTR
    from gtr_ros.training.config import Config


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
    command.add_argument('--resume', action='store_true', help='continue the run in the folder')
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
    """Train a model, and show its progress."""
    # Imported here: the other commands do not need its libraries.
    from gtr_ros.training import run
    from gtr_ros.training.config import read_config

    config = read_config(options.config, tuple(options.set))
    folder = options.out or Path('runs') / options.config.stem
    device, first = options.device, os.environ.get('RANK', '0') == '0'
    if device == 'auto' and 'LOCAL_RANK' in os.environ and choose_device('auto').type == 'cuda':
        device = f'cuda:{os.environ["LOCAL_RANK"]}'
    with show_progress() as progress:
        task = progress.add_task(config.model, total=None, visible=first)

        def on_start(done: int, iterations: int) -> None:
            progress.update(task, completed=done, total=iterations)

        def on_step(step: run.Step) -> None:
            losses = ' '.join(f'{name} {value:.3f}' for name, value in step.losses.items())
            progress.update(task, completed=step.iteration, description=losses)

        def on_validation(iteration: int, metrics: dict[str, float]) -> None:
            values = ', '.join(f'{name} {value:.4g}' for name, value in metrics.items())
            console.print(f'iteration {iteration}: {values or "no validation is configured"}')

        callbacks = run.Callbacks(on_start, on_step, on_validation) if first else run.Callbacks()
        weights = run.train(
            config,
            folder,
            options.data,
            choose_device(device),
            options.resume,
            callbacks,
            _validation(config, options.data),
        )
    if first:
        console.print(f'wrote {weights}; try it with: gtr track VIDEO --checkpoint {weights}')


def _validation(config: Config, data: Path) -> Callable[[GTR], dict[str, float]] | None:
    """Return the function that measures a model as the configuration says; None: nothing to do."""
    wanted = config.validation
    if wanted.detection is None and not wanted.sequences:
        return None
    from gtr_ros.data.opening import resolve_source
    from gtr_ros.evaluation.validation import validate

    return partial(
        validate,
        rule=rule_name(None, config.model),
        detection=None if wanted.detection is None else data / wanted.detection,
        sequences=[resolve_source(source, data) for source in wanted.sequences],
        half=wanted.half,
        window=wanted.window,
    )
