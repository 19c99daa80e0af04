# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tries a training without training: all data are checked, and one batch is computed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import time

import torch

from gtr_ros.training.assembly import make_model
from gtr_ros.training.assembly import make_objective
from gtr_ros.training.assembly import make_source
from gtr_ros.training.checking import check_sequences
from gtr_ros.training.checking import decode_all
from gtr_ros.training.checking import OnCheck
from gtr_ros.training.checking import stills_of
from gtr_ros.training.checking import validation_stills
from gtr_ros.training.config import Config
from gtr_ros.training.loop import Trainer


def check_training(
    config: Config,
    data: Path,
    device: torch.device,
    on_check: OnCheck = lambda done, total: None,
) -> Iterator[str]:
    """
    Build everything that a training needs, and compute the losses and gradients of one batch.

    Nothing is written, except the digests of images that can be used.

    :param data: folder that the configuration's paths are relative to
    :param on_check: called with the number of images checked, and of all
    :return: yields lines that describe what was found
    :raises ValueError: if the training could not start
    """
    torch.manual_seed(config.seed)
    model = make_model(config, data).to(device)
    parameters = sum(p.numel() for p in model.parameters())
    names = model.class_names
    shown = ', '.join(names[:8]) + (f' and {len(names) - 8} more' if len(names) > 8 else '')
    yield (
        f'model: {config.model}, {parameters / 1e6:.1f} million parameters, on {device}, '
        f'{len(names)} classes: {shown}'
    )
    source = make_source(config, model, data)
    stills, videos = stills_of(source), check_sequences(source)
    validation = validation_stills(config, data, names)
    modes = decode_all([*stills, *validation], on_check, again=True)
    if stills:
        yield f'training images: {_describe(stills)}'
    if videos:
        yield f'training videos: {videos}'
    if validation:
        yield f'validation images: {_describe(validation)}'
    if modes:
        counts = ', '.join(f'{count} {mode}' for mode, count in modes.most_common())
        yield f'all images can be read; modes: {counts}'
    trainer = Trainer(make_objective(config, model), source, config.schedule, config.seed, 0)
    begin = time.monotonic()
    losses = trainer.try_batch()
    seconds = time.monotonic() - begin
    values = ', '.join(f'{name} {value:.3f}' for name, value in losses.items())
    memory = ''
    if device.type == 'cuda':
        memory = f', {torch.cuda.max_memory_allocated(device) / 1e9:.1f} GB of GPU memory'
    yield (
        f'one batch of {config.schedule.batch} clips: {values} ({seconds:.1f} s{memory}); '
        f'the training has {config.schedule.iterations} such steps'
    )


def _describe(stills: list) -> str:
    """Return numbers of images and boxes, and the boxes that were left out."""
    boxes = sum(len(still.boxes) for still in stills)
    empty = sum(not len(still.boxes) for still in stills)
    text = f'{len(stills)} with {boxes} boxes'
    if empty:
        text += f', {empty} of them without a box'
    dropped = [still for still in stills if still.dropped]
    if dropped:
        count = sum(still.dropped for still in dropped)
        text += (
            f'; {count} boxes with a side below one pixel are left out, the first in '
            f'{dropped[0].file.name}'
        )
    return text
