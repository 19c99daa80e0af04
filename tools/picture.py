#!/usr/bin/env python3
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Make the animated picture of README: track a part of the demo video, draw the confirmed tracks.

In this part a man walks behind a sign, two people walk past each other, and a woman leaves the
image and returns. The video is downloaded if it is not in the user's cache.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
import sys

from demo_video import demo_video
from demo_video import DownloadError
import numpy as np
from PIL import Image

from gtr_ros import annotate
from gtr_ros import TrackingPipeline
from gtr_ros import Tracks
from gtr_ros import VideoReader
from gtr_ros.files import atomic_write
from gtr_ros.media.video import VideoError
from gtr_ros.model.options import ModelOptions
from gtr_ros.stamps import NANOSECONDS

REPOSITORY = Path(__file__).resolve().parent.parent
#: frames per second of the camera; the file of the video states 10
RATE = 7
CLASS = 'person'
#: the video that --first and --frames refer to by default
ORIGINAL = 'vtest.avi'


def track(video: Path, first: int, count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """
    Track frames of a video and draw the people in them.

    :param video: a file
    :param first: index of the first frame
    :param count: number of frames
    :param size: (width, height) of the results, pixels
    :return: (H, W, 3) uint8 RGB, for each frame
    """
    pipeline = TrackingPipeline(ModelOptions(device='cpu'), class_names=[CLASS], colour='rgb')
    seen: dict[int, list[int]] = {}
    with VideoReader(video) as reader:
        for frame in reader:
            if frame.index < first:
                continue
            if frame.index >= first + count:
                break
            tracks = pipeline(frame.image, frame.index * NANOSECONDS // RATE)
            for identity in tracks.ids.tolist():
                seen.setdefault(identity, []).append(frame.index)
            picture = np.array(Image.fromarray(frame.image).resize(size, Image.Resampling.LANCZOS))
            scaled = _scaled(tracks, size[0] / frame.image.shape[1])
            yield annotate(picture, scaled, pipeline.class_names)
    _report(seen)


def _scaled(tracks: Tracks, scale: float) -> Tracks:
    """Return the tracks in pixels of an image of another size."""
    return replace(
        tracks,
        boxes=tracks.boxes * scale,
        trajectories=[
            replace(trajectory, boxes=trajectory.boxes * scale)
            for trajectory in tracks.trajectories
        ],
    )


def _report(frames: dict[int, list[int]]) -> None:
    """Print the gaps that the ids survived: what the caption of the picture says."""
    for identity, seen in frames.items():
        gaps = [after - before - 1 for before, after in pairwise(seen) if after - before > RATE]
        text = ', '.join(f'{gap} frames ({gap / RATE:.1f} s)' for gap in gaps)
        print(
            f'id {identity}: {len(seen)} frames' + (f'; not detected for {text}' if gaps else '')
        )


def write(pictures: list[np.ndarray], out: Path, quality: int) -> None:
    """Write an animated WebP that repeats for ever."""
    first, *others = [Image.fromarray(picture) for picture in pictures]
    with atomic_write(out) as part:
        first.save(
            part,
            format='WEBP',
            save_all=True,
            append_images=others,
            duration=round(1000 / RATE),
            loop=0,
            quality=quality,
            method=6,
        )


def original_video() -> Path:
    """
    Return the demo video.

    :raises DownloadError: if only another one can be downloaded
    """
    video = demo_video()
    if video.name != ORIGINAL:
        raise DownloadError(
            f'only {video} could be downloaded, and the picture is made from {ORIGINAL} of the '
            'Debian package opencv-doc: give its path with --video, or choose another video, '
            'with --first and --frames'
        )
    return video


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--video', type=Path, help='(default: downloaded once, as for make demo)')
    parser.add_argument('--first', type=int, default=527, help='(default: frame %(default)s)')
    parser.add_argument('--frames', type=int, default=98, help='(default: %(default)s)')
    parser.add_argument('--width', type=int, default=640, help='pixels (default: %(default)s)')
    parser.add_argument('--quality', type=int, default=45, help='0 to 100 (default: %(default)s)')
    parser.add_argument(
        '--out', type=Path, default=REPOSITORY / 'docs' / 'tracking.webp', help='(%(default)s)'
    )
    options = parser.parse_args()
    try:
        video = options.video or original_video()
        with VideoReader(video) as reader:
            width, height = reader.size
        size = options.width, round(options.width * height / width)
        pictures = list(track(video, options.first, options.frames, size))
        if not pictures:
            raise VideoError(
                f'{video} has fewer than {options.first} frames; give an earlier --first'
            )
        write(pictures, options.out, options.quality)
    except (DownloadError, VideoError, OSError) as error:
        print(f'picture: {error}', file=sys.stderr)
        return 1
    print(f'{options.out}: {len(pictures)} frames, {options.out.stat().st_size / 1e6:.2f} MB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
