# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Measure how fast this package is on this machine; print tables, and optionally write JSON.

Absolute times on a shared machine mean little, so variants run alternately and their ratios are
reported. With --against, the ratios are compared with those in an earlier report, and the exit
code is 1 if any ratio is worse by more than the tolerance.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import asdict
import inspect
import json
import os
from pathlib import Path
import platform
import re
import sys
import textwrap

from rich.console import Console
from rich.table import Table
import torch

from benchmarks import association
from benchmarks import detectors
from benchmarks import fleet
from benchmarks import gpu
from benchmarks import node_overhead
from benchmarks import pipeline
from benchmarks import scaling
from benchmarks import trackers
from benchmarks.measuring import Limits
from benchmarks.measuring import machine_limits
from benchmarks.measuring import Row
from benchmarks.measuring import slower_than
from gtr_ros import __version__
from gtr_ros.runtime.device import choose_device

#: number of columns of the output; None: the terminal's
_WIDTH = None if sys.stdout.isatty() else 180

console = Console(width=_WIDTH)

#: by name: the measuring function, and its number of threads (0: torch's default)
PARTS: dict[str, tuple[Callable[[Limits, bool], Iterator[Row]], int]] = {
    'association': (association.measure, 1),
    'trackers': (trackers.measure, 1),
    'detectors': (detectors.measure, 0),
    'pipeline': (pipeline.measure, 0),
    'node': (node_overhead.measure, 0),
    'scaling': (scaling.measure, 1),
}
#: the part that runs on a GPU, if there is one, or if the part is requested
GPU = 'gpu'
#: the part that runs only if it is requested, on any device
FLEET = 'fleet'


def main() -> int:
    """Run the command line; return the exit code."""
    parser = _parser()
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_names()):
        parser.error(f'no such part: {", ".join(sorted(unknown))}; expected {", ".join(_names())}')
    device = choose_device(options.device)
    wants_gpu = any(name.partition(':')[0] == GPU for name in options.parts)
    if wants_gpu and device.type != 'cuda' and options.device == 'auto':
        parser.error(f'no GPU found; --device cpu runs the part {GPU} on the CPU, to try it out')
    simulated = _fleet(parser, options, device)
    earlier = _read(options.against) if options.against else {}
    threads, limits = torch.get_num_threads(), {}
    rows: list[Row] = []
    for name in options.parts or ((*PARTS, GPU) if device.type == 'cuda' else PARTS):
        own, _, block = name.partition(':')
        if own == GPU:
            place, found = str(device), machine_limits(device)
            chosen = [block] if block else gpu.PARTS
            measured = gpu.measure(device, options.quick, chosen, options.seconds, _say_skipped)
        elif own == FLEET:
            place, found = str(device), machine_limits(device)
            measured = fleet.measure(device, simulated, options.seconds, _say_skipped, say=_say)
        else:
            measure, wanted = PARTS[name]
            torch.set_num_threads(wanted or threads)
            place = f'{torch.get_num_threads()} threads'
            found = limits.get(place) or machine_limits()
            measured = measure(found, options.quick)
        limits[place] = found
        part = []
        for row in measured:
            part.append(row)
            note = f', {row.note}' if own == FLEET else ''
            console.print(f'{row.name}: {row.milliseconds:.2f} ms{note}', style='dim')
            if options.json:  # also if it is interrupted later
                report = _report([*rows, *part], limits, device)
                options.json.write_text(json.dumps(report, indent=1))
        console.print(_table(name, part, place, found))
        rows += part
    if options.json:
        console.print(f'wrote {options.json}')
    slower = list(slower_than(earlier, rows, options.tolerance))
    for line in slower:
        console.print(line, style='red')
    if earlier and not slower:
        console.print(f'no ratio is worse than in {options.against} by more than the tolerance')
    return 1 if slower else 0


