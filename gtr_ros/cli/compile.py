# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr compile`: build what is slow to build before a node needs it."""

from __future__ import annotations

import argparse
from pathlib import Path
import re
from time import perf_counter

from gtr_ros.cli.arguments import add_options
from gtr_ros.cli.arguments import options_of
from gtr_ros.cli.console import console
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.process import sleep_soon

_OPTIONS = (
    'model',
    'checkpoint',
    'device',
    'runtime',
    'precision',
    'provider',
    'exported',
    'input_size',
    'threads',
)


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `compile` to the commands."""
    command = commands.add_parser(
        'compile',
        help='compile a model for the sizes of cameras, so that a node has nothing to compile',
        description='Compile the network, or build its TensorRT engines (runtime onnxruntime), '
        "for sizes of images, and keep the result in the user's cache. A node with compile true, "
        'or with that runtime, takes it at once. The options must be those of the node; on a CPU '
        'also the number of threads.',
    )
    command.add_argument(
        '--size',
        action='append',
        type=_size,
        required=True,
        metavar='WIDTHxHEIGHT',
        help="of a camera's images, pixels, such as 1920x1080; can be repeated",
    )
    command.add_argument(
        '--batch',
        action='append',
        type=int,
        metavar='N',
        help='number of images at a time, for a GPU with several cameras; can be repeated '
        '(default: 1)',
    )
    add_options(command, ModelOptions, _OPTIONS)
    command.set_defaults(run=compile_networks)


def compile_networks(options: argparse.Namespace) -> None:
    """Compile for each size, and print what was built, where, and how long it took."""
    batches = options.batch or [1]
    if min(batches) < 1:
        raise ValueError(f'--batch is {min(batches)}; expected 1 or more')
    torch_form = options.runtime in ('auto', 'torch')
    settings = ModelOptions(**options_of(options, ModelOptions), compile=torch_form)
    sleep_soon()  # before torch, as the node
    keep_freed_memory()
    # Imported here: `gtr compile --help` does not need torch.
    import numpy as np

    from gtr_ros.model.registry import RANDOM
    from gtr_ros.runtime.loading import load_model

    if settings.checkpoint == RANDOM:
        raise ValueError('random weights differ in each process: nothing compiled could be kept')
    model = load_model(settings, lambda line: console.print(line, markup=False))
    network = getattr(model.detector, 'faster', None)
    if network is None:
        raise ValueError(
            f'there is nothing to build for runtime {options.runtime} and provider '
            f'{options.provider} on this machine: it runs any size at once'
        )
    for width, height in options.size:
        for batch in batches:
            images = [np.zeros((height, width, 3), np.uint8)] * batch
            size = tuple(model.detector.prepare(images, model.device).pixels.shape)
            begin = perf_counter()
            network.prepare(size)
            console.print(
                f'{width} x {height}, batch {batch}: {_describe(network.file(size))}, '
                f'{perf_counter() - begin:.0f} s',
                markup=False,
            )


def _size(text: str) -> tuple[int, int]:
    """Parse 1920x1080 as (width, height)."""
    match = re.fullmatch(r'([1-9]\d{0,4})x([1-9]\d{0,4})', text)
    if match is None:
        raise argparse.ArgumentTypeError(
            f'{text!r} is no size; expected width and height in pixels, such as 1920x1080'
        )
    return int(match[1]), int(match[2])


def _describe(path: Path) -> str:
    files = path.iterdir() if path.is_dir() else [path]
    return f'{path} ({sum(file.stat().st_size for file in files) / 1e6:.1f} MB)'
