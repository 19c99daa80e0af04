# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames are read in a thread: in their order, no more than wanted, with their errors."""

from __future__ import annotations

from threading import active_count
from threading import current_thread
from threading import Event
from threading import Thread

import numpy as np
import pytest

from gtr_ros.media.read_ahead import ReadAhead
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoReader
from gtr_ros.media.video import VideoWriter


def test_items_keep_their_order():
    with ReadAhead(range(1000), most=3) as items:
        assert list(items) == list(range(1000))


def test_items_are_made_in_another_thread():
    with ReadAhead(current_thread() for _ in range(2)) as threads:
        assert current_thread() not in list(threads)


def test_no_more_items_are_made_than_may_wait():
    made, third = [], Event()

    def make():
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    with ReadAhead(make(), most=2) as items:
        iterator = iter(items)
        assert next(iterator) == 0
        # 1 and 2 wait; 3 is made, and has no place yet.
        assert third.wait(10)
        assert made == [0, 1, 2, 3]


def test_an_error_is_raised_in_its_place():
    def make():
        yield 1
        yield 2
        raise VideoError('damaged after frame 2')

    found = []
    with pytest.raises(VideoError, match='damaged after frame 2'), ReadAhead(make()) as items:
        found.extend(items)
    assert found == [1, 2]


def test_the_thread_has_ended_when_the_context_is_left_early():
    before, closed = active_count(), Event()

    def make():
        try:
            number = 0
            while True:
                yield number
                number += 1
        finally:
            closed.set()

    generator = make()
    with ReadAhead(generator, most=2) as items:
        assert next(iter(items)) == 0
    assert active_count() == before
    generator.close()
    assert closed.is_set()


def test_another_thread_that_waits_for_an_item_ends_when_the_context_is_left():
    begun, go_on = Event(), Event()

    def make():
        begun.set()
        assert go_on.wait(10)
        yield from ()

    found: list[int] = []
    with ReadAhead(make(), most=1) as items:
        consumer = Thread(target=lambda: found.extend(items), daemon=True)
        consumer.start()
        assert begun.wait(10)
        go_on.set()
    consumer.join(10)
    assert not consumer.is_alive()
    with ReadAhead(iter(range(100)), most=1) as items:
        assert next(iter(items)) == 0
    consumer = Thread(target=lambda: found.extend(items), daemon=True)
    consumer.start()
    consumer.join(10)
    assert not consumer.is_alive()
    assert found == []


def test_an_error_of_the_consumer_is_not_hidden():
    with pytest.raises(KeyError), ReadAhead(range(100), most=1) as items:
        for _ in items:
            raise KeyError


def test_frames_of_a_video_are_those_read_without_a_thread(tmp_path):
    path = tmp_path / 'video.mp4'
    with VideoWriter(path, 10, (64, 48)) as writer:
        for level in range(0, 250, 10):
            writer.write(np.full((48, 64, 3), level, np.uint8))
    with VideoReader(path) as video:
        plain = list(video)
    with VideoReader(path) as video, ReadAhead(video, most=2) as frames:
        for found, expected in zip(frames, plain, strict=True):
            assert (found.image == expected.image).all()
            assert (found.stamp, found.index) == (expected.stamp, expected.index)
