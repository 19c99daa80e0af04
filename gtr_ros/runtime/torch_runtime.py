# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The torch runtime: folded norms, packed weights, lower precision, compilation."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import torch
from torch import nn
from torch import Tensor
from torchvision.ops import FrozenBatchNorm2d

from gtr_ros.model.deformable import DeformableConv2d
from gtr_ros.model.detector import Detector
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.options import PRECISIONS
from gtr_ros.model.packed import pack
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime.association_graphs import AssociationGraphs
from gtr_ros.runtime.compiled import Compiled
from gtr_ros.runtime.compiled import compiled_files
from gtr_ros.runtime.compiled import InThisProcess
from gtr_ros.runtime.compiling import InAnotherProcess
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.device import choose_device
from gtr_ros.runtime.frame_graphs import FrameGraphs
from gtr_ros.runtime.switching import SwitchingDetector
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import StreamingAssociation

_NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
_TRACED = (1, 3, 128, 128)

Network = Callable[[Tensor], Sequence[Tensor]]


class TorchRuntime:
    """Runs an optimised model in torch; see `gtr_ros.runtime.loading.Runtime`."""

    def load(
        self,
        model: GTR,
        options: ModelOptions,
        log: Callable[[str], None],
        background: bool = False,
    ) -> GTR:
        """Move a model to its device and optimise it."""
        device = choose_device(options.device)
        if device.type == 'cuda':
            log(describe_gpu(torch.cuda.get_device_name(device), options))
        if options.compile and options.checkpoint != RANDOM:
            files = compiled_files(model.detector, options, device)
            model = tune(model.to(device), options.precision, log=log)
            build = InAnotherProcess(options, torch.get_num_threads())
            network = Compiled(model.detector.network, device, files, build, log)
            model.detector = _switching(model.detector, network, background, log)
        else:  # another process cannot load untrained weights
            model = tune(model.to(device), options.precision, options.compile, log, background)
        if device.type == 'cuda' and model.detector.fixed:
            model.frames = FrameGraphs(model, background, log)
        if device.type == 'cuda' and isinstance(
            make_online(model.association), StreamingAssociation
        ):
            model.association.step = AssociationGraphs(model.association, background, log)
        return model

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return the device, and what differs from a plain float32 network."""
        parts = [str(model.device)]
        parts += [options.precision] if options.precision != 'float32' else []
        text = ' '.join(parts)
        if not options.compile:
            return text
        detector = getattr(model, 'detector', None)
        if not isinstance(detector, SwitchingDetector) or detector.faster is None:
            return f'{text}, uncompiled'
        if detector.is_ready:
            return f'{text} compiled'
        return f'{text}, uncompiled until it is compiled for the size of the images'


def describe_gpu(name: str, options: ModelOptions) -> str:
    """Return on which GPU torch computes, and what would be faster there, in one line."""
    text = f'torch {torch.__version__} computes on {name}'
    faster = ['precision float16'] if options.precision == 'float32' else []
    faster += [] if options.compile else ['compile true, best after `gtr compile`']
    return f'{text}; faster: {", ".join(faster)}' if faster else text


def tune(
    model: GTR,
    precision: str = 'float32',
    compiled: bool = False,
    log: Callable[[str], None] = lambda line: None,
    background: bool = False,
) -> GTR:
    """
    Optimise a model for inference; its outputs stay the same up to rounding.

    Batch norms are always folded into the convolutions before them, and on a CPU the weights are
    packed. Box regression and everything after the network stay in float32.

    :param model: in evaluation mode, on its device; changed in place, so that it cannot be trained
        again
    :param precision: of the convolutions, one of `gtr_ros.model.options.PRECISIONS`
    :param compiled: whether to compile the network in this process when it first runs, separately
        for each input size and batch size: this takes tens of seconds each; on CUDA, the network
        is then replayed as a graph. What was compiled ends with the process
    :param log: called with a line of text before each slow step, and if an option does not have
        the expected effect here
    :param background: whether the network runs uncompiled meanwhile
    :return: the model
    :raises ValueError: if the device does not support the precision, or there is no such precision
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision is {precision!r}; expected one of {", ".join(PRECISIONS)}')
    detector, device = model.detector, model.device
    if precision == 'float16' and device.type != 'cuda':
        raise ValueError(f'precision float16 is slow on {device}; choose bfloat16')
    if precision == 'bfloat16' and device.type == 'cpu' and not _has_bfloat16():
        log('this processor has no bfloat16 instructions: float32 is faster here')
    fold_norms(detector)
    detector.to(memory_format=torch.channels_last)
    pack(model.head)
    pack(model.association)
    if precision == 'float32' and not compiled and detector.pack_pointwise:
        pack(detector)
    if precision != 'float32':
        run = _in_precision(detector, getattr(torch, precision))
        model.detector = RuntimeDetector(detector, run)
    if compiled:
        plain = model.detector
        build = InThisProcess(plain.network, plain)
        network = Compiled(plain.network, device, build.files, build, log)
        model.detector = _switching(plain, network, background, log)
    return model


