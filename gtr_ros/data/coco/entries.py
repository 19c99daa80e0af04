# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and check the entries of COCO JSON, for images and videos."""

from __future__ import annotations

from collections.abc import Container
import math
from pathlib import Path
import re
from typing import Any

from gtr_ros.box_checks import area_fault
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.text import read_text
from gtr_ros.parsing import parse_json
from gtr_ros.parsing import ParseError

_WHOLE = re.compile('[+-]?[0-9]{1,19}')
_FLAGS = {
    '0': False,
    '0.0': False,
    'false': False,
    'no': False,
    'none': False,
    '': False,
    '1': True,
    '1.0': True,
    'true': True,
    'yes': True,
}


def load_entries(
    path: Path, lists: tuple[str, ...], optional: tuple[str, ...] = ()
) -> dict[str, list[dict]]:
    """
    Read lists of objects from a JSON file.

    :param lists: required lists
    :param optional: lists that may be missing
    :raises FormatError: if it cannot be read, or a list is missing or invalid
    """
    try:
        data = parse_json(read_text(path))
    except ParseError as error:
        raise FormatError(path, str(error), error.line) from None
    if not isinstance(data, dict):
        raise FormatError(path, f'expected an object with {", ".join(lists)}')
    for name in (*lists, *(name for name in optional if name in data)):
        if name not in data:
            raise FormatError(path, f'it has no {name}; expected {", ".join(lists)}')
        entries = data[name]
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise FormatError(path, f'{name} is not a list of objects')
    return data


def get_value(path: Path, place: str, entry: dict, *keys: str) -> Any:
    """Return the value of the first key that is present."""
    for key in keys:
        if entry.get(key) is not None:
            return entry[key]
    raise FormatError(path, f'{place}: it has no {" or ".join(keys)}')


def get_reference(path: Path, place: str, entry: dict, kind: str, among: Container) -> Any:
    """
    Return the id of the image, category or video that an entry refers to; it must exist.

    :param among: ids, as `index_by_id` returns them
    """
    value = get_value(path, place, entry, f'{kind}_id')
    identity = as_id(value)
    if identity is None or identity not in among:
        raise FormatError(path, f'{place}: {kind}_id is {value!r}, but there is no such {kind}')
    return identity


def as_id(value: Any) -> int | str | None:
    """
    Return an id as it is compared: the whole number 7 for 7, 7.0 and '7', or a text; None: no id.

    A number as text with leading zeros is a text, so that '07' and '7' are two ids.
    """
    if isinstance(value, str):
        number = as_whole(value)
        return value if number is None or str(number) != value else number
    return as_whole(value)


def as_whole(value: Any) -> int | None:
    """Return a whole number that may be written as 7, 7.0 or '7'; None: it is something else."""
    if isinstance(value, str):
        text = value.strip()
        number = int(text) if _WHOLE.fullmatch(text) else None
    elif isinstance(value, float):
        number = int(value) if value.is_integer() and abs(value) <= 2**53 else None
    else:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
    return number if number is not None and abs(number) < 2**62 else None


def as_number(value: Any) -> float | None:
    """Return a finite number, which may be written as text; None: it is something else."""
    if isinstance(value, str):
        try:
            value = float('nan' if '_' in value else value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def read_flag(path: Path, place: str, entry: dict, key: str) -> bool:
    """
    Return a flag; one that is missing is not set.

    :raises FormatError: if it is neither 0 or 1, nor one of the words for them
    """
    value = entry.get(key)
    flag = _FLAGS.get(str(value).strip().lower())
    if flag is None:
        raise FormatError(path, f'{place}: {key} is {value!r}; expected 0 or 1')
    return flag


def index_by_id(path: Path, kind: str, entries: list[dict]) -> dict[Any, dict]:
    """Return entries by their id, see `as_id`, which must be unique."""
    found: dict[Any, dict] = {}
    for position, entry in enumerate(entries):
        value = get_value(path, f'{kind} at position {position} (from 0)', entry, 'id')
        identity = as_id(value)
        if identity is None:
            raise FormatError(path, f'{kind} {value}: id is neither a number nor a string')
        if identity in found:
            raise FormatError(path, f'{kind} {identity}: the id occurs twice')
        found[identity] = entry
    return found


def read_ids(path: Path, place: str, key: str, values: Any) -> list[int]:
    """Return a list of ids that are whole numbers."""
    ids = [as_whole(value) for value in values] if isinstance(values, list) else [None]
    if None in ids:
        raise FormatError(path, f'{place}: {key} is not a list of whole numbers')
    return ids


def read_numbers(box: Any) -> list[float] | None:
    """Return x, y, width and height of a box, of any sign; None: it is not a box."""
    if not isinstance(box, list) or len(box) != 4:
        return None
    numbers = [as_number(value) for value in box]
    return None if None in numbers else numbers


def read_corners(path: Path, place: str, box: Any) -> list[float]:
    """Return x1, y1, x2, y2 of a box given as x, y, width and height."""
    numbers = read_numbers(box)
    if numbers is None:
        raise FormatError(path, f'{place}: bbox is {box!r}; expected x, y, width, height')
    x, y, width, height = numbers
    if width <= 0 or height <= 0:
        raise FormatError(
            path, f'{place}: bbox is {width:g} x {height:g} pixels; expected a positive size'
        )
    corners = [x, y, x + width, y + height]
    if fault := area_fault(*corners):
        raise FormatError(path, f'{place}: {fault}')
    return corners
