# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: a thread that tracks the newest image while the node goes on receiving. No rclpy."""

from __future__ import annotations

from collections.abc import Callable
import threading
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from gtr_ros.node.images import image_to_array
from gtr_ros.node.mailbox import Mailbox

if TYPE_CHECKING:
    from sensor_msgs.msg import Image

    from gtr_ros.structures import Tracks


class Worker:
    """
    Takes the newest image message, tracks what is in it and hands the result on.

    What goes wrong with one image is reported and counted; the next image is tried afresh.

    :param track: tracks of an image message's pixels, (H, W, 3) uint8 RGB, and of the message
    :param deliver: called on the worker's thread with the message, its pixels and the tracks
    :param complain: called on the worker's thread with what `track` or `deliver` raised
    """

    def __init__(
        self,
        track: Callable[[np.ndarray, Image], Tracks],
        deliver: Callable[[Image, np.ndarray, Tracks], None],
        complain: Callable[[Exception], None],
    ) -> None:
        self.processed = 0
        self.failed = 0
        self.last_error = ''
        self.busy_seconds = 0.0
        self._track = track
        self._deliver = deliver
        self._complain = complain
        self._mailbox: Mailbox[Image] = Mailbox()
        # A daemon: should a device hang, the process can still end.
        self._thread = threading.Thread(target=self._run, name='tracker worker', daemon=True)

    @property
    def dropped(self) -> int:
        """How many images gave way to a newer one before their turn came."""
        return self._mailbox.overwritten

    def start(self) -> None:
        """Start the thread; a worker runs once."""
        self._thread.start()

    def submit(self, message: Image) -> None:
        """Leave an image for the worker, from any thread; returns at once."""
        self._mailbox.put(message)

    def stop(self, timeout: float) -> bool:
        """
        Let the image in hand be the last, and wait for its end.

        :param timeout: seconds to wait at most
        :return: whether the thread has ended
        """
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (message := self._mailbox.take()) is not None:
            start = perf_counter()
            try:
                image = image_to_array(message)
                self._deliver(message, image, self._track(image, message))
                self.processed += 1
            except Exception as error:  # one bad frame must not end the node
                self.failed += 1
                self.last_error = f'{type(error).__name__}: {error}'
                self._complain(error)
            self.busy_seconds = perf_counter() - start