def _switching(
    plain: Detector, network: Compiled, background: bool, log: Callable[[str], None]
) -> SwitchingDetector:
    detector = SwitchingDetector(plain, background, log, 'the uncompiled network')
    detector.take('the compiled one', network)
    return detector


@torch.no_grad()
def fold_norms(detector: Detector) -> None:
    """Fold every batch norm into the preceding convolution."""
    if not any(isinstance(m, _NORMS) for m in detector.modules()):
        return
    convs: dict[nn.Module, nn.Conv2d] = {}  # by the norm that follows
    made: dict[int, nn.Conv2d] = {}  # by the id() of its output, which `kept` keeps alive
    kept: list[Tensor] = []

    def watch_conv(module: nn.Module, _, output: Tensor) -> None:
        made[id(output)] = module.conv if isinstance(module, DeformableConv2d) else module
        kept.append(output)

    def watch_norm(module: nn.Module, inputs: tuple[Tensor], _) -> None:
        if id(inputs[0]) in made:
            convs[module] = made[id(inputs[0])]

    hooks = []
    for module in detector.modules():
        if isinstance(module, nn.Conv2d | DeformableConv2d):
            hooks.append(module.register_forward_hook(watch_conv))
        elif isinstance(module, _NORMS):
            hooks.append(module.register_forward_hook(watch_norm))
    try:
        detector.network(torch.zeros(_TRACED, device=next(detector.parameters()).device))
    finally:
        for hook in hooks:
            hook.remove()
    names = {module: name for name, module in detector.named_modules()}
    for norm, conv in convs.items():
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        bias = -norm.running_mean if conv.bias is None else conv.bias - norm.running_mean
        conv.weight.mul_(scale[:, None, None, None])
        conv.bias = nn.Parameter(bias * scale + norm.bias)
        parent, _, name = names[norm].rpartition('.')
        setattr(detector.get_submodule(parent), name, nn.Identity())


def _has_bfloat16() -> bool:
    if not hasattr(torch.cpu, 'get_capabilities'):  # older versions of torch
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    flags = torch.cpu.get_capabilities()
    return bool(flags.get('avx512_bf16') or flags.get('amx_bf16') or flags.get('bf16'))


class _Exact(nn.Module):
    """A layer that computes in float32 inside a network of lower precision."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


def _in_precision(detector: Detector, dtype: torch.dtype) -> Network:
    """Return the detector's network with its convolutions in a lower precision."""
    exact = set(detector.exact_layers)
    # Deformable convolution is not available in every data type.
    exact |= {n for n, m in detector.named_modules() if isinstance(m, DeformableConv2d)}
    for name in exact:
        parent, _, last = name.rpartition('.')
        owner = detector.get_submodule(parent)
        setattr(owner, last, _Exact(getattr(owner, last)))
    layers = [m for m in detector.modules() if isinstance(m, _Exact)]
    kept = {part for layer in layers for part in layer.modules()}
    for module in detector.modules():
        # Converted once instead of in every run; autocast converts the other layers.
        if isinstance(module, nn.Conv2d) and module not in kept:
            module.to(dtype)

    def run(pixels: Tensor) -> list[Tensor]:
        with torch.autocast(pixels.device.type, dtype):
            outputs = detector.network(pixels)
        return [output.float() for output in outputs]

    return run
