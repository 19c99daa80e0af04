# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frame times from stamps that may be missing, repeated, or slightly wrong."""

from __future__ import annotations

from gtr_ros.stamps import CLOCK_JUMP

_INITIAL_INTERVAL = 100_000_000  # between frames, until it is known, nanoseconds
_LEAST_INTERVAL = 1_000_000  # nanoseconds


class FrameClock:
    """
    Strictly ascending frame times, whatever the stamps are.

    A stamp that is missing, repeats (up to a millisecond), or goes back by up to a second does not
    indicate a new recording: the frame is assumed to follow at the usual frame interval. Later
    valid stamps are used again; if the time is ahead of them, it advances at half the rate until
    they have caught up. A stamp of 0 after other stamps counts as missing, as is usual in ROS.
    """

    def __init__(self) -> None:
        #: number of stamps that were present but not after the previous one
        self.repaired = 0
        self._interval = _INITIAL_INTERVAL
        self.reset()

    def reset(self) -> None:
        """Forget all stamps, so that any stamp is accepted next."""
        #: nanoseconds between the previous frame and the newest
        self.elapsed = 0
        self._time: int | None = None  # of the newest frame, as returned
        self._latest_stamp: int | None = None  # the latest stamp so far
        self._newest_stamp: int | None = None  # the stamp of the newest frame
        self._stampless_frames = 0  # frames since the latest stamp that had none, or the same one

    def was_reset(self, stamp: int | None) -> bool:
        """Return whether the next stamp, nanoseconds, means that the camera's clock was reset."""
        return (
            bool(stamp)
            and self._latest_stamp is not None
            and stamp < self._latest_stamp - CLOCK_JUMP
        )

    def time(self, stamp: int | None) -> int:
        """
        Return the time of the next frame, which is after that of the previous frame.

        :param stamp: nanoseconds; None if missing
        :return: nanoseconds
        """
        previous, latest = self._time, self._latest_stamp
        if stamp == 0 and latest is not None:
            stamp = None
        if stamp is not None and (latest is None or stamp - latest >= _LEAST_INTERVAL):
            time = self._accept(stamp)
        else:
            self.repaired += stamp is not None
            self._stampless_frames += stamp is None or stamp >= latest
            time = self._interval if previous is None else previous + self._interval
        # The first stamp after frames without one is assumed to be one frame later.
        known = previous is not None and (latest is not None or self._latest_stamp is None)
        self.elapsed = 0 if previous is None else time - previous if known else self._interval
        self._time, self._newest_stamp = time, stamp
        return time

    def _accept(self, stamp: int) -> int:
        """Use a stamp that is after all previous ones; return the time."""
        previous, latest, newest = self._time, self._latest_stamp, self._newest_stamp
        self._latest_stamp = stamp
        if latest is None or previous is None:
            self._stampless_frames = 0
            return stamp if previous is None else max(stamp, previous + _LEAST_INTERVAL)
        interval = (stamp - latest) // (self._stampless_frames + 1)
        self._interval = min(max(interval, _LEAST_INTERVAL), _INITIAL_INTERVAL * 10)
        self._stampless_frames = 0
        advance = stamp - (latest if newest is None else newest)
        return max(stamp, previous + max(min(advance, self._interval) // 2, _LEAST_INTERVAL))
