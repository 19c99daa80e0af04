# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages and progress bars of all commands, on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import warnings

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import Task
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.text import Text

from gtr_ros.input_warning import InputWarning

console = Console(stderr=True, highlight=False, soft_wrap=True)


class _Rate(ProgressColumn):
    """Frames per second."""

    def render(self, task: Task) -> Text:
        return Text(f'{task.speed:.1f} frames/s' if task.speed else '')


@contextmanager
def show_warnings() -> Iterator[None]:
    """Print warnings about inputs as messages of the command, each text once."""
    with warnings.catch_warnings():
        warnings.simplefilter('always', InputWarning)
        usual, shown = warnings.showwarning, set()

        def show(message, category, filename, lineno, file=None, line=None) -> None:
            if issubclass(category, InputWarning):
                # A bag is opened for its topics, then for its messages.
                if str(message) not in shown:
                    console.print(f'gtr: warning: {message}', style='yellow', markup=False)
                shown.add(str(message))
            else:
                usual(message, category, filename, lineno, file, line)

        warnings.showwarning = show
        yield


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
