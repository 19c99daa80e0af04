# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What a GPU makes of it, in less than ten minutes: networks, whole frames, association.

    python -m benchmarks gpu --json gpu.json
    python -m benchmarks gpu --device cpu --quick      # tries the script where there is none
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

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
from benchmarks.measuring import waiting
from benchmarks.pipeline import images
from gtr_ros.model.build import make_transformer
from gtr_ros.model.build import TRANSFORMERS
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.torch_model import CudaGraph
from gtr_ros.tracking.online import CachedEncoder
from gtr_ros.tracking.online import Streaming

#: form: precision, whether it is compiled
FORMS = {
    'tuned': ('float32', False),
    'bfloat16': ('bfloat16', False),
    'float16': ('float16', False),
    'float16, compiled': ('float16', True),
}

#: model: (width, height) of the camera, height and width of the network's input, batches
SIZES = {
    'mot': ((1920, 1080), (896, 1664), (1, 8)),
    'mobile': ((640, 480), (448, 576), (1, 8, 32)),
}
QUICK_SIZES = {
    'mot': ((192, 108), (128, 256), (1, 2)),
    'mobile': ((160, 120), (128, 160), (1, 2)),
}


def measure(device: torch.device, quick: bool = False) -> Iterator[Row]:
    """Measure on a device; the comparator is the model as it is built, in float32."""
    for measured in _measure(device, quick):
        # Other parts measure the same on the CPU.
        yield replace(measured, name=f'{device.type}: {measured.name}')


def _measure(device: torch.device, quick: bool) -> Iterator[Row]:
    repeats = 2 if quick else 30
    forms = {k: v for k, v in FORMS.items() if device.type == 'cuda' or v[0] == 'bfloat16'}
    sizes = QUICK_SIZES if quick else SIZES
    with torch.inference_mode():
        yield from _association(device, repeats, window=4 if quick else 32)
        for model, (camera, size, batches) in sizes.items():
            for batch in batches:
                # Compiling takes a minute for each number of images: once must do.
                some = {k: v for k, v in forms.items() if batch == batches[0] or not v[1]}
                made = models(model, device, some)
                yield from _network(model, size, batch, made, some, repeats)
                yield from _frames(model, camera, batch, made, repeats)


def _network(
    model: str,
    size: tuple[int, int],
    batch: int,
    made: dict[str, GTR],
    forms: dict[str, tuple[str, bool]],
    repeats: int,
) -> Iterator[Row]:
    device = made['plain'].device
    dtype = torch.float16 if device.type == 'cuda' else torch.bfloat16
    limits = machine_limits(device, dtype, 8192 if device.type == 'cuda' else 512)
    pixels = torch.rand(batch, 3, *size, device=device)
    limit = limits.milliseconds(count_flops(made['plain'].detector, pixels))
    calls: dict[str, Callable[[], object]] = {}
    for name, each in made.items():
        detector = each.detector
        calls[name] = waiting(partial(detector.network, pixels), device)
        if device.type == 'cuda' and name in forms and not forms[name][1]:
            detector.network(pixels)
            graph = CudaGraph(detector.network, pixels)
            calls[f'{name}, graph'] = waiting(partial(graph, pixels), device)
    times = interleaved(calls, repeats, warm_up=5)
    title = f'{model} at {size[1]} x {size[0]}, batch {batch}'
    for name, seconds in times.items():
        note = f'{batch / np.median(seconds):.0f} images/s; limit in {str(dtype)[6:]}'
        beside = ('', None) if name == 'plain' else ('plain', times['plain'])
        yield row(f'network of {title}, {name}', seconds, *beside, limit=limit, note=note)


def _frames(
    model: str, camera: tuple[int, int], batch: int, made: dict[str, GTR], repeats: int
) -> Iterator[Row]:
    """From images on the host to detections there, with features on the device."""
    pictures = images(camera, batch)
    calls = {
        name: waiting(partial(each.detect, pictures), each.device) for name, each in made.items()
    }
    times = interleaved(calls, repeats, warm_up=3)
    for name, seconds in times.items():
        beside = ('', None) if name == 'plain' else ('plain', times['plain'])
        title = f'{model}, {camera[0]} x {camera[1]} to detections, batch {batch}, {name}'
        yield row(title, seconds, *beside, note=f'{batch / np.median(seconds):.0f} images/s')


def _association(device: torch.device, repeats: int, window: int) -> Iterator[Row]:
    limits = machine_limits(device, torch.float32, 4096 if device.type == 'cuda' else 512)
    for model, objects in (('mot', 50), ('mobile', 20)):
        features = TRANSFORMERS[model]['features']
        new = tuple(part.to(device) for part in frame(objects, features))
        made = {}
        for name, kind in (
            ('streaming', Streaming),
            ('cached', CachedEncoder),
            ('plain', Materialised),
        ):
            link = make_transformer(model, causal=kind is Streaming).eval().to(device)
            made[name] = filled(kind(link), window, objects, features, device)
        times = interleaved(
            {name: waiting(partial(own.ask, *new), device) for name, own in made.items()},
            repeats,
            warm_up=3,
        )
        for name, own in made.items():
            beside = ('', None) if name == 'plain' else ('plain', times['plain'])
            limit = limits.milliseconds(flops(model, own, *new))
            title = f'association {model}, T = {window}, {objects} objects, {name}'
            yield row(title, times[name], *beside, limit=limit)
