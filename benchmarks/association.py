# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The association of one frame with a full window: three ways, their time and their memory."""

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
from gtr_ros.model.build import TRANSFORMERS
from gtr_ros.model.packed import pack
from gtr_ros.tracking.online import CachedEncoder
from gtr_ros.tracking.online import OnlineAssociation
from gtr_ros.tracking.online import Recomputed
from gtr_ros.tracking.online import Streaming

#: objects of a window above which the plain path's attention weights are not tried: gigabytes
_MOST_PLAIN = 3300

#: model, T, objects in each frame
SIZES = [
    *(('mobile', window, objects) for window in (8, 16, 32) for objects in (20, 50, 100, 200)),
    *(('mot', window, 50) for window in (8, 16, 32)),
    ('mot', 32, 100),
]
QUICK_SIZES = [('mobile', 16, 20), ('mot', 16, 20)]


class Materialised(Recomputed):
    """The plain path with every attention weight in memory: everything is computed each frame."""

    def ask(self, features: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
        with sdpa_kernel(SDPBackend.MATH):
            return super().ask(features, boxes)


def frame(objects: int, features: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features and boxes of a frame."""
    unit = torch.nn.functional.normalize(torch.randn(objects, features), dim=1)
    return unit, torch.rand(objects, 4)


def filled(
    own: OnlineAssociation,
    window: int,
    objects: int,
    features: int,
    device: torch.device = torch.device('cpu'),
) -> OnlineAssociation:
    """Let T - 1 frames be in the window."""
    association = own.association
    if isinstance(own, Recomputed):
        own.association = CosineAssociation()  # what it answers meanwhile is of no interest
    for _ in range(window - 1):
        own.ask(*(part.to(device) for part in frame(objects, features)))
        own.add()
    own.association = association
    return own


def ways(model: str, window: int, objects: int) -> dict[str, Callable[[], OnlineAssociation]]:
    """Return what makes each way's state, by its name, the plain one the last."""
    kinds: dict[str, type[OnlineAssociation]] = {'streaming': Streaming, 'cached': CachedEncoder}
    if window * objects <= _MOST_PLAIN:
        kinds['plain'] = Materialised
    features = TRANSFORMERS[model]['features']

    def maker(kind: type[OnlineAssociation]) -> Callable[[], OnlineAssociation]:
        association = make_transformer(model, causal=kind is Streaming).eval()
        if kind is not Materialised:
            pack(association)  # as loading does
        return lambda: filled(kind(association), window, objects, features)

    return {name: maker(kind) for name, kind in kinds.items()}


def flops(model: str, own: OnlineAssociation, features: torch.Tensor, boxes: torch.Tensor) -> int:
    """Count the operations of a frame, a multiplication and an addition being two."""
    # Neither a fused attention nor a packed layer is counted; their products are these.
    packed = own.association
    own.association = make_transformer(model, causal=packed.causal).eval().to(features.device)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        own.ask(features, boxes)
    own.association = packed
    return counter.get_total_flops()


def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with torch's threads."""
    for size in QUICK_SIZES if quick else SIZES:
        yield from _measure(limits, *size)


def _measure(limits: Limits, model: str, window: int, objects: int) -> Iterator[Row]:
    made, peaks, operations = {}, {}, {}
    features = TRANSFORMERS[model]['features']
    new = frame(objects, features)
    makers = ways(model, window, objects)
    for name, make in makers.items():
        make().ask(*new)  # what libraries allocate once is nobody's
        with _Peak() as peak:
            made[name] = make()
            made[name].ask(*new)
        peaks[name] = peak.megabytes
        operations[name] = flops(model, made[name], *new)
    large = window * objects * features > 500_000
    times = interleaved(
        {name: lambda own=own: own.ask(*new) for name, own in made.items()},
        repeats=5 if large else 30,
        warm_up=1 if large else 5,
    )
    plain = times.get('plain')
    for name in makers:
        compared = plain is not None and name != 'plain'
        note = f'{peaks[name]:.0f} MB'
        if compared:
            note += f', {peaks[name] / max(peaks["plain"], 1e-9):.0%} of the plain'
        yield row(
            f'association {model}, T = {window}, {objects} objects, {name}',
            times[name],
            'plain' if compared else '',
            plain if compared else None,
            limits.milliseconds(operations[name]),
            note,
        )


class _Peak:
    """The most memory that a `with` block has beyond what the process had before, megabytes."""

    def __enter__(self) -> _Peak:
        gc.collect()
        # What others have freed must not be used again unseen. Only glibc has it.
        getattr(ctypes.CDLL(None), 'malloc_trim', lambda _: 0)(0)
        Path('/proc/self/clear_refs').write_text('5')  # the high-water mark begins again
        self._before = _status('VmRSS')
        return self

    def __exit__(self, *_) -> None:
        self.megabytes = (_status('VmHWM') - self._before) / 1e3


def _status(key: str) -> int:
    """Return a number of /proc/self/status, kilobytes."""
    return int(re.search(rf'^{key}:\s*(\d+)', Path('/proc/self/status').read_text(), re.M)[1])
