# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The frame encoder of the viewer encodes the newest item while somebody waits for a frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
import weakref

from gtr_ros.node.viewer.frames import FrameEncoder

ANSWER_SECONDS = 30.0


class Item:
    """Something to encode."""


@contextmanager
def frame_encoder(errors: list[Exception], max_rate: float = 1000.0) -> Iterator[FrameEncoder]:
    def encode(item: object) -> tuple[dict, bytes]:
        if isinstance(item, Exception):
            raise item
        return {}, str(item).encode()

    running = FrameEncoder(encode, errors.append, max_rate)
    yield running
    running.close()


def test_only_the_newest_item_is_encoded_and_only_while_somebody_waits():
    with frame_encoder([]) as encoder:
        assert not encoder.wanted
        for i in range(100):
            encoder.put(i)
        sleep(0.2)
        assert encoder.encoded == 0
        frame = encoder.wait(0, ANSWER_SECONDS)
        assert (frame.number, frame.jpeg) == (1, b'99')
        assert encoder.wanted
        encoder.put('more')
        # A caller who has no frame gets the existing one at once.
        assert encoder.wait(0, ANSWER_SECONDS) == frame
        assert encoder.wait(1, ANSWER_SECONDS).jpeg == b'more'
        assert encoder.encoded == 2


def test_only_the_newest_item_is_kept():
    with frame_encoder([]) as encoder:
        items = [Item() for _ in range(5)]
        kept = [weakref.ref(item) for item in items]
        while items:
            encoder.put(items.pop(0))
        assert [ref() is not None for ref in kept] == [False] * 4 + [True]
        encoder.clear()
        assert kept[-1]() is None
        assert encoder.wait(0, 0.0) is None


def test_no_more_frames_are_encoded_than_max_rate():
    with frame_encoder([], max_rate=0.1) as encoder:
        encoder.put('first')
        assert encoder.wait(0, ANSWER_SECONDS).number == 1
        encoder.put('second')
        # Due in ten seconds.
        assert encoder.wait(1, 0.3) is None
        assert encoder.encoded == 1


def test_an_item_that_fails_is_reported_and_the_next_one_encoded():
    errors: list[Exception] = []
    with frame_encoder(errors) as encoder:
        encoder.put(ValueError('bad'))
        assert encoder.wait(0, 0.2) is None
        encoder.put('good')
        assert encoder.wait(0, ANSWER_SECONDS).jpeg == b'good'
    assert [str(error) for error in errors] == ['bad']
