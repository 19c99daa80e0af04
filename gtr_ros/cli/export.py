# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr export`: write a model as ONNX files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_ros.cli.arguments import add_options
from gtr_ros.cli.console import console
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.process import sleep_soon

if TYPE_CHECKING:
    from gtr_ros.model.gtr import GTR


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `export` to the commands."""
    command = commands.add_parser('export', help='write a model as ONNX files')
    add_options(command, ModelOptions, ['model', 'checkpoint', 'threads'])
    command.add_argument(
        '--out',
        type=Path,
        metavar='FOLDER',
        help="(default: in the user's cache, where the runtimes onnxruntime and openvino find it)",
    )
    command.add_argument(
        '--measure',
        action='store_true',
        help='also measure the runtimes with this number of threads, so that the runtime auto has '
        'nothing to measure when a node starts; best while nothing else runs',
    )
    command.set_defaults(run=export)


def export(options: argparse.Namespace) -> None:
    """Write the files, and print their names and sizes."""
    if options.threads and not options.measure:
        raise ValueError('--threads is for --measure: the files are the same for any number')
    sleep_soon()  # before torch, as the node, for which --measure measures
    keep_freed_memory()
    # Imported here: `gtr export --help` does not need torch.
    from gtr_ros.model.build import build
    from gtr_ros.runtime.export import export_folder
    from gtr_ros.runtime.export import export_model

    model = build(options.model, options.checkpoint)
    folder = options.out or export_folder(options.model, model)
    console.print(f'exporting {options.model}: {model.association.description}')
    for file in export_model(model, folder):
        console.print(f'{file}: {file.stat().st_size / 1e6:.1f} MB', markup=False)
    if options.measure:
        _measure(model, options)


def _measure(model: GTR, options: argparse.Namespace) -> None:
    """Choose the fastest runtime for a model, keep the choice, and print it."""
    import torch

    from gtr_ros.runtime.choice import choose
    from gtr_ros.runtime.choice import Question

    if options.threads:
        torch.set_num_threads(options.threads)
    exported = str(options.out) if options.out else ''
    settings = ModelOptions(model=options.model, checkpoint=options.checkpoint, exported=exported)
    choice, _ = choose(model, Question.about(model, settings), keep=True)
    console.print(f'{choice}; {torch.get_num_threads()} threads', markup=False)
