# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox of one place: the newest item wins, what it overwrites is counted."""

from __future__ import annotations

import threading
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """
    Hand items from one thread to another, the newest only.

    A slow reader thus lowers the rate, and never reads anything old.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._item: Item | None = None
        self._closed = False
        self._overwritten = 0

    @property
    def overwritten(self) -> int:
        """How many items were put and then overwritten before anybody took them."""
        with self._changed:
            return self._overwritten

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def put(self, item: Item) -> None:
        """Leave an item, which must not be None; once closed, the mailbox ignores it."""
        with self._changed:
            if self._closed:
                return
            if self._item is not None:
                self._overwritten += 1
            self._item = item
            self._changed.notify()

    def take(self, timeout: float | None = None) -> Item | None:
        """
        Wait for an item and take it out.

        :param timeout: seconds to wait at most; None waits until there is an item
        :return: the newest item, or None after the timeout or once the mailbox is closed
        """
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed, timeout)
            item, self._item = self._item, None
            return item

    def close(self) -> None:
        """Throw away what waits, and wake every reader."""
        with self._changed:
            self._closed = True
            self._item = None
            self._changed.notify_all()
