# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model on what runs it: torch, or ONNX Runtime with one of its providers."""

from __future__ import annotations

from collections.abc import Callable
import os
from pathlib import Path

from gtr_ros.model.build import build
from gtr_ros.model.build import choose_device
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.export import export_folder
from gtr_ros.runtime.export import ExportError
from gtr_ros.runtime.torch_model import tune

RUNTIMES = ('torch', 'onnxruntime')

_NAMES = {
    'cpu': 'CPUExecutionProvider',
    'cuda': 'CUDAExecutionProvider',
    'tensorrt': 'TensorrtExecutionProvider',
}

#: providers of ONNX Runtime, by the names that users give
PROVIDERS = ('auto', *_NAMES)


def load_model(
    name: str,
    checkpoint: str | os.PathLike | None = None,
    runtime: str = 'torch',
    device: str = 'auto',
    provider: str = 'auto',
    exported: str | os.PathLike = '',
    precision: str = 'float32',
    compiled: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> GTR:
    """
    Build a model and put it where it runs.

    :param name: of the model, see `gtr_ros.model.build.build`
    :param checkpoint: see there
    :param runtime: one of `RUNTIMES`
    :param device: of torch, see `gtr_ros.model.build.choose_device`
    :param provider: of ONNX Runtime, one of `PROVIDERS`; 'auto': CUDA where it is and the device
        is not 'cpu', else the CPU; TensorRT only if asked for
    :param exported: folder that `gtr export` wrote; '': the one in the user's cache
    :param precision: of torch's network, one of `gtr_ros.runtime.torch_model.PRECISIONS`
    :param compiled: whether torch compiles its network, see `gtr_ros.runtime.torch_model.tune`
    :param say: told in a line what takes long
    :raises ValueError: if one of these is not known, not here, or does not fit
    """
    if runtime not in RUNTIMES:
        raise ValueError(f'runtime {runtime!r}; expected one of {", ".join(RUNTIMES)}')
    model = build(name, checkpoint)
    if runtime == 'torch':
        return tune(model.to(choose_device(device)), precision, compiled, say)
    if precision != 'float32' or compiled:
        raise ValueError(
            f'precision {precision} and compile {compiled} are of runtime torch; {runtime} runs '
            'what was exported, in float32'
        )
    try:
        from gtr_ros.runtime.onnx_model import OnnxGTR

        folder = Path(exported).expanduser() if exported else export_folder(name, model)
        if not folder.is_dir():
            given = f' --checkpoint {checkpoint}' if checkpoint else ''
            raise ExportError(
                f'these weights are not exported to {folder}; make it once with `gtr export '
                f'--model {name}{given}{f" --out {exported}" if exported else ""}`'
            )
        return OnnxGTR(model, folder, _providers(provider, device, folder))
    except ModuleNotFoundError as error:
        raise ValueError(
            f'runtime is onnxruntime, but {error}; pip install onnxruntime (or onnxruntime-gpu)'
        ) from error


def _providers(provider: str, device: str, folder: Path) -> list[tuple[str, dict]]:
    """
    Return what ONNX Runtime is to try, in order; the CPU takes what the others cannot.

    :raises ValueError: if this ONNX Runtime does not have it, or it would have to build engines
    """
    import onnxruntime

    here = onnxruntime.get_available_providers()
    if provider not in PROVIDERS:
        raise ValueError(f'provider {provider!r}; expected one of {", ".join(PROVIDERS)}')
    if provider == 'auto':
        provider = 'cuda' if device != 'cpu' and _NAMES['cuda'] in here else 'cpu'
    if _NAMES[provider] not in here:
        known = ', '.join(name for name, full in _NAMES.items() if full in here)
        raise ValueError(
            f'provider is {provider}, which onnxruntime {onnxruntime.__version__} here does not '
            f'have (it has: {known}); install onnxruntime-gpu, or choose another'
        )
    cpu = (_NAMES['cpu'], {})
    if provider == 'cpu':
        return [cpu]
    index = int(device.partition(':')[2] or 0)
    cuda = (_NAMES['cuda'], {'device_id': index})
    if provider == 'cuda':
        return [cuda, cpu]
    engines = folder / 'tensorrt'
    if not any(engines.glob('*.engine')):
        raise ExportError(
            f'there are no TensorRT engines in {engines}, and a node does not build them, which '
            'takes minutes: run the ONNX files once with ONNX Runtime and its options '
            'trt_engine_cache_enable and trt_engine_cache_path (that folder), or choose cuda'
        )
    options = {
        'device_id': index,
        'trt_engine_cache_enable': True,
        'trt_engine_cache_path': str(engines),
    }
    return [(_NAMES['tensorrt'], options), cuda, cpu]