def _names() -> list[str]:
    return [*PARTS, FLEET, GPU, *(f'{GPU}:{part}' for part in gpu.PARTS)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='make bench',
        description=__doc__,
        epilog='\n'.join(_help()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        'parts',
        nargs='*',
        metavar='PART',
        help=f'any of {", ".join(_names())} (default: all but {FLEET})',
    )
    parser.add_argument(
        '--device',
        default='auto',
        help=f'device of the parts {GPU} and {FLEET} (default: a GPU, if there is one)',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=300.0,
        help=f'after which the parts {GPU} and {FLEET} begin no further block of rows (default: '
        '300)',
    )
    parser.add_argument(
        '--cameras',
        type=int,
        nargs='+',
        metavar='N',
        help=f'numbers of cameras of the part {FLEET} (default: 1, 2, 4, ... 64; on a CPU 1, 2)',
    )
    parser.add_argument(
        '--size', default='640x480', help=f'of the images of {FLEET} (default: %(default)s)'
    )
    parser.add_argument(
        '--rate', type=float, default=25.0, help=f'of each camera of {FLEET} (default: 25 Hz)'
    )
    parser.add_argument('--quick', action='store_true', help='smaller sizes; takes a minute')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write a report')
    parser.add_argument('--against', type=Path, metavar='FILE', help='report to compare with')
    parser.add_argument(
        '--tolerance',
        type=float,
        default=0.25,
        help='accepted relative decrease of a ratio (default: %(default)s)',
    )
    return parser


def _fleet(
    parser: argparse.ArgumentParser, options: argparse.Namespace, device: torch.device
) -> fleet.Fleet:
    """Return what the part fleet simulates."""
    size = re.fullmatch(r'([1-9]\d*)x([1-9]\d*)', options.size)
    counts = options.cameras or fleet.CAMERAS[device.type][: 2 if options.quick else None]
    if size is None:
        parser.error(f'--size is {options.size}; expected width and height, such as 640x480')
    if not all(1 <= count <= 64 for count in counts) or options.rate <= 0:
        parser.error('expected --cameras from 1 to 64 and --rate above 0')
    times = {'warm_up': 0.5, 'seconds': 1.0} if options.quick else {}
    return fleet.Fleet(counts, (int(size[1]), int(size[2])), options.rate, **times)


def _say(line: str) -> None:
    console.print(line, style='dim', markup=False)


def _say_skipped(block: str) -> None:
    console.print(f'{block} is left out: --seconds are over', style='yellow')


def _help() -> Iterator[str]:
    """Yield the description of each part."""
    for name, (measure, _) in (
        *PARTS.items(),
        (FLEET, (fleet.measure, 0)),
        (GPU, (gpu.measure, 0)),
    ):
        text = inspect.cleandoc(sys.modules[measure.__module__].__doc__ or '')
        yield f'{name}:\n{textwrap.indent(text, "  ")}\n'


def _table(name: str, rows: list[Row], place: str, limits: Limits) -> Table:
    table = Table(
        title=f'{name}; {_processor()}, {place}, peak {limits.flops / 1e9:.0f} GFLOP/s in '
        f'float32 and {limits.bandwidth / 1e9:.0f} GB/s'
    )
    table.add_column('')
    for column in ('ms', '10 to 90 %', 'times as fast as', '', 'lower bound, ms', ''):
        table.add_column(column, justify='left' if not column else 'right')
    for row in rows:
        ratio = ''
        if row.ratio is not None:
            ratio = f'{row.ratio:.2f} ({row.ratio_low:.2f} to {row.ratio_high:.2f})'
        table.add_row(
            row.name,
            f'{row.milliseconds:.2f}',
            f'{row.low:.2f} to {row.high:.2f}',
            ratio,
            row.comparator,
            '' if row.limit is None else f'{row.limit:.3f}',
            row.note,
        )
    return table


def _report(rows: list[Row], limits: dict[str, Limits], device: torch.device) -> dict:
    return {
        'version': __version__,
        'torch': torch.__version__,
        'python': platform.python_version(),
        'processor': _processor(),
        'gpu': torch.cuda.get_device_name(device) if device.type == 'cuda' else None,
        'cores': os.cpu_count(),
        'limits': {
            place: {'flops': found.flops, 'bandwidth': found.bandwidth}
            for place, found in limits.items()
        },
        'rows': [asdict(row) for row in rows],
    }


def _processor() -> str:
    """Return the model of the processor and its vector instructions."""
    lines = Path('/proc/cpuinfo').read_text().splitlines()
    told = {
        key.strip(): value.strip() for key, _, value in (line.partition(':') for line in lines)
    }
    flags = told.get('flags', '').split()
    widest = next((name for name in ('avx512f', 'avx2') if name in flags), '')
    return f'{told.get("model name", platform.processor())} {widest}'.strip()


def _read(file: Path) -> dict[str, dict]:
    try:
        return {row['name']: row for row in json.loads(file.read_text())['rows']}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SystemExit(f'{file} is not a report of this command: {error}') from error


if __name__ == '__main__':
    sys.exit(main())
