# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox with a place for each sender: the newest item wins, what it overwrites is counted."""

from __future__ import annotations

from collections import Counter
import threading
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """
    Hand items from many threads to one, the newest of each sender only.

    A slow reader thus lowers the rate, and never reads anything old.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}
        self._closed = False
        self._overwritten: Counter[str] = Counter()

    def overwritten(self, sender: str = '') -> int:
        """Return how many items of a sender were overwritten before anybody took them."""
        with self._changed:
            return self._overwritten[sender]

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        with self._changed:
            return self._closed

    def put(self, item: Item, sender: str = '') -> None:
        """Leave an item; once closed, the mailbox ignores it."""
        with self._changed:
            if self._closed:
                return
            if sender in self._items:
                self._overwritten[sender] += 1
            self._items[sender] = item
            self._changed.notify()

    def take(self, timeout: float | None = None) -> dict[str, Item]:
        """
        Wait for an item and take out all that are there.

        :param timeout: seconds to wait at most; None waits until there is an item
        :return: the newest item of each sender, who waited longest first; empty after the timeout
            or once the mailbox is closed
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            items, self._items = self._items, {}
            return items

    def close(self) -> None:
        """Throw away what waits, and wake the reader."""
        with self._changed:
            self._closed = True
            self._items = {}
            self._changed.notify_all()
