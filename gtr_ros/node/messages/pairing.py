# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of two topics that belong to one moment, matched by their stamps."""

from __future__ import annotations

from collections import deque
import threading
from typing import Any

from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS

# As many as a camera sends while a slow detector looks at one.
_DEPTH = 30

# Nanoseconds after which a topic that said nothing is not waited for.
_ALIVE = NANOSECONDS


class Recent:
    """
    The newest messages of a topic, to be found by their stamps.

    :param depth: how many are kept
    """

    def __init__(self, depth: int = _DEPTH) -> None:
        self._messages: deque[tuple[int, Any]] = deque(maxlen=depth)
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return len(self._messages)

    def add(self, message: Any) -> bool:
        """Keep a message; return whether the oldest had to go for it."""
        with self._changed:
            full = len(self._messages) == self._messages.maxlen
            self._messages.append((stamp_of(message), message))
            self._changed.notify_all()
        return full

    def nearest(self, stamp: int, slop: int) -> Any | None:
        """
        Find the message whose stamp is nearest; of equal ones that which came first.

        :param stamp: nanoseconds
        :param slop: nanoseconds that it may differ by; 0: it is equal
        """
        with self._changed:
            best = min(self._messages, key=lambda kept: abs(kept[0] - stamp), default=None)
        return best[1] if best is not None and abs(best[0] - stamp) <= slop else None

    def wait_for(self, stamp: int, slop: int, timeout: float) -> Any | None:
        """
        Find the message whose stamp is nearest, or wait for it where it is due.

        On another thread than the one that adds. A topic that said nothing for a second before
        that time is not waited for.

        :param timeout: seconds at most
        """

        def came_or_will_not() -> bool:
            newest = self._messages[-1][0] if self._messages else stamp - _ALIVE
            return newest >= stamp or newest <= stamp - _ALIVE

        with self._changed:
            self._changed.wait_for(came_or_will_not, timeout)
        return self.nearest(stamp, slop)

    def forget_until(self, stamp: int) -> int:
        """Drop the messages that are not after a time in nanoseconds; return how many."""
        with self._changed:
            kept = [pair for pair in self._messages if pair[0] > stamp]
            gone = len(self._messages) - len(kept)
            self._messages = deque(kept, maxlen=self._messages.maxlen)
        return gone

    def forget_through(self, message: Any) -> int:
        """Drop a message, and those that came before it; return how many."""
        with self._changed:
            places = [i for i, pair in enumerate(self._messages) if pair[1] is message]
            gone = places[0] + 1 if places else 0
            for _ in range(gone):
                self._messages.popleft()
        return gone

    def clear(self) -> None:
        """Forget every message."""
        with self._changed:
            self._messages.clear()


class Pairing:
    """
    Images and the boxes that another detector found in them, in whatever order they come.

    :param slop: nanoseconds that their stamps may differ by
    """

    def __init__(self, slop: int) -> None:
        self._slop = slop
        self._images, self._boxes = Recent(), Recent()
        #: images that went without ever getting boxes
        self.unmatched = 0

    def add_image(self, image: Any) -> tuple[Any, Any] | None:
        """Take an image; return it with its boxes, if they are there."""
        boxes = self._boxes.nearest(stamp_of(image), self._slop)
        if boxes is None:
            self.unmatched += self._images.add(image)
            return None
        self.unmatched += self._images.forget_until(stamp_of(image))
        self._boxes.forget_until(stamp_of(boxes))
        return image, boxes

    def add_boxes(self, boxes: Any) -> tuple[Any, Any] | None:
        """Take boxes; return their image with them, if it is there."""
        image = self._images.nearest(stamp_of(boxes), self._slop)
        if image is None:
            self._boxes.add(boxes)
            return None
        # A detector answers in order: what came before this image will get no answer any more. Not
        # what has an earlier stamp: stamps may repeat, or go back.
        self.unmatched += self._images.forget_through(image) - 1
        self._boxes.forget_until(stamp_of(boxes))
        return image, boxes

    def clear(self) -> None:
        """Forget every message: the clock began again."""
        self._images.clear()
        self._boxes.clear()


def stamp_of(message: Any) -> int:
    """Return the stamp of a message's header, nanoseconds."""
    return stamp_to_nanoseconds(message.header.stamp)
