# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The user's cache folder; files written completely or not at all, and files that grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import fcntl
import os
from pathlib import Path
import stat


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


def partial_path(path: Path) -> Path:
    """Return where an incomplete result is kept: `tracks.partial.txt` for `tracks.txt`."""
    return path.with_name(f'{path.stem}.partial{path.suffix}')


def is_special(path: Path) -> bool:
    """Return whether a path is neither file nor folder, such as /dev/null or a named pipe."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


class GrowingFile:
    """
    A text that is written as it is made; a context manager.

    It grows under `partial_path(path)`, where a killed process leaves it. If the block succeeds,
    it replaces `path`; after an error, what was written stays there, and `path` is unchanged. An
    earlier text there is replaced with the first line. Special files are written to directly.

    :param path: of the complete file; its folder is created
    :raises ValueError: if it is a folder, or another process writes it
    :raises OSError: if it cannot be written
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            raise ValueError(f'{path} is a folder; expected the name of a file to write')
        path.parent.mkdir(parents=True, exist_ok=True)
        #: where the text is until it is complete
        self.partial = path if is_special(path) else partial_path(path)
        self._size = 0  # of what is whole, bytes
        self._begun = False
        before = self.partial.exists()
        flags = os.O_WRONLY if self._direct else os.O_WRONLY | os.O_CREAT
        self._file = os.open(self.partial, flags, 0o666)
        if self._direct:
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._file)
            raise ValueError(f'{path} is being written by another process') from error
        except OSError:
            pass  # a file system without locks
        self._new = not before

    @property
    def _direct(self) -> bool:
        return self.partial == self.path

    @property
    def kept(self) -> bool:
        """Whether something is left under `partial` after an error."""
        return self._size > 0 and not self._direct

    def write(self, text: str) -> None:
        """Append whole lines; they are in the file when this returns."""
        rest = memoryview(text.encode())
        if rest:
            self._begin()
        size = len(rest)
        while rest:
            rest = rest[os.write(self._file, rest) :]
        self._size += size

    def _begin(self) -> None:
        """Remove an earlier text."""
        if not self._begun and not self._direct:
            os.ftruncate(self._file, 0)
        self._begun = True

    def __enter__(self) -> GrowingFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        try:
            if self._direct:
                return
            if kind is None:
                self._begin()
                self.partial.replace(self.path)
            elif self._begun:
                # Half a line may have been written to a full disk.
                os.ftruncate(self._file, self._size)
            if kind is not None and not self._size and (self._new or self._begun):
                self.partial.unlink(missing_ok=True)
        finally:
            os.close(self._file)


def cache_directory() -> Path:
    """Return the user's cache folder: `$XDG_CACHE_HOME/gtr_ros` or `~/.cache/gtr_ros`."""
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'gtr_ros'
