# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in files: safetensors with a block of metadata, which cannot run code when loaded."""

from __future__ import annotations

from collections.abc import Mapping
import os
from pathlib import Path

from safetensors import safe_open
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from torch import Tensor


class CheckpointError(ValueError):
    """Weights that cannot be read or do not fit; the message names the file and the way out."""


def cache_directory() -> Path:
    """Return the user's cache of this package, `$XDG_CACHE_HOME/gtr_ros` or `~/.cache/gtr_ros`."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'gtr_ros'


def default_checkpoint(model: str) -> Path:
    """Return where the weights of 'mobile', 'mot' or 'tao' lie in the user's cache, if they do."""
    return cache_directory() / f'gtr_{model}.safetensors'


def save_checkpoint(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """
    Write weights whole or not at all.

    :param path: ends in `.safetensors`; its folder is made
    :param metadata: what the weights are: `model` and `source` at least
    :raises CheckpointError: if the file cannot be written
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f'{path.name}.{os.getpid()}.part')
        try:
            save_file({k: v.contiguous() for k, v in state.items()}, part, dict(metadata))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'cannot write {path}: {error}') from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """
    Read weights and metadata.

    :return: tensors by name, on the CPU; metadata
    :raises CheckpointError: if the file is missing or no safetensors file
    """
    if not path.is_file():
        raise CheckpointError(f'no checkpoint at {path}')
    try:
        with safe_open(path, framework='pt') as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'{path} is no safetensors file, or is damaged: {error}') from error


def fit(module: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """
    Load weights that must be exactly the module's.

    :param source: where they are from, for the message
    :raises CheckpointError: with what is missing, unexpected and of another shape
    """
    own = module.state_dict()
    shapes = [
        f'{key} is {tuple(state[key].shape)}, needs {tuple(own[key].shape)}'
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]
    complaints = {
        'missing': sorted(own.keys() - state.keys()),
        'unexpected': sorted(state.keys() - own.keys()),
        'of another shape': sorted(shapes),
    }
    if any(complaints.values()):
        lists = '; '.join(f'{k}: {", ".join(v)}' for k, v in complaints.items() if v)
        raise CheckpointError(f'{source} does not fit {type(module).__name__}. {lists}')
    module.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})
