# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The OpenGL context, in a thread of its own.

A process has one context, whichever of its threads draw. It is made when something is drawn for
the first time. Before a fork it is released, because Mesa's threads do not survive one; parent and
child then make their own.
"""

from __future__ import annotations

import atexit
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
import ctypes
from functools import cache
import importlib.util
import os
from pathlib import Path
from queue import SimpleQueue
import threading
from typing import Any
from typing import TypeVar

_T = TypeVar('_T')

_MISSING = (
    'people: scenes are drawn with OpenGL over EGL, which {what}. Install it with '
    "`pip install 'gtr_ros[people]'` and `apt install libegl1 libgl1 libgl1-mesa-dri`"
)


class DrawingError(OSError):
    """OpenGL is not available; the message says what to install."""


def draw(work: Callable[..., _T], *arguments: Any) -> _T:
    """
    Run a function in the thread that owns the OpenGL context.

    :param work: called with the `Resources` of the context, and the arguments
    :raises DrawingError: if OpenGL is not available
    """
    return _process().run(work, arguments)


class Resources:
    """
    What the scenes of a process share in its OpenGL context.

    :param context: a `moderngl.Context`
    """

    def __init__(self, context: Any) -> None:
        self.context = context
        self._made: dict[Any, Any] = {}
        self._kept: dict[str, OrderedDict[Any, Any]] = {}

    def get(self, key: Any, make: Callable[[], _T]) -> _T:
        """Return what was made under this key, or make it."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def keep(self, kind: str, key: Any, make: Callable[[], _T], most: int = 3) -> _T:
        """
        Return what was made under this key, or make it; it may be forgotten later.

        :param kind: of what is made; each has a method `release`
        :param most: number of this kind that are kept
        """
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            kept[key] = make()
            while len(kept) > most:
                kept.popitem(last=False)[1].release()
        kept.move_to_end(key)
        return kept[key]


class _GlThread:
    """A thread with an OpenGL context."""

    def __init__(self) -> None:
        self._jobs: SimpleQueue = SimpleQueue()
        # A daemon, since the interpreter waits for other threads before it runs `stop`.
        self._thread = threading.Thread(target=self._work, name='people-gl', daemon=True)
        self._thread.start()

    def run(self, work: Callable[..., _T], arguments: tuple) -> _T:
        done: SimpleQueue = SimpleQueue()
        self._jobs.put((work, arguments, done))
        result, error = done.get()
        if error is not None:
            raise error
        return result

    def stop(self) -> None:
        """Release the context; returns when that is done."""
        self._jobs.put(None)
        self._thread.join()

    def _work(self) -> None:
        resources = None
        for work, arguments, done in iter(self._jobs.get, None):
            try:
                resources = resources or Resources(_make_context())
                done.put((work(resources, *arguments), None))
            except BaseException as error:  # raised again in the other thread
                done.put((None, error))
            del work, arguments, done  # else they live until the next job
        if resources is not None:
            _close(resources.context)


def _make_context() -> Any:
    try:
        import moderngl
    except ImportError as error:
        raise DrawingError(_MISSING.format(what='needs the package moderngl')) from error
    _bind_triton()
    try:
        return moderngl.create_context(standalone=True, backend='egl', require=330)
    except Exception as error:  # whatever the driver's loader raises
        raise DrawingError(_MISSING.format(what=f'does not start: {error}')) from error


def _bind_triton() -> None:
    """
    Load the library of triton, torch's compiler, if it is installed.

    Mesa loads its LLVM for the whole process. Triton, which contains another version, would use
    that one if it were loaded later, and crash.
    """
    spec = importlib.util.find_spec('triton')
    for folder in (spec and spec.submodule_search_locations) or ():
        for library in Path(folder, '_C').glob('libtriton*'):
            with suppress(OSError):
                ctypes.CDLL(str(library))


def _close(context: Any) -> None:
    """Release a context and its connection to EGL: only this ends Mesa's threads."""
    try:
        egl = ctypes.CDLL('libEGL.so.1')
    except OSError:
        context.release()
        return
    egl.eglGetCurrentDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(egl.eglGetCurrentDisplay())
    context.release()
    if display:
        egl.eglMakeCurrent(display, None, None, None)
        egl.eglTerminate(display)
    egl.eglReleaseThread()


class _Process:
    """The thread of this process that draws."""

    def __init__(self) -> None:
        self._thread: _GlThread | None = None
        self._lock = threading.RLock()
        atexit.register(self.stop)
        os.register_at_fork(
            before=self._before_fork,
            after_in_parent=self._lock.release,
            after_in_child=self._lock.release,
        )

    def run(self, work: Callable[..., _T], arguments: tuple) -> _T:
        with self._lock:
            if self._thread is None:
                self._thread = _GlThread()
            return self._thread.run(work, arguments)

    def stop(self) -> None:
        """End the thread; the next `run` starts another."""
        with self._lock:
            if self._thread is not None:
                self._thread.stop()
                self._thread = None

    def _before_fork(self) -> None:
        self._lock.acquire()
        self.stop()


@cache
def _process() -> _Process:
    return _Process()
