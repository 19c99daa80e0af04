# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Checkpoints: safetensors files with metadata, which cannot run code when they are loaded.

The published checkpoints are pickles, which could; only tensors and plain values are read from
them.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
import os
from pathlib import Path
import re
import zipfile

import numpy as np
from safetensors import safe_open
from safetensors import SafetensorError
from safetensors.torch import save_file
import torch
from torch import nn
from torch import Tensor

from gtr_ros.file_kinds import describe_file
from gtr_ros.file_kinds import suggest_path
from gtr_ros.files import atomic_write
from gtr_ros.model.official import is_ignored
from gtr_ros.model.official import model_of
from gtr_ros.model.official import our_key
from gtr_ros.model.official import published_key
from gtr_ros.model.registry import model_builder
from gtr_ros.model.registry import MODELS

_scalar = np.float64(0).__reduce__()[0]
#: What a published checkpoint may contain in addition to tensors and builtin types: numpy scalars,
#: by the names of their constructor in old and new numpy. None of these runs code from the file.
_HARMLESS = [
    np.dtype,
    (_scalar, 'numpy.core.multiarray.scalar'),
    (_scalar, 'numpy._core.multiarray.scalar'),
    *(type(np.dtype(code)) for code in '?bBhHiIlLefd'),
]


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message names it and a remedy."""


def save_checkpoint(path: Path, state: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """
    Write a checkpoint atomically: completely or not at all.

    :param path: ends in `.safetensors`; its folder is created
    :param metadata: at least `model` and `source`
    :raises CheckpointError: if the file cannot be written
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as part:
            save_file({k: v.contiguous() for k, v in state.items()}, part, dict(metadata))
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'cannot write {path}: {error}') from error


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """
    Read the weights and metadata of a checkpoint.

    :return: tensors by name, on the CPU; metadata
    :raises CheckpointError: if the file is missing or not a safetensors file
    """
    if not path.is_file():
        raise CheckpointError(f'no checkpoint at {path}{suggest_path(path)}')
    try:
        with safe_open(path, framework='pt') as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(f'{path} is not a safetensors file{_reason(path, error)}') from error


def fit(module: nn.Module, state: Mapping[str, Tensor], source: object) -> None:
    """
    Load weights into a module; names and shapes must match the module's exactly.

    :param source: of the weights, for the message
    :raises CheckpointError: lists what is missing, unexpected or of another shape, or not a number
    """
    own = module.state_dict()
    if differences := _differences(own, state):
        raise CheckpointError(f'{source} does not fit {type(module).__name__}. {differences}')
    if broken := sorted(key for key, values in state.items() if not values.isfinite().all()):
        raise CheckpointError(
            f'{source} has weights that are not finite numbers: {", ".join(broken)}. It is '
            'damaged, or its training diverged: use an earlier checkpoint'
        )
    module.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})


def _differences(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """List what is missing, unexpected or of another shape; an empty string if everything fits."""
    shapes = [
        f'{key} is {tuple(state[key].shape)}, expected {tuple(own[key].shape)}'
        for key in own.keys() & state.keys()
        if own[key].shape != state[key].shape
    ]
    differences = {
        'missing': sorted(own.keys() - state.keys()),
        'unexpected': sorted(state.keys() - own.keys()),
        'of another shape': sorted(shapes),
    }
    return '; '.join(f'{k}: {", ".join(v)}' for k, v in differences.items() if v)


def load_official(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """
    Read a checkpoint that the authors of GTR published, in detectron2's format (`.pth`).

    :return: the weights by their names in `gtr_mot` or `gtr_tao`, on the CPU; metadata: `model`
        (which of the two), `source` and `source_sha256`
    :raises CheckpointError: if the file is missing or not such a checkpoint, if reading it would
        run code, or if it does not fit: lists what is missing, unexpected or of another shape,
        by published names
    """
    path = Path(path)
    published = {key: value for key, value in _unpickle(path).items() if not is_ignored(key)}
    prefixes = {name: spec.published_prefix for name, spec in MODELS.items()}
    name = model_of(published, prefixes)
    if name is None:
        raise CheckpointError(
            f'{path} is a checkpoint of neither GTR_MOT_FPN, GTR_MOTFull_FPN nor GTR_TAO_DR2101; '
            f'it begins with {", ".join(list(published)[:3]) or "nothing"}'
        )
    with torch.device('meta'):  # only names and shapes are needed
        own = model_builder(name)().state_dict()
    if differences := _differences({published_key(k): v for k, v in own.items()}, published):
        raise CheckpointError(f'{path} does not fit gtr_{name}. {differences}')
    state = {our_key(key): value for key, value in published.items()}
    source = f'{path.name}, published by the authors of GTR'
    return state, {'model': f'gtr_{name}', 'source': source, 'source_sha256': _sha256(path)}


def _unpickle(path: Path) -> dict[str, Tensor]:
    """Return the weights in a detectron2 checkpoint; everything else in it is ignored."""
    if not path.is_file():
        raise CheckpointError(f'no checkpoint at {path}{suggest_path(path)}')
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        if code := re.search(r'GLOBAL (\S+)', str(error)):
            raise CheckpointError(
                f'{path} would run {code[1]} when read, and is therefore refused: a checkpoint '
                'needs only tensors and plain values. Download the file from the authors'
            ) from error
        kind = describe_file(path)
        # Files of torch are zip archives.
        held = f' but {kind}' if kind and 'zip' not in kind else ', or it is damaged'
        raise CheckpointError(
            f'{path} is not a checkpoint written by torch{held}; download it again '
            'from the authors'
        ) from error
    weights = content.get('model') if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{path} has no tensors under 'model', as detectron2's files do")
    return weights


def _reason(path: Path, error: Exception) -> str:
    """Return why a file cannot be read as safetensors."""
    if zipfile.is_zipfile(path):
        return (
            ' but one of torch: the published ones end in .pth; convert others with '
            '`safetensors.torch.save_file(torch.load(FILE, weights_only=True), ...)`'
        )
    kind = describe_file(path)
    known = kind and 'safetensors' not in kind
    return f' but {kind}' if known else f', or it is damaged: {error}'


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
