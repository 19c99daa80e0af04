# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Training with a frozen detector: its maps are pooled once for each clip and stored in files.

Head and transformer are then trained on the stored clips, in minutes instead of hours.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from hashlib import sha256
import json
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.torch import save_file
import torch
from torch import distributed
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Subset

from gtr_ros.files import atomic_write
from gtr_ros.training.association_loss import Assignment
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.loop import NumberedClips
from gtr_ros.training.loop import usable
from gtr_ros.training.objective import Objective
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.pooled import PooledClip

#: called with the number of clips stored, and of all
OnStore = Callable[[int, int], None]

_KEY = 'key.txt'


class StoredClips:
    """
    A source of stored clips, each as likely as any other.

    :param folder: see `store_clips`
    :param count: number of clips in it
    """

    def __init__(self, folder: Path, count: int) -> None:
        self.folder = folder
        self.count = count

    def __call__(self, rng: np.random.Generator) -> PooledClip:
        """Read a clip."""
        return read_clip(_file(self.folder, int(rng.integers(self.count))))


class StoredObjective(Objective):
    """
    The losses of head and transformer on stored clips; the detector is not run.

    :param objective: of the model, whose weights and options are used
    """

    def __init__(self, objective: Objective) -> None:
        super().__init__(
            objective.model,
            objective.association_weight,
            objective.association_options,
            objective.embedding_weight,
        )

    def forward(self, clips: Sequence[PooledClip]) -> dict[str, Tensor]:
        """Return `association` and `embedding`, without those of weight 0."""
        device = self.model.device
        return self.association_losses([clip.to(device) for clip in clips])


def store_clips(
    objective: Objective,
    source: ClipSource,
    seed: int,
    count: int,
    folder: Path,
    workers: int = 0,
    on_store: OnStore = lambda done, total: None,
) -> StoredClips:
    """
    Pool the first clips of a training run, and write them to files, except those already there.

    :param objective: computes the pooled maps, see `Objective.pool`
    :param source: of the clips
    :param seed: of the training run
    :param count: number of clips
    :param folder: of the files; is created
    :param workers: number of processes that create clips
    :raises TrainingError: if a clip cannot be created, or the folder has clips of another detector
    """
    if distributed.is_available() and distributed.is_initialized():
        raise TrainingError(
            'stored clips are for training in one process; run it without torchrun'
        )
    _claim(folder, objective, seed)
    missing = [number for number in range(count) if not _file(folder, number).is_file()]
    loader = DataLoader(
        Subset(NumberedClips(source, seed), missing),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    objective.model.eval()
    done = count - len(missing)
    on_store(done, count)
    for number, clip in zip(missing, loader):
        torch.manual_seed(int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))
        [pooled] = objective.pool(usable([clip]))
        write_clip(_file(folder, number), pooled)
        done += 1
        on_store(done, count)
    return StoredClips(folder, count)


def write_clip(file: Path, clip: PooledClip) -> None:
    """
    Write a clip, its maps as float16.

    :raises TrainingError: if it cannot be written
    """
    tensors = {
        'maps': clip.maps.half(),
        'boxes': clip.boxes,
        'counts': torch.tensor(clip.counts),
        'targets': clip.assignment.targets,
        'queries': clip.assignment.queries,
        'ids': clip.ids,
    }
    tensors = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    try:
        with atomic_write(file) as part:
            save_file(tensors, part, {'pool': clip.pool, 'source': clip.source})
    except OSError as error:
        raise TrainingError(f'cannot write {file}: {error.strerror}; free disk space') from error


def read_clip(file: Path) -> PooledClip:
    """
    Read a clip, its maps as float32.

    :raises ValueError: if it cannot be read
    """
    try:
        with safe_open(file, 'pt') as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            origin = stored.metadata()
        return PooledClip(
            maps=tensors['maps'].float(),
            boxes=tensors['boxes'],
            counts=tuple(tensors['counts'].tolist()),
            assignment=Assignment(tensors['targets'], tensors['queries']),
            ids=tensors['ids'],
            pool=origin['pool'],
            source=origin['source'],
        )
    except Exception as error:  # a damaged file may raise anything
        raise ValueError(f'{file} is not a stored clip ({error}); remove it') from error


def _file(folder: Path, number: int) -> Path:
    return folder / f'{number:06}.safetensors'


def _claim(folder: Path, objective: Objective, seed: int) -> None:
    """Create the folder, or check that its clips are of the same detector and seed."""
    digest = sha256()
    for name, tensor in sorted(objective.model.detector.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    size = objective.model.pool_size
    key = json.dumps({'detector': digest.hexdigest()[:16], 'pool_size': size, 'seed': seed})
    file = folder / _KEY
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.is_file():
            file.write_text(key)
        there = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f'cannot use {folder} for stored clips: {error}') from error
    if there != key:
        raise TrainingError(
            f'{folder} has clips of another detector or seed: {there} there, {key} now; choose '
            'another folder, or remove it'
        )
