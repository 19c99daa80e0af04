# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr export`: write a model as ONNX files."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_ros.cli.arguments import add_options
from gtr_ros.cli.console import console
from gtr_ros.model.options import ModelOptions


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `export` to the commands."""
    command = commands.add_parser('export', help='write a model as ONNX files')
    add_options(command, ModelOptions, ['model', 'checkpoint'])
    command.add_argument(
        '--out',
        type=Path,
        metavar='FOLDER',
        help="(default: in the user's cache, where the runtime onnxruntime finds it)",
    )
    command.set_defaults(run=export)


def export(options: argparse.Namespace) -> None:
    """Write the files, and print their names and sizes."""
    # Imported here: `gtr export --help` does not need torch.
    from gtr_ros.model.build import build
    from gtr_ros.runtime.export import export_folder
    from gtr_ros.runtime.export import export_model

    model = build(options.model, options.checkpoint)
    folder = options.out or export_folder(options.model, model)
    console.print(f'exporting {options.model}: {model.association.description}')
    for file in export_model(model, folder):
        console.print(f'{file}: {file.stat().st_size / 1e6:.1f} MB', markup=False)
