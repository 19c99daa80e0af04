# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The progress of tasks: bars in a terminal, lines of text in a log file or a pipe."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import time
from typing import Protocol

from gtr_ros.cli.console import console
from gtr_ros.cli.console import show_progress

_STEPS = 10  # lines for a task, between its first and its last
_LEAST_SECONDS, _MOST_SECONDS = 1.0, 30.0  # between two lines of a task


class Task(Protocol):
    """A task of a known number of steps, such as frames."""

    def update(self, done: int, text: str = '') -> None:
        """
        Show that some steps are done, counted from the task's beginning.

        :param text: shown with them, such as the losses of a training
        """


#: called with the name of a task, its number of steps, and those done before; returns the task
Start = Callable[[str, int, int], Task]


@contextmanager
def show_tasks() -> Iterator[Start]:
    """Yield what starts a task and shows its progress on standard error."""

    def write(line: str) -> None:
        console.print(line, markup=False)

    if not console.is_terminal:
        yield lambda name, total, done: LineTask(write, name, total, done)
        return
    with show_progress() as progress:

        def start(name: str, total: int, done: int) -> Task:
            number = progress.add_task(name, total=total, completed=done)

            class BarTask:
                def update(self, done: int, text: str = '') -> None:
                    progress.update(number, completed=done, description=text or name)

            return BarTask()

        yield start


class LineTask:
    """
    A task that writes a line at its start and at its end, and on the way every 10 % or 30 s.

    Lines follow each other by at least a second, so that short tasks do not fill a log.

    :param write: writes a line
    :param name: of the task
    :param total: number of steps
    :param done: steps done before
    :param clock: seconds
    """

    def __init__(
        self,
        write: Callable[[str], None],
        name: str,
        total: int,
        done: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._name, self._total = name, total
        self._first = self._written = done
        self._begin = self._last = clock()
        write(f'{name}: {done} of {total}')

    def update(self, done: int, text: str = '') -> None:
        """Write a line, if it is time for one; see `Task`."""
        now, text = self._clock(), text and f'; {text}'
        count = f'{self._name}: {done} of {self._total}'
        if done >= self._total > self._written:
            self._written = done
            self._write(f'{count}, after {_duration(now - self._begin)}{text}')
            return
        waited = now - self._last
        tenth = _STEPS * done // self._total > _STEPS * self._written // self._total
        if waited < _LEAST_SECONDS or not (tenth or waited >= _MOST_SECONDS):
            return
        self._last, self._written = now, done
        rate = max(done - self._first, 1) / (now - self._begin)
        left = _duration((self._total - done) / rate)
        percent = 100 * done // self._total
        self._write(f'{count} ({percent} %), {rate:.3g}/s, {left} left{text}')


def _duration(seconds: float) -> str:
    """Return 0:07, 12:34 or 1:02:03."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f'{hours}:{minutes:02d}:{rest:02d}' if hours else f'{minutes}:{rest:02d}'
