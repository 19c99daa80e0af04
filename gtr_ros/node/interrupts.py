# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, so that it ends a node once and in order."""

import signal
import threading
from types import FrameType


def interrupt_once() -> None:
    """
    Let the first SIGINT raise KeyboardInterrupt, and every later one do nothing.

    A launch sends SIGINT on after the terminal's own, so two of them in a row are usual, and the
    second must not cut the orderly end short. Call it before `rclpy.init`, which chains to this.
    Where SIGINT is ignored (a shell's background job), it stays so. Off the main thread, where
    Python takes no handlers, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return
    came = False

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
