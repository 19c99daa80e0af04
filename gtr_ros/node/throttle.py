# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limit how often each kind of message is logged, and how long it is."""

from __future__ import annotations

from dataclasses import dataclass
import re


def shorten(text: str, most: int = 500) -> str:
    """Return a text without its middle if it is long: it may quote what another node has sent."""
    if len(text) <= most:
        return text
    half = most // 2
    return f'{text[:half]} [{len(text) - 2 * half} characters left out] {text[-half:]}'


class Throttle:
    """
    Admits each kind of message rarely; differing numbers do not make another kind.

    While a message goes on, the time to the next one doubles, from `seconds` up to `most`. A
    message that did not occur for twice `seconds` is new.

    :param seconds: least time between two messages of a kind
    :param most: largest time between two messages of a kind that goes on
    """

    _MAX_KINDS = 64

    def __init__(self, seconds: float, most: float = 300.0) -> None:
        self._seconds = seconds
        self._most = most
        self._kinds: dict[str, _Kind] = {}

    def __len__(self) -> int:
        """Return the number of kinds currently remembered."""
        return len(self._kinds)

    def admits(self, text: str, now: float) -> bool:
        """
        Return whether this message may be logged now.

        :param now: seconds of a steady clock
        """
        name = re.sub(r'\d+', '#', text)
        kind = self._kinds.get(name)
        if kind is None or now - kind.seen >= 2 * self._seconds:
            if kind is None and len(self._kinds) >= self._MAX_KINDS:
                self._kinds.clear()
            self._kinds[name] = _Kind(now + self._seconds, self._seconds, now)
            return True
        kind.seen = now
        if now < kind.due:
            return False
        kind.period = min(2 * kind.period, self._most)
        kind.due = now + kind.period
        return True


@dataclass
class _Kind:
    """When a kind of message may be logged next, after which period, and its last occurrence."""

    due: float
    period: float
    seen: float
