# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files as the frames of one camera, read as `VideoReader` reads those of a video."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import re
from typing import Any

from gtr_ros.input_warning import ranges_of
from gtr_ros.input_warning import warn
from gtr_ros.media.frame_numbers import frame_indices
from gtr_ros.media.frame_numbers import FrameNameError
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import read_picture
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoFrame
from gtr_ros.stamps import NANOSECONDS

#: file suffixes of frames, in lower case
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


def is_frame(path: Path) -> bool:
    """Return whether a file is a frame by its name; those with a dot first are hidden."""
    # Other systems leave files such as ._1.jpg.
    return path.suffix.lower() in FRAME_SUFFIXES and not path.name.startswith('.')


def natural_order(path: Path) -> tuple[Any, ...]:
    """Return the key that sorts files by name, and numbers in names by value: 9.jpg, 10.jpg."""
    parts = re.split(r'([0-9]+)', path.name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


class ImageFilesReader:
    """
    The frames of a camera in image files: a context manager that can be iterated.

    Images stand upright, see `gtr_ros.media.pixels.read_picture`. If their names count frames one
    by one, a number that is missing leaves a gap in index and time, and a warning names it.

    :param files: in order, at least one
    :param rate: frames per second
    :param on_damage: called with a text for each file that is not a readable image or has another
        size than the first, which is left out; None: such a file is an error
    :raises VideoError: if the first is not a readable image (with `on_damage`: if none is), or two
        files of a folder differ only in their suffix
    """

    def __init__(
        self,
        files: Sequence[Path],
        rate: float,
        on_damage: Callable[[str], None] | None = None,
    ) -> None:
        self._files = files
        self._on_damage = on_damage
        self.rate = rate
        self.frame_count = len(files)
        try:
            indices = frame_indices(files)
        except FrameNameError as error:
            raise VideoError(str(error)) from None
        self._indices = range(len(files)) if indices is None else indices
        if self._indices[-1] >= len(files):
            known = set(self._indices)
            gaps = [i for i in range(self._indices[-1]) if i not in known]
            warn(
                f'{files[0].parent}: {len(gaps)} frames are missing from {files[0].name} to '
                f'{files[-1].name}: {ranges_of(i + 1 for i in gaps)} (counted from 1); time '
                'passes there'
            )
        self._begin, first = self._read_first()
        height, width = first.image.shape[:2]
        #: (width, height), pixels
        self.size = (width, height)

    def __enter__(self) -> ImageFilesReader:
        return self

    def __exit__(self, *_) -> None:
        pass

    def __iter__(self) -> Iterator[VideoFrame]:
        """
        Iterate over the frames; the first has the stamp 0.

        :raises VideoError: if a file is not a readable image, or has another size than the first
        """
        for index in range(self._begin, len(self._files)):
            try:
                yield self._checked(index)
            except VideoError as error:
                if self._on_damage is None:
                    raise
                self._on_damage(str(error))

    def _read_first(self) -> tuple[int, VideoFrame]:
        """Return the index of the first file that can be read, and its frame."""
        errors = []
        for index in range(len(self._files)):
            try:
                frame = self._read(index)
            except VideoError as error:
                if self._on_damage is None:
                    raise
                errors.append(error)
            else:
                for error in errors:
                    self._on_damage(str(error))
                return index, frame
        raise errors[0]

    def _checked(self, index: int) -> VideoFrame:
        frame = self._read(index)
        height, width = frame.image.shape[:2]
        if (width, height) != self.size:
            raise VideoError(
                f'{self._files[index]} has {width} x {height} pixels, but '
                f'{self._files[self._begin]} has {self.size[0]} x {self.size[1]}; the images of a '
                'recording have one size'
            )
        return frame

    def _read(self, index: int) -> VideoFrame:
        try:
            image = read_picture(self._files[index])
        except ImageError as error:
            raise VideoError(f'{self._files[index]} is not a readable image: {error}') from error
        number = self._indices[index]
        return VideoFrame(image, round(number * NANOSECONDS / self.rate), number)
