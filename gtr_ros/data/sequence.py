# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A labelled video of any format: frames and ground truth."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import IntEnum
from hashlib import sha256

import numpy as np

from gtr_ros.stamps import NANOSECONDS

#: returns an iterator over the images of a video, (H, W, 3) uint8 RGB each. If frames can be read
#: in any order, it also has a method `at(t)`; if missing files can be found without reading any, a
#: method `check()`, which raises ValueError
Images = Callable[[], Iterator[np.ndarray]]


#: number of frames of a sequence that no file may exceed: 46 hours at 30 frames per second
MOST_FRAMES = 5_000_000
#: smallest and largest frame rate that a file may have, frames per second
RATES = (1e-3, 1e6)


class Role(IntEnum):
    """
    How a ground truth box counts, after results were matched with all boxes of their class.

    COUNTED boxes should be found. DISTRACTOR boxes need not be found, and results that match them
    are ignored (a reflection, a sitting person). VOID boxes should not be found: results that
    match them are false positives (the annotators marked these boxes as not to be considered; they
    are kept for the matching).
    """

    COUNTED = 0
    DISTRACTOR = 1
    VOID = 2


@dataclass(frozen=True)
class Truth:
    """
    The ground truth of one frame.

    :param ids: (N,) int64; unique in the frame for each class
    :param boxes: (N, 4) float64, xyxy, pixels of the image
    :param labels: (N,) int64, index into the sequence's class names
    :param roles: (N,) int8, of `Role`
    :param regions: (R, 4) float64, xyxy: unmatched results with more than half of their area in
        one of these are not counted
    """

    ids: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    roles: np.ndarray
    regions: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counted(self) -> np.ndarray:
        """(N,) bool: which of the boxes should be found."""
        return self.roles == Role.COUNTED

    @classmethod
    def of(cls, ids, boxes, labels=None, roles=None, regions=None) -> Truth:
        """Convert from array-likes; without labels and roles, all boxes count and have label 0."""
        ids = np.asarray(ids, np.int64).reshape(-1)
        return cls(
            ids=ids,
            boxes=np.asarray(boxes, np.float64).reshape(-1, 4),
            labels=np.asarray(np.zeros(len(ids)) if labels is None else labels, np.int64),
            roles=np.asarray(np.zeros(len(ids)) if roles is None else roles, np.int8),
            regions=np.asarray([] if regions is None else regions, np.float64).reshape(-1, 4),
        )


@dataclass(frozen=True)
class Federated:
    """
    Which classes a video was labelled for, if not for all (TAO, LVIS).

    :param negative: labels known to be absent; results with them are false positives
    :param not_exhaustive: labels for which some objects may have no box; unmatched results with
        them are not counted
    """

    negative: frozenset[int] = frozenset()
    not_exhaustive: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Sequence:
    """
    A video with the ground truth of each of its T frames.

    :param name: unique in an evaluation
    :param class_names: of `Truth.labels`
    :param image_size: (height, width), pixels
    :param frame_rate: frames per second
    :param truth: ground truth of each frame
    :param stamps: (T,) int64, nanoseconds, ascending
    :param images: see `Images`; None: there are no images
    :param image_key: changes when the images do: the cache key of everything computed from them
    :param federated: None: every object of every class has a box
    :param min_height: unmatched results up to this height, pixels, are not counted
    """

    name: str
    class_names: tuple[str, ...]
    image_size: tuple[int, int]
    frame_rate: float
    truth: tuple[Truth, ...]
    stamps: np.ndarray
    images: Images | None = None
    image_key: str = ''
    federated: Federated | None = None
    min_height: float = -1.0

    def __len__(self) -> int:
        return len(self.truth)

    def select(self, frames: SequenceOf[int], name: str | None = None) -> Sequence:
        """Return a sequence of some of the frames, which must be in ascending order."""
        frames, images = list(frames), self.images
        key = sha256(f'{self.image_key} {frames}'.encode()).hexdigest()
        return replace(
            self,
            name=name or self.name,
            truth=tuple(self.truth[t] for t in frames),
            stamps=self.stamps[frames],
            images=images and _Selected(images, frames),
            image_key=self.image_key and key,
        )


class _Selected:
    """The images of some of the frames, in ascending order."""

    def __init__(self, images: Images, frames: SequenceOf[int]) -> None:
        self._images = images
        self._frames = frames
        if hasattr(images, 'at'):
            self.at = lambda t: images.at(frames[t])

    def __call__(self) -> Iterator[np.ndarray]:
        chosen = frozenset(self._frames)
        return (image for t, image in enumerate(self._images()) if t in chosen)


def read_images(sequence: Sequence, frames: SequenceOf[int]) -> list[np.ndarray]:
    """
    Read the images of some frames.

    In a video or a bag, this also reads the frames before them; in image files and scenes, it does
    not.

    :param frames: ascending
    :return: (H, W, 3) uint8 RGB each
    :raises ValueError: if the sequence has no images, or fewer images than frames
    """
    if sequence.images is None:
        raise ValueError(f'{sequence.name} has no images')
    chosen, last = frozenset(frames), max(frames, default=-1)
    try:
        if hasattr(sequence.images, 'at'):
            return [sequence.images.at(t) for t in frames]
        found = {t: i for t, i in zip(range(last + 1), sequence.images()) if t in chosen}
        return [found[t] for t in frames]
    except LookupError as error:
        raise ValueError(
            f'{sequence.name} has fewer images than frames: one up to {last} (from 0) is missing'
        ) from error


def images_of(sequence: Sequence) -> Iterator[np.ndarray]:
    """
    Iterate over a sequence's images, one for each frame, (H, W, 3) uint8 RGB.

    :raises ValueError: if there are none, or fewer images than frames
    """
    if sequence.images is None:
        raise ValueError(f'{sequence.name} has no images')
    count = 0
    for image in sequence.images():
        if count == len(sequence):
            return
        count += 1
        yield image
    if count < len(sequence):
        raise ValueError(f'{sequence.name} has {len(sequence)} frames, but only {count} images')


def check_images(sequence: Sequence) -> None:
    """
    Find missing image files without reading any, where the format has a file for each frame.

    :raises ValueError: names the first that is missing
    """
    check = getattr(sequence.images, 'check', None)
    if check:
        check()


def regular_stamps(frames: int, frame_rate: float) -> np.ndarray:
    """Return (frames,) int64 nanoseconds from 0, at a rate in frames per second."""
    return np.round(np.arange(frames) * (NANOSECONDS / frame_rate)).astype(np.int64)
