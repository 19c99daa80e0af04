# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM ends a command as Ctrl-C does, so that it keeps what is done."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import signal
import threading
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, as `timeout` and service managers send it."""


@contextmanager
def sigterm_as_interrupt() -> Iterator[None]:
    """Raise `Terminated` in the block on SIGTERM, unless the signal is ignored or handled."""
    free = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if not free or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGTERM, _raise)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def terminated(interrupt: BaseException | None) -> bool:
    """Return whether an interrupt came from SIGTERM."""
    while interrupt is not None and not isinstance(interrupt, Terminated):
        interrupt = interrupt.__cause__
    return interrupt is not None


def _raise(number: int, frame: FrameType | None) -> None:
    raise Terminated
