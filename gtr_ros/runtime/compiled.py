# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Networks that TorchInductor has compiled ahead of time, kept as files in the user's cache.

A file is loaded without tracing the network again, and without importing the compiler's tracer:
in a fraction of a second, instead of the seconds that torch.compile needs for a network that it
finds in its own cache, during which it runs Python and no frame is tracked.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
import hashlib
import json
import os
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Protocol

import torch
from torch import nn
from torch import Tensor

from gtr_ros import __version__
from gtr_ros.files import atomic_write
from gtr_ros.files import cache_directory
from gtr_ros.model.detector import Detector
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.cuda_graph import CudaGraph
from gtr_ros.runtime.export import detector_fingerprint
from gtr_ros.runtime.machine import computes_on

#: maximum number of input sizes for which a network is compiled; further sizes run uncompiled
MOST_SIZES = 8

_FORMAT = 1  # incremented when networks are compiled in another way
_INDUCTOR_CACHE = 'TORCHINDUCTOR_CACHE_DIR'

Run = Callable[[Tensor], Sequence[Tensor]]


class Builder(Protocol):
    """Compiles the network."""

    def __call__(self, size: tuple[int, ...], file: Path) -> None:
        """
        Write the network, compiled for an input size, to a file.

        :raises RuntimeError: if that fails, or was stopped
        """

    def stop(self) -> None:
        """End what is being compiled."""


