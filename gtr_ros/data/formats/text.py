# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read rows of numbers from text files; errors name the line."""

from __future__ import annotations

from collections.abc import Iterator
import math
from pathlib import Path

from gtr_ros.data.formats.errors import FormatError


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """
    Read the non-empty lines of a file with their numbers, from 1.

    :raises FormatError: if there is no such file, or it is not text
    """
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError as error:
        raise FormatError(path, f'not a text file: {error}') from error
    except OSError as error:
        raise FormatError(path, f'cannot be read: {error.strerror}') from error
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            yield number, line.strip()


def parse_numbers(path: Path, line: int, cells: list[str], names: tuple[str, ...]) -> list[float]:
    """
    Parse the first cells of a row as finite numbers.

    :param names: of the columns, one for each number
    :raises FormatError: if there are fewer cells, or one is not a finite number
    """
    if len(cells) < len(names):
        raise FormatError(
            path,
            f'a row has {len(cells)} columns; expected {len(names)} or more ({",".join(names)})',
            line,
        )
    values = []
    for name, cell in zip(names, cells):
        try:
            value = float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(path, f'{name} is {cell.strip()!r}; expected a finite number', line)
        values.append(value)
    return values


def check_whole(path: Path, line: int, name: str, value: float, least: int) -> int:
    """
    Return a number as an integer.

    :raises FormatError: if it is not whole, or too small
    """
    if value != int(value) or value < least:
        raise FormatError(path, f'{name} is {value:g}; expected a whole number from {least}', line)
    return int(value)
