# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr export`: a model as ONNX files."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_ros.cli.console import console
from gtr_ros.model.build import build
from gtr_ros.model.build import MODELS
from gtr_ros.runtime.export import export_folder
from gtr_ros.runtime.export import export_model


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `export` to the table of commands."""
    command = commands.add_parser('export', help='write a model as ONNX files')
    command.add_argument('--model', choices=MODELS, default='mobile')
    command.add_argument(
        '--checkpoint',
        metavar='FILE',
        help="safetensors, the authors' .pth, or 'random' (default: the model's own)",
    )
    command.add_argument(
        '--out',
        type=Path,
        metavar='FOLDER',
        help="(default: in the user's cache, where `runtime: onnxruntime` looks for it)",
    )
    command.set_defaults(run=export)


def export(options: argparse.Namespace) -> None:
    """Write the files, and say what they are."""
    model = build(options.model, options.checkpoint)
    folder = options.out or export_folder(options.model, model)
    console.print(f'exporting {options.model}: {model.association.description}')
    for file in export_model(model, folder):
        console.print(f'{file}: {file.stat().st_size / 1e6:.1f} MB', markup=False)
