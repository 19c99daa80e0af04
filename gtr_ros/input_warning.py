# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Warnings about inputs that are read, but not wholly as they say."""

from __future__ import annotations

from collections.abc import Iterable
import warnings


class InputWarning(UserWarning):
    """An input that is used, with something in it ignored or repaired; the message says what."""


def warn(text: str) -> None:
    """Warn about an input; `gtr` prints it, Python programs can filter it by its class."""
    warnings.warn(text, InputWarning, stacklevel=3)


def first_of(items: Iterable[object], most: int = 4) -> str:
    """Return items for a message, only the first ones if there are many."""
    texts = [str(item) for item in items]
    more = len(texts) - most
    return ', '.join(texts[:most]) + (f' and {more} more' if more > 0 else '')


def ranges_of(numbers: Iterable[int], most: int = 4) -> str:
    """Return ascending whole numbers for a message: '3, 7 to 9'."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return first_of((f'{a}' if a == b else f'{a} to {b}' for a, b in spans), most)
