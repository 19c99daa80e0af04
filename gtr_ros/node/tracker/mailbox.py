# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A mailbox with one slot for each sender, which holds the sender's newest item."""

from __future__ import annotations

import threading
from typing import Generic
from typing import TypeVar

Item = TypeVar('Item')


class Mailbox(Generic[Item]):
    """
    Passes items from many threads to one, keeping only the newest from each sender.

    A slow reader thus lowers the rate, but never reads an old item.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: dict[str, Item] = {}
        self._closed = False

    def put(self, item: Item, sender: str = '') -> bool:
        """
        Put an item into the sender's slot; a closed mailbox ignores it.

        :return: whether it replaced an item that had not been taken
        """
        with self._changed:
            if self._closed:
                return False
            overwritten = sender in self._items
            self._items[sender] = item
            self._changed.notify()
        return overwritten

    def take(self, timeout: float | None = None) -> dict[str, Item]:
        """
        Wait for an item, and take all items that are there.

        :param timeout: maximum time to wait, seconds; None: no limit
        :return: the newest item from each sender, starting with the one that has waited longest;
            empty after the timeout or once the mailbox is closed
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout)
            items, self._items = self._items, {}
            return items

    def close(self) -> None:
        """Discard the items, and wake the reader."""
        with self._changed:
            self._closed = True
            self._items = {}
            self._changed.notify_all()
