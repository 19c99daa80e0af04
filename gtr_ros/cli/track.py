# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr track`: a video, or a ROS 2 bag."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gtr_ros.cli.arguments import add_tracking_arguments
from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress
from gtr_ros.evaluation.formats.motchallenge import result_rows
from gtr_ros.media.drawing import annotate
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import RANDOM
from gtr_ros.model.gtr import GTR
from gtr_ros.runtime.loading import load_model
from gtr_ros.runtime.loading import PROVIDERS
from gtr_ros.runtime.loading import RUNTIMES
from gtr_ros.structures import Tracks
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

_OUT = Path('tracks.txt')
_MOST_SAID = 5


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `track` to the table of commands."""
    command = commands.add_parser('track', help='track the objects of a video, or of a ROS 2 bag')
    command.add_argument(
        'source', help='video file, camera as /dev/video0, or a bag: its folder, a .mcap or a .db3'
    )
    command.add_argument(
        '--out',
        type=Path,
        help=f'MOTChallenge text (default: {_OUT}); of a bag: the new one (default: BAG_tracked)',
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
        '--score-threshold',
        type=float,
        metavar='S',
        help="boxes that score less are not tracked (default: the model's own)",
    )
    command.set_defaults(run=track)


def track(options: argparse.Namespace) -> None:
    """Track a video or a bag."""
    if _is_bag(options.source):
        _track_bag(options)
        return
    if options.image_topic or options.storage:
        raise ValueError(f'{options.source} is no bag: --image-topic and --storage are for bags')
    _track_video(options)


def _is_bag(source: str) -> bool:
    return Path(source).is_dir() or Path(source).suffix in ('.mcap', '.db3')


def _make_model(options: argparse.Namespace) -> GTR:
    model = load_model(
        options.model,
        options.checkpoint,
        options.runtime,
        options.device,
        options.provider,
        options.exported,
    )
    rule = RULES[options.rule or options.model]
    linking = f'{model.association.description}; {rule.description}'
    where = model.device if options.runtime == 'torch' else options.runtime
    console.print(f'{options.model} on {where}; linking by {linking}')
    if options.checkpoint == RANDOM:
        console.print('the weights are untrained: what is found has no meaning', style='yellow')
    return model


def _make_follow(options: argparse.Namespace, model: GTR) -> Callable[[np.ndarray, int], Tracks]:
    """Return what tracks one camera's images."""
    rule = RULES[options.rule or options.model]
    tracker = Tracker(model.association, rule, options.window)

    def follow(image: np.ndarray, stamp: int) -> Tracks:
        [detections] = model.detect([image], [stamp], options.score_threshold)
        return tracker.update(detections)

    return follow


def _track_video(options: argparse.Namespace) -> None:
    """Write MOTChallenge text, and an annotated video where asked for."""
    out = options.out or _OUT
    model = _make_model(options)
    follow = _make_follow(options, model)
    rows, identities = [], set()
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(options.source))
        writer = None
        if options.annotated:
            writer = stack.enter_context(VideoWriter(options.annotated, video.rate, video.size))
        progress = stack.enter_context(show_progress())
        task = progress.add_task(options.source, total=video.frame_count)
        for frame in video:
            tracks = follow(frame.image, frame.stamp)
            rows += result_rows(frame.index + 1, tracks.ids, tracks.boxes, tracks.scores)
            identities.update(tracks.ids.tolist())
            if writer is not None:
                writer.write(annotate(frame.image, tracks, model.class_names))
            progress.advance(task)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(''.join(rows))
    console.print(f'{len(rows)} boxes of {len(identities)} tracks in {out}')


def _track_bag(options: argparse.Namespace) -> None:
    """Write a bag with the detections added."""
    from gtr_ros.evaluation.formats.bag_tracks import count_messages
    from gtr_ros.evaluation.formats.bag_tracks import output_topics
    from gtr_ros.evaluation.formats.bag_tracks import track_bag

    source = Path(options.source)
    if options.annotated:
        raise ValueError(f'{source} is a bag: --video is for videos')
    out = options.out or source.with_name(f'{source.stem}_tracked')
    topics = output_topics(source, options.image_topic)
    model = _make_model(options)
    with show_progress() as progress:
        task = progress.add_task(source.name, total=count_messages(source))
        tracks = track_bag(
            source,
            out,
            topics,
            {name: _make_follow(options, model) for name in topics},
            model.class_names,
            options.storage,
            lambda: progress.advance(task),
        )
    for line in tracks.skipped[:_MOST_SAID]:
        console.print(f'skipped {line}', style='yellow', markup=False)
    if len(tracks.skipped) > _MOST_SAID:
        console.print(f'and {len(tracks.skipped) - _MOST_SAID} more', style='yellow')
    count = sum(len(ids) for ids in tracks.identities.values())
    console.print(
        f'{tracks.boxes} boxes of {count} tracks in {tracks.images} images, on '
        f'{", ".join(topics.values())} of {out}'
    )
