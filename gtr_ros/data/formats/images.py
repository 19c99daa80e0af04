# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The images of a sequence, in a folder of frames or a video file."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import Images
from gtr_ros.media.image_files import FRAME_SUFFIXES
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import read_picture
from gtr_ros.media.video import VideoReader

#: file suffixes of videos
VIDEO_SUFFIXES = ('.mp4', '.avi', '.mkv', '.mov', '.webm')


@dataclass(frozen=True)
class ImageSource:
    """
    The source of a sequence's images.

    :param images: returns an iterator over them
    :param key: changes when the files do
    :param count: number of frames; None if the file does not state it
    :param size: (height, width), pixels
    :param rate: frames per second; None if the files do not state it
    """

    images: Images
    key: str
    count: int | None
    size: tuple[int, int]
    rate: float | None = None


class ImageFiles:
    """
    Images in files, one for each frame.

    :param files: in order
    :param size: required (height, width), see `read_image`; None: any
    """

    def __init__(self, files: Sequence[Path], size: tuple[int, int] | None = None) -> None:
        self._files = files
        self._size = size

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over the images, (H, W, 3) uint8 RGB each."""
        return map(self.at, range(len(self._files)))

    def at(self, t: int) -> np.ndarray:
        """
        Read the image of frame t.

        :raises FormatError: if it cannot be read, or has another size
        """
        image = read_image(self._files[t], self._size)
        if self._size is not None and image.shape[:2] != self._size:
            raise FormatError(
                self._files[t],
                f'its size is {image.shape[1]} x {image.shape[0]}; expected {self._size[1]} x '
                f'{self._size[0]}, as in its video',
            )
        return image


def frame_folder(folder: Path) -> ImageSource | None:
    """
    Find the frames in a folder, sorted by name; None if it has none.

    :raises FormatError: if the first is not an image
    """
    if not folder.is_dir():
        return None
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in FRAME_SUFFIXES)
    if not files:
        return None
    height, width = read_image(files[0]).shape[:2]
    return ImageSource(ImageFiles(files), files_key(files), len(files), (height, width))


def video_file(folder: Path) -> ImageSource | None:
    """
    Find the only video in a folder; None if it has none.

    :raises FormatError: if it has several
    :raises VideoError: if it cannot be read
    """
    files = sorted(f for f in folder.iterdir() if f.suffix.lower() in VIDEO_SUFFIXES)
    if not files:
        return None
    if len(files) > 1:
        names = ', '.join(f.name for f in files)
        raise FormatError(folder, f'expected frames, or one video instead of them; found {names}')
    (file,) = files
    with VideoReader(file) as video:
        (width, height), rate, count = video.size, video.rate, video.frame_count

    def images() -> Iterator[np.ndarray]:
        with VideoReader(file) as video:
            for frame in video:
                yield frame.image

    return ImageSource(images, files_key(files), count, (height, width), rate)


def read_image(file: Path, size: tuple[int, int] | None = None) -> np.ndarray:
    """
    Read an image, (H, W, 3) uint8 RGB.

    Boxes refer to the upright image, as browsers and tools for annotation show it; an EXIF
    orientation is applied. Other tools, such as those of COCO, ignore it: if the annotations state
    a size that only the pixels as stored have, boxes refer to those, and they are returned. An
    image that is only mirrored or upside down has the same size either way, and stands upright.

    :param size: (height, width) in the annotations, pixels; None: they do not state it
    :raises FormatError: if there is no such file, or it is not an image with 8 bits per channel
    """
    try:
        return read_picture(file, size)
    except ImageError as error:
        raise FormatError(file, f'not a readable image ({error})') from error


def files_key(files: list[Path]) -> str:
    """Return a digest of the names, sizes and modification times of files."""
    digest = sha256()
    for file in files:
        state = file.stat()
        digest.update(f'{file.resolve()} {state.st_size} {state.st_mtime_ns}\n'.encode())
    return digest.hexdigest()
