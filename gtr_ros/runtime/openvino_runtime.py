# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The runtime `openvino`: runs the detector's network on a CPU, from what `gtr export` writes."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
import re
import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gtr_ros.files import cache_directory
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.packed import pack
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.export import exported_folder
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.export import fingerprint
from gtr_ros.runtime.packages import import_openvino

#: maximum number of input sizes that stay compiled; the oldest one is dropped
MOST_SIZES = 8


class OpenVinoRuntime:
    """
    Runs a model's network in OpenVINO on the CPU; see `gtr_ros.runtime.loading.Runtime`.

    Features of boxes and the association stay in torch: they are a few per cent of a frame, and
    OpenVINO would compile them again for each number of objects.
    """

    def load(
        self,
        model: GTR,
        options: ModelOptions,
        log: Callable[[str], None],
        background: bool = False,
    ) -> GTR:
        """Load the file of the detector that `gtr export` wrote for these weights."""
        if options.device not in ('auto', 'cpu'):
            raise ValueError(
                f'device is {options.device!r}, but runtime openvino runs on the CPU; set device '
                "to 'auto' or 'cpu', or choose runtime torch or onnxruntime"
            )
        file = exported_folder(options, model) / 'detector.onnx'
        network = self.network(file, fingerprint(model))
        pack(model.head)
        pack(model.association)
        model.detector = RuntimeDetector(model.detector, network)
        return model

    def network(self, file: Path, mark: str) -> OpenVinoNetwork:
        """
        Open an exported detector.

        :raises ValueError: if OpenVINO is not installed, or the file cannot be used
        """
        try:
            return OpenVinoNetwork(file, mark)
        except ModuleNotFoundError as error:
            raise ValueError(f'runtime is openvino, but {error}; pip install openvino') from error

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return the runtime and its device."""
        return 'openvino, cpu'


class OpenVinoNetwork:
    """
    An exported detector in OpenVINO, compiled once for each size of its input.

    A network of fixed size is up to twice as fast as one of free size, and takes half a second to
    compile, or half of that if it was compiled on this machine before.

    :param path: `detector.onnx`
    :param mark: fingerprint of the model, which the file must have
    :raises ExportError: if there is no such file, it cannot be read, it has other weights, or
        OpenVINO does not know one of its operators
    :raises ModuleNotFoundError: if OpenVINO is not installed
    """

    def __init__(self, path: Path, mark: str) -> None:
        self._openvino = import_openvino()
        if not path.is_file():
            raise ExportError(f'there is no {path}; `gtr export` writes it')
        self._core = _core()
        try:
            self._model = self._core.read_model(path)
        except RuntimeError as error:
            if unknown := re.search(r'No conversion rule found for operations: (.*)', str(error)):
                raise ExportError(
                    f'OpenVINO does not know the operator {unknown[1]}, which this model needs; '
                    'choose runtime torch or onnxruntime'
                ) from error
            raise ExportError(f'OpenVINO cannot read {path}: {error}') from error
        if _mark_of(self._model) != mark:
            raise ExportError(
                f'{path} was exported from other weights or by another version; export it '
                'again with `gtr export`'
            )
        self._threads = torch.get_num_threads()
        self._lock = threading.Lock()  # while a size is compiled
        self._requests: dict[tuple[int, ...], Any] = {}

    def is_ready(self, size: tuple[int, ...]) -> bool:
        """Return whether the network is compiled for an input of this shape, (B, 3, H, W)."""
        return tuple(size) in self._requests

    def prepare(self, size: tuple[int, ...]) -> None:
        """
        Compile the network for inputs of this shape, (B, 3, H, W); on any thread.

        :raises RuntimeError: if OpenVINO cannot
        """
        with self._lock:
            if self.is_ready(size):
                return
            model = self._model.clone()
            model.reshape(list(size))
            settings = {
                'PERFORMANCE_HINT': 'LATENCY',
                'INFERENCE_NUM_THREADS': self._threads,
                # Other processors would compute in bfloat16 by default.
                'INFERENCE_PRECISION_HINT': 'f32',
                # A pinned thread waits for the program that runs on its core.
                'ENABLE_CPU_PINNING': False,
                'CACHE_DIR': str(cache_directory() / 'openvino'),
            }
            request = self._core.compile_model(model, 'CPU', settings).create_infer_request()
            while len(self._requests) >= MOST_SIZES:
                self._requests.pop(next(iter(self._requests)))
            self._requests[tuple(size)] = request

    def __call__(self, pixels: Tensor) -> list[Tensor]:
        """
        Run the network; the outputs are valid until the next run with an input of this size.

        :param pixels: (B, 3, H, W) float32, on the CPU
        :return: the maps and the outputs to decode, contiguous
        """
        request = self._requests.get(tuple(pixels.shape))
        if request is None:
            self.prepare(tuple(pixels.shape))
            request = self._requests[tuple(pixels.shape)]
        values = np.ascontiguousarray(pixels.numpy())
        request.set_input_tensor(0, self._openvino.Tensor(values, shared_memory=True))
        request.infer()
        outputs = range(len(request.model_outputs))
        return [torch.from_numpy(request.get_output_tensor(i).data) for i in outputs]


@cache
def _core() -> Any:
    """
    Return the only OpenVINO core of this process, which is never released.

    A core sets the signal stack of the thread that compiles first, and restores the one before
    when it is released. With two of them, released in the order in which they were made, the stack
    of the first remains set although its memory is gone: the next signal then kills the process.
    """
    return import_openvino().Core()


def _mark_of(model: Any) -> str:
    """Return the fingerprint in the metadata of an ONNX file that OpenVINO has read."""
    place = ['framework', 'fingerprint']
    return model.get_rt_info(place).value if model.has_rt_info(place) else ''
