# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mark for tests that draw rendered people."""

from __future__ import annotations

import ctypes
from importlib.util import find_spec

import pytest


def _missing() -> str:
    """Return what is not installed; '' if nothing is."""
    if find_spec('moderngl') is None:
        return 'moderngl'
    for library in ('libEGL.so.1', 'libGL.so.1'):
        try:
            ctypes.CDLL(library)
        except OSError:
            return library
    return ''


#: skips only where something is not installed: if OpenGL is there and does not start, tests fail
needs_opengl = pytest.mark.skipif(
    bool(_missing()), reason=f'needs {_missing()}, which `make env` installs'
)
