# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gtr evaluate` does: compares trackers, prints tables and writes a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import count
from pathlib import Path
import sys

from rich.console import Console

from gtr_ros import __version__
from gtr_ros.cli.arguments import named_as_flags
from gtr_ros.cli.arguments import options_of
from gtr_ros.cli.arguments import tracking_option
from gtr_ros.cli.console import console
from gtr_ros.cli.tasks import show_tasks
from gtr_ros.cli.tasks import Start
from gtr_ros.data.opening import OpenedSequence
from gtr_ros.evaluation.ablations import ABLATIONS
from gtr_ros.evaluation.curves import CurvePoint
from gtr_ros.evaluation.curves import curves_table
from gtr_ros.evaluation.curves import write_curves
from gtr_ros.evaluation.names import EXTERNAL_TRACKERS
from gtr_ros.evaluation.names import NAMES
from gtr_ros.evaluation.names import NEED_IMAGES
from gtr_ros.evaluation.names import ORACLE
from gtr_ros.evaluation.names import split_scenes
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.report import write_report
from gtr_ros.evaluation.run import TableRow
from gtr_ros.evaluation.session import EvaluationOptions
from gtr_ros.evaluation.session import open_all
from gtr_ros.evaluation.session import save_tracks
from gtr_ros.evaluation.session import Session
from gtr_ros.evaluation.table import sequence_table
from gtr_ros.evaluation.table import terminal_table
from gtr_ros.evaluation.table import write_csv
from gtr_ros.evaluation.table import write_json
from gtr_ros.evaluation.trackers import split_tracker
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import RANDOM
from gtr_ros.model.registry import rule_name
from gtr_ros.tracking import RULES


def _all_that_run(opened: Sequence[OpenedSequence]) -> list[str]:
    """Return the trackers that can run here; print which are left out, and why."""
    names = list(NAMES)
    if find_spec('trackers') is None:
        names = [n for n in names if n.partition('+')[0] not in EXTERNAL_TRACKERS]
        console.print('the package trackers is not installed: its trackers are left out')
    if not cached_checkpoint('mobile').is_file():
        names.remove('cosine')
        console.print('cosine is left out: its untrained features need `gtr weights import`')
    if any(o.sequence.images is None for o in opened):
        names = [n for n in names if n not in NEED_IMAGES]
        console.print(f'there are no images: {", ".join(NEED_IMAGES)} are left out')
    return names


def _rule(options: argparse.Namespace) -> str:
    """Return the linking rule; the paper's tables need one that links by P_A."""
    rule = rule_name(options.rule, options.model, not options.detector)
    return 'gaussian' if options.table and not options.rule and rule == 'evidence' else rule


def compare(options: argparse.Namespace) -> None:
    """Compare trackers on labelled sequences, in scenes, or as a table of the paper."""
    if not options.sequences and not options.curves:
        raise ValueError('nothing to evaluate: give a sequence, or --curves')
    missing = [name for name in ('trackeval', 'matplotlib') if find_spec(name) is None]
    if missing:
        raise ValueError(
            f'evaluations need {" and ".join(missing)}, which is not installed here; '
            "run pip install '.[evaluation]' in the sources of this package"
        )
    for text in options.trackers or ():
        split_tracker(text)  # a wrong name is an error before the model is loaded
    ablation = ABLATIONS[options.table] if options.table else None
    with named_as_flags():
        settings = EvaluationOptions(
            **options_of(options, ModelOptions),
            rule=_rule(options),
            window=tracking_option(options, 'window'),
            threshold=options.score_threshold,
            strides=tuple(sorted(set(options.strides))),
            track_map=options.track_map,
            boxes_topic=options.boxes_topic,
            cache=options.cache,
        )
    if options.checkpoint == RANDOM:
        console.print('the weights are untrained: the results are meaningless', style='yellow')
    rows, points = [], []
    with show_tasks() as start:
        session = Session(settings, partial(_advances, start), ablation)
        classes = session.networks.evaluated.class_names
        topics = (options.image_topic, options.truth_topic)
        opened = open_all(options.sequences, options.half, options.images, topics, classes)
        trackers = tuple(options.trackers or _all_that_run(opened))
        session = replace(session, options=replace(settings, trackers=trackers))
        uses_window = session.uses_window()  # raises here if an option of a tracker is wrong
        if options.window is not None and not uses_window:
            raise ValueError(
                '--window is for trackers that link by P_A, and has no effect on these; leave it '
                'out, or choose another --rule'
            )
        options.out.mkdir(parents=True, exist_ok=True)
        if opened and ablation:
            rows = session.ablate(opened, options.boxes)
        elif opened:
            rows = session.compare(opened, options.boxes)
        if options.curves:
            points = session.curves(options.curves, options.seeds, options.scenes)
    about = _describe(options, session, opened, rows)
    if ablation:
        about['table'] = f'{options.table}: {ablation.title}'
    _print_tables(options, rows, points, about)
    _write_results(options, rows, points, about)
    console.print(f'wrote {options.out}/report.html and the tables beside it')


