# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time and memory of associating one frame with a full window, for three implementations."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import ctypes
import gc
from pathlib import Path
import re

import torch
from torch.nn.attention import sdpa_kernel
from torch.nn.attention import SDPBackend
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import interleaved
from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.build import make_transformer
from gtr_ros.model.packed import pack
from gtr_ros.model.registry import model_spec
from gtr_ros.tracking.online import CachingAssociation
from gtr_ros.tracking.online import OnlineAssociation
from gtr_ros.tracking.online import RecomputingAssociation
from gtr_ros.tracking.online import StreamingAssociation

#: number of objects in a window above which the plain version is left out, because its attention
#: weights take gigabytes
_MOST_PLAIN = 3300

#: model, T, objects per frame
SIZES = [
    *(('mobile', window, objects) for window in (8, 16, 32) for objects in (20, 50, 100, 200)),
    *(('mot', window, 50) for window in (8, 16, 32)),
    ('mot', 32, 100),
]
QUICK_SIZES = [('mobile', 16, 20), ('mot', 16, 20)]


class Materialised(RecomputingAssociation):
    """The plain version: recomputes everything, with all attention weights in memory."""

    def associate(self, features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return super().associate(features, boxes)


def frame(objects: int, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features and boxes of a frame."""
    unit = torch.nn.functional.normalize(torch.randn(objects, features), dim=1)
    return unit, torch.rand(objects, 4)


def filled(
    online: OnlineAssociation,
    window: int,
    objects: int,
    features: int,
    device: torch.device = torch.device('cpu'),
) -> OnlineAssociation:
    """Fill the window with T - 1 frames."""
    association = online.association
    if isinstance(online, RecomputingAssociation):
        online.association = CosineAssociation()  # cheap, because these results are not used
    for _ in range(window - 1):
        online.associate(*(part.to(device) for part in frame(objects, features)))
        online.add()
    online.association = association
    return online


def implementations(
    model: str, window: int, objects: int
) -> dict[str, Callable[[], OnlineAssociation]]:
    """Return a function that creates each implementation, by name; the plain one comes last."""
    kinds: dict[str, type[OnlineAssociation]] = {
        'streaming': StreamingAssociation,
        'cached': CachingAssociation,
    }
    if window * objects <= _MOST_PLAIN:
        kinds['plain'] = Materialised
    features = model_spec(model).transformer['features']

    def maker(kind: type[OnlineAssociation]) -> Callable[[], OnlineAssociation]:
        association = make_transformer(model, causal=kind is StreamingAssociation).eval()
        if kind is not Materialised:
            pack(association)  # as in `load_model`
        return lambda: filled(kind(association), window, objects, features)

    return {name: maker(kind) for name, kind in kinds.items()}


def flops(
    model: str, online: OnlineAssociation, features: torch.Tensor, boxes: torch.Tensor
) -> int:
    """Count the operations of a frame; a multiply-add counts as two."""
    # Fused attention and packed layers are not counted, so the plain ones are counted instead.
    packed = online.association
    online.association = make_transformer(model, causal=packed.causal).eval().to(features.device)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        online.associate(features, boxes)
    online.association = packed
    return counter.get_total_flops()


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with the current number of torch threads."""
    for size in QUICK_SIZES if quick else SIZES:
        yield from _measure(limits, *size)


def _measure(limits: Limits, model: str, window: int, objects: int) -> Iterator[Row]:
    made, peaks, operations = {}, {}, {}
    features = model_spec(model).transformer['features']
    new = frame(objects, features)
    makers = implementations(model, window, objects)
    for name, make in makers.items():
        make().associate(*new)  # without memory that libraries allocate only once
        with _Peak() as peak:
            made[name] = make()
            made[name].associate(*new)
        peaks[name] = peak.megabytes
        operations[name] = flops(model, made[name], *new)
    large = window * objects * features > 500_000
    times = interleaved(
        {name: lambda online=online: online.associate(*new) for name, online in made.items()},
        repeats=5 if large else 30,
        warm_up=1 if large else 5,
    )
    plain = times.get('plain')
    for name in makers:
        compared = plain is not None and name != 'plain'
        note = f'{peaks[name]:.0f} MB'
        if compared:
            note += f', {peaks[name] / max(peaks["plain"], 1e-9):.0%} of plain'
        yield row(
            f'association {model}, T = {window}, {objects} objects, {name}',
            times[name],
            'plain' if compared else '',
            plain if compared else None,
            limits.milliseconds(operations[name]),
            note,
        )


class _Peak:
    """Peak memory of a `with` block above that of the process before it, megabytes."""

    def __enter__(self) -> _Peak:
        gc.collect()
        # Otherwise, the block could reuse freed memory, which would not count. Only glibc has this
        # function.
        getattr(ctypes.CDLL(None), 'malloc_trim', lambda _: 0)(0)
        Path('/proc/self/clear_refs').write_text('5')  # resets the high-water mark
        self._before = _status('VmRSS')
        return self

    def __exit__(self, *_) -> None:
        self.megabytes = (_status('VmHWM') - self._before) / 1e3


def _status(key: str) -> int:
    """Return a number from /proc/self/status, kilobytes."""
    return int(re.search(rf'^{key}:\s*(\d+)', Path('/proc/self/status').read_text(), re.M)[1])
