# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a program's process behaves: what becomes of freed memory, how threads wait. No torch."""

from __future__ import annotations

import ctypes
import os
import sys

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_MEBI = 1 << 20

#: turns that a thread waits for the others before it falls asleep
_TURNS = 1000


def keep_freed_memory() -> bool:
    """
    Let the process keep what tensors have freed; a program's `main` calls it, once.

    glibc gives large blocks back to the system as soon as they are free, and the next frame gets
    them again page by page, each cleared: up to a third of a frame's time on a CPU. What the
    process holds is what it has held at most.

    :return: whether there is a glibc that does so
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _M_ARENA_MAX: 1,  # other threads' own arenas never hold more than 64 MB together
        _M_MMAP_THRESHOLD: 32 * _MEBI,  # the most that it takes
        _M_TOP_PAD: 64 * _MEBI,
        _M_TRIM_THRESHOLD: 1024 * _MEBI,
    }
    return all(mallopt(name, value) for name, value in settings.items())


def sleep_soon() -> bool:
    """
    Let torch's threads fall asleep soon where they wait for each other; before torch is imported.

    By default they turn for a millisecond. On free cores that is a fifth faster; where another
    process holds one of the cores, a thread turns while the one it waits for is not run, and
    frames take two to eight times as long. What the user has set in the environment stays.

    :return: whether it is not too late
    """
    if 'torch' in sys.modules:
        return False
    if not os.environ.keys() & {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'}:
        os.environ['GOMP_SPINCOUNT'] = str(_TURNS)
    return True
