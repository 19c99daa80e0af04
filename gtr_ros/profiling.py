# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a frame goes: timer with names, and a table of the newest frames."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import wraps
import threading
from time import perf_counter
from typing import Any

import numpy as np

#: the newest frames that a profiler knows of
FRAMES = 1000


class FrameTimer:
    """
    One frame's time in named timer, each from the end of the one before; one thread at a time.

    :param start: when the first begins, seconds of `time.perf_counter`
    """

    def __init__(self, start: float) -> None:
        #: by name
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._start = self._last = start

    def mark(self, name: str, parts: Mapping[str, float] | None = None) -> None:
        """
        End a lap; those of one name are one.

        :param parts: seconds of what was within it, by name
        """
        now = perf_counter()
        self.seconds[name] += now - self._last
        self._last = now
        for part, seconds in (parts or {}).items():
            self.seconds[f'{name}.{part}'] += seconds

    def before(self, name: str, age: float) -> None:
        """
        Name what was before the first lap.

        :param age: seconds from its beginning until the end of the last lap; nan: not known
        """
        self.seconds[name] = age - (self._last - self._start)


class _NoTimer:
    """Takes none."""

    def mark(self, name: str, parts: Mapping[str, float] | None = None) -> None:
        pass

    def before(self, name: str, age: float) -> None:
        pass


#: what a frame carries while nobody measures
NO_TIMER = _NoTimer()


class Profiler:
    """
    Keeps the timer of the newest frames, and makes a table of them.

    One thread ends frames; any may ask for the table.

    :param names: of the timer, in the table's order; 'a.b' is a part of 'a'
    :param enabled: whether it does anything at all
    """

    def __init__(self, names: Sequence[str], enabled: bool = True) -> None:
        self.enabled = enabled
        self._names = tuple(names)
        self._seconds = np.empty((0, len(names)))  # a row a frame; nan: it had no such lap
        if enabled:
            self._seconds = np.full((FRAMES, len(names)), np.nan)
        self._ended = 0
        self._lock = threading.Lock()  # of the two
        self._parts: defaultdict[str, float] = defaultdict(float)

    def begin(self, start: float) -> FrameTimer | _NoTimer:
        """Return the timer of a frame, the first begun at a time of `time.perf_counter`."""
        self._parts.clear()  # of a frame that failed
        return FrameTimer(start) if self.enabled else NO_TIMER

    def end(self, timer: FrameTimer | _NoTimer) -> None:
        """Keep a frame's timer."""
        if not self.enabled:
            return
        row = [timer.seconds.get(name, np.nan) for name in self._names]
        with self._lock:
            self._seconds[self._ended % FRAMES] = row
            self._ended += 1

    def watch(self, owner: object, method: str, wait: Callable[[], None] | None = None) -> None:
        """
        Let every call of an object's method be a part of the lap that it is in.

        Nothing happens if this does nothing, or if the object has no such method.

        :param wait: for a device that is still at it when it has returned
        """
        function = getattr(owner, method, None)
        if not self.enabled or function is None:
            return

        @wraps(function)
        def timed(*arguments: Any, **named: Any) -> Any:
            start = perf_counter()
            result = function(*arguments, **named)
            if wait is not None:
                wait()
            self._parts[method] += perf_counter() - start
            return result

        setattr(owner, method, timed)

    def take_parts(self) -> Mapping[str, float]:
        """Return the seconds of all that was watched since the last time, by method."""
        parts, self._parts = self._parts, defaultdict(float)
        return parts

    def medians(self) -> dict[str, float]:
        """Return the median of each lap that there was, milliseconds, by name."""
        columns = self._columns(self._newest())
        return {name: 1e3 * float(np.median(times)) for name, times in columns.items()}

    def table(self) -> str:
        """
        Say where the time of the newest frames went; '': there was none.

        Of each lap: how many frames had one, its median and 95th percentile in them, and its share
        of all the time there was. A part is below its lap, in whose share its own is.
        """
        seconds = self._newest()
        if not len(seconds):
            return ''
        frames = np.nansum(seconds[:, ['.' not in name for name in self._names]], axis=1)
        lines = [f'{"":20}{"frames":>8}{"median ms":>11}{"95 % ms":>11}{"share":>8}']
        for name, times in [*self._columns(seconds).items(), ('all', frames)]:
            *above, last = name.split('.')
            median, most = 1e3 * np.percentile(times, (50, 95))
            share = times.sum() / frames.sum()
            title = '  ' * len(above) + last
            lines.append(f'{title:20}{len(times):8}{median:11.2f}{most:11.2f}{share:8.1%}')
        return '\n'.join(lines)

    def _newest(self) -> np.ndarray:
        """Return a copy of the frames' seconds, (frames, names)."""
        with self._lock:
            return self._seconds[: self._ended].copy()

    def _columns(self, seconds: np.ndarray) -> dict[str, np.ndarray]:
        """Return the seconds of each lap that there was, of the frames that had it."""
        columns = zip(self._names, seconds.T, strict=True)
        known = {name: times[~np.isnan(times)] for name, times in columns}
        return {name: times for name, times in known.items() if len(times)}
