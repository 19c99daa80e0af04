# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A training from its configuration to its weights, in a folder of its own."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
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

import numpy as np
import torch
from torch import distributed
import torchvision

from gtr_ros import __version__
from gtr_ros.evaluation.validation import validate
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.tracking.rules import rule_name
from gtr_ros.training.assembly import make_model
from gtr_ros.training.assembly import make_objective
from gtr_ros.training.assembly import make_source
from gtr_ros.training.calibration import calibrate
from gtr_ros.training.calibration import draw_clips
from gtr_ros.training.config import Config
from gtr_ros.training.loop import Step
from gtr_ros.training.loop import Trainer
from gtr_ros.training.loop import TrainingError

#: what a run's folder holds: what to go on from, the weights to be used, and how it came about
STATE, WEIGHTS, CONFIG, ENVIRONMENT, VALIDATION = (
    'last.pt',
    'model.safetensors',
    'config.json',
    'environment.txt',
    'validation.jsonl',
)

#: keys of a configuration that may change when a run goes on
_MAY_CHANGE = ('validation', 'save_every', 'workers')


@dataclass
class Listener:
    """
    What is told of a training; each does nothing by default.

    :param started: the iteration that it begins after, and how many there are
    :param stepped: each step
    :param validated: the iteration, and what was measured
    """

    started: Callable[[int, int], None] = lambda done, iterations: None
    stepped: Callable[[Step], None] = lambda step: None
    validated: Callable[[int, dict[str, float]], None] = lambda iteration, numbers: None


def train(
    config: Config,
    folder: Path,
    data: Path,
    device: torch.device,
    resume: bool = False,
    listener: Listener = Listener(),
) -> Path:
    """
    Train, and leave the weights in the run's folder; alone or as one of torchrun's processes.

    :param folder: is made; one that holds a run only if it is to go on
    :param data: folder that the configuration's paths are relative to
    :param device: where this process trains
    :param resume: go on with the run in the folder
    :return: the file of the weights
    :raises TrainingError: if it cannot begin or go on
    :raises KeyboardInterrupt: after Ctrl-C, when what to go on from is written
    """
    state = folder / STATE
    if state.is_file() and not resume:
        raise TrainingError(
            f'{folder} holds a training already; go on with it by --resume, or give another --out'
        )
    if resume and not state.is_file():
        raise TrainingError(f'there is nothing to resume in {folder}: it has no {STATE}')
    with _processes(device) as first:
        torch.manual_seed(config.seed)  # what has no weights yet gets random ones
        model = make_model(config, data).to(device)
        # Training changes what it was; it is measured at the end.
        model.association.calibration = Calibration()
        source = make_source(config, model, data)
        trainer = Trainer(
            make_objective(config, model), source, config.schedule, config.seed, config.workers
        )
        if resume:
            _check_same(config, folder)
            trainer.load(state)
        if first:
            _begin(config, folder)
        with _interrupts() as asked, _log(folder if first else None, trainer.iteration) as log:
            listener.started(trainer.iteration, config.schedule.iterations)
            for step in trainer.steps():
                log(step.iteration, {**step.losses, 'rate': step.rate, 'gradient': step.gradient})
                listener.stepped(step)
                stop = asked()
                last = step.iteration == config.schedule.iterations
                if first and last and config.losses.association:
                    # First of all: a run that is killed in here goes on, and measures again.
                    trainer.averaged.association.calibration = calibrate(
                        trainer.averaged, draw_clips(source, config.seed)
                    )
                if first and (last or stop or step.iteration % config.save_every == 0):
                    trainer.save(state)
                    _save_weights(trainer, config, folder)
                if first and (last or step.iteration % config.validation.every == 0):
                    numbers = _validate(trainer, config, folder, data)
                    log(step.iteration, numbers)
                    listener.validated(step.iteration, numbers)
                if stop and not last:
                    raise KeyboardInterrupt
    return folder / WEIGHTS


@contextmanager
def _processes(device: torch.device) -> Iterator[bool]:
    """Join torchrun's processes, if it started this one; give whether this is the first."""
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


@contextmanager
def _interrupts() -> Iterator[Callable[[], bool]]:
    """Give what tells whether Ctrl-C was pressed; pressed twice, it ends the process at once."""
    asked = False
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # in a shell's background job
    if ignored or threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    before = signal.signal(signal.SIGINT, handle)
    try:
        yield lambda: asked
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _log(folder: Path | None, iteration: int) -> Iterator[Callable[[int, dict], None]]:
    """Give what writes numbers for TensorBoard; without a folder it does nothing."""
    if folder is None:
        yield lambda iteration, numbers: None
        return
    from torch.utils.tensorboard import SummaryWriter  # which takes seconds to import

    with SummaryWriter(str(folder), purge_step=iteration + 1) as writer:

        def write(iteration: int, numbers: dict[str, float]) -> None:
            for name, number in numbers.items():
                writer.add_scalar(name.replace(' ', '_'), number, iteration)

        yield write


def _begin(config: Config, folder: Path) -> None:
    """Write what the run is."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / CONFIG).write_text(config.model_dump_json(indent=2) + '\n')
        (folder / ENVIRONMENT).write_text(_environment())
    except OSError as error:
        raise TrainingError(f'cannot write to {folder}: {error.strerror}') from error


def _check_same(config: Config, folder: Path) -> None:
    """Raise TrainingError if the folder's run is not of this configuration."""
    held = json.loads((folder / CONFIG).read_text())
    asked = json.loads(config.model_dump_json())
    other = sorted(k for k in asked if k not in _MAY_CHANGE and held.get(k) != asked[k])
    if other:
        raise TrainingError(
            f'{folder} holds a run of another configuration: {", ".join(other)} differ. Go on '
            f'with that of {folder / CONFIG}, or begin anew with another --out'
        )


def _environment() -> str:
    """Return what the run was made with."""
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
    """Write the weights to be used, with what they are."""
    model = trainer.averaged
    metadata = {
        'model': f'gtr_{config.model}',
        'source': f'gtr train, {trainer.iteration} iterations, gtr_ros {__version__}',
    }
    if config.model == 'mobile':
        metadata |= {
            'association': 'transformer',
            'encoder': 'causal' if model.association.causal else 'full',
            'class_names': json.dumps(model.class_names),
        }
    if trainer.iteration == config.schedule.iterations and config.losses.association:
        metadata |= model.association.calibration.write()
    save_checkpoint(folder / WEIGHTS, model.state_dict(), metadata)


def _validate(trainer: Trainer, config: Config, folder: Path, data: Path) -> dict[str, float]:
    """Measure the weights to be used, and keep what came of it."""
    numbers = validate(trainer.averaged, rule_name(None, config.model), config.validation, data)
    line = json.dumps({'iteration': trainer.iteration, **numbers})
    with (folder / VALIDATION).open('a') as file:
        file.write(line + '\n')
    return numbers
