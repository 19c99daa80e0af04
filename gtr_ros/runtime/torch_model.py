# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A model in torch, faster: norms folded, weights packed, less precise, compiled, CUDA graphs."""

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
from gtr_ros.model.packed import pack
from gtr_ros.runtime.other_network import OtherNetwork

#: of a network's numbers
PRECISIONS = ('float32', 'bfloat16', 'float16')

#: sizes of input that a network is compiled for; others run without
MOST_SIZES = 8

_NORMS = (nn.BatchNorm2d, FrozenBatchNorm2d)
_TRACED = (1, 3, 128, 128)

Network = Callable[[Tensor], Sequence[Tensor]]


def tune(
    model: GTR,
    precision: str = 'float32',
    compiled: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> GTR:
    """
    Make a model faster: the same function but for rounding.

    Always: batch norms are folded into the convolutions before them, and on a CPU weights are
    packed. The layers that say where a box ends, and all that comes behind the network, stay in
    float32.

    :param model: in evaluation mode, where it runs; changed, it can be trained no more
    :param precision: one of `PRECISIONS`, of the convolutions
    :param compiled: whether torch compiles the network, anew for every size of input (on CUDA
        for every number of images, too): tens of seconds each; on CUDA it is replayed as a graph
    :param say: told in a line what takes long, or will not do what is hoped for
    :return: the model
    :raises ValueError: if the device does not have the precision, or there is no such
    """
    if precision not in PRECISIONS:
        raise ValueError(f'precision {precision!r}; expected one of {", ".join(PRECISIONS)}')
    detector, device = model.detector, model.device
    if precision == 'float16' and device.type != 'cuda':
        raise ValueError(f'precision is float16, which {device} is slow at; choose bfloat16')
    if precision == 'bfloat16' and device.type == 'cpu' and not _has_bfloat16():
        say('this processor has no instructions for bfloat16: float32 is faster here')
    fold_norms(detector)
    detector.to(memory_format=torch.channels_last)
    pack(model.head)
    pack(model.association)
    if precision == 'float32' and not compiled and detector.pack_pointwise:
        pack(detector)
    if precision != 'float32':
        run = _in_precision(detector, getattr(torch, precision))
        model.detector = OtherNetwork(detector, run)
    if compiled:
        model.detector = OtherNetwork(detector, Compiled(model.detector.network, say))
    return model


@torch.no_grad()
def fold_norms(detector: Detector) -> None:
    """Fold every batch norm whose statistics are fixed into the convolution before it."""
    if not any(isinstance(m, _NORMS) for m in detector.modules()):
        return
    convs: dict[nn.Module, nn.Conv2d] = {}  # by the norm behind it
    made: dict[int, nn.Conv2d] = {}  # by the identity of what it made, which lives in `kept`
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
    """A layer that computes in float32 where those around it do not."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return self.layer(x.float())


def _in_precision(detector: Detector, dtype: torch.dtype) -> Network:
    """Let the detector's convolutions compute with numbers of a type."""
    exact = set(detector.exact_layers)
    # No device has deformable convolution in every type.
    exact |= {n for n, m in detector.named_modules() if isinstance(m, DeformableConv2d)}
    for name in exact:
        parent, _, last = name.rpartition('.')
        owner = detector.get_submodule(parent)
        setattr(owner, last, _Exact(getattr(owner, last)))
    layers = [m for m in detector.modules() if isinstance(m, _Exact)]
    kept = {part for layer in layers for part in layer.modules()}
    for module in detector.modules():
        # Converted once, not at every run; all others autocast looks after.
        if isinstance(module, nn.Conv2d) and module not in kept:
            module.to(dtype)

    def run(pixels: Tensor) -> list[Tensor]:
        with torch.autocast(pixels.device.type, dtype):
            outputs = detector.network(pixels)
        return [output.float() for output in outputs]

    return run


class Compiled:
    """
    A network that torch compiles for each size of input, up to `MOST_SIZES` of them.

    :param run: pixels -> outputs
    :param say: told before it compiles
    """

    def __init__(self, run: Network, say: Callable[[str], None]) -> None:
        self._plain = run
        self._say = say
        self._by_size: dict[tuple[int, ...], Network] = {}

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run it; the outputs are valid until the next run."""
        size = tuple(pixels.shape)
        if size not in self._by_size:
            self._by_size[size] = self._compile(pixels)
        return self._by_size[size](pixels)

    def _compile(self, pixels: Tensor) -> Network:
        batch, _, height, width = pixels.shape
        title = f'the network for {batch} x {width} x {height} pixels'
        if len(self._by_size) == MOST_SIZES:
            self._say(f'{title} is not compiled: {MOST_SIZES} other sizes are')
            return self._plain
        self._say(f'compiling {title}')
        # Constants are folded and weights laid out as the kernels want them.
        run = torch.compile(self._plain, dynamic=False, options={'freezing': True})
        run(pixels)
        self._say(f'compiled {title}')
        return CudaGraph(run, pixels) if pixels.is_cuda else run


class CudaGraph:
    """
    A network for one size of input as a CUDA graph: one launch instead of hundreds.

    :param run: pixels -> outputs; run before, so that nothing is set up any more
    :param pixels: of that size
    """

    def __init__(self, run: Network, pixels: Tensor) -> None:
        self._pixels = pixels.clone()
        self._graph = torch.cuda.CUDAGraph()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # allocations settle, on a stream that can be captured
                run(self._pixels)
        torch.cuda.current_stream().wait_stream(stream)
        with torch.cuda.graph(self._graph):
            self._outputs = run(self._pixels)

    def __call__(self, pixels: Tensor) -> Sequence[Tensor]:
        """Run it; the outputs are overwritten by the next run."""
        self._pixels.copy_(pixels)
        self._graph.replay()
        return self._outputs
