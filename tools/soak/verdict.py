# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a soak has measured, and the bounds that it must keep. Needs no ROS."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import field
import json
from pathlib import Path
import statistics
from typing import NamedTuple

#: largest growth of the median memory from the second quarter of a part to the last; and MB,
#: divided by the minutes of the part: the first minutes fill caches
MEMORY_GROWTH, WARM_UP = 0.03, 60.0
#: largest growth of the median age, divided by the processing time of an image, if it is above 2:
#: an image waits for at most one other
LATENCY_GROWTH, LATENCY = 0.5, 2.0
#: additional threads and file descriptors in the last quarter
MORE_THREADS, MORE_FILES = 2, 8
#: share of seconds in which the node's diagnostics must arrive, and their largest gap, seconds
REPORTED, LONGEST_GAP = 0.9, 5.0
#: ids for each time an object appears; boxes found, as a share of the true ones
IDS_PER_APPEARANCE, FOUND = 3.0, 0.3
#: counters in which a received image ends
ENDS = ('processed', 'dropped', 'failed', 'skipped', 'unmatched')


class Sample(NamedTuple):
    """
    The node in one second.

    :param memory: resident, MB
    :param files: open file descriptors
    :param age: median, from an image's stamp to the arrival of its detections, ms
    :param processing: of the newest image, ms
    """

    memory: float
    threads: int
    files: int
    age: float
    processing: float


@dataclass
class Part:
    """
    What one run has measured.

    :param samples: one for each second in which detections arrived
    :param reports: diagnostics messages received
    :param longest_gap: between two of them, seconds
    :param counters: of each camera at the end, as in the diagnostics
    :param ids: how many ids each camera's objects got
    :param appearances: how often an object of a camera appeared
    :param found: boxes published
    :param true: boxes in the images that were processed
    :param repeated: messages with an id twice
    :param reused: ids seen before a reset and again after it
    :param calls: service calls made
    :param unanswered: of them, those without the expected answer
    :param events: what was done to the node, and how often
    """

    date: str
    machine: str
    seconds: float
    rate: float
    samples: list[Sample] = field(default_factory=list)
    reports: int = 0
    longest_gap: float = 0.0
    counters: dict[str, dict[str, int]] = field(default_factory=dict)
    ids: int = 0
    appearances: int = 0
    found: int = 0
    true: int = 0
    repeated: int = 0
    reused: int = 0
    calls: int = 0
    unanswered: int = 0
    events: dict[str, int] = field(default_factory=dict)


class Check(NamedTuple):
    """One bound, whether it was kept, and the numbers."""

    name: str
    kept: bool
    numbers: str


def quarters(samples: Sequence[Sample]) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """Return the second and the last quarter; both are empty if there are too few samples."""
    size = len(samples) // 4
    return samples[size : 2 * size], samples[len(samples) - size :]


def checks(part: Part) -> list[Check]:
    """Compare what a part has measured with the bounds."""
    before, after = quarters(part.samples)
    enough = Check('measured', len(before) >= 5, f'{len(part.samples)} seconds with detections')
    if not enough.kept:
        return [enough]

    def median(samples: Iterable[Sample], name: str) -> float:
        return statistics.median(getattr(sample, name) for sample in samples)

    def most(samples: Iterable[Sample], name: str) -> int:
        return max(getattr(sample, name) for sample in samples)

    memory = median(before, 'memory'), median(after, 'memory')
    age = median(before, 'age'), median(after, 'age')
    relative = tuple(
        statistics.median(sample.age / max(sample.processing, 1e-3) for sample in samples)
        for samples in (before, after)
    )
    threads, files = ((most(before, name), most(after, name)) for name in ('threads', 'files'))
    counts = part.counters.values()
    totals = {key: sum(camera[key] for camera in counts) for key in ('received', 'lost', *ENDS)}
    ended = sum(totals[key] for key in ENDS)
    return [
        enough,
        Check(
            'memory is flat',
            memory[1] <= memory[0] * (1 + MEMORY_GROWTH) + WARM_UP / (part.seconds / 60),
            f'{memory[0]:.0f} MB in the second quarter, {memory[1]:.0f} MB in the last',
        ),
        Check(
            'latency is flat',
            relative[1] <= max(relative[0] * (1 + LATENCY_GROWTH), LATENCY),
            f'age {age[0]:.0f} ms, then {age[1]:.0f} ms; divided by the processing time '
            f'{relative[0]:.2f}, then {relative[1]:.2f}',
        ),
        Check(
            'threads are flat',
            threads[1] <= threads[0] + MORE_THREADS,
            f'at most {threads[0]}, then {threads[1]}',
        ),
        Check(
            'file descriptors are flat',
            files[1] <= files[0] + MORE_FILES,
            f'at most {files[0]}, then {files[1]}',
        ),
        Check(
            'no callback is lost',
            part.reports >= REPORTED * part.seconds and part.longest_gap <= LONGEST_GAP,
            f'{part.reports} diagnostics in {part.seconds:.0f} s, longest gap '
            f'{part.longest_gap:.1f} s',
        ),
        Check(
            'every call is answered',
            part.unanswered == 0,
            f'{part.unanswered} of {part.calls} not',
        ),
        Check(
            'every image is accounted for',
            all(camera['received'] == sum(camera[key] for key in ENDS) for camera in counts)
            and totals['failed'] == 0
            and totals['processed'] > 0,
            f'{totals["received"]} received = {ended}: '
            + ', '.join(f'{totals[key]} {key}' for key in ENDS)
            + f'; {totals["lost"]} lost by the middleware',
        ),
        Check(
            'ids are unique and never reused',
            part.repeated == 0 and part.reused == 0,
            f'{part.repeated} messages with an id twice, {part.reused} ids after a reset again',
        ),
        Check(
            'few ids for each object',
            part.ids <= IDS_PER_APPEARANCE * part.appearances,
            f'{part.ids} ids for {part.appearances} appearances',
        ),
        Check(
            'objects are found',
            part.found >= FOUND * part.true,
            f'{part.found} boxes of {part.true} in the processed images',
        ),
    ]


def append(path: Path, part: Part) -> None:
    """Add a part to a file."""
    with path.open('a') as file:
        file.write(json.dumps(asdict(part)) + '\n')


def load(path: Path) -> list[Part]:
    """Read the parts of a file; none if it does not exist."""
    if not path.exists():
        return []
    parts = [Part(**json.loads(line)) for line in path.read_text().splitlines() if line.strip()]
    for part in parts:
        part.samples = [Sample(*values) for values in part.samples]
    return parts


def judge(parts: Sequence[Part]) -> bool:
    """Print the checks of all parts; return whether all bounds were kept."""
    kept = True
    for number, part in enumerate(parts, 1):
        print(f'part {number}, {part.date}, {part.machine}: {part.seconds / 60:.1f} minutes')
        for check in checks(part):
            kept &= check.kept
            print(f'  {"ok    " if check.kept else "FAILED"} {check.name}: {check.numbers}')
        print(f'  events: {", ".join(f"{n} {name}" for name, n in part.events.items())}')
    hours = sum(part.seconds for part in parts) / 3600
    print(f'{"passed" if kept and parts else "FAILED"}: {len(parts)} parts, {hours:.2f} hours')
    return kept and bool(parts)
