# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Limit how often each kind of message is logged."""

from __future__ import annotations

import re


class Throttle:
    """
    Admits each kind of message once per period; differing numbers do not make another kind.

    :param seconds: the period
    """

    _MAX_KINDS = 64

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._times: dict[str, float] = {}

    def __len__(self) -> int:
        """Return the number of kinds currently remembered."""
        return len(self._times)

    def admits(self, text: str, now: float) -> bool:
        """
        Return whether this message may be logged now.

        :param now: seconds of a steady clock
        """
        kind = re.sub(r'\d+', '#', text)
        last = self._times.get(kind)
        if last is not None and now - last < self._seconds:
            return False
        if len(self._times) >= self._MAX_KINDS:
            self._times.clear()
        self._times[kind] = now
        return True
