# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The user's cache folder, and atomic writing of files: completely or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """
    Yield a temporary path next to `path`; its file replaces `path` if the block succeeds.

    After an error, `path` is unchanged and the temporary file is removed. The file has the mode of
    the user's other new files (umask), whatever the library that wrote it chose.
    """
    part = path.with_name(f'.{path.name}.{os.getpid()}.part')
    try:
        part.touch()
        mode = part.stat().st_mode & 0o777
        part.unlink()
        yield part
        part.chmod(mode)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def cache_directory() -> Path:
    """Return the user's cache folder: `$XDG_CACHE_HOME/gtr_ros` or `~/.cache/gtr_ros`."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'gtr_ros'
