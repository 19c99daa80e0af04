# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Video files and cameras, read and written with FFmpeg's libraries."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av
from av.error import FFmpegError
import numpy as np

from gtr_ros.stamps import NANOSECONDS


class VideoError(ValueError):
    """A video that cannot be read or written; the message names it and the reason."""


class VideoFrame(NamedTuple):
    """
    One picture of a video.

    :param image: (H, W, 3) uint8, RGB, contiguous
    :param stamp: nanoseconds since the video's beginning, strictly increasing
    :param index: from 0
    """

    image: np.ndarray
    stamp: int
    index: int


class VideoReader:
    """
    The frames of a file or a camera, in order; a context manager, to be iterated once.

    :param source: a file, or a camera as `/dev/video0` or `0`
    :raises VideoError: if there is no such file or camera, or no video in it
    """

    def __init__(self, source: str | Path) -> None:
        self.source = f'/dev/video{source}' if str(source).isdecimal() else str(source)
        camera = self.source.startswith('/dev/video')
        if not Path(self.source).exists():
            raise VideoError(f'no {"camera" if camera else "video"} at {self.source}')
        try:
            self._container = av.open(self.source, format='v4l2' if camera else None)
        except (FFmpegError, OSError) as error:
            raise VideoError(f'{self.source} is no video that can be read: {error}') from error
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f'{self.source} has no video in it')
        self._stream = self._container.streams.video[0]
        self._stream.thread_type = 'AUTO'
        #: frames a second; 10 where the file does not say
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or 10)
        #: frames in the file; None where it does not say, and for cameras
        self.frame_count = self._stream.frames or None
        #: (width, height), pixels
        self.size = (self._stream.width, self._stream.height)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    def __iter__(self) -> Iterator[VideoFrame]:
        """
        Read frame by frame.

        :raises VideoError: where the file is damaged; says how many frames came before
        """
        times, index = FrameTimes(self.rate), 0
        try:
            for picture in self._container.decode(self._stream):
                stamp = times.next(_written_time(picture))
                yield VideoFrame(picture.to_ndarray(format='rgb24'), stamp, index)
                index += 1
        except FFmpegError as error:
            raise VideoError(f'{self.source} is damaged after frame {index}: {error}') from error
        if not index:
            raise VideoError(f'{self.source} has no frame that can be read')


class FrameTimes:
    """
    The times of a video's frames, from 0 and strictly increasing, whatever is written in it.

    Files exist whose frames carry no time, or the same one twice, or times that begin anew, as in
    files that were joined. Without a time, or after a step back, a frame comes as long after the
    one before as frames came so far, and the times go on from there; one of the same time as the
    one before comes half as long after it.

    :param rate: frames a second, until it is known how far they are apart
    """

    def __init__(self, rate: float) -> None:
        self._interval = round(NANOSECONDS / rate)
        self._begin = 0
        self._written: int | None = None  # of the frame before
        self._time = 0

    def next(self, written: int | None) -> int:
        """
        Return the time of the next frame, nanoseconds.

        :param written: what the video says, nanoseconds; None: nothing
        """
        before = self._written
        if before is None:
            self._written = self._begin = written or 0
            return 0
        if written is None:
            written = before + self._interval
        elif written < before:
            self._begin = written - self._time - self._interval
        elif written > before:
            self._interval = min(written - before, NANOSECONDS)
        self._written = written
        time = written - self._begin
        self._time = time if time > self._time else self._time + max(self._interval // 2, 1)
        return self._time


def _written_time(picture: av.VideoFrame) -> int | None:
    """Return a frame's time in nanoseconds, if it has one."""
    if picture.pts is None or picture.time_base is None:
        return None
    return int(picture.pts * picture.time_base * NANOSECONDS)


class VideoWriter:
    """
    An H.264 file that appears under its name only when it is whole; a context manager.

    :param path: ends in `.mp4`; its folder is made
    :param rate: frames a second
    :param size: (width, height), pixels; an odd side loses one pixel, as H.264 asks
    :raises VideoError: if it cannot be written
    """

    def __init__(self, path: str | Path, rate: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(f'.{self.path.stem}.part{self.path.suffix}')
        self._width, self._height = (max(2, side // 2 * 2) for side in size)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # The index first: players and browsers begin before they have all of it.
            self._container = av.open(str(self._part), 'w', options={'movflags': 'faststart'})
            codec = 'libx264' if 'libx264' in av.codecs_available else 'mpeg4'
            self._stream = self._container.add_stream(
                codec, rate=Fraction(rate).limit_denominator(1000)
            )
        except (FFmpegError, OSError, ValueError) as error:
            self._part.unlink(missing_ok=True)
            raise VideoError(f'cannot write a video to {self.path}: {error}') from error
        self._stream.width, self._stream.height = self._width, self._height
        self._stream.pix_fmt = 'yuv420p'

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        if kind is None:
            self.close()
        else:
            self._container.close()
            self._part.unlink(missing_ok=True)

    def write(self, image: np.ndarray) -> None:
        """Append an image, (H, W, 3) uint8 RGB of the video's size."""
        picture = image[: self._height, : self._width]
        if picture.shape != (self._height, self._width, 3):
            raise VideoError(
                f'image of shape {image.shape} does not fit {self.path}, which is '
                f'{self._width} x {self._height}'
            )
        self._mux(av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format='rgb24'))

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            self._mux(None)
            self._container.close()
            if not self._part.exists():
                raise VideoError(f'cannot write {self.path}: it was given no image')
            self._part.replace(self.path)
        except (FFmpegError, OSError) as error:
            raise VideoError(f'cannot write to {self.path}: {error}') from error
        finally:
            self._part.unlink(missing_ok=True)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except (FFmpegError, OSError) as error:
            raise VideoError(f'cannot write to {self.path}: {error}') from error
