# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which runtime is the fastest on this machine: measured once, kept in the user's cache."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
import hashlib
import importlib.metadata
from importlib.util import find_spec
import json
import os
from pathlib import Path
from time import perf_counter

import numpy as np
from PIL import Image
import torch
from torch import Tensor

from gtr_ros.files import atomic_write
from gtr_ros.files import cache_directory
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import FORCED
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.options import RUNTIMES
from gtr_ros.model.registry import resolve
from gtr_ros.parsing import parse_json
from gtr_ros.runtime.export import detector_fingerprint
from gtr_ros.runtime.export import export_detector
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.machine import cores
from gtr_ros.runtime.machine import processor
from gtr_ros.runtime.switching import Network
from gtr_ros.runtime.torch_runtime import tune

#: runtimes that `auto` compares with torch; their package has the same name
OTHERS = ('openvino', 'onnxruntime')
#: height and width of the image that is measured: that of many cameras
IMAGE = (480, 640)

_FORMAT = 1  # incremented when choices are made in another way
_SECONDS, _MOST_ROUNDS, _FEWEST_ROUNDS, _WARM_UP = 1.5, 40, 3, 2
_TOLERANCE = 1e-3  # of an output, relative to its largest absolute value
_GAIN = 1.05  # times as fast as torch another runtime must be to be worth its memory
_BUSY = 1.5  # waiting programs per core above which a measurement is not kept


@dataclass(frozen=True)
class Choice:
    """
    The runtime to take.

    :param runtime: one of `gtr_ros.model.options.RUNTIMES`
    :param milliseconds: of the network for one image in each runtime, by name
    :param problems: why a runtime was passed over, by name
    :param kept: whether later starts take it without measuring
    :raises TypeError: if times or problems have other types
    """

    runtime: str
    milliseconds: dict[str, float] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    kept: bool = True

    def __post_init__(self) -> None:
        for name, kind in (('milliseconds', float), ('problems', str)):
            values = getattr(self, name)
            if not isinstance(values, dict) or not all(
                isinstance(value, kind) for value in values.values()
            ):
                raise TypeError(f'{name} is {values!r}; expected a {kind.__name__} per runtime')

    def __str__(self) -> str:
        times = [f'{name} {time:.1f} ms' for name, time in self.milliseconds.items()]
        text = f'runtime {self.runtime}'
        if times:
            text += f', measured here for the network of one image: {", ".join(times)}'
        for name, problem in self.problems.items():
            text += f'; {name} is passed over: {problem}'
        if not self.kept:
            text += '; other programs used the cores, so the next start measures again'
        return text


