# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled images, sets of them, and the checks of boxes and files that all formats share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from dataclasses import field
import os
from pathlib import Path
from typing import Any

import numpy as np

from gtr_ros.data.coco.entries import read_corners
from gtr_ros.data.coco.entries import read_numbers
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import read_image

#: pixels; boxes with a shorter side, or a negative one, are left out and counted: COCO has some
#: without a width or a height, which its own tools also drop
_LEAST_SIDE = 1.0


@dataclass(frozen=True)
class Still:
    """
    A labelled image; the pixels are read on demand.

    :param file: of the image
    :param boxes: (N, 4) float32, xyxy, pixels of the image
    :param labels: (N,) int64, index into the set's class names
    :param crowds: (R, 4) float32, xyxy, pixels of the image: regions of objects without boxes
    :param size: (height, width) in the annotations, pixels; None if they do not state it
    :param dropped: number of its boxes left out because a side is shorter than one pixel
    """

    file: Path
    boxes: np.ndarray
    labels: np.ndarray
    crowds: np.ndarray
    size: tuple[int, int] | None = None
    dropped: int = 0

    def image(self) -> np.ndarray:
        """
        Read the image, (H, W, 3) uint8 RGB, in the orientation that its boxes refer to.

        See `gtr_ros.data.formats.images.read_image`.

        :raises FormatError: if it cannot be read, or its size differs from the annotations
        """
        return read_image(self.file, self.size)


@dataclass(frozen=True)
class StillSet:
    """
    Labelled images.

    :param class_names: of the labels
    :param stills: at least one of them has a box
    :param dropped: number of boxes left out because a side is shorter than one pixel
    """

    class_names: tuple[str, ...]
    stills: tuple[Still, ...]
    dropped: int = 0


@dataclass
class ImageObjects:
    """
    The annotations of an image, collected while reading.

    :param boxes: x1, y1, x2, y2 of each object, pixels
    :param labels: of each object
    :param crowds: x1, y1, x2, y2 of each region
    :param dropped: number of boxes left out because a side is shorter than one pixel
    """

    boxes: list[list[float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    crowds: list[list[float]] = field(default_factory=list)
    dropped: int = 0

    def add(self, box: list[float] | None, label: int, crowd: bool) -> None:
        """Add an object or a crowd; a box of None was too small and is only counted."""
        if box is None:
            self.dropped += 1
        elif crowd:
            self.crowds.append(box)
        else:
            self.boxes.append(box)
            self.labels.append(label)

    def still(self, file: Path, size: tuple[int, int] | None = None) -> Still:
        """Return the image with all annotations."""
        return Still(
            file,
            np.array(self.boxes, np.float32).reshape(-1, 4),
            np.array(self.labels, np.int64),
            np.array(self.crowds, np.float32).reshape(-1, 4),
            size,
            self.dropped,
        )


def read_box(
    path: Path, place: str, box: Any, size: tuple[int, int] | None = None
) -> list[float] | None:
    """
    Return x1, y1, x2, y2 of a box given as x, y, width and height; None: a side is below a pixel.

    Sides of zero and negative ones are also below a pixel: all of these are left out alike.

    :param size: (height, width) of the image to clip the box to; None: it is not clipped
    :raises FormatError: if it is not a box, or it is outside the image
    """
    if _is_thin(box):
        return None
    x1, y1, x2, y2 = read_corners(path, place, box)
    if size is None:
        return [x1, y1, x2, y2]
    height, width = size
    if x1 >= width or y1 >= height or x2 <= 0 or y2 <= 0:
        raise FormatError(
            path,
            f'{place}: bbox is {box}, outside its image of {width} x {height} pixels',
        )
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)
    return None if min(x2 - x1, y2 - y1) < _LEAST_SIDE else [x1, y1, x2, y2]


def _is_thin(box: Any) -> bool:
    numbers = read_numbers(box)
    return numbers is not None and min(numbers[2:]) < _LEAST_SIDE


def check_stills(path: Path, found: StillSet) -> StillSet:
    """
    Return a set of images that can be used for training.

    :raises FormatError: if it has no images or no boxes, if more boxes were left out than kept, or
        if files are missing
    """
    if not found.stills:
        raise FormatError(path, 'it has no images')
    kept = sum(len(still.boxes) + len(still.crowds) for still in found.stills)
    if found.dropped > kept:
        raise FormatError(
            path,
            f'{found.dropped} of its {found.dropped + kept} boxes have a side below one pixel; '
            'expected boxes as x, y, width, height in pixels',
        )
    if not any(len(still.boxes) for still in found.stills):
        raise FormatError(path, f'no image has a box of {first_names(found.class_names)}')
    # Unlike Path.is_file, this also takes names that no file can have.
    missing = [still.file for still in found.stills if not os.path.isfile(still.file)]
    if missing:
        raise FormatError(
            path,
            f'{len(missing)} of its {len(found.stills)} images are missing; the first is '
            f'{missing[0]}',
        )
    return found


def first_names(names: Iterable[str]) -> str:
    """Return names for a message, only the first ones if there are many."""
    names = list(names)
    return ', '.join(names[:4]) + (' and others' if len(names) > 4 else '')
