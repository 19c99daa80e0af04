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
