# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The time of frames, made of stamps that may be missing, repeated, or a little wrong."""

from __future__ import annotations

from gtr_ros.stamps import CLOCK_JUMP

_FIRST_INTERVAL = 100_000_000  # between frames, until it is known, nanoseconds
_STEP = 1_000_000  # by which time goes on at least, nanoseconds


class FrameClock:
    """
    Times that ascend, whatever the stamps do.

    A stamp that is missing, repeats, or goes back by up to a second is not a new recording: the
    frame is taken to come as long after the one before as frames came so far. Later good stamps
    are believed again; if time has run ahead of them it goes on at half the pace until they have
    caught up. A stamp of 0 after others is a missing one, as everywhere in ROS.
    """

    def __init__(self) -> None:
        #: stamps that were there, and not after the one before
        self.repaired = 0
        self._interval = _FIRST_INTERVAL
        self.reset()

    def reset(self) -> None:
        """Begin again: any stamp may come next."""
        #: nanoseconds from the frame before to the newest
        self.elapsed = 0
        self._time: int | None = None  # of the newest frame, as given out
        self._good: int | None = None  # the latest stamp that there was
        self._newest: int | None = None  # the newest one
        self._since = 0  # frames since the latest one which had none, or the same

    def began_again(self, stamp: int | None) -> bool:
        """Say whether the next stamp, nanoseconds, is of a clock that began again."""
        return bool(stamp) and self._good is not None and stamp < self._good - CLOCK_JUMP

    def time(self, stamp: int | None) -> int:
        """
        Return the time of the next frame, after that of the frame before.

        :param stamp: nanoseconds; None: it has none
        :return: nanoseconds
        """
        before, good = self._time, self._good
        if stamp == 0 and good is not None:
            stamp = None
        if stamp is not None and (good is None or stamp > good):
            time = self._believe(stamp)
        else:
            self.repaired += stamp is not None
            self._since += stamp is None or stamp == good
            time = self._interval if before is None else before + self._interval
        # What comes first with a stamp, after frames without, is no more than a frame later.
        known = before is not None and (good is not None or self._good is None)
        self.elapsed = 0 if before is None else time - before if known else self._interval
        self._time, self._newest = time, stamp
        return time

    def _believe(self, stamp: int) -> int:
        """Take a stamp that is after all before; return the time."""
        before, good, newest = self._time, self._good, self._newest
        self._good = stamp
        if good is None or before is None:
            self._since = 0
            return stamp if before is None else max(stamp, before + _STEP)
        interval = (stamp - good) // (self._since + 1)
        self._interval = min(max(interval, _STEP), _FIRST_INTERVAL * 10)
        self._since = 0
        pace = stamp - (good if newest is None else newest)
        return max(stamp, before + max(min(pace, self._interval) // 2, _STEP))
