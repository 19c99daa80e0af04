# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track`: track one or many videos, folders of images and ROS 2 bags."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path

from gtr_ros.cli.arguments import add_min_hits
from gtr_ros.cli.arguments import add_options
from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.arguments import named_as_flags
from gtr_ros.cli.arguments import number
from gtr_ros.cli.arguments import options_of
from gtr_ros.cli.arguments import tracking_option
from gtr_ros.cli.arguments import whole_number
from gtr_ros.cli.outputs import check_outputs
from gtr_ros.cli.window import check_display
from gtr_ros.file_kinds import missing_video
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import rule_name
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import gather_images
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import is_camera
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.runtime.process import sleep_soon

# Written by default, for one source and for several.
_OUT, _FOLDER = Path('tracks.txt'), Path('tracked')
_RETRIES = 2
# --cores sets the threads, also those of a worker.
_MODEL_OPTIONS = tuple(spec.name for spec in fields(ModelOptions) if spec.name != 'threads')


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `track` to the commands."""
    command = commands.add_parser(
        'track',
        help='track objects in videos, images or ROS 2 bags',
        description='Track objects, and write the boxes of confirmed tracks with their ids. '
        'Videos and photos of phones stand upright.',
    )
    command.add_argument(
        'sources',
        nargs='+',
        metavar='SOURCE',
        help='video file, camera such as /dev/video0, folder or glob of images, or bag (its '
        'folder, a .mcap or a .db3)',
    )
    command.add_argument(
        '--out',
        type=Path,
        help=f'for a video or images: MOTChallenge text (default: {_OUT}); for a bag: the new bag '
        '(default: BAG_tracked); for several sources: a folder, in which the batch is resumed if '
        f'it was interrupted (default: {_FOLDER})',
    )
    command.add_argument(
        '--video',
        dest='annotated',
        type=Path,
        metavar='FILE',
        help='also write the video with boxes and ids drawn',
    )
    command.add_argument(
        '--show',
        action='store_true',
        help='show the video with boxes and ids in a window while it is tracked; q or Escape ends '
        'it',
    )
    command.add_argument(
        '--classes',
        nargs='+',
        default=[],
        metavar='NAME',
        help='classes to track, such as person bicycle (default: all of the model)',
    )
    add_options(command, TrackingOptions, ['rate', 'hardware_decoding'])
    command.add_argument(
        '--image-topic',
        action='append',
        default=[],
        metavar='TOPIC',
        help='image topic of the bag to track; can be repeated (default: the only one)',
    )
    command.add_argument(
        '--name',
        default=TrackingOptions.node_name,
        metavar='NAME',
        help='first part of the topics that are added to the bag: /NAME/detections (default: '
        '%(default)s)',
    )
    command.add_argument(
        '--storage',
        choices=('mcap', 'sqlite3'),
        help='format of the new bag (default: that of the old one)',
    )
    add_tracking_arguments(command, _MODEL_OPTIONS)
    command.add_argument(
        '--score-threshold',
        type=number,
        metavar='S',
        help='boxes with a lower score do not start tracks (default: that of the model)',
    )
    command.add_argument(
        '--weak-score-threshold',
        type=number,
        default=0.0,
        metavar='S',
        help='boxes of at least this score can continue a track, below --score-threshold '
        '(default: off)',
    )
    add_min_hits(command)
    command.add_argument(
        '--camera-motion',
        action=argparse.BooleanOptionalAction,
        help='estimate the motion of the camera, for one that turns or drives (only for the rule '
        'evidence; default: with that rule)',
    )
    command.add_argument(
        '--no-gallery',
        dest='gallery',
        action='store_false',
        help='do not re-identify objects that return after seconds (only for the rule evidence)',
    )
    command.add_argument(
        '--ray',
        metavar='ADDRESS',
        help="track the sources on a Ray cluster: 'auto' or HOST:PORT, or "
        "'local' for this machine",
    )
    command.add_argument(
        '--cores',
        type=whole_number,
        metavar='N',
        help='number of threads, with --ray of each worker (default: 2 with --ray, otherwise all)',
    )
    command.add_argument(
        '--retries',
        type=whole_number,
        default=_RETRIES,
        metavar='N',
        help='restarts of a recording whose worker was lost, with --ray (default: %(default)s)',
    )
    command.set_defaults(run=track)


def track(options: argparse.Namespace) -> None:
    """Track one source, or many into a folder."""
    with named_as_flags():
        settings = _settings(options)
    _check_rule(options)
    sources = gather_images(options.sources)
    alone = len(sources) == 1 and not options.ray
    _check_numbers(options)
    _check_sources(options, sources, alone)
    options.out = _out_of(options, sources, alone)
    check_outputs(options)  # once more, with the default
    if alone and options.show:
        check_display()
    sleep_soon()  # before torch: other programs may use the cores during a long recording
    # Imported here: help and errors do not need torch.
    from gtr_ros.cli.tracking import track_many
    from gtr_ros.cli.tracking import track_one

    if alone:
        track_one(sources[0], options.out, options, settings)
    else:
        track_many(sources, options.out, options, settings)


def _out_of(options: argparse.Namespace, sources: list[str], alone: bool) -> Path:
    """Return what to write: --out, or its default for these sources."""
    if not alone:
        return options.out or _FOLDER
    [source] = sources
    bag = opens_as_bag(source)
    if not bag and options.out is not None and options.out.is_dir():
        raise ValueError(
            f'--out is {options.out}, a folder; give the name of a file, such as '
            f'{options.out / _OUT.name}'
        )
    if options.out is not None or not bag:
        return options.out or _OUT
    path = Path(source)
    path = path if path.name else path.resolve()  # `gtr track .`
    return path.with_name(f'{path.stem}_tracked')


def _settings(options: argparse.Namespace) -> TrackingOptions:
    return TrackingOptions(
        **options_of(options, ModelOptions),
        window=tracking_option(options, 'window'),
        rule_name=options.rule,
        score_threshold=options.score_threshold,
        weak_score_threshold=options.weak_score_threshold,
        min_hits=tracking_option(options, 'min_hits'),
        camera_motion=options.camera_motion is not False,
        gallery=options.gallery,
        image_topics=tuple(options.image_topic),
        storage=options.storage,
        classes=tuple(dict.fromkeys(options.classes)),
        rate=options.rate,
        node_name=options.name,
        hardware_decoding=options.hardware_decoding,
    )


def _check_rule(options: argparse.Namespace) -> None:
    """Raise ValueError if something is given that the linking rule would not use."""
    rule = rule_name(options.rule, options.model, not options.detector)
    motion = '--camera-motion' if options.camera_motion else '--no-camera-motion'
    for flag, given in (
        (motion, options.camera_motion is not None),
        ('--no-gallery', not options.gallery),
    ):
        if given and rule != 'evidence':
            raise ValueError(
                f'{flag} is for the rule evidence, and has no effect with the rule {rule}; leave '
                'it out, or choose --rule evidence'
            )


def _check_numbers(options: argparse.Namespace) -> None:
    if options.cores is not None and options.cores < 1:
        raise ValueError(f'--cores is {options.cores}; expected 1 or more')
    if options.retries < 0:
        raise ValueError(f'--retries is {options.retries}; expected 0 or more')
    if options.retries != _RETRIES and not options.ray:
        raise ValueError('--retries is for the workers of a cluster; it needs --ray')


def _check_sources(options: argparse.Namespace, sources: list[str], alone: bool) -> None:
    """Check that the arguments go together with the sources."""
    if not all(sources):
        raise ValueError('the name of a source is empty')
    bags = [source for source in sources if opens_as_bag(source)]
    renamed = options.name != TrackingOptions.node_name
    if (options.image_topic or options.storage or renamed) and not bags:
        raise ValueError(
            f'{sources[0]} is not a bag: --image-topic, --storage and --name are for bags'
        )
    if options.rate != TrackingOptions.rate and not any(map(image_files, sources)):
        raise ValueError(
            f'{sources[0]} is not a folder or a glob of images: --rate is for those; videos and '
            'bags have the times of their frames'
        )
    if options.hardware_decoding and not any(map(_is_video, sources)):
        raise ValueError(f'{sources[0]} is not a video file: --hardware-decoding is for those')
    for flag, given in (('--video', options.annotated), ('--show', options.show)):
        if given and not alone:
            raise ValueError(f'{flag} is for a single video without --ray')
        if given and bags:
            raise ValueError(f'{sources[0]} is a bag: {flag} is for videos and images')
    if alone:
        # The errors of many sources are collected instead, while the others are tracked.
        [source] = sources
        known = bags or is_camera(source) or image_files(source)
        if not known and (fault := missing_video(source)):
            raise ValueError(fault)
        return
    for source in sources:
        if is_camera(source):
            raise ValueError(f'{source} is a camera, which has no end: track it alone')


def _is_video(source: str) -> bool:
    return not (opens_as_bag(source) or is_camera(source) or image_files(source))
