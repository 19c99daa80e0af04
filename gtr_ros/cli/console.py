# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and progress bars of all commands, on standard error."""

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
    """Frames per second."""

    def render(self, task: Task) -> Text:
        return Text(f'{task.speed:.1f} frames/s' if task.speed else '')


def show_progress() -> Progress:
    """Return a progress bar with count, rate and time left."""
    return Progress(
        TextColumn('{task.description}'),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
        console=console,
    )
