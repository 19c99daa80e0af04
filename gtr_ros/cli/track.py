# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track`: track one or many videos and ROS 2 bags."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch

from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.arguments import options_of
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.model.gtr import GTR
from gtr_ros.model.options import ModelOptions
from gtr_ros.model.registry import RANDOM
from gtr_ros.recordings.cluster import LOCAL
from gtr_ros.recordings.cluster import track_on_cluster
from gtr_ros.recordings.folder import JobResult
from gtr_ros.recordings.folder import MANIFEST
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.recording import opens_as_bag
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.recording import TrackingOptions
from gtr_ros.runtime.loading import describe_runtime
from gtr_ros.runtime.process import keep_freed_memory

_OUT = Path('tracks.txt')
_FOLDER = Path('tracked')
_MAX_LINES = 5
_CORES_PER_WORKER = 2
# --cores sets the threads, also those of a worker.
_MODEL_OPTIONS = tuple(spec.name for spec in fields(ModelOptions) if spec.name != 'threads')


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `track` to the commands."""
    command = commands.add_parser('track', help='track objects in videos or ROS 2 bags')
    command.add_argument(
        'sources',
        nargs='+',
        metavar='SOURCE',
        help='video file, camera such as /dev/video0, or bag (its folder, a .mcap or a .db3)',
    )
    command.add_argument(
        '--out',
        type=Path,
        help=f'for a video: MOTChallenge text (default: {_OUT}); for a bag: the new bag (default: '
        f'BAG_tracked); for several sources: a folder, in which the batch is resumed if it was '
        f'interrupted (default: {_FOLDER})',
    )
    command.add_argument(
        '--video',
        dest='annotated',
        type=Path,
        metavar='FILE',
        help='also write the video with boxes and ids drawn',
    )
    command.add_argument(
        '--image-topic',
        action='append',
        default=[],
        metavar='TOPIC',
        help='image topic of the bag to track; can be repeated (default: the only one)',
    )
    command.add_argument(
        '--storage',
        choices=('mcap', 'sqlite3'),
        help='format of the new bag (default: that of the old one)',
    )
    add_tracking_arguments(command, _MODEL_OPTIONS)
    command.add_argument(
        '--score-threshold',
        type=float,
        metavar='S',
        help='boxes with a lower score do not start tracks (default: that of the model)',
    )
    command.add_argument(
        '--weak-score-threshold',
        type=float,
        default=0.0,
        metavar='S',
        help='boxes of at least this score can continue a track, below --score-threshold '
        '(default: off)',
    )
    command.add_argument(
        '--min-hits',
        type=int,
        default=0,
        metavar='N',
        help='number of boxes after which a track is confirmed and written; 0: by its '
        'probability of existence (default: %(default)s)',
    )
    command.add_argument(
        '--camera-motion',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='estimate the motion of the camera, for one that turns or drives (only for the rule '
        'evidence; default: %(default)s)',
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
        f"'{LOCAL}' for this machine",
    )
    command.add_argument(
        '--cores',
        type=int,
        metavar='N',
        help='number of threads, with --ray of each worker (default: 2 with --ray, otherwise all)',
    )
    command.add_argument(
        '--retries',
        type=int,
        default=2,
        metavar='N',
        help='restarts of a recording whose worker was lost (default: %(default)s)',
    )
    command.set_defaults(run=track)


def track(options: argparse.Namespace) -> None:
    """Track one source, or many into a folder."""
    keep_freed_memory()
    settings = _settings(options)
    if options.cores is not None and options.cores < 1:
        raise ValueError(f'--cores is {options.cores}; expected 1 or more')
    if options.min_hits < 0:
        raise ValueError(f'--min-hits is {options.min_hits}; expected 0 or more')
    if options.retries < 0:
        raise ValueError(f'--retries is {options.retries}; expected 0 or more')
    if options.cores:
        torch.set_num_threads(options.cores)
    bags = [source for source in options.sources if opens_as_bag(source)]
    if (options.image_topic or options.storage) and not bags:
        raise ValueError(
            f'{options.sources[0]} is not a bag: --image-topic and --storage are for bags'
        )
    if len(options.sources) == 1 and not options.ray:
        _track_one(options, settings)
    else:
        _track_many(options, settings)


def _settings(options: argparse.Namespace) -> TrackingOptions:
    return TrackingOptions(
        **options_of(options, ModelOptions),
        window=options.window,
        rule_name=options.rule,
        score_threshold=options.score_threshold,
        weak_score_threshold=options.weak_score_threshold,
        min_hits=options.min_hits,
        camera_motion=options.camera_motion,
        gallery=options.gallery,
        image_topics=tuple(options.image_topic),
        storage=options.storage,
    )


def _load(settings: TrackingOptions) -> GTR:
    model = settings.load()
    linking = settings.rule.describe(model.association)
    where = describe_runtime(settings, model)
    console.print(f'{settings.model} on {where}; linking by {linking}')
    if settings.checkpoint == RANDOM:
        console.print('the weights are random: the detections have no meaning', style='yellow')
    return model


def _track_one(options: argparse.Namespace, settings: TrackingOptions) -> None:
    """Track a single video or bag."""
    [source] = options.sources
    bag = opens_as_bag(source)
    if bag and options.annotated:
        raise ValueError(f'{source} is a bag: --video is for videos')
    default = Path(source).with_name(f'{Path(source).stem}_tracked') if bag else _OUT
    out = options.out or default
    model = _load(settings)
    with show_progress() as progress:
        task = progress.add_task(Path(source).name)

        def on_progress(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        summary = track_recording(model, source, out, settings, on_progress, options.annotated)
    _print_skipped(summary.skipped)
    where = f'on {", ".join(summary.topics)} of {out}' if bag else f'in {out}'
    console.print(f'{summary}, {where}', markup=False)


def _track_many(options: argparse.Namespace, settings: TrackingOptions) -> None:
    """Track many sources into a folder, without those already done; errors stop only one."""
    if options.annotated:
        raise ValueError('--video is for a single video without --ray')
    for source in options.sources:
        if source.isdecimal() or source.startswith('/dev/'):
            raise ValueError(f'{source} is a camera, which has no end: track it alone')
    out = options.out or _FOLDER
    if settings.checkpoint == RANDOM:
        raise ValueError('random weights differ in each process: use them for a single source')
    settings = settings.absolute()
    failed = []
    with ResultsFolder(out, options.sources, settings, settings.fingerprint()) as folder:
        if folder.done_before:
            console.print(f'{folder.done_before} of {len(folder)} were already done')
        for result in _results(options, settings, folder) if folder.waiting else ():
            folder.record(result)
            if result.error:
                failed.append(result.name)
                console.print(f'failed: {result.error}', style='red', markup=False)
            else:
                _print_skipped(result.summary.skipped)
                console.print(f'{result.name}: {result.summary}', markup=False)
        manifest = folder.path / MANIFEST
    if failed:
        raise ValueError(
            f'{len(failed)} of {len(folder)} failed: {", ".join(failed)}; see the errors above or '
            f'in {manifest}. The same command retries them'
        )
    console.print(f'tracked {len(folder)} recordings; see {manifest}', markup=False)


def _results(
    options: argparse.Namespace, settings: TrackingOptions, folder: ResultsFolder
) -> Iterator[JobResult]:
    """Track the waiting recordings, in this process or on a cluster, and show their progress."""
    with show_progress() as progress:
        tasks = {
            job.name: progress.add_task(job.name, start=False, visible=False)
            for job in folder.waiting
        }

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name in tasks:  # reports may arrive after the result
                progress.start_task(tasks[name])
                progress.update(tasks[name], completed=done, total=total, visible=True)

        def notify(message: str) -> None:
            console.print(message, markup=False)

        if options.ray:
            results = track_on_cluster(
                folder.waiting,
                settings,
                folder.weights,
                folder.partial,
                options.ray,
                options.cores or _CORES_PER_WORKER,
                options.retries,
                on_progress,
                notify,
            )
        else:
            model = _load(settings)
            results = (
                job.run(model, settings, folder.partial, partial(on_progress, job.name))
                for job in folder.waiting
            )
        for result in results:
            progress.remove_task(tasks.pop(result.name))
            yield result


def _print_skipped(lines: tuple[str, ...]) -> None:
    for line in lines[:_MAX_LINES]:
        console.print(f'skipped {line}', style='yellow', markup=False)
    if len(lines) > _MAX_LINES:
        console.print(f'and {len(lines) - _MAX_LINES} more', style='yellow')
