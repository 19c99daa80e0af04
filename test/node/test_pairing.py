# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one moment find each other, whatever their order; what does not is counted."""

from threading import Timer
from time import monotonic
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs the messages')

from gtr_ros.node.messages.pairing import Pairing
from gtr_ros.node.messages.pairing import Recent
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp

SECOND = 1_000_000_000


def message(stamp: int) -> SimpleNamespace:
    return SimpleNamespace(header=SimpleNamespace(stamp=nanoseconds_to_stamp(stamp)), time=stamp)


def times(pair) -> tuple[int, int] | None:
    return pair and (pair[0].time, pair[1].time)


def test_image_and_boxes_of_one_stamp_are_a_pair_whoever_comes_first():
    pairing = Pairing(0)
    assert pairing.add_image(message(5)) is None
    assert times(pairing.add_boxes(message(5))) == (5, 5)
    assert pairing.add_boxes(message(6)) is None
    assert times(pairing.add_image(message(6))) == (6, 6)
    assert pairing.unmatched == 0


def test_a_slow_detector_gets_the_image_that_it_looked_at():
    pairing = Pairing(0)
    for stamp in range(1, 6):
        assert pairing.add_image(message(stamp)) is None
    assert times(pairing.add_boxes(message(3))) == (3, 3)
    assert pairing.unmatched == 2
    assert times(pairing.add_boxes(message(5))) == (5, 5)
    assert pairing.unmatched == 3


def test_stamps_that_repeat_or_go_back_lose_no_image():
    pairing, stamps = Pairing(0), (5, 7, 6, 6, 0, 0, 8)
    images = [message(stamp) for stamp in stamps]
    for image in images:
        assert pairing.add_image(image) is None
    for image in images:
        found, _ = pairing.add_boxes(message(image.time))
        assert found is image
    assert pairing.unmatched == 0


def test_stamps_may_differ_by_the_slop_and_no_more():
    pairing = Pairing(10)
    pairing.add_image(message(100))
    pairing.add_image(message(120))
    assert pairing.add_boxes(message(131)) is None
    assert times(pairing.add_boxes(message(109))) == (100, 109)
    assert times(pairing.add_boxes(message(130))) == (120, 130)


def test_images_without_boxes_are_counted_and_do_not_fill_the_memory():
    pairing = Pairing(0)
    for stamp in range(1, 101):
        assert pairing.add_image(message(stamp)) is None
    assert pairing.unmatched == 70
    assert len(pairing._images) == 30
    for stamp in range(1000, 1100):
        assert pairing.add_boxes(message(stamp)) is None
    assert len(pairing._boxes) == 30


def test_after_a_clock_that_began_again_nothing_old_is_matched():
    pairing = Pairing(0)
    pairing.add_image(message(7))
    pairing.clear()
    assert pairing.add_boxes(message(7)) is None


def test_a_message_that_is_due_is_waited_for():
    recent = Recent()
    recent.add(message(5 * SECOND))
    timer = Timer(0.2, recent.add, [message(5 * SECOND + 12)])
    timer.start()
    assert recent.wait_for(5 * SECOND + 10, 3, 0.0) is None
    assert recent.wait_for(5 * SECOND + 10, 3, 10.0).time == 5 * SECOND + 12
    timer.join()


def test_a_topic_that_died_is_not_waited_for():
    recent = Recent()
    start = monotonic()
    assert recent.wait_for(5 * SECOND, 3, 10.0) is None
    recent.add(message(1 * SECOND))
    assert recent.wait_for(5 * SECOND, 3, 10.0) is None
    assert monotonic() - start < 5
