# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr evaluate`: compare trackers in a table and a report."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
import sys

from rich.console import Console

from gtr_ros import __version__
from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.arguments import options_of
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.data.formats.motchallenge import HALVES
from gtr_ros.data.opening import OpenedSequence
from gtr_ros.evaluation.ablations import ABLATIONS
from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.curves import CurvePoint
from gtr_ros.evaluation.curves import curves_table
from gtr_ros.evaluation.curves import FACTORS
from gtr_ros.evaluation.curves import write_curves
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.report import write_report
from gtr_ros.evaluation.run import TableRow
from gtr_ros.evaluation.session import EvaluationOptions
from gtr_ros.evaluation.session import open_all
from gtr_ros.evaluation.session import save_tracks
from gtr_ros.evaluation.session import Session
from gtr_ros.evaluation.table import terminal_table
from gtr_ros.evaluation.table import write_csv
from gtr_ros.evaluation.table import write_json
from gtr_ros.evaluation.trackers import NAMES
from gtr_ros.evaluation.trackers import NEED_IMAGES
from gtr_ros.evaluation.trackers import ORACLE
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import cached_checkpoint
from gtr_ros.model.registry import RANDOM
from gtr_ros.tracking import RULES
from gtr_ros.tracking.rules import rule_name


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `evaluate` to the commands."""
    command = commands.add_parser(
        'evaluate',
        help='compare trackers on labelled sequences',
        description='Compare trackers on identical boxes, in a table and a report. Trackers: '
        f'{", ".join(NAMES)}; with options as in gtr:window=16,rule=paper,location=off or '
        'cosine:features=reid.onnx. Where the model scores every class (tao), the classes of a '
        'track are decided once the sequence is over, by its mean class scores; with '
        'classes=online (gtr:classes=online), in each frame by itself.',
    )
    command.add_argument(
        'sequences',
        nargs='*',
        help='MOTChallenge folder or a folder of those, KITTI labels, TAO or COCO video JSON, '
        'rosbag2, or a drawn scene: synthetic:objects=20,occlusion=2,...',
    )
    command.add_argument(
        '--boxes',
        nargs='+',
        default=[],
        metavar='FILE',
        help='stored boxes, one for each sequence: npz, MOTChallenge text, or a rosbag2 with a '
        'Detection2DArray (default: the model finds them)',
    )
    command.add_argument(
        '--trackers', nargs='+', metavar='NAME', help='(default: all that can run here)'
    )
    command.add_argument(
        '--strides',
        nargs='+',
        type=whole_number,
        default=[1, 2, 4, 8],
        metavar='N',
        help='use every Nth frame, as at low frame rates (default: 1 2 4 8)',
    )
    command.add_argument(
        '--table',
        choices=ABLATIONS,
        help='table of the paper, by its number; for 4a, 4b and 4c, --checkpoint is the folder '
        'with one file per row',
    )
    command.add_argument(
        '--curves',
        nargs='+',
        choices=FACTORS,
        default=[],
        help='measure the identities kept in synthetic scenes as one of these gets harder',
    )
    command.add_argument(
        '--seeds',
        type=whole_number,
        default=3,
        help='scenes for each value of --curves (default: 3)',
    )
    command.add_argument(
        '--half', choices=HALVES, help="half of each MOTChallenge sequence, by the paper's split"
    )
    command.add_argument('--images', metavar='DIR', help='folder of the images of a JSON')
    command.add_argument(
        '--image-topic', metavar='TOPIC', help='images of a bag (default: its only ones)'
    )
    command.add_argument(
        '--truth-topic', metavar='TOPIC', help='ground truth of a bag (default: its only one)'
    )
    command.add_argument(
        '--boxes-topic', metavar='TOPIC', help='detections of bags given as --boxes'
    )
    command.add_argument('--track-map', action='store_true', help="compute TAO's track mAP50, too")
    add_tracking_arguments(command)
    command.add_argument(
        '--score-threshold',
        type=float,
        default=0.4,
        metavar='S',
        help='score from which trackers get a box; those that take weak ones get others, too '
        '(default: %(default)s)',
    )
    command.add_argument(
        '--out',
        type=Path,
        default=Path('evaluation'),
        help='folder of the results (default: %(default)s)',
    )
    command.add_argument(
        '--save-tracks', action='store_true', help='write the tracks, too, as MOTChallenge text'
    )
    command.add_argument(
        '--cache',
        type=Path,
        metavar='DIR',
        help="for boxes and features (default: the user's cache)",
    )
    command.set_defaults(run=evaluate)


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


def whole_number(text: str) -> int:
    """Parse a whole number from 1, for argparse."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 1')
    return value


