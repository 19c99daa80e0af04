# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What all commands say, and how far they are."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import Task
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.text import Text

console = Console(stderr=True, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Frames a second."""

    def render(self, task: Task) -> Text:
        return Text(f'{task.speed:.1f} frames/s' if task.speed else '')


def show_progress() -> Progress:
    """Return a bar with count, rate and time left, on standard error."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )
