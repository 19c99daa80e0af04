# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Process settings: freed memory, waiting threads, what torchvision imports, a closed output.

Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import ctypes
import gc
from importlib import import_module
import os
import select
import signal
import sys
from types import ModuleType
from typing import Any

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -2, -3, -8
_MEBI = 1 << 20

#: number of iterations that a thread spins, waiting for others, before it sleeps
_SPINS = 1000

_COMPILER = 'torch._dynamo.utils'


def keep_freed_memory() -> bool:
    """
    Keep the memory of freed tensors in the process; to be called once, by a program's `main`.

    By default, glibc returns large blocks to the system as soon as they are freed, and the next
    frame gets them back page by page, each zeroed: this takes up to a third of a frame's time on a
    CPU. With this setting, the process keeps the maximum amount of memory that it has ever used.

    :return: whether this is supported here: it needs glibc
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = {
        _M_ARENA_MAX: 1,  # arenas of other threads never hold more than 64 MB in total
        _M_MMAP_THRESHOLD: 32 * _MEBI,  # the maximum
        _M_TOP_PAD: 64 * _MEBI,
        _M_TRIM_THRESHOLD: 1024 * _MEBI,
    }
    return all(mallopt(name, value) for name, value in settings.items())


def sleep_soon() -> bool:
    """
    Let torch's threads sleep soon when they wait for each other; call it before importing torch.

    By default, they spin for a millisecond. On idle cores, this is a fifth faster. But if another
    process uses one of the cores, a thread spins while the thread that it waits for is not
    scheduled, and frames take two to eight times as long. Environment variables set by the user
    are kept.

    :return: False if torch has already been imported, which is too late
    """
    if 'torch' in sys.modules:
        return False
    if not os.environ.keys() & {'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT'}:
        os.environ['GOMP_SPINCOUNT'] = str(_SPINS)
    return True


def import_torch() -> None:
    """
    Import torch and torchvision, without the compiler of `torch.compile` until something needs it.

    torchvision imports one function of the compiler, which it calls only on a GPU in deterministic
    mode; the compiler takes as long to import as torch itself. All that has been imported then
    stays, so the garbage collector ignores it from now on.

    :raises ImportError: if one of them is not installed
    """
    if 'torchvision' in sys.modules:
        return
    import_module('torch')
    if _COMPILER not in sys.modules:
        sys.modules[_COMPILER] = _LazyCompiler(_COMPILER)
    try:
        import_module('torchvision')
    finally:
        if isinstance(sys.modules.get(_COMPILER), _LazyCompiler):
            del sys.modules[_COMPILER]
    gc.freeze()


@contextmanager
def end_with_reader() -> Iterator[None]:
    """
    End the process without a message when nobody reads its standard output, as in `... | head`.

    The exit code is then 141, that of a program ended by SIGPIPE.

    :raises SystemExit: if the output was closed while the block wrote to it
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        if not _reader_left():
            raise
        # Python flushes what is left once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None


def _reader_left() -> bool:
    """Return whether standard output is a pipe that nobody reads; other pipes break, too."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in output.poll(0))


class _LazyCompiler(ModuleType):
    """Stands in for the module of the compiler until one of its functions is called or named."""

    @staticmethod
    def is_compile_supported(device: str) -> bool:
        """Call the function that torchvision imports."""
        return _compiler().is_compile_supported(device)

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__'):  # asked by inspect, not by a user of the compiler
            raise AttributeError(name)
        return getattr(_compiler(), name)


def _compiler() -> ModuleType:
    """Import the compiler."""
    if isinstance(sys.modules.get(_COMPILER), _LazyCompiler):
        del sys.modules[_COMPILER]
    return import_module(_COMPILER)
