# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The mailbox keeps the newest item of each sender, and says when it overwrites one."""

import threading
from time import monotonic

from gtr_ros.node.tracker.mailbox import Mailbox

DEADLINE = 10.0


def test_the_newest_item_wins_and_put_returns_whether_it_overwrote_one():
    mailbox = Mailbox()
    assert [mailbox.put(item) for item in 'abc'] == [False, True, True]
    assert mailbox.take(0) == {'': 'c'}
    assert mailbox.take(0) == {}


def test_each_sender_has_its_own_slot_and_the_one_that_waits_longest_comes_first():
    mailbox = Mailbox()
    items = (('a', 'left'), ('b', 'front'), ('c', 'left'))
    assert [mailbox.put(item, sender) for item, sender in items] == [False, False, True]
    assert list(mailbox.take(0).items()) == [('left', 'c'), ('front', 'b')]


def test_an_item_taken_in_time_is_not_overwritten():
    mailbox = Mailbox()
    for item in 'ab':
        assert not mailbox.put(item)
        assert mailbox.take(0) == {'': item}


def test_a_falsy_item_is_an_item():
    mailbox = Mailbox()
    mailbox.put(0)
    assert mailbox.take(0) == {'': 0}


def test_take_returns_after_its_timeout():
    start = monotonic()
    assert Mailbox().take(0.05) == {}
    assert 0.04 < monotonic() - start < DEADLINE


def test_a_waiting_reader_gets_a_new_item():
    mailbox = Mailbox()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take(DEADLINE)))
    reader.start()
    mailbox.put('late')
    reader.join(DEADLINE)
    assert taken == [{'': 'late'}]


def test_close_wakes_waiting_readers_and_later_items_are_ignored():
    mailbox = Mailbox()
    taken = []
    readers = [threading.Thread(target=lambda: taken.append(mailbox.take())) for _ in range(3)]
    for reader in readers:
        reader.start()
    mailbox.close()
    for reader in readers:
        reader.join(DEADLINE)
    assert taken == [{}, {}, {}]
    assert not mailbox.put('after')
    assert mailbox.take(0) == {}


def test_close_discards_waiting_items():
    mailbox = Mailbox()
    mailbox.put('waiting')
    mailbox.close()
    assert mailbox.take(0) == {}


def test_every_item_is_either_taken_or_overwritten_and_order_holds():
    mailbox = Mailbox()
    count = 20_000
    taken = []

    def read() -> None:
        while items := mailbox.take():
            taken.append(items[''])
            if taken[-1] == count:
                return

    reader = threading.Thread(target=read)
    reader.start()
    overwritten = sum(mailbox.put(item) for item in range(1, count + 1))
    reader.join(DEADLINE)
    assert not reader.is_alive()
    assert taken == sorted(taken)
    assert taken[-1] == count
    assert len(taken) + overwritten == count
