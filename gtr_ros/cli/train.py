# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr train`: from a configuration to weights."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.model.build import choose_device


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's."""
    command = commands.add_parser(
        'train',
        help='train a model',
        description='Train a model as a YAML file says (config/training has those of the paper). '
        'With several GPUs, or machines: torchrun --nproc-per-node=4 -m gtr_ros.cli train ...',
    )
    command.add_argument('config', type=Path, metavar='CONFIG.yaml')
    command.add_argument(
        '--out', type=Path, help="the run's folder (default: runs/ and the configuration's name)"
    )
    command.add_argument(
        '--data',
        type=Path,
        default=Path(),
        metavar='DIR',
        help="folder that the configuration's paths are relative to (default: this one)",
    )
    command.add_argument('--resume', action='store_true', help='go on with the run in the folder')
    command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    command.add_argument(
        '--set',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='change the configuration, as schedule.iterations=100 or clips.0.weight=2',
    )
    command.set_defaults(run=train)


def train(options: argparse.Namespace) -> None:
    """Train a model, and say how it goes."""
    # Here, as other commands do without its libraries.
    from gtr_ros.training import run
    from gtr_ros.training.config import read_config

    config = read_config(options.config, tuple(options.set))
    folder = options.out or Path('runs') / options.config.stem
    device, first = options.device, os.environ.get('RANK', '0') == '0'
    if device == 'auto' and 'LOCAL_RANK' in os.environ and choose_device('auto').type == 'cuda':
        device = f'cuda:{os.environ["LOCAL_RANK"]}'
    with show_progress() as progress:
        task = progress.add_task(config.model, total=None, visible=first)

        def started(done: int, iterations: int) -> None:
            progress.update(task, completed=done, total=iterations)

        def stepped(step: run.Step) -> None:
            losses = ' '.join(f'{name} {value:.3f}' for name, value in step.losses.items())
            progress.update(task, completed=step.iteration, description=losses)

        def validated(iteration: int, numbers: dict[str, float]) -> None:
            said = ', '.join(f'{name} {value:.4g}' for name, value in numbers.items())
            console.print(f'iteration {iteration}: {said or "nothing is measured"}')

        listener = run.Listener(started, stepped, validated) if first else run.Listener()
        weights = run.train(
            config, folder, options.data, choose_device(device), options.resume, listener
        )
    if first:
        console.print(f'the weights are in {weights}; try them: gtr track --checkpoint {weights}')
