# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track`: videos and ROS 2 bags, one or many."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch

from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.model.build import RANDOM
from gtr_ros.model.gtr import GTR
from gtr_ros.recordings.cluster import LOCAL
from gtr_ros.recordings.cluster import track_on_cluster
from gtr_ros.recordings.folder import MANIFEST
from gtr_ros.recordings.folder import Outcome
from gtr_ros.recordings.folder import ResultsFolder
from gtr_ros.recordings.recording import is_bag
from gtr_ros.recordings.recording import track_recording
from gtr_ros.recordings.recording import TrackingOptions
from gtr_ros.runtime.loading import PROVIDERS
from gtr_ros.runtime.loading import RUNTIMES
from gtr_ros.runtime.process import keep_freed_memory
from gtr_ros.runtime.torch_model import PRECISIONS

_OUT = Path('tracks.txt')
_FOLDER = Path('tracked')
_MOST_SAID = 5
_CORES_OF_A_WORKER = 2


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `track` to the table of commands."""
    command = commands.add_parser('track', help='track the objects of videos, or of ROS 2 bags')
    command.add_argument(
        'sources',
        nargs='+',
        metavar='SOURCE',
        help='video file, camera as /dev/video0, or a bag: its folder, a .mcap or a .db3',
    )
    command.add_argument(
        '--out',
        type=Path,
        help=f'MOTChallenge text (default: {_OUT}); of a bag: the new one (default: BAG_tracked); '
        f'of several sources: folder for all, gone on with where it was left (default: {_FOLDER})',
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
        help='of a bag, to be tracked; can be given several times (default: the only one)',
    )
    command.add_argument(
        '--storage', choices=('mcap', 'sqlite3'), help="of the new bag (default: the old one's)"
    )
    add_tracking_arguments(command)
    command.add_argument(
        '--runtime',
        choices=RUNTIMES,
        default='torch',
        help='onnxruntime runs what `gtr export` wrote (default: %(default)s)',
    )
    command.add_argument(
        '--provider',
        choices=PROVIDERS,
        default='auto',
        help='of ONNX Runtime (default: %(default)s)',
    )
    command.add_argument(
        '--exported',
        default='',
        metavar='FOLDER',
        help="for ONNX Runtime, of `gtr export --out` (default: the one in the user's cache)",
    )
    command.add_argument(
        '--precision',
        choices=PRECISIONS,
        default='float32',
        help="of torch's network; bfloat16 is faster on a CPU that has instructions for it, "
        'float16 is for CUDA (default: %(default)s)',
    )
    command.add_argument(
        '--compile',
        action='store_true',
        help='let torch compile the network: half a minute for each size of image, and faster',
    )
    command.add_argument(
        '--score-threshold',
        type=float,
        metavar='S',
        help="boxes that score less begin no track (default: the model's own)",
    )
    command.add_argument(
        '--weak-score-threshold',
        type=float,
        default=0.0,
        metavar='S',
        help='boxes from this score to --score-threshold may continue a track (default: none may)',
    )
    command.add_argument(
        '--min-hits',
        type=int,
        default=0,
        metavar='N',
        help='boxes from which on a track is written; 0: by the probability that it is of an '
        'object (default: %(default)s)',
    )
    command.add_argument(
        '--camera-motion',
        action=argparse.BooleanOptionalAction,
        default=True,
        help='estimate how the camera moves, for one that turns or drives (rule evidence; '
        'default: %(default)s)',
    )
    command.add_argument(
        '--no-gallery',
        dest='gallery',
        action='store_false',
        help='give everybody who comes back after seconds a new id (rule evidence)',
    )
    command.add_argument(
        '--ray',
        metavar='ADDRESS',
        help=f"spread the sources over this Ray cluster, 'auto' or HOST:PORT, or over this "
        f"machine: '{LOCAL}'",
    )
    command.add_argument(
        '--cores',
        type=int,
        metavar='N',
        help='threads of a worker (default: 2 with --ray, else all)',
    )
    command.add_argument(
        '--retries',
        type=int,
        default=2,
        metavar='N',
        help='of a recording whose worker on the cluster was lost (default: %(default)s)',
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
    bags = [source for source in options.sources if is_bag(source)]
    if (options.image_topic or options.storage) and not bags:
        raise ValueError(
            f'{options.sources[0]} is no bag: --image-topic and --storage are for bags'
        )
    if len(options.sources) == 1 and not options.ray:
        _track_one(options, settings)
    else:
        _track_many(options, settings)


def _settings(options: argparse.Namespace) -> TrackingOptions:
    return TrackingOptions(
        model=options.model,
        checkpoint=options.checkpoint,
        runtime=options.runtime,
        device=options.device,
        provider=options.provider,
        exported=options.exported,
        precision=options.precision,
        compiled=options.compile,
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
    where = model.device if settings.runtime == 'torch' else settings.runtime
    console.print(f'{settings.model} on {where}; linking by {linking}')
    if settings.checkpoint == RANDOM:
        console.print('the weights are untrained: what is found has no meaning', style='yellow')
    return model


def _track_one(options: argparse.Namespace, settings: TrackingOptions) -> None:
    """Track a video or a bag of its own, under the name that was asked for."""
    [source] = options.sources
    bag = is_bag(source)
    if bag and options.annotated:
        raise ValueError(f'{source} is a bag: --video is for videos')
    default = Path(source).with_name(f'{Path(source).stem}_tracked') if bag else _OUT
    out = options.out or default
    model = _load(settings)
    with show_progress() as progress:
        task = progress.add_task(Path(source).name)

        def step(done: int, total: int | None) -> None:
            progress.update(task, completed=done, total=total)

        summary = track_recording(model, source, out, settings, step, options.annotated)
    _say_skipped(summary.skipped)
    where = f'on {", ".join(summary.topics)} of {out}' if bag else f'in {out}'
    console.print(f'{summary}, {where}', markup=False)


def _track_many(options: argparse.Namespace, settings: TrackingOptions) -> None:
    """Track what is not done yet into a folder; what is wrong with one stops no other."""
    if options.annotated:
        raise ValueError('--video is for one video, tracked without --ray')
    for source in options.sources:
        if source.isdecimal() or source.startswith('/dev/'):
            raise ValueError(f'{source} is a camera, which does not end: give it alone')
    out = options.out or _FOLDER
    if settings.checkpoint == RANDOM:
        raise ValueError('random weights are others in each process: they are for one source')
    settings = settings.absolute()
    failed = []
    with ResultsFolder(out, options.sources, settings, settings.fingerprint()) as folder:
        if folder.done_before:
            console.print(f'{folder.done_before} of {len(folder)} were done before')
        for outcome in _outcomes(options, settings, folder) if folder.waiting else ():
            folder.record(outcome)
            if outcome.error:
                failed.append(outcome.name)
                console.print(f'failed: {outcome.error}', style='red', markup=False)
            else:
                _say_skipped(outcome.summary.skipped)
                console.print(f'{outcome.name}: {outcome.summary}', markup=False)
        manifest = folder.path / MANIFEST
    if failed:
        raise ValueError(
            f'{len(failed)} of {len(folder)} failed: {", ".join(failed)}; why is above, and in '
            f'{manifest}. The same command tries them again'
        )
    console.print(f'{len(folder)} recordings are tracked; see {manifest}', markup=False)


def _outcomes(
    options: argparse.Namespace, settings: TrackingOptions, folder: ResultsFolder
) -> Iterator[Outcome]:
    """Track the waiting recordings, here or on a cluster, and show how far they are."""
    with show_progress() as progress:
        tasks = {
            job.name: progress.add_task(job.name, start=False, visible=False)
            for job in folder.waiting
        }

        def watch(name: str, done: int, total: int | None) -> None:
            if name in tasks:  # a report may come after the end
                progress.start_task(tasks[name])
                progress.update(tasks[name], completed=done, total=total, visible=True)

        def say(words: str) -> None:
            console.print(words, markup=False)

        if options.ray:
            outcomes = track_on_cluster(
                folder.waiting,
                settings,
                folder.weights,
                folder.partial,
                options.ray,
                options.cores or _CORES_OF_A_WORKER,
                options.retries,
                watch,
                say,
            )
        else:
            model = _load(settings)
            outcomes = (
                job.run(model, settings, folder.partial, partial(watch, job.name))
                for job in folder.waiting
            )
        for outcome in outcomes:
            progress.remove_task(tasks.pop(outcome.name))
            yield outcome


def _say_skipped(lines: tuple[str, ...]) -> None:
    for line in lines[:_MOST_SAID]:
        console.print(f'skipped {line}', style='yellow', markup=False)
    if len(lines) > _MOST_SAID:
        console.print(f'and {len(lines) - _MOST_SAID} more', style='yellow')
