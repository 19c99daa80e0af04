# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Synchronize messages from several topics by their stamps."""

from __future__ import annotations

from collections import deque
import threading
from typing import Any
from typing import NamedTuple

from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS

# Number of images that a camera may publish while a slow detector processes one.
_CACHE_SIZE = 30

# Nanoseconds without a message after which a topic is considered dead and not waited for.
_DEAD_AFTER = NANOSECONDS


class MessageCache:
    """
    The newest messages of a topic, found by stamp.

    :param size: number of messages that are kept
    """

    def __init__(self, size: int = _CACHE_SIZE) -> None:
        self._messages: deque[tuple[int, Any]] = deque(maxlen=size)
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Any) -> bool:
        """Add a message; return whether the oldest one was removed to make room."""
        with self._changed:
            full = len(self._messages) == self._messages.maxlen
            self._messages.append((stamp_of(message), message))
            self._changed.notify_all()
        return full

    def nearest(self, stamp: int, slop: int) -> Any | None:
        """
        Return the message with the nearest stamp; among equally near ones, the first received.

        :param stamp: nanoseconds
        :param slop: maximum difference between the stamps, nanoseconds; 0: they must be equal
        :return: None if there is no such message
        """
        with self._changed:
            best = min(self._messages, key=lambda kept: abs(kept[0] - stamp), default=None)
        return best[1] if best is not None and abs(best[0] - stamp) <= slop else None

    def wait_for(self, stamp: int, slop: int, timeout: float) -> Any | None:
        """
        Return the message with the nearest stamp; wait for it if it is due.

        Call this on a different thread from `add`. If the newest message is a second or more older
        than `stamp`, the topic is considered dead, and the call returns without waiting.

        :param stamp: nanoseconds
        :param slop: as in `nearest`
        :param timeout: maximum time to wait, seconds
        """

        def is_settled() -> bool:
            newest = self._messages[-1][0] if self._messages else stamp - _DEAD_AFTER
            return newest >= stamp or newest <= stamp - _DEAD_AFTER

        with self._changed:
            self._changed.wait_for(is_settled, timeout)
        return self.nearest(stamp, slop)

    @property
    def stamps(self) -> list[int]:
        """The stamps of the messages, nanoseconds, in the order received."""
        with self._changed:
            return [stamp for stamp, _ in self._messages]

    def remove_until(self, stamp: int) -> int:
        """Remove the messages up to and including a stamp in nanoseconds; return their number."""
        with self._changed:
            kept = [entry for entry in self._messages if entry[0] > stamp]
            removed = len(self._messages) - len(kept)
            self._messages = deque(kept, maxlen=self._messages.maxlen)
        return removed

    def remove_through(self, message: Any) -> int:
        """Remove a message and all those received before it; return their number."""
        with self._changed:
            places = [i for i, entry in enumerate(self._messages) if entry[1] is message]
            removed = places[0] + 1 if places else 0
            for _ in range(removed):
                self._messages.popleft()
        return removed

    def clear(self) -> int:
        """Remove all messages; return their number."""
        with self._changed:
            removed = len(self._messages)
            self._messages.clear()
        return removed


class Synchronized(NamedTuple):
    """
    The result of adding a message to an `ImageBoxesSynchronizer`.

    :param pair: image and boxes, if this message completes a pair
    :param unmatched: number of images discarded because no boxes can arrive for them any more
    """

    pair: tuple[Any, Any] | None
    unmatched: int = 0


class ImageBoxesSynchronizer:
    """
    Synchronizes images with boxes from another detector, received in any order.

    :param slop: maximum difference between their stamps, nanoseconds
    """

    def __init__(self, slop: int) -> None:
        self._slop = slop
        #: messages that wait for their counterpart
        self.images, self.boxes = MessageCache(), MessageCache()

    def add_image(self, image: Any) -> Synchronized:
        """Add an image; return it with its boxes if they have been received."""
        boxes = self.boxes.nearest(stamp_of(image), self._slop)
        if boxes is None:
            return Synchronized(None, int(self.images.add(image)))
        unmatched = self.images.remove_until(stamp_of(image))
        self.boxes.remove_until(stamp_of(boxes))
        return Synchronized((image, boxes), unmatched)

    def add_boxes(self, boxes: Any) -> Synchronized:
        """Add boxes; return them with their image if it has been received."""
        image = self.images.nearest(stamp_of(boxes), self._slop)
        if image is None:
            self.boxes.add(boxes)
            return Synchronized(None)
        # A detector publishes boxes in the order of the images, so images received before this one
        # get no boxes any more. Stamps cannot be used to decide this: they may repeat or go back.
        unmatched = self.images.remove_through(image) - 1
        self.boxes.remove_until(stamp_of(boxes))
        return Synchronized((image, boxes), unmatched)

    @property
    def difference(self) -> int | None:
        """
        The smallest difference between the stamps of waiting images and boxes, nanoseconds.

        None if there are only images, only boxes, or none.
        """
        images, boxes = self.images.stamps, self.boxes.stamps
        return min((abs(i - b) for i in images for b in boxes), default=None)

    def clear(self) -> int:
        """Remove all messages, for example after a reset; return the number of images."""
        self.boxes.clear()
        return self.images.clear()


class ExactSynchronizer:
    """
    Synchronizes messages with equal stamps, one from each topic, received in any order.

    :param topics: number of topics
    """

    def __init__(self, topics: int) -> None:
        self._caches = [MessageCache() for _ in range(topics)]

    def add(self, topic: int, message: Any) -> tuple[Any, ...] | None:
        """
        Add a message.

        :param topic: index of its topic
        :return: the messages with this stamp, one from each topic; None while any is missing
        """
        self._caches[topic].add(message)
        stamp = stamp_of(message)
        found = tuple(cache.nearest(stamp, 0) for cache in self._caches)
        if None in found:
            return None
        for cache in self._caches:
            cache.remove_until(stamp)
        return found


def stamp_of(message: Any) -> int:
    """Return the stamp of a message's header, nanoseconds."""
    return stamp_to_nanoseconds(message.header.stamp)
