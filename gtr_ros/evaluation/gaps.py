# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The times when a person of a sequence cannot be found: hidden, or out of view."""

from __future__ import annotations

from itertools import pairwise
import math
from typing import NamedTuple

from gtr_ros.data.sequence import Sequence
from gtr_ros.stamps import NANOSECONDS

#: duration of the shortest gap, seconds
SHORTEST = 0.5
_ROUNDING = 1e-6  # seconds, of stamps


class Gap(NamedTuple):
    """
    A time when an object has no counted box, between two times when it has one.

    :param id: in the ground truth
    :param begin: nanoseconds, stamp of the first frame without a counted box
    :param end: nanoseconds, stamp of the next frame with one
    :param in_view: whether the object has a box that does not count in each frame between: it is
        in the image, but hidden
    """

    id: int
    begin: int
    end: int
    in_view: bool

    @property
    def seconds(self) -> float:
        """Duration."""
        return (self.end - self.begin) / NANOSECONDS


class Gaps(NamedTuple):
    """
    Which gaps are measured.

    :param shortest: minimum duration, seconds
    :param longest: the duration is less than this, seconds
    :param in_view: whether the object must be in the image
    """

    shortest: float = SHORTEST
    longest: float = math.inf
    in_view: bool = False

    def has(self, gap: Gap) -> bool:
        """Return whether a gap is measured."""
        long = self.shortest - _ROUNDING <= gap.seconds < self.longest - _ROUNDING
        return long and (gap.in_view or not self.in_view)


def gaps_of(sequence: Sequence) -> list[Gap]:
    """Return the gaps of all objects in a sequence's ground truth, by object, then by time."""
    # Of each object: frames with a box, and frames with a counted one.
    boxes: dict[int, set[int]] = {}
    counted: dict[int, list[int]] = {}
    for t, truth in enumerate(sequence.truth):
        for identity, counts in zip(truth.ids.tolist(), truth.counted.tolist()):
            boxes.setdefault(identity, set()).add(t)
            if counts:
                counted.setdefault(identity, []).append(t)
    stamps = sequence.stamps.tolist()
    return [
        Gap(
            id=identity,
            begin=stamps[last + 1],
            end=stamps[following],
            in_view=boxes[identity].issuperset(range(last + 1, following)),
        )
        for identity, frames in counted.items()
        for last, following in pairwise(frames)
        if following > last + 1
    ]
