# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The mailbox: the newest item wins, and nothing is lost uncounted."""

import threading
from time import monotonic

from gtr_ros.node.tracker.mailbox import Mailbox

DEADLINE = 10.0


def test_the_newest_item_wins_and_the_overwritten_are_counted():
    mailbox = Mailbox()
    for item in 'abc':
        mailbox.put(item)
    assert mailbox.take(0) == {'': 'c'}
    assert mailbox.overwritten() == 2
    assert mailbox.take(0) == {}


def test_each_sender_has_a_place_of_its_own_and_who_waits_longest_comes_first():
    mailbox = Mailbox()
    for item, sender in (('a', 'left'), ('b', 'front'), ('c', 'left')):
        mailbox.put(item, sender)
    assert list(mailbox.take(0).items()) == [('left', 'c'), ('front', 'b')]
    assert (mailbox.overwritten('left'), mailbox.overwritten('front')) == (1, 0)


def test_an_item_taken_in_time_is_not_counted_as_overwritten():
    mailbox = Mailbox()
    for item in 'ab':
        mailbox.put(item)
        assert mailbox.take(0) == {'': item}
    assert mailbox.overwritten() == 0


def test_a_falsy_item_is_an_item():
    mailbox = Mailbox()
    mailbox.put(0)
    assert mailbox.take(0) == {'': 0}


def test_take_gives_up_after_its_timeout():
    start = monotonic()
    assert Mailbox().take(0.05) == {}
    assert 0.04 < monotonic() - start < DEADLINE


def test_a_waiting_reader_gets_what_is_put():
    mailbox = Mailbox()
    taken = []
    reader = threading.Thread(target=lambda: taken.append(mailbox.take(DEADLINE)))
    reader.start()
    mailbox.put('late')
    reader.join(DEADLINE)
    assert taken == [{'': 'late'}]


def test_close_wakes_waiting_readers_and_drops_what_comes_later():
    mailbox = Mailbox()
    taken = []
    readers = [threading.Thread(target=lambda: taken.append(mailbox.take())) for _ in range(3)]
    for reader in readers:
        reader.start()
    mailbox.close()
    for reader in readers:
        reader.join(DEADLINE)
    assert taken == [{}, {}, {}]
    mailbox.put('after')
    assert mailbox.take(0) == {}
    assert mailbox.closed


def test_close_throws_away_what_waits():
    mailbox = Mailbox()
    mailbox.put('waiting')
    mailbox.close()
    assert mailbox.take(0) == {}


def test_every_item_is_either_taken_or_counted_and_order_holds():
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
    for item in range(1, count + 1):
        mailbox.put(item)
    reader.join(DEADLINE)
    assert not reader.is_alive()
    assert taken == sorted(taken)
    assert taken[-1] == count
    assert len(taken) + mailbox.overwritten() == count
