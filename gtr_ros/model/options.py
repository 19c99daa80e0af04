# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Which model runs, with which weights, on what: shared by node, command line and evaluations."""

from __future__ import annotations

from dataclasses import dataclass
import os
from pathlib import Path
from typing import Any

from gtr_ros.model.registry import model_names
from gtr_ros.model.registry import RANDOM
from gtr_ros.options import ConfigurationError
from gtr_ros.options import option
from gtr_ros.options import Options

#: what can run a model: the class that does, in `gtr_ros.runtime`
RUNTIMES = {
    'auto': 'gtr_ros.runtime.auto_runtime:AutoRuntime',
    'torch': 'gtr_ros.runtime.torch_runtime:TorchRuntime',
    'onnxruntime': 'gtr_ros.runtime.onnx_runtime:OnnxRuntime',
    'openvino': 'gtr_ros.runtime.openvino_runtime:OpenVinoRuntime',
}

#: environment variable: the runtime that `auto` takes on a CPU without measuring
FORCED = 'GTR_AUTO_RUNTIME'

#: smallest side of the input, pixels, apart from 0
LEAST_INPUT = 64

PRECISIONS = ('float32', 'bfloat16', 'float16')

#: ends of the path of a user's detector
DETECTOR_FILES = ('.onnx', '.yaml', '.yml')

#: execution providers of ONNX Runtime, by the names that users write
PROVIDERS = ('auto', 'cpu', 'cuda', 'tensorrt')


@dataclass(frozen=True)
class ModelOptions(Options):
    """
    How a model is loaded: `gtr_ros.runtime.loading.load_model` takes these.

    :raises ConfigurationError: if a value is invalid, or two options conflict
    """

    model: str = option('mobile', 'Model to run.', choices=model_names)
    checkpoint: str = option(
        '',
        "Path of the model's weights (safetensors, or a published .pth). Empty: the weights "
        "included in the package (mobile), or those in the user's cache. 'random': untrained "
        'weights, to test everything else.',
    )
    detector: str = option(
        '',
        'Path of your own detector in ONNX (YOLOX, RT-DETR, D-FINE, DEIM, RF-DETR), or of a YAML '
        'that describes it: it finds the boxes, and the model computes their features. Runs in '
        "ONNX Runtime. Empty: the model's own detector.",
    )
    device: str = option(
        'auto',
        "Device of the model: 'auto' (CUDA if available), 'cpu', 'cuda' or 'cuda:N'.",
    )
    runtime: str = option(
        'auto',
        'Runtime of the networks. auto: torch on CUDA; on a CPU the fastest of those installed, '
        'measured once on each machine, while torch tracks. onnxruntime and openvino (CPU only) '
        'need the files that `gtr export` writes once.',
        choices=lambda: tuple(RUNTIMES),
    )
    precision: str = option(
        'float32',
        'Precision of the network (runtime auto or torch), except for box regression: bfloat16 '
        'is faster than float32 in torch on a CPU that supports it (avx512_bf16, amx), float16 is '
        'for CUDA.',
        choices=PRECISIONS,
    )
    compile: bool = option(
        False,
        'Whether to compile the network (runtime auto or torch). Needs a C++ compiler, and a '
        'minute for each size and number of images, in which a node tracks with the uncompiled '
        'network; it is kept for later starts. `gtr compile` does it before.',
    )
    provider: str = option(
        'auto',
        "Execution provider of ONNX Runtime: 'auto' is TensorRT or CUDA if it is available and "
        'device is not cpu, else the CPU. TensorRT builds an engine for each image size, in '
        'minutes; `gtr compile` does it before.',
        choices=PROVIDERS,
    )
    exported: str = option(
        '',
        'Folder that `gtr export --out` wrote, for the runtimes other than torch. Empty: the '
        "user's cache.",
    )
    input_size: int = option(
        0,
        "Side of the square that has as many pixels as the network's input (mobile): smaller is "
        'faster, and misses small objects. 0: 512.',
        limits=(0, 2048),
    )
    threads: int = option(
        0, "CPU threads of the model, in every runtime; 0: torch's default.", limits=(0, 256)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if 0 < self.input_size < LEAST_INPUT:
            raise ConfigurationError(
                f'input_size is {self.input_size}; expected 0, or at least {LEAST_INPUT} pixels'
            )
        if self.detector and not self.detector.endswith(DETECTOR_FILES):
            raise ConfigurationError(
                f'detector is {self.detector!r}; expected the path of an ONNX file (.onnx), or of '
                'a description of one (.yaml); docs/detectors.md says how to export a detector'
            )
        if self.runtime not in ('auto', 'torch') and (self.precision != 'float32' or self.compile):
            raise ConfigurationError(
                f'precision {self.precision} and compile {self.compile} are for runtime torch, or '
                f'auto, which is torch then; {self.runtime} runs what was exported, in float32'
            )
        in_torch = self.runtime == 'torch' or self.precision != 'float32' or self.compile
        if self.exported and in_torch:
            raise ConfigurationError(
                f'exported is {self.exported!r}, but runtime {self.runtime} with precision '
                f'{self.precision} and compile {self.compile} is torch, which reads no exported '
                'files; leave exported empty, or choose runtime onnxruntime or openvino'
            )
        if self.provider in ('cuda', 'tensorrt') and self.device == 'cpu':
            raise ConfigurationError(
                f'provider is {self.provider}, which computes on a GPU, but device is cpu; change '
                'one of them'
            )
        if self.provider != 'auto' and self.runtime != 'onnxruntime' and not self.detector:
            raise ConfigurationError(
                f'provider is {self.provider}, but runtime {self.runtime} has no providers; '
                'choose runtime onnxruntime, or leave provider at auto'
            )

    def absolute_paths(self) -> dict[str, Any]:
        """Return the options that are paths, made absolute, for processes in other folders."""
        return {
            name: os.path.abspath(Path(value).expanduser())
            for name in ('checkpoint', 'detector', 'exported')
            if (value := getattr(self, name)) and value != RANDOM
        }
