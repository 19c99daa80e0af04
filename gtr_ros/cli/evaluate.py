# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""`gtr evaluate`: trackers side by side, as a table and a report."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
import sys

from rich.console import Console

from gtr_ros import __version__
from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.data.formats.motchallenge import HALVES
from gtr_ros.data.opening import Opened
from gtr_ros.evaluation.ablations import ABLATIONS
from gtr_ros.evaluation.baselines.external import EXTERNAL_TRACKERS
from gtr_ros.evaluation.curves import curves_table
from gtr_ros.evaluation.curves import FACTORS
from gtr_ros.evaluation.curves import write_curves
from gtr_ros.evaluation.report import write_report
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
from gtr_ros.model.build import choose_device
from gtr_ros.model.build import RANDOM
from gtr_ros.model.checkpoint import cached_checkpoint
from gtr_ros.tracking import RULES
from gtr_ros.tracking.rules import rule_name


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add the command to the program's."""
    command = commands.add_parser(
        'evaluate',
        help='compare trackers on labelled sequences',
        description='Compare trackers on identical boxes: one table, one report. Trackers: '
        f'{", ".join(NAMES)}; with options as gtr:window=16,rule=paper,location=off or '
        'cosine:features=reid.onnx',
    )
    command.add_argument(
        'sequences',
        nargs='*',
        help='MOTChallenge folder or folder of such, KITTI labels, TAO or COCO-video JSON, '
        'rosbag2, or synthetic:objects=20,occlusion=2,...',
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
        help='use every Nth frame: robots see few a second (default: 1 2 4 8)',
    )
    command.add_argument('--table', choices=ABLATIONS, help="one of the paper's, by its number")
    command.add_argument(
        '--curves',
        nargs='+',
        choices=FACTORS,
        default=[],
        help='measure identities kept in synthetic scenes as one of these gets harder',
    )
    command.add_argument('--seeds', type=whole_number, default=3, help='of synthetic scenes')
    command.add_argument(
        '--half', choices=HALVES, help="of each MOTChallenge sequence, the paper's split"
    )
    command.add_argument('--images', metavar='DIR', help="of a JSON's images")
    command.add_argument('--image-topic', metavar='TOPIC', help='of a bag')
    command.add_argument('--truth-topic', metavar='TOPIC', help='of a bag')
    command.add_argument('--boxes-topic', metavar='TOPIC', help='of bags given as --boxes')
    command.add_argument('--track-map', action='store_true', help="also TAO's track mAP50")
    add_tracking_arguments(
        command, '; with --table 4a, 4b or 4c the folder that holds one for each row'
    )
    command.add_argument(
        '--score-threshold',
        type=float,
        default=0.4,
        metavar='S',
        help='boxes that score less are seen only by trackers that want weak ones '
        '(default: %(default)s)',
    )
    command.add_argument(
        '--out', type=Path, default=Path('evaluation'), help='folder (default: %(default)s)'
    )
    command.add_argument(
        '--save-tracks', action='store_true', help='also write the tracks, MOTChallenge text'
    )
    command.add_argument(
        '--cache', type=Path, metavar='DIR', help="for features (default: the user's cache)"
    )
    command.set_defaults(run=evaluate)


def _all_that_run(opened: Sequence[Opened]) -> list[str]:
    """Return the trackers that need nothing which is not here; say which are left out."""
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
    """Read a whole number from 1; argparse says so of what is none."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 1')
    return value


def _rule(options: argparse.Namespace) -> str:
    """Return the rule that links: of the paper's tables one that is about P_A."""
    rule = rule_name(options.rule, options.model)
    return 'gaussian' if options.table and not options.rule and rule == 'evidence' else rule


def evaluate(options: argparse.Namespace) -> None:
    """Compare trackers on labelled sequences, in synthetic scenes, or as a table of the paper."""
    if not options.sequences and not options.curves:
        raise ValueError('nothing to evaluate: name a sequence, or give --curves')
    missing = [name for name in ('trackeval', 'matplotlib') if find_spec(name) is None]
    if missing:
        raise ValueError(
            f'{" and ".join(missing)} is not installed here; evaluations need it: '
            "pip install '.[evaluation]' in this package's sources"
        )
    ablation = ABLATIONS[options.table] if options.table else None
    settings = EvaluationOptions(
        model=options.model,
        checkpoint=options.checkpoint,
        device=choose_device(options.device),
        rule=_rule(options),
        window=options.window,
        threshold=options.score_threshold,
        strides=tuple(sorted(set(options.strides))),
        track_map=options.track_map,
        boxes_topic=options.boxes_topic,
        cache=options.cache,
    )
    if options.checkpoint == RANDOM:
        console.print('the weights are untrained: what they do has no meaning', style='yellow')
    rows, points = [], []
    with show_progress() as progress:

        def begin(text: str, total: int) -> Callable[[], None]:
            task = progress.add_task(text, total=total)
            return lambda: progress.advance(task)

        session = Session(settings, begin, ablation)
        classes = session.networks.evaluated.class_names
        topics = (options.image_topic, options.truth_topic)
        opened = open_all(options.sequences, options.half, options.images, topics, classes)
        trackers = tuple(options.trackers or _all_that_run(opened))
        session = replace(session, settings=replace(settings, trackers=trackers))
        if opened and ablation:
            rows = session.ablate(opened, options.boxes)
        elif opened:
            rows = session.compare(opened, options.boxes)
        if options.curves:
            points = session.curves(options.curves, options.seeds)
    synthetic = all(o.boxes is not None for o in opened)
    found = 'made with the scenes' if synthetic else f'found by {options.model}'
    about = {
        'sequences': ', '.join(o.sequence.name for o in opened) or 'none',
        'boxes': ', '.join(Path(f).name for f in options.boxes) or found,
        'score threshold': options.score_threshold,
        'model': f'{options.model}, {session.networks.evaluated.association.description}',
        'linking': RULES[settings.rule].describe(session.networks.evaluated.association),
        'window': f'{options.window} frames',
        'gtr_ros': __version__,
    }
    if ablation:
        about['table'] = f'{options.table}: {ablation.title}'
    # A file or a pipe has no width to keep to.
    out = Console(width=None if sys.stdout.isatty() else 140)
    if rows:
        title = about['sequences'] if len(opened) < 4 else f'{len(opened)} sequences'
        classes = len(rows[0].evaluation.classes)
        title += f', mean over {classes} classes' if classes > 1 else ''
        out.print(terminal_table(rows, f'{about["table"]}; {title}' if ablation else title))
    for factor in options.curves:
        out.print(curves_table(points, factor))
    options.out.mkdir(parents=True, exist_ok=True)
    if rows:
        write_csv(options.out / 'table.csv', rows)
        write_json(options.out / 'table.json', rows, about)
    if points:
        write_curves(options.out / 'curves.csv', points)
    if options.save_tracks:
        save_tracks(options.out / 'tracks', rows)
    followed = [row.tracker for row in rows if row.tracker.startswith(('gtr', 'GTR'))]
    gallery = followed[:1] or [row.tracker for row in rows if row.tracker != ORACLE][:1]
    write_report(options.out / 'report.html', rows, points, about, gallery)
    console.print(f'wrote {options.out}/report.html and the tables beside it')
