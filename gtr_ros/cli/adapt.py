# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The command `gtr adapt`: fit the association to an unlabelled recording of the user's own."""

from __future__ import annotations

import argparse
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gtr_ros.cli.arguments import number
from gtr_ros.cli.arguments import whole_number
from gtr_ros.cli.console import console
from gtr_ros.cli.tasks import show_tasks
from gtr_ros.cli.tasks import Start
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.registry import RANDOM
from gtr_ros.recordings.options import TrackingOptions
from gtr_ros.recordings.sources import image_files
from gtr_ros.recordings.sources import is_camera
from gtr_ros.recordings.sources import opens_as_bag
from gtr_ros.recordings.sources import recording_name
from gtr_ros.runtime.process import sleep_soon

if TYPE_CHECKING:
    from gtr_ros.model.gtr import GTR
    from gtr_ros.training.adapting import Adaptation
    from gtr_ros.training.adapting import AdaptOptions
    from gtr_ros.training.excerpts import Excerpt

#: exit status if the adapted weights are not better, so that nothing was written
NOT_BETTER = 3

_ITERATIONS = 80


def add_command(commands: argparse._SubParsersAction) -> None:
    """Add `adapt` to the commands."""
    command = commands.add_parser(
        'adapt',
        help='fit the association to an unlabelled recording',
        description='Fit box head and transformer of gtr_mobile to an unlabelled recording, such '
        'as one of the place where the tracker will run; the detector is not changed. The '
        'weights are written only if they are better on the last quarter of the recording, '
        f'which is not trained on; otherwise, the exit status is {NOT_BETTER}.',
    )
    command.add_argument(
        'recording',
        metavar='RECORDING',
        help='video file, folder or glob of images, or bag (its folder, a .mcap or a .db3)',
    )
    command.add_argument(
        '--out', type=Path, required=True, metavar='FILE', help='weights to write: a .safetensors'
    )
    command.add_argument(
        '--checkpoint',
        default='',
        metavar='FILE',
        help='weights to start from (default: those included in the package)',
    )
    command.add_argument(
        '--iterations',
        type=whole_number,
        default=_ITERATIONS,
        metavar='N',
        help='steps of the training (default: %(default)s)',
    )
    command.add_argument(
        '--seconds',
        type=number,
        metavar='N',
        help='end the training after this time, even if there are steps left (default: no limit)',
    )
    command.add_argument(
        '--start',
        type=number,
        default=0.0,
        metavar='S',
        help='use the recording from this time, seconds after its first frame',
    )
    command.add_argument(
        '--end', type=number, metavar='S', help='use the recording up to this time'
    )
    command.add_argument(
        '--image-topic', metavar='TOPIC', help='image topic of a bag (default: the only one)'
    )
    command.add_argument(
        '--rate',
        type=number,
        default=TrackingOptions.rate,
        metavar='RATE',
        help='frames per second of a folder of images, or a glob (default: %(default)s)',
    )
    command.add_argument(
        '--seed',
        type=whole_number,
        default=0,
        metavar='N',
        help='of the windows (default: %(default)s)',
    )
    command.add_argument(
        '--device',
        default='auto',
        metavar='DEVICE',
        help="of the detector: 'auto', 'cpu', 'cuda' or 'cuda:N'; the training runs on the CPU",
    )
    command.set_defaults(run=adapt)


def adapt(options: argparse.Namespace) -> int:
    """
    Adapt the association, and write the weights if they are better.

    :return: exit status: 0, or `NOT_BETTER`
    :raises ValueError: names what is wrong
    """
    checkpoint = Path(options.checkpoint or default_checkpoint('mobile')).expanduser()
    _check_numbers(options)
    _check_source(options)
    _check_out(options.out, checkpoint)
    sleep_soon()  # before torch: other programs may use the cores
    # Imported here: help and errors do not need torch.
    from gtr_ros.model.build import build
    from gtr_ros.model.checkpoint import load_checkpoint
    from gtr_ros.runtime.process import keep_freed_memory
    from gtr_ros.training.adapting import adapt as adapt_to
    from gtr_ros.training.adapting import AdaptOptions
    from gtr_ros.training.adapting import check_excerpts

    keep_freed_memory()
    if options.checkpoint == RANDOM:
        raise ValueError('--checkpoint is random: untrained weights find no objects to learn from')
    metadata = load_checkpoint(checkpoint)[1]
    _check_weights(metadata, checkpoint)
    settings = AdaptOptions(options.iterations, options.seconds, options.seed)
    name = recording_name(options.recording)
    with show_tasks() as start:
        excerpts = _observe(options, checkpoint, start, name)
        _describe(excerpts, name)
        check_excerpts(excerpts)
        task = start('training', options.iterations, 0)
        model = build('mobile', checkpoint)
        result = adapt_to(
            model, excerpts, settings, lambda step, loss: task.update(step, f'loss {loss:.3f}')
        )
    _print_measures(result)
    if not result.kept:
        console.print(f'nothing was written: {result.reason}', style='yellow', markup=False)
        return NOT_BETTER
    _write(options.out, model, checkpoint, metadata, name, settings, result)
    console.print(
        f'{result.reason}; wrote {options.out}; try it with: gtr track VIDEO --checkpoint '
        f'{options.out}',
        markup=False,
    )
    return 0