def _rule(options: argparse.Namespace) -> str:
    """Return the linking rule; the paper's tables need one that links by P_A."""
    rule = rule_name(options.rule, options.model)
    return 'gaussian' if options.table and not options.rule and rule == 'evidence' else rule


def evaluate(options: argparse.Namespace) -> None:
    """Compare trackers on labelled sequences, in synthetic scenes, or as a table of the paper."""
    if not options.sequences and not options.curves:
        raise ValueError('nothing to evaluate: give a sequence, or --curves')
    missing = [name for name in ('trackeval', 'matplotlib') if find_spec(name) is None]
    if missing:
        raise ValueError(
            f'evaluations need {" and ".join(missing)}, which is not installed here; '
            "run pip install '.[evaluation]' in the sources of this package"
        )
    ablation = ABLATIONS[options.table] if options.table else None
    settings = EvaluationOptions(
        **options_of(options, ModelOptions),
        rule=_rule(options),
        window=options.window,
        threshold=options.score_threshold,
        strides=tuple(sorted(set(options.strides))),
        track_map=options.track_map,
        boxes_topic=options.boxes_topic,
        cache=options.cache,
    )
    if options.checkpoint == RANDOM:
        console.print('the weights are untrained: the results are meaningless', style='yellow')
    rows, points = [], []
    with show_progress() as progress:

        def start_task(text: str, frames: int) -> Advance:
            task = progress.add_task(text, total=frames)
            return lambda: progress.advance(task)

        session = Session(settings, start_task, ablation)
        classes = session.networks.evaluated.class_names
        topics = (options.image_topic, options.truth_topic)
        opened = open_all(options.sequences, options.half, options.images, topics, classes)
        trackers = tuple(options.trackers or _all_that_run(opened))
        session = replace(session, options=replace(settings, trackers=trackers))
        if opened and ablation:
            rows = session.ablate(opened, options.boxes)
        elif opened:
            rows = session.compare(opened, options.boxes)
        if options.curves:
            points = session.curves(options.curves, options.seeds)
    about = _describe(options, session, opened, rows)
    if ablation:
        about['table'] = f'{options.table}: {ablation.title}'
    _print_tables(options, rows, points, about)
    _write_results(options, rows, points, about)
    console.print(f'wrote {options.out}/report.html and the tables beside it')


def _describe(
    options: argparse.Namespace,
    session: Session,
    opened: Sequence[OpenedSequence],
    rows: Sequence[TableRow],
) -> dict:
    """Return the description of an evaluation at the top of its report."""
    synthetic = all(o.boxes is not None for o in opened)
    found = 'generated with the scenes' if synthetic else f'found by {options.model}'
    association = session.networks.evaluated.association
    about = {
        'sequences': ', '.join(o.sequence.name for o in opened) or 'none',
        'boxes': ', '.join(Path(f).name for f in options.boxes) or found,
        'score threshold': options.score_threshold,
        'model': f'{options.model}, {association.description}',
        'linking': RULES[session.options.rule].describe(association),
        'window': f'{options.window} frames',
        'gtr_ros': __version__,
    }
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
        count = sum(phase == 0 for phase in rows[0].phases)
        title = about['sequences'] if count < 4 else f'{count} sequences'
        classes = len(rows[0].evaluation.classes)
        title += f', mean over {classes} classes' if classes > 1 else ''
        out.print(terminal_table(rows, f'{about["table"]}; {title}' if options.table else title))
    for factor in options.curves:
        out.print(curves_table(points, factor))


def _write_results(
    options: argparse.Namespace,
    rows: Sequence[TableRow],
    points: Sequence[CurvePoint],
    about: dict,
) -> None:
    options.out.mkdir(parents=True, exist_ok=True)
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
