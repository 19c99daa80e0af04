#!/usr/bin/env python3
# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Make the picture of README that shows following: some frames of the demo video, side by side.

A man in a black jacket is chosen by a pixel, as `~/follow` does it. Two men who are dressed like
him walk past, so that he is hidden for a while; then he is found again.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from demo_video import DownloadError
import numpy as np
from picture import CLASS
from picture import original_video
from picture import RATE
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from gtr_ros import TrackingPipeline
from gtr_ros import Tracks
from gtr_ros import VideoReader
from gtr_ros.files import atomic_write
from gtr_ros.media.video import VideoError
from gtr_ros.model.options import ModelOptions
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.following import Followed
from gtr_ros.tracking.following import Follower
from gtr_ros.tracking.following import State

REPOSITORY = Path(__file__).resolve().parent.parent
#: parameter follow_hidden of the node
HIDDEN = 10.0

_COLOURS = {
    State.FOLLOWING: (70, 220, 110),
    State.HIDDEN: (255, 170, 60),
    State.LOST: (255, 90, 90),
    State.FOUND_AGAIN: (90, 190, 255),
}
_SCALE = 1.5  # size of the frames against those of the video
_BAR = 40  # rows of the text above each frame
_GAP = 6  # columns between frames


class NobodyError(ValueError):
    """There is nobody at the pixel."""


def follow(
    video: Path, first: int, shown: list[int], pixel: tuple[float, float], crop: list[int]
) -> list[Image.Image]:
    """
    Track a part of a video, follow the person at a pixel, and draw frames.

    :param first: index of the first frame that is tracked
    :param shown: indices of frames to draw, in order; the person is chosen in the first of them
    :param pixel: x and y in that frame
    :param crop: x1, y1, x2, y2 of the part that is drawn
    :raises NobodyError: if there is no confirmed track at the pixel
    """
    pipeline = TrackingPipeline(
        ModelOptions(device='cpu', runtime='torch'),
        class_names=[CLASS],
        colour='rgb',
        tentative=True,
    )
    follower, pictures = None, []
    with VideoReader(video) as reader:
        for frame in reader:
            if frame.index < first:
                continue
            stamp = frame.index * NANOSECONDS // RATE
            tracks = pipeline(frame.image, stamp)
            if frame.index == shown[0]:
                follower = Follower(_id_at(tracks, pixel), HIDDEN)
            if follower is None:
                continue
            followed = follower.update(stamp, tracks)
            if frame.index in shown:
                seconds = (frame.index - shown[0]) / RATE
                print(f'{seconds:.1f} s: {_text(followed)}')
                pictures.append(_draw(frame.image, tracks, followed, seconds, crop))
            if frame.index >= shown[-1]:
                break
    return pictures


def _id_at(tracks: Tracks, pixel: tuple[float, float]) -> int:
    inside = (tracks.boxes[:, :2] <= pixel) & (tracks.boxes[:, 2:] >= pixel)
    rows = np.flatnonzero(inside.all(axis=1) & tracks.confirmed)
    if not len(rows):
        raise NobodyError(f'no confirmed person is at pixel {pixel}; give another --pixel')
    return int(tracks.ids[rows[0]])


def _text(followed: Followed) -> str:
    return f'{followed.state.name.lower().replace("_", " ")}, id {followed.id}'


def _draw(
    image: np.ndarray, tracks: Tracks, followed: Followed, seconds: float, crop: list[int]
) -> Image.Image:
    """Return a part of a frame, larger, with a bar above it."""
    part = Image.fromarray(image).crop(crop)
    size = round(_SCALE * part.width), round(_SCALE * part.height)
    part = part.resize(size, Image.Resampling.LANCZOS)
    draw, colour = ImageDraw.Draw(part), _COLOURS[followed.state]
    corners = _SCALE * (tracks.boxes - np.array(crop[:2] * 2))
    for row in np.flatnonzero(tracks.confirmed).tolist():
        if row != followed.row:
            draw.rectangle(corners[row].tolist(), outline=(255, 255, 255), width=2)
    if followed.row is not None:
        draw.rectangle(corners[followed.row].tolist(), outline=colour, width=7)
    picture = Image.new('RGB', (part.width, part.height + _BAR), colour)
    picture.paste(part, (0, _BAR))
    text = f'{seconds:.1f} s   {_text(followed)}'
    font = ImageFont.load_default(_BAR - 8)
    ImageDraw.Draw(picture).text((8, 2), text, fill=(0, 0, 0), font=font)
    return picture


def write(pictures: list[Image.Image], out: Path, quality: int) -> None:
    """Write frames side by side."""
    width = sum(p.width + _GAP for p in pictures) - _GAP
    sheet = Image.new('RGB', (width, pictures[0].height), (255, 255, 255))
    x = 0
    for picture in pictures:
        sheet.paste(picture, (x, 0))
        x += picture.width + _GAP
    with atomic_write(out) as part:
        sheet.save(part, format='JPEG', quality=quality)


def main() -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--video', type=Path, help='(default: downloaded once, as for make demo)')
    parser.add_argument('--first', type=int, default=440, help='(default: frame %(default)s)')
    parser.add_argument('--frames', type=int, nargs='+', default=[475, 479, 500, 517])
    parser.add_argument('--pixel', type=float, nargs=2, default=(657, 340), metavar=('X', 'Y'))
    parser.add_argument('--crop', type=int, nargs=4, default=[450, 180, 768, 420])
    parser.add_argument('--quality', type=int, default=80, help='0 to 100 (default: %(default)s)')
    parser.add_argument(
        '--out', type=Path, default=REPOSITORY / 'docs' / 'following.jpg', help='(%(default)s)'
    )
    options = parser.parse_args()
    try:
        video, frames = options.video or original_video(), sorted(options.frames)
        pictures = follow(video, options.first, frames, tuple(options.pixel), options.crop)
        if len(pictures) < len(frames):
            raise VideoError(f'{video} does not have the frames {frames}; give other --frames')
        write(pictures, options.out, options.quality)
    except (DownloadError, VideoError, NobodyError, OSError) as error:
        print(f'follow_picture: {error}', file=sys.stderr)
        return 1
    print(f'{options.out}: {len(pictures)} frames, {options.out.stat().st_size / 1e3:.0f} kB')
    return 0


if __name__ == '__main__':
    sys.exit(main())
