# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Time of the detector networks of all models, by part and in every form."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import partial
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import interleaved
from benchmarks.measuring import Limits
from benchmarks.measuring import Row
from benchmarks.measuring import row
from gtr_ros.model.build import build
from gtr_ros.model.detector import Detector
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import RANDOM
from gtr_ros.runtime.torch_runtime import tune

CPU = torch.device('cpu')

#: height and width of each model's input; the published sizes take seconds on a CPU
SIZES = {'mobile': (448, 576), 'mot': (384, 640), 'tao': (384, 640)}

#: precision of each form, and whether it is compiled
FORMS = {
    'tuned': ('float32', False),
    'compiled': ('float32', True),
    'bfloat16': ('bfloat16', False),
    'bfloat16, compiled': ('bfloat16', True),
}

#: parts of each network: titles, and names of their modules
PARTS = {
    'mobile': {'backbone': ('backbone',), 'decoder': ('laterals', 'upsamples', 'attention')},
    'mot': {'backbone': ('backbone',), 'pyramid': ('pyramid',), 'head': ('head',)},
    'tao': {'backbone': ('backbone',), 'pyramid': ('pyramid',), 'head': ('head',)},
}


class Parts:
    """
    Measures the times of a network's parts.

    :param parts: titles, and names of the modules; for a module list, all its modules are measured
    """

    def __init__(self, detector: Detector, parts: dict[str, tuple[str, ...]]) -> None:
        self.seconds: dict[str, list[float]] = {title: [] for title in parts}
        self._now = dict.fromkeys(parts, 0.0)
        self._starts: list[float] = []
        for title, names in parts.items():
            for name in names:
                found = detector.get_submodule(name)
                for module in found if isinstance(found, nn.ModuleList) else (found,):
                    module.register_forward_pre_hook(self._begin)
                    module.register_forward_hook(lambda *_, title=title: self._end(title))

    def take(self) -> None:
        """Store the times of one run."""
        for title, seconds in self._now.items():
            self.seconds[title].append(seconds)
            self._now[title] = 0.0

    def _begin(self, *_) -> None:
        self._starts.append(perf_counter())

    def _end(self, title: str) -> None:
        self._now[title] += perf_counter() - self._starts.pop()


def count_flops(detector: Detector, pixels: torch.Tensor) -> int:
    """Count a network's operations; a multiply-add counts as two."""
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        detector.network(pixels)
    return counter.get_total_flops()


def models(name: str, device: torch.device, forms: dict[str, tuple[str, bool]]) -> dict[str, GTR]:
    """Return a model in each form, with the same weights; the first is the unmodified 'plain'."""
    checkpoint = None if name == 'mobile' else RANDOM
    made = {'plain': build(name, checkpoint).to(device)}
    for form, (precision, compiled) in forms.items():
        other = build(name, checkpoint)
        other.load_state_dict(made['plain'].state_dict())
        made[form] = tune(other.to(device), precision, compiled)
    return made


@torch.inference_mode()
def measure(limits: Limits, quick: bool = False) -> Iterator[Row]:
    """Measure with the current number of torch threads; the comparator is the plain model."""
    forms = {k: form for k, form in FORMS.items() if not quick or not form[1]}
    for model in ('mobile',) if quick else SIZES:
        height, width = SIZES[model]
        pixels = torch.rand(1, 3, height, width) * (255 if model == 'mobile' else 1)
        made = {form: each.detector for form, each in models(model, CPU, forms).items()}
        limit = limits.milliseconds(count_flops(made['plain'], pixels))
        calls: dict[str, Callable[[], object]] = {
            name: partial(detector.network, pixels) for name, detector in made.items()
        }
        times = interleaved(calls, repeats=5 if model == 'tao' else 20)
        title = f'{model} at {width} x {height}'
        for name, seconds in times.items():
            beside = ('', None) if name == 'plain' else ('plain', times['plain'])
            yield row(f'network of {title}, {name}', seconds, *beside, limit=limit)
        parts = Parts(made['plain'], PARTS[model])
        for _ in range(5):
            made['plain'].network(pixels)
            parts.take()
        for part, seconds in parts.seconds.items():
            yield row(f'network of {title}, plain, {part}', seconds)
