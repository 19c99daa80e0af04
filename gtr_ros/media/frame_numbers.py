# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The numbers of frames, from the names of their files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
import re
from typing import NamedTuple

from gtr_ros.input_warning import first_of

# Runs of digits in a name; other digits of Unicode are text.
_DIGITS = re.compile('([0-9]+)')


class FrameNameError(ValueError):
    """Names that do not say which file is which frame; the message names files."""


class FrameNames(NamedTuple):
    """
    The image files of a folder by their numbers.

    :param by_number: ascending
    :param others: files whose names are not like those of the frames, such as `cover.jpg`
    """

    by_number: dict[int, Path]
    others: list[Path]


def number_frames(files: Sequence[Path]) -> FrameNames:
    """
    Find the frame number in the name of each file: 7 in `7.jpg`, `000007.jpg`, `cam2_7_left.png`.

    Frames have the same name except for numbers. Of several numbers, that of the frame is the one
    that counts without gaps, otherwise the last one that is not the same in all names.

    :raises FrameNameError: if no name has a number, two files have the same one, or there are two
        kinds of names
    """
    groups: dict[tuple[str, ...], list[Path]] = defaultdict(list)
    others = []
    for file in sorted(files):
        texts = tuple(text.casefold() for text in _DIGITS.split(file.stem)[::2])
        if len(texts) == 1:
            others.append(file)
        else:
            groups[texts].append(file)
    if not groups:
        raise FrameNameError(
            f'{first_of(f.name for f in others)}: the names have no frame number; expected names '
            'such as 000001.jpg'
        )
    frames, *rest = sorted(groups.values(), key=len, reverse=True)
    if rest and len(rest[0]) == len(frames):
        raise FrameNameError(
            f'{frames[0].name} and {rest[0][0].name} are two kinds of names, and nothing says '
            'which are the frames; move the others to another folder'
        )
    others += [file for group in rest for file in group]
    numbers = _frame_numbers(frames)
    by_number: dict[int, Path] = {}
    for number, file in sorted(zip(numbers, frames), key=lambda pair: pair[0]):
        if number in by_number:
            raise FrameNameError(
                f'{by_number[number].name} and {file.name} are both frame {number}; keep one of '
                'them'
            )
        by_number[number] = file
    return FrameNames(by_number, others)


def _frame_numbers(files: Sequence[Path]) -> list[int]:
    """Return the number of each file; their names are the same except for numbers."""
    columns = list(zip(*([int(n) for n in _DIGITS.split(f.stem)[1::2]] for f in files)))
    varying = [column for column in columns if len(set(column)) > 1] or columns[-1:]
    counting = [c for c in varying if max(c) - min(c) + 1 == len(set(c)) == len(files)]
    return list((counting or varying)[-1])


def frame_indices(files: Sequence[Path]) -> list[int] | None:
    """
    Return the index of each file of a recording from its number; the first has index 0.

    A missing file leaves a gap, so that the times of those after it remain right.

    :param files: in order
    :return: ascending; None if the names do not count frames one by one
    :raises FrameNameError: if two files differ only in their suffix: they are one frame twice
    """
    stems: dict[str, Path] = {}
    for file in files:
        other = stems.setdefault(file.stem, file)
        if other is not file and other.parent == file.parent:
            raise FrameNameError(
                f'{other.name} and {file.name} have the same name, so that it is not clear which '
                f"is the frame; give a glob in quotes such as '{file.parent}/*{file.suffix}'"
            )
    try:
        names = number_frames(files)
    except FrameNameError:
        return None
    numbers = list(names.by_number)
    if names.others or list(names.by_number.values()) != list(files):
        return None
    steps = sorted(b - a for a, b in pairwise(numbers))
    if steps and steps[(len(steps) - 1) // 2] != 1:
        return None
    return [number - numbers[0] for number in numbers]
