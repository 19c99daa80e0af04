# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Callbacks through which the slow parts of an evaluation report their progress."""

from __future__ import annotations

from collections.abc import Callable

#: called after each frame
Advance = Callable[[], None]

#: called at the start of a slow part with its description and number of frames
StartTask = Callable[[str, int], Advance]


def ignore() -> None:
    """Do nothing after a frame."""


def no_progress(text: str, frames: int) -> Advance:
    """Show no progress."""
    return ignore


class Percent:
    """
    Progress through equal parts, each of which takes as long as its first task.

    :param advance: called 100 times for each part
    """

    def __init__(self, advance: Advance) -> None:
        self._advance = advance
        self._done = 0
        self._tasks = 0

    def start_task(self, text: str, frames: int) -> Advance:
        """Start a task of a part; a `StartTask`."""
        self._tasks += 1
        if self._tasks > 1:
            return ignore
        frames_done = 0

        def advance() -> None:
            nonlocal frames_done
            frames_done += 1
            self._reach(99 * frames_done // frames)

        return advance

    def finish_part(self) -> None:
        """Go on to the next part."""
        self._reach(100)
        self._done = self._tasks = 0

    def _reach(self, percent: int) -> None:
        for _ in range(self._done, percent):
            self._advance()
        self._done = max(self._done, percent)
