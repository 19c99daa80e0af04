# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Runs training from a configuration to weights, in a folder."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
import json
import os
from pathlib import Path
import platform
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import distributed
import torchvision

from gtr_ros import __version__
from gtr_ros.data.stills.still import Still
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import model_spec
from gtr_ros.training.assembly import make_model
from gtr_ros.training.assembly import make_objective
from gtr_ros.training.assembly import make_source
from gtr_ros.training.calibration import calibrate
from gtr_ros.training.calibration import draw_clips
from gtr_ros.training.checking import check_sequences
from gtr_ros.training.checking import decode_all
from gtr_ros.training.checking import OnCheck
from gtr_ros.training.checking import stills_of
from gtr_ros.training.checking import validation_stills
from gtr_ros.training.config import Config
from gtr_ros.training.loop import Step
from gtr_ros.training.loop import Trainer
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.stored import OnStore
from gtr_ros.training.stored import store_clips
from gtr_ros.training.stored import StoredObjective

#: files of a run's folder: state to resume from, resulting weights, and their provenance
STATE, WEIGHTS, CONFIG, ENVIRONMENT, VALIDATION = (
    'last.pt',
    'model.safetensors',
    'config.json',
    'environment.txt',
    'validation.jsonl',
)

#: keys of a configuration that may change when a run is resumed
_MAY_CHANGE = ('validation', 'save_every', 'workers', 'schedule.iterations')

_NAMED = 4  # keys named in a message


@dataclass
class Callbacks:
    """
    Callbacks of a training run; by default, they do nothing.

    :param on_check: called with the number of images checked before the first step, and of all
    :param on_store: called with the number of clips stored, and of all
    :param on_start: called with the number of iterations already done, and in total
    :param on_step: called after each step
    :param on_calibration: called before the calibration, which follows the last step
    :param on_validation: called with the iteration and the metrics by name
    """

    on_check: OnCheck = lambda done, total: None
    on_store: OnStore = lambda done, total: None
    on_start: Callable[[int, int], None] = lambda done, iterations: None
    on_step: Callable[[Step], None] = lambda step: None
    on_calibration: Callable[[], None] = lambda: None
    on_validation: Callable[[int, dict[str, float]], None] = lambda iteration, metrics: None


def train(
    config: Config,
    folder: Path,
    data: Path,
    device: torch.device,
    resume: bool = False,
    callbacks: Callbacks = Callbacks(),
    validate: Callable[[GTR], dict[str, float]] | None = None,
) -> Path:
    """
    Train a model, in a single process or as one of torchrun's processes.

    :param folder: of the run; created if necessary; may contain a run only with `resume`
    :param data: folder that the configuration's paths are relative to
    :param device: for this process
    :param resume: continue the run in the folder
    :param callbacks: called in the course of training
    :param validate: measures the weights that are saved, and returns metrics by name; None: no
        validation
    :return: the file of the weights
    :raises TrainingError: if training cannot start or continue
    :raises KeyboardInterrupt: after Ctrl-C, once the state to resume from is written
    """
    state = folder / STATE
    if state.is_file() and not resume:
        raise TrainingError(
            f'{folder} already contains a run; continue it with --resume, or choose another --out'
        )
    if resume and not state.is_file():
        raise TrainingError(f'nothing to resume in {folder}: it has no {STATE}')
    if resume:
        _check_same(config, folder)
    with _process_group(device) as first:
        torch.manual_seed(config.seed)  # for the initialisation of weights
        model = make_model(config, data).to(device)
        # The calibration of the initial weights no longer applies; it is measured anew at the end.
        model.association.calibration = Calibration()
        source = make_source(config, model, data)
        check_sequences(source)
        stills = [*stills_of(source), *validation_stills(config, data, model.class_names)]
        decode_all(_share(stills), callbacks.on_check)
        objective, clips = make_objective(config, model), source
        if config.stored is not None:
            place = (
                folder / 'stored' if config.stored.folder is None else data / config.stored.folder
            )
            count, workers = config.stored.clips, config.workers
            clips = store_clips(
                objective, source, config.seed, count, place, workers, callbacks.on_store
            )
            objective = StoredObjective(objective)
        trainer = Trainer(objective, clips, config.schedule, config.seed, config.workers)
        if resume:
            trainer.load(state)
            if trainer.iteration > config.schedule.iterations:
                raise TrainingError(
                    f'{folder} has already done {trainer.iteration} iterations; '
                    f'schedule.iterations is {config.schedule.iterations}, expected at least as '
                    'many'
                )
        if first:
            _write_description(config, folder)
        with (
            _interrupts() as interrupted,
            _tensorboard(folder if first else None, trainer.iteration) as log,
        ):
            callbacks.on_start(trainer.iteration, config.schedule.iterations)
            for step in trainer.steps():
                log(step.iteration, {**step.losses, 'rate': step.rate, 'gradient': step.gradient})
                callbacks.on_step(step)
                stop = interrupted()
                last = step.iteration == config.schedule.iterations
                if first and last and config.losses.links:
                    # Calibrate before saving, so that a run killed during calibration repeats it
                    # when resumed.
                    callbacks.on_calibration()
                    trainer.averaged.association.calibration = calibrate(
                        trainer.averaged, draw_clips(source, config.seed)
                    )
                if first and (last or stop or step.iteration % config.save_every == 0):
                    trainer.save(state)
                    _save_weights(trainer, config, folder)
                if first and (last or step.iteration % config.validation.every == 0):
                    metrics = validate(trainer.averaged) if validate else {}
                    _append_metrics(folder, step.iteration, metrics)
                    log(step.iteration, metrics)
                    callbacks.on_validation(step.iteration, metrics)
                if stop and not last:
                    raise KeyboardInterrupt
    return folder / WEIGHTS


