# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read and check the entries of COCO JSON, for images and videos."""

from __future__ import annotations

from collections.abc import Container
import json
import math
from pathlib import Path
from typing import Any

from gtr_ros.data.formats.errors import FormatError


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
        data = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise FormatError(path, f'cannot be read: {error.strerror}') from error
    except json.JSONDecodeError as error:
        raise FormatError(
            path, f'not JSON: {error.msg} (column {error.colno})', error.lineno
        ) from None
    except UnicodeDecodeError as error:
        raise FormatError(path, f'not a text file: {error}') from error
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
    """Return the id of the image, category or video that an entry refers to; it must exist."""
    identity = get_value(path, place, entry, f'{kind}_id')
    if not isinstance(identity, int | str) or identity not in among:
        raise FormatError(path, f'{place}: {kind}_id is {identity!r}, but there is no such {kind}')
    return identity


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number that fits into 64 bits."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def is_finite(value: Any) -> bool:
    """Return whether a value is a finite number."""
    return is_whole(value) or (isinstance(value, float) and math.isfinite(value))


def index_by_id(path: Path, kind: str, entries: list[dict]) -> dict[Any, dict]:
    """Return entries by their id, which must be unique."""
    found: dict[Any, dict] = {}
    for position, entry in enumerate(entries):
        identity = get_value(path, f'{kind} at position {position} (from 0)', entry, 'id')
        if not isinstance(identity, int | str):
            raise FormatError(path, f'{kind} {identity}: id is neither a number nor a string')
        if identity in found:
            raise FormatError(path, f'{kind} {identity}: the id occurs twice')
        found[identity] = entry
    return found


def read_corners(path: Path, place: str, box: Any) -> list[float]:
    """Return x1, y1, x2, y2 of a box given as x, y, width and height."""
    if not isinstance(box, list) or len(box) != 4 or not all(map(is_finite, box)):
        raise FormatError(path, f'{place}: bbox is {box!r}; expected x, y, width, height')
    x, y, width, height = box
    if width <= 0 or height <= 0:
        raise FormatError(
            path, f'{place}: bbox is {width:g} x {height:g} pixels; expected a positive size'
        )
    return [x, y, x + width, y + height]
