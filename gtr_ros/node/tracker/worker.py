# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: a thread that tracks the newest images while the node goes on receiving."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
import threading
from time import perf_counter
from typing import Any
from typing import Protocol
from typing import TYPE_CHECKING

from gtr_ros.node.tracker.mailbox import Mailbox

if TYPE_CHECKING:
    from gtr_ros.structures import Detections


class Steps(Protocol):
    """What is done with an image, on the worker's thread; each step may raise."""

    def read(self, camera: str, request: Any) -> Any:
        """Make a frame of what a camera sent."""

    def detect(self, frames: Sequence[Any]) -> Sequence[Detections]:
        """Find the objects of one frame of each camera, in one pass."""

    def follow(self, camera: str, request: Any, frame: Any, detections: Detections) -> None:
        """Say who they are, and publish it."""


@dataclass
class Counts:
    """
    What became of a camera's images.

    :param processed: tracked and published
    :param failed: not, because of an error
    :param last_error: the newest of them
    :param busy_seconds: that the newest took, with those of the other cameras that it went with
    """

    processed: int = 0
    failed: int = 0
    last_error: str = ''
    busy_seconds: float = 0.0


class Worker:
    """
    Takes the newest image of every camera that has one, and sees them through.

    What goes wrong with one image is reported and counted; the other cameras' are tracked all the
    same, and the next one is tried afresh.

    :param cameras: their names
    :param steps: what is done
    :param complain: called on the worker's thread with a camera and what was raised
    """

    def __init__(
        self,
        cameras: Iterable[str],
        steps: Steps,
        complain: Callable[[str, Exception], None],
    ) -> None:
        self.counts = {camera: Counts() for camera in cameras}
        self._steps = steps
        self._complain = complain
        self._mailbox: Mailbox[Any] = Mailbox()
        # A daemon: should a device hang, the process can still end.
        self._thread = threading.Thread(target=self._run, name='tracker worker', daemon=True)

    def dropped(self, camera: str) -> int:
        """Return how many images gave way to a newer one before their turn came."""
        return self._mailbox.overwritten(camera)

    def start(self) -> None:
        """Start the thread; a worker runs once."""
        self._thread.start()

    def submit(self, camera: str, request: Any) -> None:
        """Leave an image for the worker, from any thread; returns at once."""
        self._mailbox.put(request, camera)

    def stop(self, timeout: float) -> bool:
        """
        Let the images in hand be the last, and wait for their end.

        :param timeout: seconds to wait at most
        :return: whether the thread has ended
        """
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while requests := self._mailbox.take():
            start = perf_counter()
            self._track(requests)
            for camera in requests:
                self.counts[camera].busy_seconds = perf_counter() - start

    def _track(self, requests: dict[str, Any]) -> None:
        frames = {}
        for camera, request in requests.items():
            try:
                frames[camera] = self._steps.read(camera, request)
            except Exception as error:  # one bad image must not end the node
                self._fail(camera, error)
        if not frames:
            return
        try:
            found = self._steps.detect(list(frames.values()))
        except Exception as error:  # nor one that the model cannot take
            for camera in frames:
                self._fail(camera, error)
            return
        for (camera, frame), detections in zip(frames.items(), found, strict=True):
            try:
                self._steps.follow(camera, requests[camera], frame, detections)
                self.counts[camera].processed += 1
            except Exception as error:
                self._fail(camera, error)

    def _fail(self, camera: str, error: Exception) -> None:
        self.counts[camera].failed += 1
        self.counts[camera].last_error = f'{type(error).__name__}: {error}'
        self._complain(camera, error)
