# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker tracks the newest images; an image that fails is counted and skipped."""

from queue import Queue
from threading import Event

import numpy as np
import pytest

from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.tracker.worker import Worker

DEADLINE = 10.0


class Frame(str):
    """The name of a frame, with an image."""

    image = np.zeros((6, 8, 3), np.uint8)


class FakeCamera:
    """Reads requests as frames, and keeps what is tracked."""

    def __init__(self, name: str, tracked: Queue) -> None:
        self.name = name
        self.statistics = CameraStatistics()
        self._tracked = tracked

    def read(self, request):
        if request == 'unreadable':
            raise ValueError('truncated')
        return Frame(f'frame {request}')

    def track(self, request, frame, detections):
        if request == 13:
            raise RuntimeError('an unlucky number')
        self._tracked.put((self.name, request, frame, detections))


class Harness:
    """A worker of two cameras whose model waits for permission, and the results."""

    def __init__(self) -> None:
        self.began = Queue()
        self.permission = Event()
        self.tracked = Queue()
        self.errors = Queue()
        self.splits = Queue()
        self.cameras = {name: FakeCamera(name, self.tracked) for name in ('', 'left')}
        self.worker = Worker(
            self.cameras,
            self.detect,
            lambda camera, error: self.errors.put((camera.name, error)),
            lambda size, error: self.splits.put((size, error)),
        )

    def submit(self, name: str, request: object) -> None:
        self.worker.submit(self.cameras[name], request)

    def statistics(self, name: str) -> CameraStatistics:
        return self.cameras[name].statistics

    def detect(self, frames):
        self.began.put(frames)
        assert self.permission.wait(DEADLINE)
        if 'frame poison' in frames:
            raise RuntimeError('out of memory')
        return [f'objects of {frame}' for frame in frames]


@pytest.fixture
def harness():
    harness = Harness()
    harness.worker.start()
    yield harness
    harness.permission.set()
    assert harness.worker.stop(DEADLINE)


def test_an_image_is_read_detected_in_and_tracked(harness):
    harness.permission.set()
    harness.submit('', 7)
    assert harness.tracked.get(timeout=DEADLINE) == ('', 7, 'frame 7', 'objects of frame 7')


def test_while_the_model_is_busy_only_the_newest_image_waits(harness):
    harness.submit('', 1)
    assert harness.began.get(timeout=DEADLINE) == ['frame 1']
    for number in range(2, 8):
        harness.submit('', number)
    harness.permission.set()
    assert [harness.tracked.get(timeout=DEADLINE)[1] for _ in range(2)] == [1, 7]
    assert harness.worker.stop(DEADLINE)
    statistics = harness.statistics('')
    assert (statistics.processed, statistics.dropped, statistics.failed) == (2, 5, 0)
    assert statistics.processing_seconds > 0
    assert harness.tracked.empty()


def test_waiting_images_of_all_cameras_are_one_batch(harness):
    harness.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.submit('left', 2)
    harness.submit('', 3)
    harness.permission.set()
    assert harness.began.get(timeout=DEADLINE) == ['frame 2', 'frame 3']
    tracked = [harness.tracked.get(timeout=DEADLINE)[:2] for _ in range(3)]
    assert tracked == [('', 1), ('left', 2), ('', 3)]


@pytest.mark.parametrize(
    ('bad', 'error', 'text'),
    [('unreadable', ValueError, 'truncated'), (13, RuntimeError, 'an unlucky number')],
)
def test_a_bad_image_is_counted_and_neither_the_next_nor_another_cameras_is_lost(
    harness, bad, error, text
):
    harness.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.submit('', bad)
    harness.submit('left', 2)
    harness.permission.set()
    camera, reported = harness.errors.get(timeout=DEADLINE)
    assert (camera, type(reported)) == ('', error)
    assert text in str(reported)
    harness.submit('', 3)
    tracked = [harness.tracked.get(timeout=DEADLINE)[:2] for _ in range(3)]
    assert tracked == [('', 1), ('left', 2), ('', 3)]
    assert harness.worker.stop(DEADLINE)
    statistics = harness.statistics('')
    assert (statistics.processed, statistics.failed) == (2, 1)
    assert text in statistics.last_error
    assert harness.statistics('left').failed == 0


def test_an_image_that_the_model_fails_on_takes_no_other_cameras_with_it(harness):
    harness.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.submit('', 'poison')
    harness.submit('left', 2)
    harness.permission.set()
    tracked = [harness.tracked.get(timeout=DEADLINE)[:2] for _ in range(2)]
    assert tracked == [('', 1), ('left', 2)]
    camera, error = harness.errors.get(timeout=DEADLINE)
    assert camera == ''
    # It does not fit alone either, so its size is named.
    assert '8 x 6 pixels does not fit in the memory of the device: out of memory' in str(error)
    assert harness.splits.get(timeout=DEADLINE)[0] == 2
    assert harness.worker.stop(DEADLINE)
    assert 'out of memory' in harness.statistics('').last_error
    assert [harness.statistics(name).failed for name in ('', 'left')] == [1, 0]
    assert [harness.statistics(name).split for name in ('', 'left')] == [1, 1]


def test_stop_waits_for_the_image_in_progress_and_starts_no_other(harness):
    harness.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.submit('', 2)
    assert not harness.worker.stop(0.05)
    harness.permission.set()
    assert harness.worker.stop(DEADLINE)
    assert harness.statistics('').processed == 1
    assert harness.began.empty()


def test_stop_of_a_worker_that_was_not_started_returns_at_once():
    assert Worker({}, lambda frames: [], lambda *_: None, lambda *_: None).stop(DEADLINE)