@dataclass(frozen=True)
class Question:
    """
    What a choice is made for.

    :param names: of the runtimes to compare with torch
    :param file: the exported detector; it may not exist yet
    :param mark: fingerprint in the file
    :param key: digest of everything that the choice depends on
    :param title: of the choice's file in the cache
    :param own: whether the file belongs to `auto`, which then may write it
    :param size: shape of the input that is measured, (B, 3, H, W)
    """

    names: tuple[str, ...]
    file: Path
    mark: str
    key: str
    title: str
    own: bool
    size: tuple[int, ...]

    @classmethod
    def about(cls, model: GTR, options: ModelOptions) -> Question:
        """
        Return the question for a model.

        :param model: as `build` returns it, not yet tuned: that changes the weights
        """
        forced = os.environ.get(FORCED, '')
        names = (forced,) if forced in OTHERS else installed()
        mark, size = detector_fingerprint(model.detector), tuple(_sample(model).shape)
        conditions = {
            'format': _FORMAT,
            'processor': processor(),
            'cores': cores(),
            'threads': torch.get_num_threads(),
            'versions': {name: _version(name) for name in ('torch', *names)},
            'weights': mark,
            'size': size,
            'forced': forced,
        }
        key = hashlib.sha256(json.dumps(conditions).encode()).hexdigest()[:16]
        title = f'{options.model}-{key}'
        if options.exported:
            folder = Path(options.exported).expanduser()
            mark = fingerprint(model)
            return cls(names, folder / 'detector.onnx', mark, key, title, False, size)
        folder = cache_directory() / 'onnx'
        file = folder / f'{options.model}_detector-{mark[:12]}.onnx'
        return cls(names, file, mark, key, title, True, size)

    @property
    def path(self) -> Path:
        """The file of the choice in the user's cache."""
        return cache_directory() / 'runtimes' / f'{self.title}.json'

    def answer(self) -> Choice | None:
        """Return the choice that was made before; None if there is none, or its file is gone."""
        try:
            choice = Choice(**parse_json(self.path.read_text()))
        except (OSError, ValueError, TypeError):  # it is gone, or damaged
            return None
        if choice.runtime not in ('torch', *self.names):
            return None
        return choice if choice.runtime == 'torch' or self.file.is_file() else None

    def keep(self, choice: Choice) -> None:
        """Write the choice to the cache, if that is possible."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(self.path) as part:
                part.write_text(json.dumps(asdict(choice), indent=1))
        except OSError:
            pass  # the next start measures again

    def open(self, runtime: str) -> Network:
        """
        Open the exported detector in a runtime.

        :raises ValueError: if the runtime or the file cannot be used
        """
        return resolve(RUNTIMES[runtime])().network(self.file, self.mark)


def installed() -> tuple[str, ...]:
    """Return the names of the other runtimes that are installed."""
    return tuple(name for name in OTHERS if find_spec(name))


def choose(
    model: GTR, question: Question, keep: bool | None = None
) -> tuple[Choice, Network | None]:
    """
    Export a model if necessary, measure every runtime, and keep the choice in the cache.

    :param model: as `build` returns it; it is tuned for torch
    :param keep: whether to keep the choice; None: unless other programs use the cores
    :return: the choice; its network, ready for the measured size, unless it is torch
    """
    problem = ''
    if question.own and not question.file.is_file():
        try:
            export_detector(model.detector, question.file)
        except ModuleNotFoundError as error:
            problem = f'{error}, which writes the file that it needs; pip install onnx'
        except (ExportError, RuntimeError) as error:  # RuntimeError: torch cannot export a layer
            problem = f'the model cannot be exported: {_first_line(error)}'
    pixels = _sample(model)
    tune(model)
    networks: dict[str, Network] = {}
    problems: dict[str, str] = {}
    with torch.inference_mode():
        expected = model.detector.network(pixels)
        for name in question.names:
            try:
                if problem:
                    raise ValueError(problem)
                network = question.open(name)
                network.prepare(tuple(pixels.shape))
                check_agreement(network(pixels), expected)
                networks[name] = network
            except Exception as error:  # whatever a runtime raises must not stop the others
                problems[name] = _first_line(error)
        times = _measure({'torch': model.detector.network, **networks}, pixels)
    best = min(networks, key=times.get, default='torch')
    forced = os.environ.get(FORCED, '') == best
    taken = best if forced or times[best] * _GAIN < times['torch'] else 'torch'
    kept = os.getloadavg()[0] <= _BUSY * cores() if keep is None else keep
    times = {name: round(time, 2) for name, time in times.items()}
    choice = Choice(taken, times, problems, kept)
    if kept:
        question.keep(choice)
    return choice, networks.get(taken)


def check_agreement(found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    """
    Compare the outputs of a network in another runtime with torch's.

    :raises ValueError: if they differ beyond rounding
    """
    if [value.shape for value in found] != [value.shape for value in expected]:
        raise ValueError(
            f'its outputs have the shapes {[tuple(v.shape) for v in found]}, '
            f"torch's {[tuple(v.shape) for v in expected]}"
        )
    for i, (one, other) in enumerate(zip(found, expected)):
        difference, largest = (one - other).abs().max().item(), other.abs().max().item()
        if not difference <= _TOLERANCE * largest:  # also for nan
            raise ValueError(
                f"its output {i} differs from torch's by {difference:.3g}, more than "
                f'{_TOLERANCE:g} of the largest value, {largest:.3g}'
            )


def _measure(networks: dict[str, Callable], pixels: Tensor) -> dict[str, float]:
    """Return the milliseconds of the fastest run in each runtime: the least disturbed one."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    end = perf_counter() + _SECONDS
    for i in range(_WARM_UP + _MOST_ROUNDS):
        for name, network in networks.items():
            start = perf_counter()
            network(pixels)
            if i >= _WARM_UP:
                times[name].append(1e3 * (perf_counter() - start))
        if i >= _WARM_UP + _FEWEST_ROUNDS - 1 and perf_counter() > end:
            break
    return {name: min(each) for name, each in times.items()}


def _sample(model: GTR) -> Tensor:
    """Return the network's input for a smooth random image, on the CPU."""
    noise = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
    height, width = IMAGE
    image = np.array(Image.fromarray(noise).resize((width, height), Image.Resampling.BICUBIC))
    return model.detector.prepare([image], torch.device('cpu')).pixels


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:  # such as onnxruntime-gpu
        return 'unknown'


def _first_line(error: Exception) -> str:
    return str(error).strip().partition('\n')[0] or type(error).__name__
