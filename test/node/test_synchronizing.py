# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages are synchronized in any order, and images without boxes are counted."""

from itertools import permutations
from threading import Event
from threading import Thread
from threading import Timer
from time import monotonic
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs the messages')

from gtr_ros.node.messages.synchronizing import ExactSynchronizer
from gtr_ros.node.messages.synchronizing import ImageBoxesSynchronizer
from gtr_ros.node.messages.synchronizing import MessageCache
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp

SECOND = 1_000_000_000


def message(stamp: int) -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(stamp=nanoseconds_to_stamp(stamp)), time=stamp)


class Synchronizer(ImageBoxesSynchronizer):
    """Returns pairs, and counts unmatched images."""

    unmatched = 0

    def add_image(self, image):
        return self._count(super().add_image(image))

    def add_boxes(self, boxes):
        return self._count(super().add_boxes(boxes))

    def _count(self, synchronized):
        self.unmatched += synchronized.unmatched
        return synchronized.pair


def times(pair) -> tuple[int, int] | None:
    return pair and (pair[0].time, pair[1].time)


def test_image_and_boxes_with_equal_stamps_are_a_pair_in_either_order():
    synchronizer = Synchronizer(0)
    assert synchronizer.add_image(message(5)) is None
    assert times(synchronizer.add_boxes(message(5))) == (5, 5)
    assert synchronizer.add_boxes(message(6)) is None
    assert times(synchronizer.add_image(message(6))) == (6, 6)
    assert synchronizer.unmatched == 0


def test_the_difference_of_stamps_that_never_match_is_known():
    synchronizer = Synchronizer(0)
    assert synchronizer.difference is None
    for stamp in range(0, 10 * SECOND, SECOND // 10):
        synchronizer.add_image(message(stamp))
    assert synchronizer.difference is None
    synchronizer.add_boxes(message(9 * SECOND + 1_000_000))
    synchronizer.add_boxes(message(9 * SECOND + 40_000_000))
    assert synchronizer.difference == 1_000_000


def test_boxes_of_a_slow_detector_get_their_image():
    synchronizer = Synchronizer(0)
    for stamp in range(1, 6):
        assert synchronizer.add_image(message(stamp)) is None
    assert times(synchronizer.add_boxes(message(3))) == (3, 3)
    assert synchronizer.unmatched == 2
    assert times(synchronizer.add_boxes(message(5))) == (5, 5)
    assert synchronizer.unmatched == 3


def test_stamps_that_repeat_or_go_back_lose_no_image():
    synchronizer, stamps = Synchronizer(0), (5, 7, 6, 6, 0, 0, 8)
    images = [message(stamp) for stamp in stamps]
    for image in images:
        assert synchronizer.add_image(image) is None
    for image in images:
        found, _ = synchronizer.add_boxes(message(image.time))
        assert found is image
    assert synchronizer.unmatched == 0


def test_stamps_may_differ_by_the_slop_and_no_more():
    synchronizer = Synchronizer(10)
    synchronizer.add_image(message(100))
    synchronizer.add_image(message(120))
    assert synchronizer.add_boxes(message(131)) is None
    assert times(synchronizer.add_boxes(message(109))) == (100, 109)
    assert times(synchronizer.add_boxes(message(130))) == (120, 130)


def test_images_without_boxes_are_counted_and_do_not_fill_the_memory():
    synchronizer = Synchronizer(0)
    for stamp in range(1, 101):
        assert synchronizer.add_image(message(stamp)) is None
    assert synchronizer.unmatched == 70
    assert len(synchronizer.images) == 30
    for stamp in range(1000, 1100):
        assert synchronizer.add_boxes(message(stamp)) is None
    assert len(synchronizer.boxes) == 30


def test_after_a_clock_reset_no_old_message_is_matched():
    synchronizer = Synchronizer(0)
    synchronizer.add_image(message(7))
    synchronizer.clear()
    assert synchronizer.add_boxes(message(7)) is None


def test_a_message_that_is_due_is_waited_for():
    cache = MessageCache()
    cache.add(message(5 * SECOND))
    timer = Timer(0.2, cache.add, [message(5 * SECOND + 12)])
    timer.start()
    assert cache.wait_for(5 * SECOND + 10, 3, 0.0) is None
    assert cache.wait_for(5 * SECOND + 10, 3, 10.0).time == 5 * SECOND + 12
    timer.join()


def test_a_dead_topic_is_not_waited_for():
    cache = MessageCache()
    start = monotonic()
    assert cache.wait_for(5 * SECOND, 3, 10.0) is None
    cache.add(message(1 * SECOND))
    assert cache.wait_for(5 * SECOND, 3, 10.0) is None
    assert monotonic() - start < 5


@pytest.mark.parametrize('order', list(permutations(range(3))))
def test_messages_with_equal_stamps_are_synchronized_in_any_order(order):
    synchronizer = ExactSynchronizer(3)
    early, late = [message(1_000) for _ in range(3)], [message(2_000) for _ in range(3)]
    assert synchronizer.add(0, early[0]) is None
    *first, last = order
    for topic in first:
        assert synchronizer.add(topic, late[topic]) is None
    assert synchronizer.add(last, late[last]) == tuple(late)
    # Earlier messages are removed.
    assert synchronizer.add(1, early[1]) is None
    assert synchronizer.add(2, early[2]) is None


def test_the_depth_image_of_a_stamp_is_the_nearest_within_the_slop():
    depths = MessageCache(10)
    assert depths.nearest(0, 1000) is None
    for stamp in (100, 200, 300):
        depths.add(message(stamp))
    assert depths.nearest(240, 40).time == 200
    assert depths.nearest(260, 40).time == 300
    assert depths.nearest(250, 49) is None
    assert depths.nearest(200, 0).time == 200
    depths.clear()
    assert depths.nearest(200, 1000) is None


def test_depth_images_may_arrive_while_the_worker_waits_for_one():
    depths, ended, failures = MessageCache(10), Event(), []

    def look() -> None:
        try:
            while not ended.is_set():
                found = depths.nearest(500, 1000)
                assert found is None or found.time < 1000
        except Exception as error:
            failures.append(error)

    worker = Thread(target=look)
    worker.start()
    messages = [message(i) for i in range(1000)]
    for each in messages * 3:
        depths.add(each)
    depths.clear()
    depths.add(messages[7])
    ended.set()
    worker.join()
    assert not failures
    assert depths.nearest(7, 0) is messages[7]
