# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Timing on a shared machine: functions run alternately; times are reported with their spread."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import torch

from gtr_ros.model.packed import pack


@dataclass(frozen=True)
class Row:
    """
    The times of one function, and their ratio to those of a comparator.

    :param name: unique in a report; the same in every report
    :param milliseconds: median time of a call
    :param low: 10th percentile, milliseconds
    :param high: 90th percentile, milliseconds
    :param comparator: name of what ran alternately with it; '': nothing
    :param ratio: the comparator's time divided by this one's, median of the rounds: the speed-up
    :param ratio_low: 10th percentile of the rounds
    :param ratio_high: 90th percentile of the rounds
    :param limit: lower bound computed for this machine, milliseconds; None if not available
    :param note: additional information to print
    """

    name: str
    milliseconds: float
    low: float
    high: float
    comparator: str = ''
    ratio: float | None = None
    ratio_low: float | None = None
    ratio_high: float | None = None
    limit: float | None = None
    note: str = ''


@dataclass(frozen=True)
class Limits:
    """
    Peak throughput of the machine, with torch's current number of threads.

    :param flops: floating-point operations per second, of a large matrix product
    :param bandwidth: bytes read and written per second, of a large copy
    """

    flops: float
    bandwidth: float

    def milliseconds(self, flop: float, moved: float = 0.0) -> float:
        """Return the minimum time for these operations or these bytes, whichever takes longer."""
        return 1e3 * max(flop / self.flops, moved / self.bandwidth)


def interleaved(
    functions: dict[str, Callable[[], object]], repeats: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """
    Time functions alternately, so that a slowdown of the machine affects all of them.

    :param functions: by name; on CUDA, a function must synchronise, see `synchronised`
    :param repeats: rounds; each calls every function once
    :param warm_up: rounds before those that are timed
    :return: seconds of each call, by name
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for i in range(warm_up + repeats):
        for name, call in functions.items():
            start = perf_counter()
            call()
            if i >= warm_up:
                times[name].append(perf_counter() - start)
    return times


def row(
    name: str,
    times: Sequence[float],
    comparator: str = '',
    others: Sequence[float] | None = None,
    limit: float | None = None,
    note: str = '',
) -> Row:
    """
    Create a row from the times of the rounds.

    :param times: seconds
    :param others: seconds of the comparator in the same rounds
    """
    low, median, high = (float(x) for x in np.percentile(np.multiply(times, 1e3), (10, 50, 90)))
    ratios = (None, None, None)
    if others is not None:
        ratios = tuple(float(x) for x in np.percentile(np.divide(others, times), (50, 10, 90)))
    return Row(name, median, low, high, comparator, *ratios, limit, note)


def machine_limits(
    device: torch.device = torch.device('cpu'),
    dtype: torch.dtype = torch.float32,
    size: int = 2048,
    megabytes: int = 256,
    repeats: int = 5,
) -> Limits:
    """
    Measure a large matrix product, with the faster of torch's two libraries, and a large copy.

    :param dtype: of the product
    :param size: rows and columns of the product's matrices
    :param megabytes: size of the copy
    :param repeats: number of calls of each; the fastest counts
    """
    a = torch.rand(size, size, device=device, dtype=dtype)
    layer = torch.nn.Sequential(torch.nn.Linear(size, size)).to(device, dtype)
    weight = layer[0].weight.detach()
    pack(layer)
    source = torch.rand(megabytes * 250_000, device=device)
    target = torch.empty_like(source)
    with torch.inference_mode():
        times = interleaved(
            {
                'product': synchronised(lambda: a @ weight, device),
                'layer': synchronised(lambda: layer(a), device),
                'copy': synchronised(lambda: target.copy_(source), device),
            },
            repeats,
        )
    return Limits(
        flops=2 * size**3 / min(times['product'] + times['layer']),
        bandwidth=2 * source.nbytes / min(times['copy']),
    )


def synchronised(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return a function that also waits until the device has finished the call's work."""
    if device.type != 'cuda':
        return call

    def call_and_wait() -> object:
        result = call()
        torch.cuda.synchronize(device)
        return result

    return call_and_wait


def slower_than(earlier: dict[str, dict], rows: Sequence[Row], tolerance: float) -> Iterator[str]:
    """
    Describe each row whose ratio to the same comparator has become worse.

    :param earlier: rows of an earlier report, by name
    :param tolerance: accepted relative decrease of a ratio
    """
    for row in rows:
        before = earlier.get(row.name)
        if not before or row.ratio is None or before['comparator'] != row.comparator:
            continue
        if row.ratio < (1 - tolerance) * before['ratio']:
            yield (
                f'{row.name}: {row.ratio:.2f} times as fast as {row.comparator}, '
                f'before: {before["ratio"]:.2f} times'
            )
