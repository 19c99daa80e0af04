# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Image files as the frames of one camera, read as `VideoReader` reads those of a video."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
import re
from typing import Any

from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import read_picture
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoFrame
from gtr_ros.stamps import NANOSECONDS

#: file suffixes of frames, in lower case
FRAME_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')


def natural_order(path: Path) -> tuple[Any, ...]:
    """Return the key that sorts files by name, and numbers in names by value: 9.jpg, 10.jpg."""
    parts = re.split(r'([0-9]+)', path.name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], path.name


class ImageFilesReader:
    """
    The frames of a camera in image files: a context manager that can be iterated.

    Images stand upright, see `gtr_ros.media.pixels.read_picture`.

    :param files: in order, at least one
    :param rate: frames per second
    :raises VideoError: if the first is not a readable image
    """

    def __init__(self, files: Sequence[Path], rate: float) -> None:
        self._files = files
        self.rate = rate
        self.frame_count = len(files)
        height, width = self._read(0).image.shape[:2]
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
        for index, file in enumerate(self._files):
            frame = self._read(index)
            height, width = frame.image.shape[:2]
            if (width, height) != self.size:
                raise VideoError(
                    f'{file} has {width} x {height} pixels, but {self._files[0]} has '
                    f'{self.size[0]} x {self.size[1]}; the images of a recording have one size'
                )
            yield frame

    def _read(self, index: int) -> VideoFrame:
        try:
            image = read_picture(self._files[index])
        except ImageError as error:
            raise VideoError(f'{self._files[index]} is not a readable image: {error}') from error
        return VideoFrame(image, round(index * NANOSECONDS / self.rate), index)
