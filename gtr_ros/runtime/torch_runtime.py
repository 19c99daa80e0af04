# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The torch runtime: folded norms, packed weights, lower precision, compilation, CUDA graphs."""

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
from gtr_ros.runtime.detector import RuntimeDetector
from gtr_ros.runtime.device import choose_device

#: maximum number of input sizes for which a network is compiled; further sizes run uncompiled
MOST_SIZES = 8

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
        return tune(model.to(device), options.precision, options.compile, log)

    def describe(self, options: ModelOptions, model: GTR) -> str:
        """Return the device, and what differs from a plain float32 network."""
        parts = [str(model.device)]
        parts += [options.precision] if options.precision != 'float32' else []
        parts += ['compiled'] if options.compile else []
        return ' '.join(parts)


def tune(
    model: GTR,
    precision: str = 'float32',
    compiled: bool = False,
    log: Callable[[str], None] = lambda line: None,
) -> GTR:
    """
    Optimise a model for inference; its outputs stay the same up to rounding.

    Batch norms are always folded into the convolutions before them, and on a CPU the weights are
    packed. Box regression and everything after the network stay in float32.

    :param model: in evaluation mode, on its device; changed in place, so that it cannot be trained
        again
    :param precision: of the convolutions, one of `gtr_ros.model.options.PRECISIONS`
    :param compiled: whether to compile the network with torch.compile, separately for each input
        size (on CUDA also for each batch size): this takes tens of seconds each; on CUDA, the
        network is then replayed as a graph
    :param log: called with a line of text before each slow step, and if an option does not have
        the expected effect here
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
        model.detector = RuntimeDetector(detector, Compiled(model.detector.network, log))
    return model


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


class Compiled:
    """
    A network that is compiled for each input size, up to `MOST_SIZES` of them.

    :param run: pixels -> outputs
    :param log: called with a line of text before and after compiling
    """

    def __init__(self, run: Network, log: Callable[[str], None]) -> None:
        self._plain = run
        self._log = log
        #: the compiled network of each input size
        self.by_size: dict[tuple[int, ...], Network] = {}

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run the network; the outputs are valid until the next run."""
        size = tuple(pixels.shape)
        if size not in self.by_size:
            self.by_size[size] = self._compile(pixels)
        return self.by_size[size](pixels)

    def _compile(self, pixels: Tensor) -> Network:
        batch, _, height, width = pixels.shape
        title = f'the network for {batch} x {width} x {height} pixels'
        if len(self.by_size) == MOST_SIZES:
            self._log(
                f'{title} runs uncompiled: {MOST_SIZES} other sizes have already been compiled'
            )
            return self._plain
        self._log(f'compiling {title}')
        # Freezing folds constants, and stores weights in the layout that the kernels need.
        run = torch.compile(self._plain, dynamic=False, options={'freezing': True})
        run(pixels)
        self._log(f'compiled {title}')
        return CudaGraph(run, pixels) if pixels.is_cuda else run


class CudaGraph:
    """
    A network as a CUDA graph for one input size: one launch instead of hundreds.

    :param run: pixels -> outputs; it must have run before, so that nothing is initialised during
        capture
    :param pixels: an input of that size
    """

    def __init__(self, run: Network, pixels: Tensor) -> None:
        self._pixels = pixels.clone()
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # warm up the allocator, on a side stream as capturing requires
                run(self._pixels)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self._graph):
            self._outputs = run(self._pixels)

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run the network; the outputs are overwritten by the next run."""
        self._pixels.copy_(pixels)
        self._graph.replay()
        return self._outputs
