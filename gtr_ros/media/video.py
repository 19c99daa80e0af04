# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read video files and cameras, and write video files, with the libraries of FFmpeg."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from fractions import Fraction
import os
from pathlib import Path
from typing import NamedTuple

import av
from av.error import FFmpegError
import numpy as np

from gtr_ros.file_kinds import describe_file
from gtr_ros.file_kinds import missing_video
from gtr_ros.input_warning import warn
from gtr_ros.media.completeness import ends_before
from gtr_ros.media.completeness import find_second_file
from gtr_ros.media.completeness import stated_length
from gtr_ros.media.hardware import find_decoder
from gtr_ros.media.orientation import display_orientation
from gtr_ros.media.orientation import Orientation
from gtr_ros.media.orientation import UPRIGHT
from gtr_ros.stamps import NANOSECONDS

# Steps between the times of two frames up to this are none, nanoseconds: cameras take longer.
_NO_INTERVAL = 2_000_000
# FFmpeg takes times that restart in an MPEG stream for those after 26.5 hours, nanoseconds.
_LONGEST_GAP = 90_000 * NANOSECONDS
# Frames without an interval from which the times are said to stand still.
_STANDING = 5


class VideoError(ValueError):
    """A video that cannot be read or written; the message names the file and the reason."""


class VideoFrame(NamedTuple):
    """
    One frame of a video.

    :param image: (H, W, 3) uint8, RGB, contiguous, upright
    :param stamp: nanoseconds since the start of the video, strictly increasing
    :param index: from 0
    """

    image: np.ndarray
    stamp: int
    index: int