class Compiled:
    """
    A network that is compiled for each input size, up to `MOST_SIZES` of them; see `Network`.

    :param plain: pixels -> outputs, for further sizes
    :param device: of the network
    :param files: path of the files, without the size: `compiled_files`
    :param build: compiles what has no file
    :param log: called with a line of text before and after compiling
    """

    def __init__(
        self,
        plain: Run,
        device: torch.device,
        files: Path,
        build: Builder,
        log: Callable[[str], None],
    ) -> None:
        self._plain = plain
        self._device = device
        self._files = files
        self._build = build
        self._log = log
        #: the compiled network of each input size
        self.by_size: dict[tuple[int, ...], Run] = {}

    def file(self, size: tuple[int, ...]) -> Path:
        """Return the file of the network for an input size; it may not exist."""
        batch, _, height, width = size
        return self._files.with_name(f'{self._files.name}-{batch}x{width}x{height}.pt2')

    def is_ready(self, size: tuple[int, ...]) -> bool:
        """Return whether the network for an input size is loaded."""
        return size in self.by_size

    @torch.inference_mode()
    def prepare(self, size: tuple[int, ...]) -> None:
        """Load the network for an input size; compile it, if that was not done before."""
        if size in self.by_size:
            return
        batch, _, height, width = size
        title, file = f'the network for {batch} x {width} x {height} pixels', self.file(size)
        if len(self.by_size) >= MOST_SIZES:
            self._log(
                f'{title} runs uncompiled: {MOST_SIZES} other sizes have already been compiled'
            )
            self.by_size[size] = self._plain
            return
        begin = perf_counter()
        if file.is_file():
            try:
                self.by_size[size] = self._load(file, size)
            except RuntimeError as error:  # such as a damaged file
                self._log(f'{file} cannot be loaded: {_first_line(error)}')
            else:
                self._log(f'loaded {title}, compiled before ({perf_counter() - begin:.1f} s)')
                return
        self._log(f'compiling {title}')
        self._build(size, file)
        self.by_size[size] = self._load(file, size)
        self._log(f'compiled {title} ({perf_counter() - begin:.0f} s)')

    def for_size(self, size: tuple[int, ...]) -> Run:
        """Return the network for a size that is ready, without a graph of its own."""
        run = self.by_size[size]
        return run.run if isinstance(run, CudaGraph) else run

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run the network for a size that is ready; the outputs are valid until the next run."""
        return self.by_size[tuple(pixels.shape)](pixels)

    def stop(self) -> None:
        """End what is being compiled."""
        self._build.stop()

    def _load(self, file: Path, size: tuple[int, ...]) -> Run:
        pixels = _example(size, self._device)
        run = _Loaded(file, self._device)
        run(pixels)  # so that no frame waits for what the first run initialises
        return CudaGraph(run, pixels) if pixels.is_cuda else run


class _Loaded:
    """A compiled network: pixels -> outputs."""

    def __init__(self, file: Path, device: torch.device) -> None:
        self._run = _open(file, device)

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        # A compiled network trusts that its input is laid out as the one it was compiled for.
        return self._run(pixels.contiguous(memory_format=torch.channels_last))


def _open(file: Path, device: torch.device) -> Run:
    # On CUDA without synchronisation between threads, which cannot be captured in a graph.
    single, index = device.type == 'cuda', device.index or 0 if device.type == 'cuda' else -1
    try:
        # What `aoti_load_package` calls, which also imports the compiler: a second of Python, in
        # which no frame is tracked, and 150 MB.
        from torch._C._aoti import AOTIModelPackageLoader

        loader = AOTIModelPackageLoader(str(file), 'model', single, 1, index)
    except (ImportError, TypeError):  # another version of torch
        from torch._inductor import aoti_load_package

        arguments = {'run_single_threaded': True, 'device_index': index} if single else {}
        return aoti_load_package(str(file), **arguments)
    return lambda pixels: loader.run([pixels])


class InThisProcess:
    """
    Compiles in this process; see `Builder`.

    :param run: pixels -> outputs
    :param owner: has the weights that `run` uses
    """

    def __init__(self, run: Run, owner: nn.Module) -> None:
        self._folder = TemporaryDirectory(prefix='gtr_compiled_')
        #: for `Compiled`: they are removed with this object
        self.files = Path(self._folder.name, 'network')
        self._network = _Module(run, owner).eval()
        self._device = next(owner.parameters()).device

    @torch.inference_mode()
    def __call__(self, size: tuple[int, ...], file: Path) -> None:
        """Compile the network and write it; this takes tens of seconds."""
        import torch._inductor

        network = torch.export.export(self._network, (_example(size, self._device),))
        with TemporaryDirectory(prefix='gtr_compile_') as folder, _inductor_cache(folder):
            part = Path(folder, 'network.pt2')
            # Freezing folds constants, and stores weights in the layout that the kernels need.
            torch._inductor.aoti_compile_and_package(
                network, package_path=str(part), inductor_configs={'freezing': True}
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(file) as target:
                shutil.copyfile(part, target)

    def stop(self) -> None:
        """Do nothing: the process ends with its threads."""


class _Module(nn.Module):
    """A function with the module whose weights it uses, as torch.export takes it."""

    def __init__(self, run: Run, owner: nn.Module) -> None:
        super().__init__()
        self.owner = owner
        self._network = run

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        return tuple(self._network(pixels))


def compiled_files(detector: Detector, options: ModelOptions, device: torch.device) -> Path:
    """
    Return the path of the compiled networks of a detector in the user's cache, without the size.

    Its name tells apart what compiled code depends on: versions, weights, precision, machine.

    :param detector: as `build` returns it, not yet tuned: that changes the weights
    """
    conditions = [
        _FORMAT,
        __version__,
        torch.__version__,
        detector_fingerprint(detector),
        options.precision,
        *computes_on(device),
    ]
    key = hashlib.sha256(json.dumps(conditions).encode()).hexdigest()[:16]
    return cache_directory() / 'compiled' / f'{options.model}-{options.precision}-{key}'


def _example(size: tuple[int, ...], device: torch.device) -> Tensor:
    """Return an input of a size, laid out as that of `Loaded` is."""
    return torch.zeros(size, device=device).contiguous(memory_format=torch.channels_last)


@contextmanager
def _inductor_cache(folder: str) -> Iterator[None]:
    """Let TorchInductor keep what it makes on the way there, unless the user has named a place."""
    given = os.environ.get(_INDUCTOR_CACHE)
    os.environ[_INDUCTOR_CACHE] = given or folder
    try:
        yield
    finally:
        if given is None:
            del os.environ[_INDUCTOR_CACHE]


def _first_line(error: Exception) -> str:
    return str(error).strip().partition('\n')[0] or type(error).__name__
