# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Times that can be compared on a shared machine: taken in turns, reported with their spread."""

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
    What was measured of one thing, beside what it is compared with.

    :param name: unique in a report; the same in every report
    :param milliseconds: median of a call
    :param low: 10th percentile
    :param high: 90th percentile
    :param comparator: what ran in turns with it; '': nothing did
    :param ratio: the comparator's time over this one's, median of the turns: how many times faster
    :param ratio_low: 10th percentile of the turns
    :param ratio_high: 90th percentile of the turns
    :param limit: milliseconds that this machine would need at its best, computed; None: not known
    :param note: more about it, for people
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
    What the machine shows at its best, with the threads that torch has.

    :param flops: floating-point operations a second, of a large matrix product in float32
    :param bandwidth: bytes read and written a second, of a large copy
    """

    flops: float
    bandwidth: float

    def milliseconds(self, flop: float, moved: float = 0.0) -> float:
        """Return how long so many operations and bytes take at the least, whichever is longer."""
        return 1e3 * max(flop / self.flops, moved / self.bandwidth)


def interleaved(
    functions: dict[str, Callable[[], object]], repeats: int, warm_up: int = 2
) -> dict[str, list[float]]:
    """
    Time functions in turns, so that what slows the machine down slows all of them.

    :param functions: what is called, by name; on CUDA it must wait for its end itself
    :param repeats: turns
    :param warm_up: turns before those that count
    :return: seconds of each call, by name
    """
    times: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(warm_up + repeats):
        for name, call in functions.items():
            start = perf_counter()
            call()
            if turn >= warm_up:
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
    Make a row of the turns' times.

    :param times: seconds
    :param others: the comparator's, of the same turns
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
    Measure a large matrix product, by the faster of torch's libraries, and a large copy.

    :param dtype: of the product
    :param size: rows and columns of the product's matrices
    :param megabytes: that are copied
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
                'product': waiting(lambda: a @ weight, device),
                'layer': waiting(lambda: layer(a), device),
                'copy': waiting(lambda: target.copy_(source), device),
            },
            repeats,
        )
    return Limits(
        flops=2 * size**3 / min(times['product'] + times['layer']),
        bandwidth=2 * source.nbytes / min(times['copy']),
    )


def waiting(call: Callable[[], object], device: torch.device) -> Callable[[], object]:
    """Return the same call, ending when the device has done what it asked for."""
    if device.type != 'cuda':
        return call

    def wait() -> object:
        result = call()
        torch.cuda.synchronize(device)
        return result

    return wait


def slower_than(earlier: dict[str, dict], rows: Sequence[Row], tolerance: float) -> Iterator[str]:
    """
    Say what has lost more of its ratio than is tolerated, beside the same comparator.

    :param earlier: rows of a report, by name
    :param tolerance: part of a ratio that may be lost
    """
    for row in rows:
        before = earlier.get(row.name)
        if not before or row.ratio is None or before['comparator'] != row.comparator:
            continue
        if row.ratio < (1 - tolerance) * before['ratio']:
            yield (
                f'{row.name}: {row.ratio:.2f} times as fast as {row.comparator}, '
                f'it was {before["ratio"]:.2f} times'
            )
