# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The rows of an evaluation as a table for the terminal, CSV or JSON."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
import csv
import json
from pathlib import Path

from rich.table import Table

from gtr_ros.evaluation.metrics import COUNTS
from gtr_ros.evaluation.metrics import RATES
from gtr_ros.evaluation.metrics import Scores
from gtr_ros.evaluation.run import TableRow

#: name of a row over all sequences, where there are also rows for each sequence; as in TrackEval
COMBINED = 'COMBINED'

#: most rows by sequence in the terminal; CSV, JSON and the report have all
_MOST_ROWS = 60

#: columns in the terminal and the report; CSV and JSON have all metrics
SHOWN = ('HOTA', 'DetA', 'AssA', 'MOTA', 'IDF1', 'IDSW', 'FP', 'FN', 'Frag', 'IDs')


def headline(row: TableRow) -> Scores:
    """Return the scores shown for a row: the mean over classes, if there are several."""
    return row.evaluation.average


def sequences_of(row: TableRow) -> dict[str, Scores]:
    """Return the scores by sequence; empty if there is only one."""
    several = len(row.by_sequence) > 1
    return {n: e.average for n, e in row.by_sequence.items()} if several else {}


def format_metric(name: str, value: float) -> str:
    """Format a metric: rates in percent, counts as whole numbers."""
    return f'{100 * value:.1f}' if name in RATES else f'{value:.0f}'


def terminal_table(rows: SequenceOf[TableRow], title: str) -> Table:
    """Return the table for the terminal, with a section for each stride."""
    with_map = any(row.track_map is not None for row in rows)
    table = Table(title=title)
    table.add_column('stride', justify='right')
    table.add_column('tracker', no_wrap=True)
    for name in SHOWN:
        table.add_column(name, justify='right', no_wrap=True)
    if with_map:
        table.add_column('track mAP50', justify='right')
    for row, following in zip(rows, [*rows[1:], None]):
        scores = headline(row)
        cells = [format_metric(name, scores[name]) for name in SHOWN]
        if with_map:
            cells.append('' if row.track_map is None else f'{100 * row.track_map:.1f}')
        last = following is not None and following.stride != row.stride
        table.add_row(str(row.stride), row.tracker, *cells, end_section=last)
    return table


def sequence_table(rows: SequenceOf[TableRow]) -> Table | None:
    """
    Return the table by sequence for the terminal; None if there is only one sequence.

    If it would be long, it has only the rows of the first stride.
    """
    found = [(row, sequences_of(row)) for row in rows]
    title = 'by sequence'
    if sum(len(scores) for _, scores in found) > _MOST_ROWS:
        found = [(row, scores) for row, scores in found if row.stride == rows[0].stride]
        title += f', stride {rows[0].stride}; table.csv has all strides'
    names = list(dict.fromkeys(name for _, scores in found for name in scores))
    if not names:
        return None
    table = Table(title=title)
    table.add_column('sequence', no_wrap=True)
    table.add_column('stride', justify='right')
    table.add_column('tracker', no_wrap=True)
    for name in SHOWN:
        table.add_column(name, justify='right', no_wrap=True)
    for name in names:
        for row, scores in found:
            cells = [format_metric(metric, scores[name][metric]) for metric in SHOWN]
            table.add_row(name, str(row.stride), row.tracker, *cells)
        table.add_section()
    return table


def write_csv(path: str | Path, rows: SequenceOf[TableRow]) -> None:
    """
    Write a line for each row, and for each of its sequences if there are several.

    Rates are in [0, 1]. The column `sequence` is COMBINED in the lines over all sequences.
    """
    with open(path, 'w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['stride', 'tracker', 'sequence', *RATES, *COUNTS, 'track_mAP50'])
        for row in rows:
            mean = '' if row.track_map is None else f'{row.track_map:.6f}'
            lines = {COMBINED: headline(row)} | sequences_of(row)
            for sequence, scores in lines.items():
                numbers = [f'{scores[name]:.6g}' for name in (*RATES, *COUNTS)]
                last = mean if sequence == COMBINED else ''
                writer.writerow([row.stride, row.tracker, sequence, *numbers, last])


def write_json(path: str | Path, rows: SequenceOf[TableRow], about: dict) -> None:
    """
    Write all metrics of all classes, and those of each sequence.

    :param about: description of the evaluation
    """
    listed = [
        {
            'stride': row.stride,
            'tracker': row.tracker,
            'classes_delayed': row.delayed_classes,
            'track_mAP50': row.track_map,
            'track_AP50': row.track_precision,
            'overall': _as_dict(row.evaluation.overall),
            'average': _as_dict(row.evaluation.average),
            'classes': {n: _as_dict(s) for n, s in row.evaluation.classes.items()},
            'sequences': {
                n: {'overall': _as_dict(e.overall), 'average': _as_dict(e.average)}
                for n, e in row.by_sequence.items()
            },
        }
        for row in rows
    ]
    Path(path).write_text(json.dumps({'about': about, 'rows': listed}, indent=1) + '\n')


def _as_dict(scores: Scores) -> dict:
    by_alpha = [round(float(x), 6) for x in scores.hota_by_alpha]
    return {k: round(v, 6) for k, v in scores.values.items()} | {'HOTA_by_alpha': by_alpha}