class VideoReader:
    """
    The frames of a file or a camera, in order: a context manager that can be iterated once.

    The frames of a phone stand upright: they are turned and mirrored as the file's display matrix
    says, which players do, too. The matrix of the first frame holds for the whole video.

    A file that ends before the length in its header has been cut off, and one that another one
    was appended to may not be read to its end: a warning names both.

    :param source: a file, or a camera such as `/dev/video0` or `0`
    :param on_damage: called with a text for each frame that cannot be decoded, which is left out,
        and for a file that was not read to its end; None: a damaged frame is an error
    :param hardware_decoding: whether to decode a file in hardware; where that is not possible, a
        warning says why
    :raises VideoError: if there is no such file or camera, or it has no readable frame
    """

    def __init__(
        self,
        source: str | Path,
        on_damage: Callable[[str], None] | None = None,
        hardware_decoding: bool = False,
    ) -> None:
        if fault := missing_video(str(source)):
            raise VideoError(fault)
        self.source = f'/dev/video{source}' if str(source).isdecimal() else str(Path(source))
        camera = self.source.startswith('/dev/video')
        #: whether the file is decoded in hardware
        self.in_hardware = False
        # FFmpeg takes some archives for streams of sound.
        kind = describe_file(Path(self.source))
        if kind and not kind.endswith(('video', 'image')):
            raise VideoError(f'{self.source} is not a readable video but {kind}')
        try:
            # With its protocol, a : in a file's name is a character like others.
            name = self.source if camera else f'file:{self.source}'
            self._container = av.open(name, format='v4l2' if camera else None)
        except (FFmpegError, OSError, ValueError) as error:  # ValueError: of its metadata's text
            reason = getattr(error, 'strerror', None) or error
            raise VideoError(f'{self.source} is not a readable video: {reason}') from error
        if _is_still(self._container.format.name):
            self._container.close()
            raise VideoError(
                f'{self.source} is an image, not a video: FFmpeg reads those by other rules. '
                '`gtr track` and `ImageFilesReader` read images whose names end in .jpg, .png, '
                '.bmp, .webp or .tif'
            )
        if not self._container.streams.video:
            self._container.close()
            raise VideoError(f'{self.source} has no video stream')
        if hardware_decoding and not camera:
            self._use_hardware(name)
        self._stream = self._container.streams.video[0]
        if not self.in_hardware:
            self._stream.thread_type = 'AUTO'
        self._on_damage = on_damage
        self._length = (
            None if camera else stated_length(self.source, self._container, self._stream)
        )
        self._end = 0.0  # of what was read, of all streams, seconds
        self._position = 0  # of the last packet in the file, bytes
        self._cut = False  # whether the last packet is incomplete
        self._index = 0  # of the next frame
        #: frames per second; 10 if the file does not state it
        self.rate = float(self._stream.average_rate or self._stream.guessed_rate or 10)
        #: frames in the file; None for cameras, and if the file does not state it
        self.frame_count = self._stream.frames or None
        self._pictures = self._decode()
        self._first: av.VideoFrame | None = None
        self._orientation = UPRIGHT
        if not camera:
            # FFmpeg hands the display matrix over with the frames, not before.
            self._first = self._read_first()
            self._orientation = _orientation(self._first)
        #: (width, height) of the upright images, pixels
        self.size = self._orientation.upright_size(self._stream.width, self._stream.height)

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(self, *_) -> None:
        self._container.close()

    def _use_hardware(self, name: str) -> None:
        """Open the file again with a decoder in hardware, if there is one."""
        decoder, reason = find_decoder(name)
        if decoder is None:
            warn(f'{self.source} is decoded in software: {reason}')
            return
        self._container.close()
        self._container = av.open(name, hwaccel=decoder)
        self.in_hardware = True

    def _read_first(self) -> av.VideoFrame:
        try:
            first = next(self._pictures, None)
        except FFmpegError as error:
            self._container.close()
            raise VideoError(f'{self.source} is damaged after frame 0: {error}') from error
        except VideoError:
            self._container.close()
            raise
        if first is None:
            self._container.close()
            raise VideoError(f'{self.source} has no readable frame')
        return first

    def __iter__(self) -> Iterator[VideoFrame]:
        """
        Iterate over the frames; those that `on_damage` was called for leave a gap in the index.

        :raises VideoError: where the file is damaged, without `on_damage`; states how many frames
            came before
        """
        times, count, partly = FrameTimes(self.rate), 0, 0
        picture, self._first = self._first or next(self._pictures, None), None
        while picture is not None:
            stamp = times.next(_written_time(picture))
            image = self._orientation.upright(picture.to_ndarray(format='rgb24'))
            yield VideoFrame(image, stamp, self._index)
            self._index += 1
            count += 1
            partly += picture.is_corrupt
            picture = next(self._pictures, None)
        if not count:
            raise VideoError(f'{self.source} has no readable frame')
        if partly:
            warn(f'{self.source}: {partly} of {count} frames are damaged in part, and used so')
        if times.restarts or times.still:
            warn(
                f'{self.source}: the times of its frames go back ({times.restarts} times) or '
                f'stand still ({times.still} of {count} frames), as in joined files; these frames '
                'are taken to follow at the usual interval'
            )
        elif self._is_cut():
            length = '' if self._length is None else f', {self._end:.2f} s of {self._length:.2f} s'
            self._incomplete(f'{self.source} is cut off after {count} frames{length}')
        second = find_second_file(self.source, self._container.format.name, self._position)
        if second is not None:
            self._incomplete(
                f'{self.source} is several files in one: another one begins at byte {second}, and '
                f'was not read, or not completely ({count} frames were); convert each, and join '
                "them with ffmpeg's concat demuxer"
            )

    def _incomplete(self, text: str) -> None:
        warn(text) if self._on_damage is None else self._on_damage(text)

    def _decode(self) -> Iterator[av.VideoFrame]:
        """Yield the pictures of the stream; the packets of the others say where the file ends."""
        packets = self._container.demux()
        while True:
            try:
                packet = next(packets, None)
            except FFmpegError as error:
                self._damaged(error)
                return
            if packet is None:
                return
            if packet.pts is not None and packet.time_base is not None:
                end = float((packet.pts + (packet.duration or 0)) * packet.time_base)
                self._end = max(self._end, end)
            self._position = max(self._position, packet.pos or 0)
            if packet.stream_index != self._stream.index:
                continue
            self._cut = packet.is_corrupt or (self._cut and not packet.size)
            try:
                pictures = packet.decode()
            except FFmpegError as error:
                # The rest of a packet at the end of the file is named with the end.
                if not self._cut:
                    self._damaged(error)
                    self._index += 1
                elif self._on_damage is None:
                    self._damaged(error)
                continue
            yield from pictures

    def _damaged(self, error: FFmpegError) -> None:
        text = f'{self.source} is damaged after frame {self._index}: {error}'
        if self._on_damage is None:
            raise VideoError(text) from error
        self._on_damage(text)

    def _is_cut(self) -> bool:
        if self._cut:
            return True
        if self._length is None:
            return False
        return ends_before(self._end, self._length, self.rate)


