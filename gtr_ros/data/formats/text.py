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
from gtr_ros.input_warning import warn

# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, 'utf-32'),
    (codecs.BOM_UTF32_BE, 'utf-32'),
    (codecs.BOM_UTF16_LE, 'utf-16'),
    (codecs.BOM_UTF16_BE, 'utf-16'),
)
_CONTROL = re.compile(rb'[\x00-\x08\x0e-\x19\x1b-\x1f\x7f]')  # in no text
# Characters that word processors put into numbers.
_TYPESET = str.maketrans({'\u2212': '-', '\u2013': '-', '\u200b': None, '\ufeff': None})
# Not str.splitlines, which also ends lines at form feeds and marks of Unicode.
_LINE_END = re.compile(r'\r\n|\r|\n')
# Whole numbers up to this are exact as floats.
_LARGEST = 2**53


def read_text(path: Path) -> str:
    """
    Read a text file as other programs write it.

    UTF-8; UTF-16 and UTF-32 with a mark, UTF-16 of ASCII without one. What is none of these is
    read as Latin-1, with a warning: numbers and keywords are the same in all encodings of old.

    :return: without mark; each line ends with a line feed
    :raises FormatError: if there is no such file, or it is not text
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise FormatError(path, f'cannot be read: {error.strerror}') from error
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    if encoding is None and data and not len(data) % 2:
        # ASCII in UTF-16: each second byte is zero, and no other.
        low, high = data[::2], data[1::2]
        halves = {'utf-16-le': (low, high), 'utf-16-be': (high, low)}
        encoding = next((n for n, (a, b) in halves.items() if any(a) and not any(b)), None)
    try:
        text = data.decode(encoding or 'utf-8-sig')
    except UnicodeDecodeError as error:
        if encoding or _CONTROL.search(data):
            raise FormatError(
                path, f'not a text file ({error}); expected UTF-8, or UTF-16 with its mark'
            ) from error
        warn(
            f'{path}: byte {error.start + 1} is not UTF-8: read as Latin-1, in which letters '
            'beyond ASCII may look wrong'
        )
        text = data.decode('latin-1')
    text = text.rstrip('\x1a')  # the end of a file in DOS
    if '\0' in text:
        raise FormatError(path, 'not a text file: it contains zero bytes; expected UTF-8')
    return _LINE_END.sub('\n', text)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """
    Read the non-empty lines of a file with their numbers, from 1.

    :raises FormatError: if there is no such file, or it is not text
    """
    for number, line in enumerate(read_text(path).split('\n'), 1):
        if line.strip():
            yield number, line.strip()


def split_row(text: str) -> list[str]:
    """
    Split a row at semicolons, commas, tabs or bars, otherwise at blanks.

    Empty cells are kept, except at the end. Between semicolons, a comma is a decimal point.
    """
    separator = next((mark for mark in ';,\t|' if mark in text), None)
    cells = text.split(separator)
    if separator == ';':
        cells = [cell.replace(',', '.') for cell in cells]
    cells = [cell.strip() for cell in cells]
    while cells and not cells[-1]:
        cells.pop()
    return cells


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
            value = math.nan if '_' in cell else float(cell.strip(' "\'').translate(_TYPESET))
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise FormatError(path, f'{name} is {cell.strip()!r}; expected a finite number', line)
        values.append(value)
    return values


def check_whole(
    path: Path, line: int, name: str, value: float, least: int, most: int = _LARGEST
) -> int:
    """
    Return a number as an integer.

    :param most: the largest number; the default is the largest that is exact
    :raises FormatError: if it is not whole, too small, or too large
    """
    if value != int(value) or value < least:
        raise FormatError(path, f'{name} is {value:g}; expected a whole number from {least}', line)
    if value > most:
        raise FormatError(path, f'{name} is {value:.0f}; expected at most {most}', line)
    return int(value)
