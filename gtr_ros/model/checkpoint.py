# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Weights in files: safetensors with a block of metadata, which cannot run code when loaded.

The authors' own files are pickles, which could; of these only tensors and plain values are read.
"""

from __future__ import annotations

from collections.abc import Mapping
import hashlib
from importlib import resources
import os
from pathlib import Path
import re

import numpy as np
from safetensors import safe_open
from safetensors import SafetensorError
from safetensors.torch import save_file
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.official import is_ignored
from gtr_ros.model.official import model_of
from gtr_ros.model.official import our_key
from gtr_ros.model.official import published_key

_scalar = np.float64(0).__reduce__()[0]
#: What a checkpoint may hold beside tensors and Python's own values: numpy's numbers, under the
#: names that old and new numpy give their maker. None of it runs code of the file.
_HARMLESS = [
    np.dtype,
    (_scalar, 'numpy.core.multiarray.scalar'),
    (_scalar, 'numpy._core.multiarray.scalar'),
    *(type(np.dtype(code)) for code in '?bBhHiIlLefd'),
]


class CheckpointError(ValueError):
    """Weights that cannot be read or do not fit; the message names the file and the way out."""


def cache_directory() -> Path:
    """Return the user's cache of this package, `$XDG_CACHE_HOME/gtr_ros` or `~/.cache/gtr_ros`."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'gtr_ros'


def cached_checkpoint(model: str) -> Path:
    """Return where the weights of 'mobile', 'mot' or 'tao' lie in the user's cache, if they do."""
    return cache_directory() / f'gtr_{model}.safetensors'


def default_checkpoint(model: str) -> Path:
    """Return the weights of a model where a user gives none: those that come along, or cached."""
    shipped = Path(str(resources.files('gtr_ros.weights'))) / f'gtr_{model}.safetensors'
    return shipped if shipped.is_file() else cached_checkpoint(model)


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
    complaints = _complaints(own, state)
    if complaints:
        raise CheckpointError(f'{source} does not fit {type(module).__name__}. {complaints}')
    module.load_state_dict({k: v.to(own[k].dtype) for k, v in state.items()})


def _complaints(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """List what is missing, unexpected and of another shape; an empty string if nothing is."""
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
    return '; '.join(f'{k}: {", ".join(v)}' for k, v in complaints.items() if v)


def load_official(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """
    Read weights that the authors published, a detectron2 checkpoint (`.pth`).

    :return: tensors by the names of `gtr_mot` or `gtr_tao`, on the CPU; metadata: `model`, which
        of the two it is, `source` and `source_sha256`
    :raises CheckpointError: if the file is missing or no such checkpoint, if reading it would run
        code, or with what is missing, unexpected and of another shape, by its published names
    """
    from gtr_ros.model.build import MODELS  # which reads checkpoints itself

    path = Path(path)
    published = {key: value for key, value in _unpickle(path).items() if not is_ignored(key)}
    name = model_of(published)
    if name is None:
        raise CheckpointError(
            f'{path} is a checkpoint of neither GTR_MOT_FPN, GTR_MOTFull_FPN nor GTR_TAO_DR2101; '
            f'it begins with {", ".join(list(published)[:3]) or "nothing"}'
        )
    with torch.device('meta'):  # names and shapes, no memory
        own = MODELS[name]().state_dict()
    complaints = _complaints({published_key(k): v for k, v in own.items()}, published)
    if complaints:
        raise CheckpointError(f'{path} does not fit gtr_{name}. {complaints}')
    state = {our_key(key): value for key, value in published.items()}
    source = f'{path.name}, published by the authors of GTR'
    return state, {'model': f'gtr_{name}', 'source': source, 'source_sha256': _sha256(path)}


def _unpickle(path: Path) -> dict[str, Tensor]:
    """Return the weights in a detectron2 checkpoint, whatever else it holds."""
    if not path.is_file():
        raise CheckpointError(f'no checkpoint at {path}')
    try:
        with torch.serialization.safe_globals(_HARMLESS):
            content = torch.load(path, map_location='cpu', weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        if code := re.search(r'GLOBAL (\S+)', str(error)):
            raise CheckpointError(
                f'{path} would have to run {code[1]} to be read, and is refused: weights need '
                'tensors and plain values only. Take the file from where the authors publish it'
            ) from error
        raise CheckpointError(
            f'{path} is no checkpoint that torch wrote, or is damaged; take it again from where '
            'the authors publish it'
        ) from error
    weights = content.get('model') if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{path} has no tensors under 'model', as detectron2's files do")
    return weights


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