def _advances(start: Start, name: str, frames: int) -> Advance:
    """Start a task, and return what is called after each of its frames."""
    task, done = start(name, frames, 0), count(1)
    return lambda: task.update(next(done))


def _describe(
    options: argparse.Namespace,
    session: Session,
    opened: Sequence[OpenedSequence],
    rows: Sequence[TableRow],
) -> dict:
    """Return the description of an evaluation at the top of its report."""
    drawn = [o.boxes is not None for o in opened]
    if options.curves:
        drawn.append(split_scenes(options.scenes)[0] == 'drawn')
    by = Path(options.detector).name or options.model
    found = 'generated with the scenes' if all(drawn) else f'found by {by}'
    association = session.networks.evaluated.association
    about = {
        'sequences': ', '.join(o.sequence.name for o in opened) or 'none',
        'boxes': ', '.join(Path(f).name for f in options.boxes) or found,
        'score threshold': options.score_threshold,
        'model': f'{options.model}, {association.description}',
        'linking': RULES[session.options.rule].describe(association),
        'window': f'{session.options.window} frames',
        'gtr_ros': __version__,
    }
    if options.curves:
        about['curves'] = f'{options.scenes} scenes, {options.seeds} for each value'
    if any(row.delayed_classes for row in rows):
        about['classes'] = 'decided by track, once a sequence is over'
    return about


def _print_tables(
    options: argparse.Namespace,
    rows: Sequence[TableRow],
    points: Sequence[CurvePoint],
    about: dict,
) -> None:
    # A file or a pipe has no width.
    out = Console(width=None if sys.stdout.isatty() else 140)
    if rows:
        several = len(rows[0].by_sequence)
        title = about['sequences'] if several < 4 else f'{several} sequences'
        classes = len(rows[0].evaluation.classes)
        title += f', mean over {classes} classes' if classes > 1 else ''
        out.print(terminal_table(rows, f'{about["table"]}; {title}' if options.table else title))
        by_sequence = sequence_table(rows)
        if by_sequence is not None:
            out.print(by_sequence)
    for factor in dict.fromkeys(point.factor for point in points):
        out.print(curves_table(points, factor))
    out.file.flush()  # in a log, the tables precede what is printed to standard error next


def _write_results(
    options: argparse.Namespace,
    rows: Sequence[TableRow],
    points: Sequence[CurvePoint],
    about: dict,
) -> None:
    if rows:
        write_csv(options.out / 'table.csv', rows)
        write_json(options.out / 'table.json', rows, about)
    if points:
        write_curves(options.out / 'curves.csv', points)
    if options.save_tracks:
        save_tracks(options.out / 'tracks', rows)
    names = [row.tracker for row in rows if row.tracker != ORACLE]
    pictured = [name for name in names if name.startswith(('gtr', 'GTR'))] or names
    write_report(options.out / 'report.html', rows, points, about, pictured[:1])