def _check_numbers(options: argparse.Namespace) -> None:
    if options.iterations < 1:
        raise ValueError(f'--iterations is {options.iterations}; expected 1 or more')
    if options.seed < 0:
        raise ValueError(f'--seed is {options.seed}; expected 0 or more')
    # Infinite and undefined numbers fail, too.
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise ValueError(f'--seconds is {options.seconds:g}; expected more than 0')
    if not 0 <= options.start < math.inf:
        raise ValueError(f'--start is {options.start:g}; expected 0 or more')
    if options.end is not None and not options.start < options.end < math.inf:
        raise ValueError(
            f'--end is {options.end:g}; expected more than --start, {options.start:g}'
        )
    TrackingOptions(rate=options.rate)  # raises an error that names the limits


def _check_source(options: argparse.Namespace) -> None:
    source = options.recording
    if is_camera(source):
        raise ValueError(f'{source} is a camera, which has no end: record it first')
    bag, images = opens_as_bag(source), image_files(source)
    if not bag and not images and not Path(source).exists():
        raise ValueError(f'no recording at {source}')
    if bag and not options.image_topic:
        _check_cameras(source)
    if options.image_topic and not bag:
        raise ValueError(f'{source} is not a bag: --image-topic is for bags')
    if options.rate != TrackingOptions.rate and not images:
        raise ValueError(
            f'{source} is not a folder or a glob of images: --rate is for those; videos and bags '
            'have the times of their frames'
        )


def _check_cameras(source: str) -> None:
    """Raise ValueError if a bag has several image topics, which adapt to one camera each."""
    # Imported here: rosbags is an optional dependency.
    from gtr_ros.recordings.frames import image_topics

    topics = image_topics(source)
    if len(topics) > 1:
        raise ValueError(
            f'{source} has several cameras, {", ".join(topics)}; name one with --image-topic'
        )


def _check_out(out: Path, checkpoint: Path) -> None:
    """Raise ValueError if the weights could not be written in the end."""
    if out.suffix != '.safetensors':
        raise ValueError(f'--out is {out}; expected a name that ends in .safetensors')
    # `gtr_ros.cli.outputs` has checked what was given, but not a default.
    if out.exists() and checkpoint.exists() and out.samefile(checkpoint):
        raise ValueError(f'--out is {out}, the checkpoint to start from; choose another name')
    if out.is_dir():
        raise ValueError(f'--out is {out}, a folder; choose another name')
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f'cannot write {out}: {folder} is not a folder that can be written to')


def _check_weights(metadata: dict[str, str], checkpoint: Path) -> None:
    """Raise ValueError if the weights are not those of an association that can be trained."""
    held = metadata.get('model', 'gtr_mobile')
    if held != 'gtr_mobile':
        raise ValueError(f'{checkpoint} contains the weights of {held}; expected gtr_mobile')
    if metadata.get('association') != 'transformer':
        raise ValueError(
            f'{checkpoint} has no association transformer, only the cosine of features that are '
            'not trained; leave out --checkpoint, or train one with gtr train'
        )


def _observe(
    options: argparse.Namespace, checkpoint: Path, start: Start, name: str
) -> list[Excerpt]:
    """Run detector and tracker over the recording."""
    from gtr_ros.media.read_ahead import ReadAhead
    from gtr_ros.model.options import ModelOptions
    from gtr_ros.recordings.frames import between
    from gtr_ros.recordings.frames import open_frames
    from gtr_ros.runtime.loading import load_model
    from gtr_ros.training.excerpts import observe

    model = load_model(ModelOptions(checkpoint=str(checkpoint), device=options.device))
    with open_frames(options.recording, options.image_topic, options.rate) as recording:
        seconds = recording.seconds
        if seconds is not None:
            seconds = max(min(seconds, options.end or seconds) - options.start, 0.0)
        task = start(name, recording.count, 0) if recording.count else None
        done = 0

        def count(frame: object) -> None:
            nonlocal done
            done += 1
            if task is not None:
                task.update(min(done, recording.count))

        with ReadAhead(between(recording.frames, options.start, options.end)) as frames:
            return observe(model, frames, seconds, count)


def _describe(excerpts: list[Excerpt], name: str) -> None:
    frames = sum(map(len, excerpts))
    boxes = sum(len(excerpt.boxes) for excerpt in excerpts)
    size = sum(excerpt.maps.nbytes for excerpt in excerpts) / (1 << 20)
    console.print(f'{name}: {frames} frames with {boxes} boxes, {size:.0f} MiB', markup=False)


def _print_measures(result: Adaptation) -> None:
    """Print how often the skipping association agrees with the frame by frame one."""
    for cue, measure in result.measures.items():
        before, after = measure.before, measure.after
        console.print(
            f'held out, {cue}: agreement {before.probability:.3f} -> {after.probability:.3f}, '
            f'right box {100 * before.hits.mean():.1f} % -> {100 * after.hits.mean():.1f} % of '
            f'{len(before)}; gain {measure.gain.mean:+.3f} +- {measure.gain.margin:.3f}',
            markup=False,
        )


def _write(
    out: Path,
    model: GTR,
    checkpoint: Path,
    metadata: dict[str, str],
    name: str,
    settings: AdaptOptions,
    result: Adaptation,
) -> None:
    """Write the adapted weights with what they come from."""
    import json

    from gtr_ros import __version__
    from gtr_ros.model.checkpoint import save_checkpoint
    from gtr_ros.runtime.export import fingerprint

    measures = {
        cue: [round(m.before.probability, 4), round(m.after.probability, 4)]
        for cue, m in result.measures.items()
    }
    own = {
        'source': f'gtr adapt, {result.iterations} iterations, gtr_ros {__version__}',
        'adapted_from': f'{checkpoint.name}, {fingerprint(model)}',
        'adapted_to': name,
        'adapted_seed': str(settings.seed),
        'adapted_agreement': json.dumps(measures),
    }
    save_checkpoint(
        out, result.model.state_dict(), {**metadata, **own, **result.calibration.write()}
    )
