# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Speed on a GPU, in five minutes by default: networks, whole frames, association.

    python -m benchmarks gpu --json gpu.json
    python -m benchmarks gpu:mobile --seconds 60       # one of association, mobile, mot
    python -m benchmarks gpu --device cpu --quick      # tries out the script without a GPU
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
import math
from time import perf_counter

import numpy as np
import torch

from benchmarks.association import filled
from benchmarks.association import flops
from benchmarks.association import frame
from benchmarks.association import Materialised
from benchmarks.detectors import count_flops
from benchmarks.detectors import models
from benchmarks.measuring import interleaved
from benchmarks.measuring import machine_limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from benchmarks.measuring import synchronised
from benchmarks.pipeline import images
from gtr_ros.model.build import make_transformer
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import model_spec
from gtr_ros.runtime.association_graphs import AssociationGraphs
from gtr_ros.runtime.cuda_graph import CudaGraph
from gtr_ros.runtime.frame_graphs import FrameGraphs
from gtr_ros.tracking.online import CachingAssociation
from gtr_ros.tracking.online import StreamingAssociation

#: by name: precision, whether compiled
VARIANTS = {
    'tuned': ('float32', False),
    'bfloat16': ('bfloat16', False),
    'float16': ('float16', False),
    'float16, compiled': ('float16', True),
}

#: by model: (width, height) of the camera, (height, width) of the network's input, batch sizes
SIZES = {
    'mobile': ((640, 480), (448, 576), (1, 8, 32)),
    'mot': ((1920, 1080), (896, 1664), (1, 8)),
}
QUICK_SIZES = {
    'mobile': ((160, 120), (128, 160), (1, 2)),
    'mot': ((192, 108), (128, 256), (1, 2)),
}


#: what can be measured on its own
PARTS = ('association', *SIZES)


def measure(
    device: torch.device,
    quick: bool = False,
    parts: Sequence[str] = PARTS,
    seconds: float = math.inf,
    on_skip: Callable[[str], None] = lambda name: None,
) -> Iterator[Row]:
    """
    Measure on a device; the comparator is the model as built, in float32.

    :param parts: of `PARTS`
    :param seconds: after which no further block of rows is begun
    :param on_skip: called with the name of a block that was left out for want of time
    """
    end = perf_counter() + seconds
    with torch.inference_mode():
        for name, rows in _blocks(device, quick, parts):
            if perf_counter() > end:
                on_skip(name)
                continue
            for measured in rows():
                # Other parts use the same names for the CPU.
                yield replace(measured, name=f'{device.type}: {measured.name}')


def _blocks(
    device: torch.device, quick: bool, parts: Sequence[str]
) -> Iterator[tuple[str, Callable[[], Iterator[Row]]]]:
    """Return the blocks of rows by name; single images come before batches."""
    repeats = 2 if quick else 30
    sizes = {k: v for k, v in (QUICK_SIZES if quick else SIZES).items() if k in parts}
    if 'association' in parts:
        yield 'association', partial(_association, device, repeats, window=4 if quick else 32)
    most = max((len(batches) for *_, batches in sizes.values()), default=0)
    for i in range(most):
        for model, (camera, size, batches) in sizes.items():
            if i < len(batches):
                rows = partial(_model, model, device, camera, size, batches[i], i == 0, repeats)
                yield f'{model}, batch {batches[i]}', rows


def _model(
    model: str,
    device: torch.device,
    camera: tuple[int, int],
    size: tuple[int, int],
    batch: int,
    compiled: bool,
    repeats: int,
) -> Iterator[Row]:
    """Measure the network and whole frames; compiling takes a minute per batch size."""
    variants = {
        name: variant
        for name, variant in VARIANTS.items()
        if (device.type == 'cuda' or variant[0] == 'bfloat16') and (compiled or not variant[1])
    }
    built = models(model, device, variants)
    yield from _network(model, size, batch, built, variants, repeats)
    yield from _frames(model, camera, batch, built, repeats)


