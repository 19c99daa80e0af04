# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: a thread that tracks the newest images while the executor's thread receives."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
import threading
from time import perf_counter
from typing import TYPE_CHECKING

from gtr_ros.node.throttle import shorten
from gtr_ros.node.tracker.batching import detect_separately
from gtr_ros.node.tracker.mailbox import Mailbox

if TYPE_CHECKING:
    from gtr_ros.node.tracker.camera import Camera
    from gtr_ros.node.tracker.inputs import CameraRequest
    from gtr_ros.node.tracker.pipeline import CameraFrame
    from gtr_ros.structures import Detections


class Worker:
    """
    Takes the newest image of every camera that has one, and tracks them in one batch.

    An error in one image is counted and reported; the other cameras' images and the following
    images are still tracked. A batch that fails is repeated in parts.

    :param cameras: by name
    :param detect: finds the objects in one frame of each camera; runs on the worker's thread
    :param on_error: called on the worker's thread with a camera and the exception
    :param on_split: called on the worker's thread with the size of a batch that failed, and the
        exception
    :param warm_up: called once on the worker's thread, before its first image, with a function
        that returns whether an image is waiting
    """

    def __init__(
        self,
        cameras: Mapping[str, Camera],
        detect: Callable[[Sequence[CameraFrame]], Sequence[Detections]],
        on_error: Callable[[Camera, Exception], None],
        on_split: Callable[[int, Exception], object],
        warm_up: Callable[[Callable[[], bool]], None] = lambda is_over: None,
    ) -> None:
        self._cameras = cameras
        self._detect = detect
        self._on_error = on_error
        self._on_split = on_split
        self._warm_up = warm_up
        self._is_waiting = False
        self._mailbox: Mailbox[CameraRequest] = Mailbox()
        # A daemon, so that the process can end even if a device hangs.
        self._thread = threading.Thread(target=self._run, name='tracker worker', daemon=True)

    def start(self) -> None:
        """Start the thread; a worker can be started only once."""
        self._thread.start()

    def submit(self, camera: Camera, request: CameraRequest) -> None:
        """Queue an image and return at once; it replaces one of this camera that still waits."""
        self._is_waiting = True
        if self._mailbox.put(request, camera.name):
            camera.statistics.dropped += 1

    def stop(self, timeout: float) -> bool:
        """
        Finish the images in progress, discard the waiting ones and end the thread.

        :param timeout: maximum time to wait, seconds
        :return: whether the thread has ended
        """
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._warm_up(lambda: self._is_waiting)
        while requests := self._mailbox.take():
            start = perf_counter()
            self._track(requests)
            for name in requests:
                self._cameras[name].statistics.processing_seconds = perf_counter() - start

    def _track(self, requests: Mapping[str, CameraRequest]) -> None:
        frames = {}
        for name, request in requests.items():
            try:
                frames[name] = self._cameras[name].read(request)
            except Exception as error:  # one bad image must not end the node
                self._record_failure(name, error)
        if not frames:
            return
        found, splits = detect_separately(self._detect, list(frames.values()), self._on_split)
        for (name, frame), detections in zip(frames.items(), found, strict=True):
            camera = self._cameras[name]
            camera.statistics.split += bool(splits)
            if isinstance(detections, Exception):
                self._record_failure(name, detections)
                continue
            try:
                camera.track(requests[name], frame, detections)
                camera.statistics.processed += 1
            except Exception as error:
                self._record_failure(name, error)

    def _record_failure(self, name: str, error: Exception) -> None:
        camera = self._cameras[name]
        camera.statistics.failed += 1
        camera.statistics.last_error = shorten(f'{type(error).__name__}: {error}')
        self._on_error(camera, error)
