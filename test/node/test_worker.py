# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: the newest image is tracked, a bad one is counted and left behind."""

from queue import Queue
from threading import Event

import pytest

from gtr_ros.node.tracker.worker import Worker

DEADLINE = 10.0


class Harness:
    """A worker of two cameras whose model waits until it is let on, and what came out of it."""

    def __init__(self) -> None:
        self.began = Queue()
        self.go_on = Event()
        self.delivered = Queue()
        self.complaints = Queue()
        self.worker = Worker(('', 'left'), self, lambda *what: self.complaints.put(what))

    def read(self, camera, request):
        if request == 'unreadable':
            raise ValueError('truncated')
        return f'frame {request}'

    def detect(self, frames):
        self.began.put(frames)
        assert self.go_on.wait(DEADLINE)
        if 'frame poison' in frames:
            raise RuntimeError('out of memory')
        return [f'objects of {frame}' for frame in frames]

    def follow(self, camera, request, frame, detections):
        if request == 13:
            raise RuntimeError('an unlucky number')
        self.delivered.put((camera, request, frame, detections))


@pytest.fixture
def harness():
    harness = Harness()
    harness.worker.start()
    yield harness
    harness.go_on.set()
    assert harness.worker.stop(DEADLINE)


def test_an_image_goes_through_every_step(harness):
    harness.go_on.set()
    harness.worker.submit('', 7)
    assert harness.delivered.get(timeout=DEADLINE) == ('', 7, 'frame 7', 'objects of frame 7')


def test_while_the_model_is_busy_only_the_newest_image_waits(harness):
    worker = harness.worker
    worker.submit('', 1)
    assert harness.began.get(timeout=DEADLINE) == ['frame 1']
    for number in range(2, 8):
        worker.submit('', number)
    harness.go_on.set()
    assert [harness.delivered.get(timeout=DEADLINE)[1] for _ in range(2)] == [1, 7]
    assert worker.stop(DEADLINE)
    counts = worker.counts['']
    assert (counts.processed, worker.dropped(''), counts.failed) == (2, 5, 0)
    assert counts.busy_seconds > 0
    assert harness.delivered.empty()


def test_cameras_that_wait_go_through_the_model_together(harness):
    harness.worker.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.worker.submit('left', 2)
    harness.worker.submit('', 3)
    harness.go_on.set()
    assert harness.began.get(timeout=DEADLINE) == ['frame 2', 'frame 3']
    delivered = [harness.delivered.get(timeout=DEADLINE)[:2] for _ in range(3)]
    assert delivered == [('', 1), ('left', 2), ('', 3)]


@pytest.mark.parametrize(
    ('bad', 'error', 'text'),
    [('unreadable', ValueError, 'truncated'), (13, RuntimeError, 'an unlucky number')],
)
def test_a_bad_image_is_counted_and_neither_the_next_nor_another_cameras_is_lost(
    harness, bad, error, text
):
    harness.worker.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.worker.submit('', bad)
    harness.worker.submit('left', 2)
    harness.go_on.set()
    camera, complaint = harness.complaints.get(timeout=DEADLINE)
    assert (camera, type(complaint)) == ('', error)
    assert text in str(complaint)
    harness.worker.submit('', 3)
    delivered = [harness.delivered.get(timeout=DEADLINE)[:2] for _ in range(3)]
    assert delivered == [('', 1), ('left', 2), ('', 3)]
    assert harness.worker.stop(DEADLINE)
    counts = harness.worker.counts['']
    assert (counts.processed, counts.failed) == (2, 1)
    assert text in counts.last_error
    assert harness.worker.counts['left'].failed == 0


def test_images_that_the_model_cannot_take_are_counted_for_each_camera(harness):
    harness.worker.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.worker.submit('', 'poison')
    harness.worker.submit('left', 2)
    harness.go_on.set()
    assert {harness.complaints.get(timeout=DEADLINE)[0] for _ in range(2)} == {'', 'left'}
    harness.worker.submit('left', 3)
    assert harness.delivered.get(timeout=DEADLINE)[1] == 1
    assert harness.delivered.get(timeout=DEADLINE)[:2] == ('left', 3)
    assert 'out of memory' in harness.worker.counts['left'].last_error


def test_stop_waits_for_the_image_in_hand_and_starts_no_other(harness):
    harness.worker.submit('', 1)
    harness.began.get(timeout=DEADLINE)
    harness.worker.submit('', 2)
    assert not harness.worker.stop(0.05)
    harness.go_on.set()
    assert harness.worker.stop(DEADLINE)
    assert harness.worker.counts[''].processed == 1
    assert harness.began.empty()


def test_stop_of_a_worker_that_never_began_returns_at_once():
    assert Worker([''], None, lambda *_: None).stop(DEADLINE)
