# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read rows of numbers from text files; errors name the line."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
import math
from pathlib import Path
import re

from gtr_ros.data.formats.errors import FormatError

# Not str.splitlines, which also ends lines at form feeds and marks of Unicode.
_LINE_END = re.compile(r'\r\n|\r|\n')
# Whole numbers up to this are exact as floats.
_LARGEST = 2**53


def read_text(path: Path) -> str:
    """
    Read a text file: UTF-8, or UTF-16 with a mark, as other programs write it.

    :return: without the mark
    :raises FormatError: if there is no such file, or it is not text
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f'cannot be read: {error.strerror}') from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode('utf-16' if wide else 'utf-8-sig')
    except UnicodeDecodeError as error:
        raise FormatError(
            path, f'not a text file ({error}); expected UTF-8, or UTF-16 with a byte order mark'
        ) from error
    if '\0' in text:
        raise FormatError(path, 'not a text file: it contains zero bytes; expected UTF-8')
    return text


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """
    Read the non-empty lines of a file with their numbers, from 1.

    :raises FormatError: if there is no such file, or it is not text
    """
    for number, line in enumerate(_LINE_END.split(read_text(path)), 1):
        if line.strip():
            yield number, line.strip()


def split_row(text: str) -> list[str]:
    """Split a row at commas, semicolons or tabs, otherwise at blanks; empty cells are kept."""
    for separator in (',', ';', '\t'):
        if separator in text:
            cells = [cell.strip() for cell in text.split(separator)]
            return cells if cells[-1] else cells[:-1]
    return text.split()


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
            # float() also takes 1_000.
            value = math.nan if '_' in cell else float(cell)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(path, f'{name} is {cell.strip()!r}; expected a finite number', line)
        values.append(value)
    return values


def check_whole(path: Path, line: int, name: str, value: float, least: int) -> int:
    """
    Return a number as an integer.

    :raises FormatError: if it is not whole, too small, or too large to be exact
    """
    if value != int(value) or value < least:
        raise FormatError(path, f'{name} is {value:g}; expected a whole number from {least}', line)
    if value > _LARGEST:
        raise FormatError(path, f'{name} is {value:.0f}; expected at most {_LARGEST}', line)
    return int(value)
