# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities kept as scenes get harder: occlusion, density, similarity, frame rate, camera."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
import csv
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from rich.table import Table

from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Generated
from gtr_ros.data.synthetic import Scene
from gtr_ros.evaluation.identities import identities_kept
from gtr_ros.evaluation.names import FACTORS
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.progress import ignore
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import TrackerSpec

#: axis labels of the factors
UNITS = {
    'occlusion': 'seconds hidden',
    'objects': 'people in the image',
    'similarity': 'similarity of appearance (1: identical)',
    'rate': 'frames per second',
    'camera': 'camera motion, pixels per second',
}


@dataclass(frozen=True)
class CurvePoint:
    """
    One tracker at one value of one factor, all seeds together.

    :param factor: one of `FACTORS`
    :param kept: hidings after which the object had the same id as before
    :param hidings: number of hidings with results before and after
    :param hota: mean over the seeds
    :param idf1: mean over the seeds
    """

    factor: str
    value: float
    tracker: str
    kept: int
    hidings: int
    hota: float
    idf1: float


def scenes(factor: str, value: float, seeds: int, base: Scene) -> list[Scene]:
    """Return the scenes for one value of a factor, one for each seed."""
    kind = int if factor == 'objects' else float
    return [replace(base, **{factor: kind(value), 'seed': seed}) for seed in range(seeds)]


def curves(
    factors: SequenceOf[str],
    seeds: int,
    specs: SequenceOf[TrackerSpec],
    prepare: Callable[[Generated], PreparedSequence],
    threshold: float,
    base: Scene = Scene(),
    advance: Advance = ignore,
) -> list[CurvePoint]:
    """
    Run every tracker on every scene.

    :param prepare: computes the trackers' input for a scene
    :param advance: called after every scene
    :raises ValueError: if a factor is unknown
    """
    unknown = [f for f in factors if f not in FACTORS]
    if unknown:
        raise ValueError(f'factor {unknown[0]!r}; expected one of {", ".join(FACTORS)}')
    points = []
    for factor in factors:
        for value in FACTORS[factor]:
            totals = {spec.name: [0, 0, 0.0, 0.0] for spec in specs}
            for scene in scenes(factor, value, seeds, base):
                made = generate(scene)
                prepared = prepare(made)
                for spec in specs:
                    row = run([prepared], spec, 1, threshold)
                    results = [(r.ids, r.boxes) for r in row.results[0]]
                    kept, total = identities_kept(made.sequence, made.hidings, results)
                    overall = row.evaluation.overall
                    for i, x in enumerate((kept, total, overall['HOTA'], overall['IDF1'])):
                        totals[spec.name][i] += x
                advance()
            points += [
                CurvePoint(factor, value, name, kept, total, hota / seeds, idf1 / seeds)
                for name, (kept, total, hota, idf1) in totals.items()
            ]
    return points


def curves_table(points: SequenceOf[CurvePoint], factor: str) -> Table:
    """Return the table of one factor: the identities kept by each tracker, percent."""
    mine = [p for p in points if p.factor == factor]
    values = list(dict.fromkeys(p.value for p in mine))
    table = Table(title=f'identities kept, % (in brackets IDF1), by {UNITS[factor]}')
    table.add_column('tracker', no_wrap=True)
    for value in values:
        table.add_column(f'{value:g}', justify='right')
    for tracker in dict.fromkeys(p.tracker for p in mine):
        cells = [
            f'{100 * p.kept / max(p.hidings, 1):.0f} ({100 * p.idf1:.0f})'
            for p in mine
            if p.tracker == tracker
        ]
        table.add_row(tracker, *cells)
    return table


def write_curves(path: str | Path, points: SequenceOf[CurvePoint]) -> None:
    """Write a CSV line for each point."""
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['factor', 'value', 'tracker', 'kept', 'hidings', 'HOTA', 'IDF1'])
        for p in points:
            rates = f'{p.hota:.6f}', f'{p.idf1:.6f}'
            writer.writerow([p.factor, f'{p.value:g}', p.tracker, p.kept, p.hidings, *rates])
