# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Encode frames for browsers, while one requests them."""

from __future__ import annotations

from collections.abc import Callable
import json
import threading
from time import monotonic
from typing import Any
from typing import NamedTuple

# Longest expected time between two requests from a browser that is drawing a frame or is on a slow
# network.
_BUSY_SECONDS = 5.0


class EncodedFrame(NamedTuple):
    """
    A frame to be sent to browsers.

    :param number: of the frame, from 1
    :param header: JSON with the number and what to draw
    :param jpeg: the image
    """

    number: int
    header: bytes
    jpeg: bytes


class FrameEncoder:
    """
    Encodes the newest item, on a separate thread, while a browser waits for a frame.

    Only one item and one frame are kept, however many browsers there are and however slow.

    :param encode: returns what to draw for an item, as JSON values, and a JPEG
    :param on_error: called on the encoder's thread with an exception raised by `encode`
    :param max_rate: maximum rate of frames, Hz
    """

    def __init__(
        self,
        encode: Callable[[Any], tuple[dict, bytes]],
        on_error: Callable[[Exception], None],
        max_rate: float,
    ) -> None:
        self._encode = encode
        self._on_error = on_error
        self._period = 1 / max_rate
        self._changed = threading.Condition()
        self._item: Any = None
        self._frame: EncodedFrame | None = None
        self._waiting = 0
        self._requested_at = -float('inf')
        self._closed = False
        #: number of frames that were encoded
        self.encoded = 0
        self._thread = threading.Thread(target=self._run, name='frames', daemon=True)
        self._thread.start()

    @property
    def wanted(self) -> bool:
        """Whether a browser is waiting for a frame, or was recently."""
        with self._changed:
            return self._waiting > 0 or monotonic() - self._requested_at < _BUSY_SECONDS

    def put(self, item: Any) -> None:
        """Replace the item to encode."""
        with self._changed:
            self._item = item
            self._changed.notify_all()

    def wait(self, seen: int, timeout: float) -> EncodedFrame | None:
        """
        Wait for a new frame.

        :param seen: number of the newest frame that the caller has; 0: none
        :param timeout: maximum time to wait, seconds
        :return: the newest frame as soon as its number differs from `seen`; None after the timeout
        """

        def is_new() -> bool:
            return self._frame is not None and self._frame.number != seen

        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._closed or is_new(), timeout)
            self._waiting -= 1
            self._requested_at = monotonic()
            return self._frame if is_new() else None

    def clear(self) -> None:
        """Discard item and frame, so that a browser that connects later gets no old frame."""
        with self._changed:
            self._item = self._frame = None

    def close(self) -> None:
        """End the thread, and wake all waiting callers."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closed or (self._waiting and self._item is not None)
                )
                if self._closed:
                    return
                item, self._item = self._item, None
            start = monotonic()
            try:
                header, jpeg = self._encode(item)
            except Exception as error:  # one bad image must not end the thread
                self._on_error(error)
                continue
            with self._changed:
                self.encoded += 1
                header = as_json({'number': self.encoded, **header})
                self._frame = EncodedFrame(self.encoded, header, jpeg)
                self._changed.notify_all()
                self._changed.wait_for(
                    lambda: self._closed, max(0.0, start + self._period - monotonic())
                )


def as_json(values: dict) -> bytes:
    """Convert JSON values."""
    return json.dumps(values).encode()
