# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr evaluate`: compare trackers in a table and a report."""

from __future__ import annotations

import argparse
from pathlib import Path

from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.arguments import number
from gtr_ros.cli.arguments import whole_number
from gtr_ros.data.formats.bag_paths import is_bag
from gtr_ros.data.halves import HALVES
from gtr_ros.evaluation.ablations import ABLATIONS
from gtr_ros.evaluation.names import FACTORS
from gtr_ros.evaluation.names import NAMES
from gtr_ros.evaluation.names import parse_factors
from gtr_ros.evaluation.names import split_scenes

_STRIDES, _SCENES, _SEEDS = [1, 2, 4, 8], 'drawn', 3


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
        'rosbag2, a drawn scene: synthetic:objects=20,occlusion=2,..., or a scene of rendered '
        'people: people:objects=20,camera=drive,...',
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
        type=_count,
        default=_STRIDES,
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
        default=[],
        metavar='FACTOR[=VALUES]',
        help='measure identities kept and false joins as one of these gets harder, such as '
        f'occlusion objects, or absence=20,60; {_factors()}',
    )
    command.add_argument(
        '--scenes',
        default=_SCENES,
        metavar='KIND[:...]',
        help='scenes of --curves: drawn or people; with parameters that differ from their '
        'defaults as in people:avatars=DIR,occluders=4 (default: %(default)s)',
    )
    command.add_argument(
        '--seeds',
        type=_count,
        default=_SEEDS,
        help='scenes for each value of --curves (default: %(default)s)',
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
        type=number,
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


def _factors() -> str:
    return '; '.join(f'{kind} scenes have {", ".join(of)}' for kind, of in FACTORS.items())


def evaluate(options: argparse.Namespace) -> None:
    """Compare trackers on labelled sequences, in scenes, or as a table of the paper."""
    parse_factors(options.curves, split_scenes(options.scenes)[0])
    _check_used(options)
    # Imported here: `gtr evaluate --help` does not need torch.
    from gtr_ros.cli.comparison import compare

    compare(options)


def _check_used(options: argparse.Namespace) -> None:
    """Raise ValueError if something is given that nothing would use."""
    some, curves = options.sequences, options.curves
    bags = any(is_bag(Path(source)) for source in some)
    with_json = any(source.endswith('.json') for source in some)
    stored_bags = any(is_bag(Path(file)) for file in options.boxes)
    trackers = curves or not options.table
    # Trackers that do not say another rule; without --trackers they are among all.
    ruled = not options.trackers or any(map(_takes_rule, options.trackers))
    for flag, given, used, of in (
        ('--scenes', options.scenes != _SCENES, curves, '--curves'),
        ('--seeds', options.seeds != _SEEDS, curves, '--curves'),
        ('--strides', options.strides != _STRIDES, some, 'sequences'),
        ('--boxes', options.boxes, some, 'sequences'),
        ('--half', options.half, some, 'sequences'),
        ('--table', options.table, some, 'sequences'),
        ('--track-map', options.track_map, some, 'sequences'),
        ('--save-tracks', options.save_tracks, some, 'sequences'),
        ('--images', options.images, with_json, 'a JSON'),
        ('--image-topic', options.image_topic, bags, 'bags'),
        ('--truth-topic', options.truth_topic, bags, 'bags'),
        ('--boxes-topic', options.boxes_topic, stored_bags, 'bags given as --boxes'),
        ('--trackers', options.trackers, trackers, 'evaluations without --table'),
        ('--rule', options.rule, ruled, 'the tracker gtr without a rule of its own'),
    ):
        if given and not used:
            raise ValueError(f'{flag} is for {of}, and has no effect here; leave it out')


def _takes_rule(tracker: str) -> bool:
    name, _, settings = tracker.partition(':')
    return name == 'gtr' and not any(part.startswith('rule=') for part in settings.split(','))


def _count(text: str) -> int:
    """Parse a whole number from 1, for argparse."""
    value = whole_number(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not a whole number from 1')
    return value
