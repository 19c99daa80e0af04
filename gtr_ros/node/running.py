# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C, so that it ends a node once and in order."""

from collections.abc import Callable
import signal
import threading
from types import FrameType


def interrupt_once() -> Callable[[], None]:
    """
    Let the first SIGINT raise KeyboardInterrupt, and every later one do nothing.

    A launch sends SIGINT on after the terminal's own, so two of them in a row are usual, and the
    second must not cut the orderly end short. Call it before `rclpy.init`, which chains to this.
    Where SIGINT is ignored (a shell's background job), it stays so. Off the main thread, where
    Python takes no handlers, it does nothing.

    :return: to be called where the orderly end begins: rclpy may have ended the node for a SIGINT
        that Python has yet to handle, and from then on no SIGINT raises anything
    """
    came = False

    def end() -> None:
        nonlocal came
        came = True

    if threading.current_thread() is not threading.main_thread():
        return end
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        return end

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal came
        if not came:
            came = True
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handle)
    return end
