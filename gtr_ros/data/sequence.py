# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A labelled video, whatever format it came in: what is true in each of its frames."""

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

#: what gives the images of a video's frames, in order: (H, W, 3) uint8 RGB each; where a frame can
#: be had without those before it, `at(t)` gives it
Images = Callable[[], Iterator[np.ndarray]]


class Role(IntEnum):
    """
    What a true box is for, once results are matched with all true boxes of their class.

    COUNTED is to be found. DISTRACTOR is not, and whoever finds it is not blamed (a reflection, a
    sitting person). VOID is not, and who finds it is blamed (what the annotators marked as not to
    be considered; kept, because it takes part in the matching).
    """

    COUNTED = 0
    DISTRACTOR = 1
    VOID = 2


@dataclass(frozen=True)
class Truth:
    """
    What is true in one frame.

    :param ids: (N,) int64, who it is; unique in the frame for each class
    :param boxes: (N, 4) float64, xyxy, pixels of the image
    :param labels: (N,) int64, index into the sequence's class names
    :param roles: (N,) int8, of `Role`
    :param regions: (R, 4) float64, xyxy: results that match nothing and lie by more than half in
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
        """(N,) bool: which of the boxes are to be found."""
        return self.roles == Role.COUNTED

    @classmethod
    def of(cls, ids, boxes, labels=None, roles=None, regions=None) -> Truth:
        """Make one of anything numpy takes; without labels and roles all are counted, class 0."""
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
    Which classes a video was labelled for, where not for all (TAO, LVIS).

    :param negative: labels known to be absent; what is found of them is wrong
    :param not_exhaustive: labels of which some objects may have no box; what matches nothing is
        not counted
    """

    negative: frozenset[int] = frozenset()
    not_exhaustive: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Sequence:
    """
    A video with the truth of each of its T frames.

    :param name: unique in an evaluation
    :param class_names: of `Truth.labels`
    :param image_size: (height, width), pixels
    :param frame_rate: frames a second
    :param truth: of each frame
    :param stamps: (T,) int64, nanoseconds, ascending
    :param images: gives the frames' images; None: only the truth is here
    :param image_key: changes when the images do: what was computed of them is kept under it
    :param federated: None: every object of every class has a box
    :param min_height: results that match nothing are not counted up to this height, pixels
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
        """Return the sequence of some of the frames, in ascending order."""
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

    Of frames in files and of scenes only those are read; of a video or a bag all before them, too.

    :param frames: ascending
    :return: (H, W, 3) uint8 RGB each
    :raises ValueError: if the sequence has no images, or fewer than frames
    """
    if sequence.images is None:
        raise ValueError(f'{sequence.name} has no images; only its truth is here')
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


def regular_stamps(frames: int, frame_rate: float) -> np.ndarray:
    """Return (frames,) int64 nanoseconds from 0, at a rate in frames a second."""
    return np.round(np.arange(frames) * (NANOSECONDS / frame_rate)).astype(np.int64)