def _network(
    model: str,
    size: tuple[int, int],
    batch: int,
    built: dict[str, GTR],
    variants: dict[str, tuple[str, bool]],
    repeats: int,
) -> Iterator[Row]:
    device = built['plain'].device
    dtype = torch.float16 if device.type == 'cuda' else torch.bfloat16
    limits = machine_limits(device, dtype, 8192 if device.type == 'cuda' else 512)
    pixels = torch.rand(batch, 3, *size, device=device)
    limit = limits.milliseconds(count_flops(built['plain'].detector, pixels))
    calls: dict[str, Callable[[], object]] = {}
    for name, variant in built.items():
        detector = variant.detector
        calls[name] = synchronised(partial(detector.network, pixels), device)
        if device.type == 'cuda' and name in variants and not variants[name][1]:
            detector.network(pixels)
            graph = CudaGraph(detector.network, pixels.clone())
            calls[f'{name}, graph'] = synchronised(partial(graph, pixels), device)
    times = interleaved(calls, repeats, warm_up=5)
    title = f'{model} at {size[1]} x {size[0]}, batch {batch}'
    for name, seconds in times.items():
        note = f'{batch / np.median(seconds):.0f} images/s; limit in {str(dtype)[6:]}'
        comparison = ('', None) if name == 'plain' else ('plain', times['plain'])
        yield row(f'network of {title}, {name}', seconds, *comparison, limit=limit, note=note)


def _frames(
    model: str, camera: tuple[int, int], batch: int, built: dict[str, GTR], repeats: int
) -> Iterator[Row]:
    """
    Measure from images on the host to detections on the host; features stay on the device.

    Every form but the plain one also runs as one graph; on a CPU in fixed shapes without a graph.
    """
    pictures = images(camera, batch)
    calls = {}
    for name, variant in built.items():
        calls[name] = synchronised(partial(_detect, variant, None, pictures), variant.device)
        if name != 'plain':
            call = partial(_detect, variant, FrameGraphs(variant), pictures)
            calls[f'{name}, graph'] = synchronised(call, variant.device)
    times = interleaved(calls, repeats, warm_up=3)
    for name, seconds in times.items():
        comparison = ('', None) if name == 'plain' else ('plain', times['plain'])
        title = f'{model}, {camera[0]} x {camera[1]} to detections, batch {batch}, {name}'
        yield row(title, seconds, *comparison, note=f'{batch / np.median(seconds):.0f} images/s')


def _detect(model: GTR, frames: FrameGraphs | None, images: Sequence[np.ndarray]) -> None:
    model.frames = frames
    model.detect(images)


def _association(device: torch.device, repeats: int, window: int) -> Iterator[Row]:
    limits = machine_limits(device, torch.float32, 4096 if device.type == 'cuda' else 512)
    for model, objects in (('mot', 50), ('mobile', 20)):
        features = model_spec(model).transformer['features']
        new = tuple(part.to(device) for part in frame(objects, features))
        associations = {}
        for name, kind in (
            ('streaming, graph', StreamingAssociation),
            ('streaming', StreamingAssociation),
            ('cached', CachingAssociation),
            ('plain', Materialised),
        ):
            link = make_transformer(model, causal=kind is StreamingAssociation).eval().to(device)
            if name == 'streaming, graph':
                link.step = AssociationGraphs(link)
            associations[name] = filled(kind(link), window, objects, features, device)
        times = interleaved(
            {
                name: synchronised(partial(own.associate, *new), device)
                for name, own in associations.items()
            },
            repeats,
            warm_up=3,
        )
        for name, own in associations.items():
            comparison = ('', None) if name == 'plain' else ('plain', times['plain'])
            limit = limits.milliseconds(flops(model, own, *new))
            title = f'association {model}, T = {window}, {objects} objects, {name}'
            yield row(title, times[name], *comparison, limit=limit)
