# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Measures the stages of a frame, and tabulates the newest frames."""

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

#: number of newest frames in the statistics
FRAMES = 1000


class FrameTimer:
    """
    Measures the stages of one frame; each begins when the previous one ends. Not thread-safe.

    :param start: beginning of the first stage, seconds of `time.perf_counter`
    """

    def __init__(self, start: float) -> None:
        #: seconds of each stage, by name
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._start = self._last = start

    def mark(self, name: str, parts: Mapping[str, float] | None = None) -> None:
        """
        End a stage; times of stages with the same name add up.

        :param parts: seconds of parts of the stage, by name
        """
        now = perf_counter()
        self.seconds[name] += now - self._last
        self._last = now
        for part, seconds in (parts or {}).items():
            self.seconds[f'{name}.{part}'] += seconds

    def before(self, name: str, age: float) -> None:
        """
        Add a stage before the first one.

        :param age: seconds from its beginning to the end of the last stage; nan if unknown
        """
        self.seconds[name] = age - (self._last - self._start)


class _NoTimer:
    """Does nothing."""

    def mark(self, name: str, parts: Mapping[str, float] | None = None) -> None:
        pass

    def before(self, name: str, age: float) -> None:
        pass


#: the timer of frames without profiling
NO_TIMER = _NoTimer()


class Profiler:
    """
    Collects the stages of the newest frames, and tabulates them.

    Only one thread may end frames; any thread may request the table.

    :param names: of the stages, in the order of the table; 'a.b' is a part of 'a'
    :param enabled: False: do nothing
    """

    def __init__(self, names: Sequence[str], enabled: bool = True) -> None:
        self.enabled = enabled
        self._names = tuple(names)
        #: one row per frame; nan: the frame did not have the stage
        self._seconds = np.empty((0, len(names)))
        if enabled:
            self._seconds = np.full((FRAMES, len(names)), np.nan)
        self._ended = 0
        self._lock = threading.Lock()  # for _seconds and _ended
        self._parts: defaultdict[str, float] = defaultdict(float)

    def begin(self, start: float) -> FrameTimer | _NoTimer:
        """Return the timer of a frame whose first stage began at `start`; see `FrameTimer`."""
        self._parts.clear()  # left over from a frame that failed
        return FrameTimer(start) if self.enabled else NO_TIMER

    def end(self, timer: FrameTimer | _NoTimer) -> None:
        """Add the times of a frame to the statistics."""
        if not self.enabled:
            return
        row = [timer.seconds.get(name, np.nan) for name in self._names]
        with self._lock:
            self._seconds[self._ended % FRAMES] = row
            self._ended += 1

    def watch(self, owner: object, method: str, wait: Callable[[], None] | None = None) -> None:
        """
        Time every call of an object's method, as a part of the current stage.

        Does nothing if profiling is disabled, or if the object has no such method.

        :param wait: called after the method, to wait for a device that works asynchronously
        """
        function = getattr(owner, method, None)
        if not self.enabled or function is None:
            return

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = perf_counter()
            result = function(*args, **kwargs)
            if wait is not None:
                wait()
            self._parts[method] += perf_counter() - start
            return result

        setattr(owner, method, timed)

    def take_parts(self) -> Mapping[str, float]:
        """Return the seconds of watched methods since the last call, by method name."""
        parts, self._parts = self._parts, defaultdict(float)
        return parts

    def medians(self) -> dict[str, float]:
        """Return the median of each stage, milliseconds, by name."""
        columns = self._columns(self._newest())
        return {name: 1e3 * float(np.median(times)) for name, times in columns.items()}

    def table(self) -> str:
        """
        Return a table of the stages of the newest frames; '' if there are none.

        For each stage: the number of frames with it, their median and 95th percentile, and the
        share of the total time. Parts are listed below their stage, whose share includes theirs.
        """
        seconds = self._newest()
        if not len(seconds):
            return ''
        frames = np.nansum(seconds[:, ['.' not in name for name in self._names]], axis=1)
        lines = [f'{"":20}{"frames":>8}{"median ms":>11}{"95 % ms":>11}{"share":>8}']
        for name, times in [*self._columns(seconds).items(), ('all', frames)]:
            *above, last = name.split('.')
            median, high = 1e3 * np.percentile(times, (50, 95))
            share = times.sum() / frames.sum()
            title = '  ' * len(above) + last
            lines.append(f'{title:20}{len(times):8}{median:11.2f}{high:11.2f}{share:8.1%}')
        return '\n'.join(lines)

    def _newest(self) -> np.ndarray:
        """Return a copy of the frames' seconds, (frames, names)."""
        with self._lock:
            return self._seconds[: self._ended].copy()

    def _columns(self, seconds: np.ndarray) -> dict[str, np.ndarray]:
        """Return the seconds of each stage, for the frames that have it, by name."""
        columns = zip(self._names, seconds.T, strict=True)
        known = {name: times[~np.isnan(times)] for name, times in columns}
        return {name: times for name, times in known.items() if len(times)}
