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
from gtr_ros.input_warning import first_of
from gtr_ros.input_warning import ranges_of
from gtr_ros.input_warning import warn
from gtr_ros.media.frame_numbers import FrameNameError
from gtr_ros.media.frame_numbers import number_frames
from gtr_ros.media.image_files import FRAME_SUFFIXES
from gtr_ros.media.image_files import is_frame
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
        return read_image(self._files[t], self._size)


def frame_folder(
    folder: Path,
    first: int = 1,
    count: int | None = None,
    labelled: int = 0,
    extension: str | None = None,
    size: tuple[int, int] | None = None,
) -> ImageSource | None:
    """
    Find the frames in a folder by the numbers in their names; None if it has no images.

    Files that are not frames of the sequence are left out, and a warning names them.

    :param first: number of the first frame in the labels
    :param count: number of frames; None: as many as there are images
    :param labelled: number of the last frame with a label
    :param extension: of the frames' files, such as `.jpg`; None: any
    :param size: (height, width) that the labels state, see `read_image`; None: none
    :raises FormatError: if a frame has no image, if it is not clear which file is which frame, or
        if the first image cannot be read
    """
    if not folder.is_dir():
        return None
    files = _with_extension(folder, [f for f in folder.iterdir() if is_frame(f)], extension)
    if not files:
        others = {f.suffix for f in folder.iterdir() if f.is_file() and f.name[0] != '.'}
        if others:
            warn(
                f'{folder}: it has no images, only files of {first_of(sorted(others))}; expected '
                f'{first_of(FRAME_SUFFIXES, len(FRAME_SUFFIXES))}'
            )
        return None
    try:
        names = number_frames(files)
    except FrameNameError as error:
        raise FormatError(folder, str(error)) from None
    numbers = list(names.by_number)
    shift = _shift(folder, numbers, first, count, labelled)
    last = first + count - 1 if count else max(numbers[-1] - shift, labelled)
    frames = range(first, last + 1)
    missing = [t for t in frames if t + shift not in names.by_number]
    if missing:
        raise FormatError(
            folder,
            f'{len(missing)} of the frames {first} to {last} have no image: {ranges_of(missing)}; '
            'add the images'
            + (', or correct seqLength in seqinfo.ini' if count else '')
            + (f' (the first is {names.by_number[numbers[0]].name})' if shift else ''),
        )
    wanted = {t + shift for t in frames}
    extra = [*names.others, *(f for n, f in names.by_number.items() if n not in wanted)]
    if extra:
        warn(
            f'{folder}: {len(extra)} images are not in the frames {first} to {last} of the '
            f'sequence, and are left out: {first_of(f.name for f in extra)}'
        )
    chosen = [names.by_number[t + shift] for t in frames]
    height, width = read_image(chosen[0], size).shape[:2]
    images = ImageFiles(chosen, (height, width))
    return ImageSource(images, files_key(chosen), len(chosen), (height, width))


def _with_extension(folder: Path, files: list[Path], extension: str | None) -> list[Path]:
    """Return the files of an extension; those of the only other one if there are none."""
    if not extension:
        return files
    suffix = f'.{extension.lower().lstrip(".")}'
    chosen = [f for f in files if f.suffix.lower() == suffix]
    found = sorted({f.suffix.lower() for f in files})
    if chosen or not files:
        return chosen
    if len(found) > 1:
        raise FormatError(
            folder, f'imExt in seqinfo.ini is {extension}, but its images are {", ".join(found)}'
        )
    warn(f'{folder}: imExt in seqinfo.ini is {extension}, but its images are {found[0]}; used')
    return files


def _shift(folder: Path, numbers: list[int], first: int, count: int | None, labelled: int) -> int:
    """
    Return the number in an image's name minus that of its frame.

    It is not 0 if images are counted from 0 and frames from 1, or if images without a gap have
    numbers so high that they cannot be those of the frames.
    """
    low, high = numbers[0], numbers[-1]
    if low == 0 and first == 1:
        if high == (count or labelled):
            raise FormatError(
                folder,
                f'its images are numbered 0 to {high}, and the frames 1 to {high}: it is not '
                'clear whether image 0 is frame 1, or is too much. State the number of images as '
                'seqLength in seqinfo.ini, or remove image 0',
            )
        return -1
    last = max(labelled, first + (count or 0) - 1)
    whole = high - low + 1 == len(numbers) and count in (None, len(numbers))
    return low - first if low > last and whole else 0


def video_file(folder: Path) -> ImageSource | None:
    """
    Find the only video in a folder; None if it has none.

    :raises FormatError: if it has several
    :raises VideoError: if it cannot be read
    """
    files = sorted(
        f
        for f in folder.iterdir()
        if f.suffix.lower() in VIDEO_SUFFIXES and not f.name.startswith('.')
    )
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
    :raises FormatError: if there is no such file, it is not an image with 8 bits per channel, or
        has another size
    """
    try:
        image = read_picture(file, size)
    except ImageError as error:
        raise FormatError(file, f'not a readable image ({error})') from error
    if size is not None and image.shape[:2] != size:
        raise FormatError(
            file,
            f'its size is {image.shape[1]} x {image.shape[0]}; expected {size[1]} x {size[0]}, as '
            'in its annotations or its video',
        )
    return image


def files_key(files: list[Path]) -> str:
    """Return a digest of the names, sizes and modification times of files."""
    digest = sha256()
    for file in files:
        state = file.stat()
        digest.update(f'{file.resolve()} {state.st_size} {state.st_mtime_ns}\n'.encode())
    return digest.hexdigest()