@contextmanager
def _process_group(device: torch.device) -> Iterator[bool]:
    """Join torchrun's process group, if there is one; yield whether this is its first process."""
    if 'WORLD_SIZE' not in os.environ:
        yield True
        return
    if device.type == 'cuda':
        torch.cuda.set_device(device)
    distributed.init_process_group('nccl' if device.type == 'cuda' else 'gloo')
    try:
        yield distributed.get_rank() == 0
    finally:
        distributed.destroy_process_group()


def _share(stills: Sequence[Still]) -> Sequence[Still]:
    """Return the images that this process checks; torchrun's processes share the work."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return stills
    return stills[distributed.get_rank() :: distributed.get_world_size()]


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed; a second Ctrl-C raises at once."""
    interrupted = False
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # in a background job of a shell
    if ignored or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: interrupted
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _tensorboard(folder: Path | None, iteration: int) -> Iterator[Callable[[int, dict], None]]:
    """Yield a function that logs values to TensorBoard; without a folder it does nothing."""
    if folder is None:
        yield lambda iteration, values: None
        return
    from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

    with SummaryWriter(str(folder), purge_step=iteration + 1) as writer:

        def write(iteration: int, values: dict[str, float]) -> None:
            for name, value in values.items():
                writer.add_scalar(name.replace(' ', '_'), value, iteration)

        yield write


def _write_description(config: Config, folder: Path) -> None:
    """Write the configuration and the environment of the run."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(config.model_dump_json(indent=2) + '\n')
        (folder / ENVIRONMENT).write_text(_environment())
    except OSError as error:
        raise TrainingError(f'cannot write to {folder}: {error.strerror}') from error


def _check_same(config: Config, folder: Path) -> None:
    """Raise TrainingError if the run in the folder has another configuration."""
    file = folder / CONFIG
    try:
        before = Config.model_validate_json(file.read_text())
    except ValueError as error:
        raise TrainingError(
            f'{file} is not a configuration of this version of gtr_ros; choose another --out'
        ) from error
    there, here = (_flatten(c.model_dump(mode='json')) for c in (before, config))
    keys = [
        key
        for key in dict.fromkeys((*there, *here))
        if there.get(key, _ABSENT) != here.get(key, _ABSENT)
        and not any(key == name or key.startswith(f'{name}.') for name in _MAY_CHANGE)
    ]
    if keys:
        parts = list(dict.fromkeys(key.partition('.')[0] for key in keys))
        values = '; '.join(
            f'{key} is {there.get(key, _ABSENT)!r} there, and {here.get(key, _ABSENT)!r} now'
            for key in keys[:_NAMED]
        )
        more = f'; and {len(keys) - _NAMED} more' if len(keys) > _NAMED else ''
        raise TrainingError(
            f'{folder} contains a run of another configuration: {", ".join(parts)} '
            f'differ{"s" if len(parts) == 1 else ""}: {values}{more}. Resume with the '
            f'configuration in {file}, or choose another --out'
        )


class _Absent:
    def __repr__(self) -> str:
        return 'absent'


_ABSENT = _Absent()


def _flatten(value: Any, prefix: str = '') -> dict[str, Any]:
    """Return the values of nested dictionaries and lists by their keys, such as clips.0.weight."""
    parts = value if isinstance(value, dict) else dict(enumerate(value))
    flat: dict[str, Any] = {}
    for key, part in parts.items():
        if isinstance(part, dict | list) and part:
            flat |= _flatten(part, f'{prefix}{key}.')
        else:
            flat[f'{prefix}{key}'] = part
    return flat


def _environment() -> str:
    """Return the run's command, versions, commit and machine, one per line."""
    commit = subprocess.run(
        ['git', 'describe', '--always', '--dirty', '--abbrev=40'],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = {
        'command': ' '.join(sys.argv),
        'gtr_ros': __version__,
        'commit': commit.stdout.strip() or 'not a git checkout',
        'python': platform.python_version(),
        'torch': torch.__version__,
        'torchvision': torchvision.__version__,
        'numpy': np.__version__,
        'system': platform.platform(),
        'threads': str(torch.get_num_threads()),
        'processes': os.environ.get('WORLD_SIZE', '1'),
        'GPU': torch.cuda.get_device_name() if torch.cuda.is_available() else 'none',
    }
    return ''.join(f'{key}: {value}\n' for key, value in lines.items())


def _save_weights(trainer: Trainer, config: Config, folder: Path) -> None:
    """Write the resulting weights with their metadata."""
    model = trainer.averaged
    metadata = {
        'model': f'gtr_{config.model}',
        'source': f'gtr train, {trainer.iteration} iterations, gtr_ros {__version__}',
    }
    if model_spec(config.model).custom_classes:
        metadata |= {
            'association': 'transformer',
            'encoder': 'causal' if model.association.causal else 'full',
            'class_names': json.dumps(model.class_names),
        }
    if trainer.iteration == config.schedule.iterations and config.losses.links:
        metadata |= model.association.calibration.write()
    save_checkpoint(folder / WEIGHTS, model.state_dict(), metadata)


def _append_metrics(folder: Path, iteration: int, metrics: dict[str, float]) -> None:
    """Append the metrics of a validation to the run's file."""
    with (folder / VALIDATION).open('a') as file:
        file.write(json.dumps({'iteration': iteration, **metrics}) + '\n')
