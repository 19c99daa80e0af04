# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What ONNX Runtime computes on: which of its providers, and with which options."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

PROVIDERS = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}

#: an execution provider of ONNX Runtime with its options
Provider = tuple[str, dict]


def choose_provider(
    provider: str, device: str, found: Sequence[str], engines: bool, version: str
) -> str:
    """
    Return the provider to compute on.

    :param provider: one of `gtr_ros.model.options.PROVIDERS`; 'auto': TensorRT or CUDA, if they
        are there and the device is not 'cpu', otherwise the CPU
    :param found: the providers that the installed ONNX Runtime has
    :param engines: whether 'auto' may be TensorRT: its engines were built, or nothing waits for
        them
    :param version: of ONNX Runtime, for the error
    :return: one of `PROVIDERS`
    :raises ValueError: if this ONNX Runtime does not have the provider
    """
    if provider == 'auto':
        order = [] if device == 'cpu' else [*(['tensorrt'] if engines else []), 'cuda']
        return next((name for name in order if PROVIDERS[name] in found), 'cpu')
    if PROVIDERS[provider] not in found:
        raise ValueError(
            f'provider is {provider}, but the installed onnxruntime {version} lacks it (it has: '
            f'{_names(found)}); install onnxruntime-gpu, or choose another provider'
        )
    return provider


def describe_provider(provider: str, found: Sequence[str], gpu: bool, version: str) -> str:
    """
    Return what was found and taken, and what would be faster, in one line.

    :param provider: the one taken
    :param found: the providers that the installed ONNX Runtime has
    :param gpu: whether the model's device could be a GPU
    :param version: of ONNX Runtime
    """
    text = f'onnxruntime {version} has the providers {_names(found)} and computes on {provider}'
    if not gpu or provider == 'tensorrt':
        return text
    if PROVIDERS['tensorrt'] in found:
        return f'{text}; TensorRT would be faster: build its engines once with `gtr compile`'
    if PROVIDERS['cuda'] in found:
        return f'{text}; TensorRT would be faster, if its libraries are installed'
    return f'{text}; the GPU would be faster: pip install onnxruntime-gpu'


def provider_options(provider: str, device: str, engines: Path) -> list[Provider]:
    """
    Return the execution providers in order of preference, with their options.

    :param provider: one of `PROVIDERS`
    :param device: of the model's options, such as 'cuda:1'
    :param engines: folder of TensorRT's engines
    """
    cpu = (PROVIDERS['cpu'], {})
    index = int(device.partition(':')[2] or 0)
    cuda = (PROVIDERS['cuda'], {'device_id': index})
    if provider == 'cpu':
        return [cpu]
    if provider == 'cuda':
        return [cuda, cpu]
    options = {
        'device_id': index,
        'trt_engine_cache_enable': True,
        'trt_engine_cache_path': str(engines),
        'trt_timing_cache_enable': True,
        'trt_timing_cache_path': str(engines),
    }
    return [(PROVIDERS['tensorrt'], options), cuda, cpu]


def _names(found: Sequence[str]) -> str:
    return ', '.join(name for name, full in PROVIDERS.items() if full in found)
