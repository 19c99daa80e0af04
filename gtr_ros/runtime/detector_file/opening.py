# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Opens the detector that is named in the options of a model, on the device of the model."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

from gtr_ros.files import cache_directory
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.detector_file.contents import DetectorFileError
from gtr_ros.runtime.detector_file.detector import detector_key
from gtr_ros.runtime.detector_file.detector import DetectorFile
from gtr_ros.runtime.packages import import_onnxruntime
from gtr_ros.runtime.providers import choose_provider
from gtr_ros.runtime.providers import Provider
from gtr_ros.runtime.providers import provider_options


def open_detector(options: ModelOptions, log: Callable[[str], None]) -> DetectorFile:
    """
    Open the detector of the options.

    :param log: called with one line about what was recognised, and before slow steps
    :raises ValueError: if it cannot be used, ONNX Runtime is not installed, or it lacks the
        provider
    """
    try:
        onnxruntime = import_onnxruntime()
        found, version = onnxruntime.get_available_providers(), onnxruntime.__version__
        providers = providers_for(options, found, version, log)
        return DetectorFile(Path(options.detector), providers, log)
    except ModuleNotFoundError as error:
        raise DetectorFileError(
            f'detector is {options.detector!r}, but {error}; pip install onnxruntime pyyaml, or '
            'onnxruntime-gpu for CUDA'
        ) from error


def providers_for(
    options: ModelOptions, found: Sequence[str], version: str, log: Callable[[str], None]
) -> list[Provider]:
    """
    Return the execution providers in order of preference, with their options.

    TensorRT's engine is built, in the user's cache, only for the provider 'tensorrt'.

    :param found: the providers that the installed ONNX Runtime has
    :param version: of ONNX Runtime
    :raises ValueError: if the one of the options is not among them
    """
    engines = cache_directory() / 'tensorrt' / detector_key(options.detector)[:12]
    built = any(engines.glob('*.engine'))
    name = choose_provider(options.provider, options.device, found, built, version)
    if name == 'tensorrt' and not built:
        log(f'building an engine for {options.detector} once in {engines}: this takes minutes')
        engines.mkdir(parents=True, exist_ok=True)
    return provider_options(name, options.device, engines)