class FrameTimes:
    """
    Times of a video's frames, from 0 and strictly increasing, repaired where the file is wrong.

    Some files have frames without a time, with the same time twice, or with times that restart, as
    in concatenated files. A frame without a time, or with an earlier one, follows the previous
    frame after the latest interval between frames, and later times continue from there; a frame
    with the same time as the previous one follows after half of that interval.

    Programs that join files write the times of the second part as the last time of the first, or
    one tick after each other, until the first part's length has passed. From the fifth frame of
    that kind on, frames follow after the latest interval, and later times continue from there.

    :param rate: frames per second, used until an interval between two frames is known
    """

    def __init__(self, rate: float) -> None:
        #: number of times that went back, and of frames whose times stood still
        self.restarts = 0
        self.still = 0
        self._interval = round(NANOSECONDS / rate)
        self._begin = 0
        self._written: int | None = None  # time of the previous frame in the file
        self._time = 0
        self._standing = 0  # frames up to the previous one that came without an interval

    def next(self, written: int | None) -> int:
        """
        Return the time of the next frame, nanoseconds.

        :param written: time in the file, nanoseconds; None: it has none
        """
        before = self._written
        if before is None:
            self._written = self._begin = written or 0
            return 0
        if written is None:
            written = before + self._interval
        self._written = written
        step = written - before
        if abs(step) <= min(self._interval // 20, _NO_INTERVAL):
            self._standing += 1
            self.still += self._standing >= _STANDING
            whole = self._standing >= _STANDING
            self._time += self._interval if whole else max(self._interval // 2, 1)
            return self._time
        stood, self._standing = self._standing >= _STANDING, 0
        if step < 0 or step > _LONGEST_GAP:
            self.restarts += 1
            self._begin = written - self._time - self._interval
        elif stood:
            least = self._time + min(step, self._interval)
            self._begin = min(self._begin, written - least)
        else:
            self._interval = min(step, NANOSECONDS)
        time = written - self._begin
        self._time = time if time > self._time else self._time + max(self._interval // 2, 1)
        return self._time


def _is_still(name: str) -> bool:
    """Return whether FFmpeg's format of this name is one for images: png_pipe, image2."""
    return name.endswith('_pipe') or name.startswith('image2')


def _orientation(picture: av.VideoFrame) -> Orientation:
    """Return how the frames of a video are stored, from one of them."""
    # Older PyAV has no VideoFrame.rotation, which also leaves out mirroring.
    matrix = picture.side_data.get('DISPLAYMATRIX')
    return UPRIGHT if matrix is None else display_orientation(memoryview(matrix))


def _written_time(picture: av.VideoFrame) -> int | None:
    """Return the time of a frame in the file, nanoseconds; None if it has none."""
    if picture.pts is None or picture.time_base is None:
        return None
    return int(picture.pts * picture.time_base * NANOSECONDS)


class VideoWriter:
    """
    Writes an H.264 file, which gets its name only when it is complete; a context manager.

    :param path: ends in `.mp4`; its folder is created
    :param rate: frames per second
    :param size: (width, height), pixels; an odd side loses one pixel, as H.264 requires
    :raises VideoError: if it cannot be written
    """

    def __init__(self, path: str | Path, rate: float, size: tuple[int, int]) -> None:
        self.path = Path(path)
        self._part = self.path.with_name(f'.{self.path.stem}.{os.getpid()}.part{self.path.suffix}')
        self._width, self._height = (max(2, side // 2 * 2) for side in size)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # With the index first, players and browsers can start before the download is complete.
            self._container = av.open(f'file:{self._part}', 'w', options={'movflags': 'faststart'})
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

    def close(self, path: Path | None = None) -> None:
        """
        Finish the file and rename it to its final name.

        :param path: another name, for a video that is not complete
        """
        path = path or self.path
        try:
            self._mux(None)
            self._container.close()
            if not self._part.exists():
                raise VideoError(f'cannot write {path}: it has no image')
            self._part.replace(path)
        except (FFmpegError, OSError) as error:
            raise VideoError(f'cannot write to {self.path}: {error}') from error
        finally:
            self._part.unlink(missing_ok=True)

    def _mux(self, picture: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(picture))
        except (FFmpegError, OSError) as error:
            raise VideoError(f'cannot write to {self.path}: {error}') from error
