# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Read frames in a thread, while the previous ones are processed."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import suppress
from queue import Empty
from queue import Full
from queue import Queue
from threading import Event
from threading import Thread
from typing import Generic
from typing import TypeVar

T = TypeVar('T')

_END = object()
_SECONDS = 0.1  # between two looks at whether the reader shall end


class ReadAhead(Generic[T]):
    """
    The items of an iterable in their order, made in a thread: a context manager, iterated once.

    What the iterable raises is raised where its next item would be. When the context is left, the
    thread has ended, so that a file can be closed then, and a thread that still iterates gets no
    further item.

    :param items: such as a `VideoReader`
    :param most: number of items that may wait; with the one being made and the one in use, two
        more are in memory
    """

    def __init__(self, items: Iterable[T], most: int = 4) -> None:
        self._items = items
        self._queue: Queue = Queue(most)
        self._stop = Event()
        self._thread = Thread(target=self._run, name='read ahead', daemon=True)

    def __enter__(self) -> ReadAhead[T]:
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        with suppress(Full, Empty):  # another thread may be waiting for the next item
            while self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait((_END, None))

    def __iter__(self) -> Iterator[T]:
        """Iterate over the items."""
        while True:
            item, error = self._queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put((item, None)):
                    return
        except BaseException as error:  # raised in the thread that iterates
            self._put((None, error))
        else:
            self._put((_END, None))

    def _put(self, entry: tuple) -> bool:
        """Wait for a place in the queue; return False if the context was left meanwhile."""
        while not self._stop.is_set():
            try:
                self._queue.put(entry, timeout=_SECONDS)
            except Full:
                continue
            return True
        return False
