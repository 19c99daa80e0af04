# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Identities kept, and false joins, as scenes get harder in one respect."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
import csv
from dataclasses import dataclass
from dataclasses import replace
from functools import cache
import math
from pathlib import Path

import numpy as np
from rich.table import Table

from gtr_ros.evaluation.curve_scenes import Made
from gtr_ros.evaluation.curve_scenes import Part
from gtr_ros.evaluation.curve_scenes import Scenes
from gtr_ros.evaluation.gaps import Gap
from gtr_ros.evaluation.identities import false_joins
from gtr_ros.evaluation.identities import identities_kept
from gtr_ros.evaluation.names import ORACLE
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.progress import ignore
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.run import TableRow
from gtr_ros.evaluation.trackers import TrackerSpec


@dataclass(frozen=True)
class CurvePoint:
    """
    One tracker at one value of one factor, all seeds together.

    :param factor: of the scenes
    :param value: of the factor
    :param unit: axis label of the factor
    :param tracker: its name
    :param kept: gaps after which the person had the same id as before
    :param gaps: number of gaps with a box of the person before and after; the same for all
        trackers: one that publishes no id there has not kept it
    :param joins: track ids that went on to another person
    :param ids: track ids of people
    :param hota: mean over the seeds
    :param idf1: mean over the seeds
    """

    factor: str
    value: float | str
    unit: str
    tracker: str
    kept: int
    gaps: int
    joins: int
    ids: int
    hota: float
    idf1: float

    @property
    def kept_share(self) -> float:
        """Share of the gaps after which the id was kept; NaN without gaps."""
        return self.kept / self.gaps if self.gaps else math.nan

    @property
    def joined_share(self) -> float:
        """Share of the ids that went on to another person; NaN without ids."""
        return self.joins / self.ids if self.ids else math.nan


def curves(
    scenes: Scenes,
    factors: Mapping[str, tuple],
    seeds: int,
    specs: SequenceOf[TrackerSpec],
    prepare: Callable[[Made], PreparedSequence],
    threshold: float,
    advance: Advance = ignore,
) -> list[CurvePoint]:
    """
    Run every tracker on every scene; a scene of several values is made once.

    :param factors: their values
    :param prepare: computes the trackers' input for a scene
    :param advance: called after each seed of each value
    :raises ValueError: if a value is not valid, before anything is made
    """
    parts = {
        (factor, value): [scenes.part(factor, values, value, seed) for seed in range(seeds)]
        for factor, values in factors.items()
        for value in values
    }

    @cache
    def prepared(scene) -> tuple[PreparedSequence, list[Gap]]:
        made = scenes.make(scene)
        ready = prepare(made)
        # Without its images, a rendered scene needs no memory of the GPU.
        return replace(ready, sequence=replace(ready.sequence, images=None)), made.gaps

    @cache
    def tracked(scene, stride: int) -> list[TableRow]:
        """Return the row of the oracle, then those of the trackers."""
        oracle = TrackerSpec(ORACLE, None)
        return [run([prepared(scene)[0]], spec, stride, threshold) for spec in (oracle, *specs)]

    def measured(part: Part) -> np.ndarray:
        """Return a row of kept, gaps, joins, ids, HOTA, IDF1 for each tracker."""
        rows, gaps = tracked(part.scene, part.stride), prepared(part.scene)[1]
        wanted = [gap for gap in gaps if part.gaps.has(gap)]
        advance()
        _, possible, *_ = _counts(rows[0], wanted)
        counts = np.array([_counts(row, wanted) for row in rows[1:]]).reshape(-1, 6)
        counts[:, 1] = possible
        return counts

    points = []
    for (factor, value), chosen in parts.items():
        totals = np.sum([measured(part) for part in chosen], axis=0)
        for spec, (*counts, hota, idf1) in zip(specs, totals.tolist(), strict=True):
            points.append(
                CurvePoint(
                    factor,
                    value,
                    scenes.units[factor],
                    spec.name,
                    *map(int, counts),
                    hota / seeds,
                    idf1 / seeds,
                )
            )
    return points


def _counts(row: TableRow, gaps: SequenceOf[Gap]) -> tuple[float, ...]:
    """Return kept, gaps, joins and ids over all phases, and HOTA and IDF1."""
    kept = total = joins = ids = 0
    for sequence, published in zip(row.sequences, row.results, strict=True):
        results = [(r.ids, r.boxes) for r in published]
        for_gaps = identities_kept(sequence, gaps, results)
        for_ids = false_joins(sequence, results)
        kept, total = kept + for_gaps[0], total + for_gaps[1]
        joins, ids = joins + for_ids[0], ids + for_ids[1]
    overall = row.evaluation.overall
    return kept, total, joins, ids, overall['HOTA'], overall['IDF1']


def name_of_value(value: float | str) -> str:
    """Return a value as in tables and plots."""
    return value if isinstance(value, str) else f'{value:g}'


def curves_table(points: SequenceOf[CurvePoint], factor: str) -> Table:
    """Return the table of one factor: for each tracker, a line for each measure, percent."""
    mine = [p for p in points if p.factor == factor]
    table = Table(title=f'{factor}: {mine[0].unit}; percent, in brackets counts')
    table.add_column('tracker', no_wrap=True)
    table.add_column('measure', no_wrap=True)
    for value in dict.fromkeys(p.value for p in mine):
        table.add_column(name_of_value(value), justify='right')
    for tracker in dict.fromkeys(p.tracker for p in mine):
        own = [p for p in mine if p.tracker == tracker]
        kept = [_percent(p.kept_share, f'{p.kept}/{p.gaps}') for p in own]
        joined = [_percent(p.joined_share, f'{p.joins}/{p.ids}') for p in own]
        table.add_row(tracker, 'identities kept', *kept)
        table.add_row('', 'false joins', *joined)
        table.add_row('', 'IDF1', *(f'{100 * p.idf1:.1f}' for p in own), end_section=True)
    return table


def _percent(share: float, counts: str) -> str:
    return '-' if math.isnan(share) else f'{100 * share:.1f} ({counts})'


def write_curves(path: str | Path, points: SequenceOf[CurvePoint]) -> None:
    """Write a CSV line for each point."""
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        counts = ('kept', 'gaps', 'joins', 'ids')
        writer.writerow(['factor', 'value', 'tracker', *counts, 'HOTA', 'IDF1'])
        for p in points:
            line = [p.factor, name_of_value(p.value), p.tracker, *(getattr(p, c) for c in counts)]
            writer.writerow([*line, f'{p.hota:.6f}', f'{p.idf1:.6f}'])
