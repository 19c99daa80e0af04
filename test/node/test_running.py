# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The first Ctrl-C raises KeyboardInterrupt, later ones are ignored."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

from gtr_ros.node.running import interrupt_once


@pytest.fixture(autouse=True)
def _restore_handler():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_first_interrupt_raises_and_later_ones_are_ignored():
    interrupt_once()
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def test_during_shutdown_no_interrupt_raises():
    end_begins = interrupt_once()
    end_begins()
    signal.raise_signal(signal.SIGINT)


def test_an_ignored_interrupt_stays_ignored():
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    interrupt_once()
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_many_interrupts_at_once_leave_no_trace_on_stderr():
    program = (
        'import os, signal\n'
        'from gtr_ros.node.running import interrupt_once\n'
        'interrupt_once()\n'
        'try:\n'
        '    for _ in range(1000):\n'
        '        os.kill(os.getpid(), signal.SIGINT)\n'
        'except KeyboardInterrupt:\n'
        '    for _ in range(1000):\n'
        '        os.kill(os.getpid(), signal.SIGINT)\n'
    )
    run = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, '')
