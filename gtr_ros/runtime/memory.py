# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What becomes of memory that one frame has freed and the next will want."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_MEBI = 1 << 20


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
