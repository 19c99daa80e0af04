# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker: the newest image is tracked, a bad one is counted and left behind."""

from array import array
from queue import Queue
from threading import Event
from types import SimpleNamespace

import numpy as np
import pytest

from gtr_ros.node.images import ImageError
from gtr_ros.node.worker import Worker

DEADLINE = 10.0


def image(number: int, **fields) -> SimpleNamespace:
    """Make what looks like a sensor_msgs/Image of 2 x 2 gray pixels, all of one value."""
    values = {
        'height': 2,
        'width': 2,
        'step': 2,
        'encoding': 'mono8',
        'number': number,
        'data': array('B', [number] * 4),
    }
    return SimpleNamespace(**{**values, **fields})


class Harness:
    """A worker whose model waits until it is let on, and what came out of it."""

    def __init__(self) -> None:
        self.began = Queue()
        self.go_on = Event()
        self.delivered = Queue()
        self.complaints = Queue()
        self.worker = Worker(
            self._track, lambda *result: self.delivered.put(result), self.complaints.put
        )

    def _track(self, pixels, message):
        self.began.put(message.number)
        assert self.go_on.wait(DEADLINE)
        if message.number == 13:
            raise RuntimeError('an unlucky number')
        return f'tracks of {pixels[0, 0, 0]}'


@pytest.fixture
def harness():
    harness = Harness()
    harness.worker.start()
    yield harness
    harness.go_on.set()
    assert harness.worker.stop(DEADLINE)


def test_an_image_is_delivered_with_its_pixels_and_tracks(harness):
    harness.go_on.set()
    message = image(7)
    harness.worker.submit(message)
    delivered, pixels, tracks = harness.delivered.get(timeout=DEADLINE)
    assert delivered is message
    np.testing.assert_array_equal(pixels, np.full((2, 2, 3), 7))
    assert tracks == 'tracks of 7'


def test_while_the_model_is_busy_only_the_newest_image_waits(harness):
    harness.worker.submit(image(1))
    assert harness.began.get(timeout=DEADLINE) == 1
    for number in range(2, 8):
        harness.worker.submit(image(number))
    harness.go_on.set()
    numbers = [harness.delivered.get(timeout=DEADLINE)[0].number for _ in range(2)]
    assert numbers == [1, 7]
    assert harness.worker.stop(DEADLINE)
    assert (harness.worker.processed, harness.worker.dropped, harness.worker.failed) == (2, 5, 0)
    assert harness.delivered.empty()


@pytest.mark.parametrize(
    ('bad', 'error', 'text'),
    [
        (image(2, encoding='16UC1'), ImageError, "encoding '16UC1'"),
        (image(2, data=array('B', [1])), ImageError, 'truncated'),
        (image(13), RuntimeError, 'an unlucky number'),
    ],
)
def test_a_bad_image_is_counted_and_the_next_one_is_tracked(harness, bad, error, text):
    harness.go_on.set()
    harness.worker.submit(bad)
    complaint = harness.complaints.get(timeout=DEADLINE)
    assert type(complaint) is error
    assert text in str(complaint)
    harness.worker.submit(image(3))
    assert harness.delivered.get(timeout=DEADLINE)[0].number == 3
    assert harness.worker.stop(DEADLINE)
    assert (harness.worker.processed, harness.worker.failed) == (1, 1)
    assert text in harness.worker.last_error


def test_stop_waits_for_the_image_in_hand_and_starts_no_other(harness):
    harness.worker.submit(image(1))
    harness.began.get(timeout=DEADLINE)
    harness.worker.submit(image(2))
    assert not harness.worker.stop(0.05)
    harness.go_on.set()
    assert harness.worker.stop(DEADLINE)
    assert harness.worker.processed == 1
    assert harness.began.empty()


def test_stop_of_a_worker_that_never_began_returns_at_once():
    worker = Worker(lambda *_: None, lambda *_: None, lambda _: None)
    assert worker.stop(DEADLINE)
