# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bag is played as it was recorded: topics, types, order, times, latched topics."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
import subprocess
import sys

import numpy as np
from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import process
from node_processes import ros_environment
from robot import Robot
from robot import robot
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from writers import bag_image_message

from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import make_header
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS

pytestmark = pytest.mark.ros

PLAYER = [sys.executable, REPOSITORY / 'tools' / 'play_bag.py']
START, STEP = 500 * NANOSECONDS, NANOSECONDS // 10
NEVER = QosTime(2147483647, 4294967295)
LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    NEVER,
    NEVER,
    QosLiveliness.AUTOMATIC,
    NEVER,
    False,
)
OTHER = 'elsewhere_msgs/msg/Thing'


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def bag(tmp_path_factory) -> Path:
    """Write six images, a latched header before them, and a message of an unknown type."""
    path = tmp_path_factory.mktemp('bags') / 'run'
    store = get_typestore(Stores.ROS2_JAZZY)
    store.register(get_types_from_msg('int32 value', OTHER))
    with Writer(path, version=9, storage_plugin=STORAGES['mcap']) as writer:
        latched = writer.add_connection(
            '/played/note', 'std_msgs/msg/Header', typestore=store, offered_qos_profiles=[LATCHED]
        )
        images = writer.add_connection('/played/image', IMAGE, typestore=store)
        others = writer.add_connection('/played/thing', OTHER, typestore=store)
        note = make_header(7, 'note')
        writer.write(latched, START - STEP, store.serialize_cdr(note, 'std_msgs/msg/Header'))
        writer.write(others, START, store.serialize_cdr(store.types[OTHER](3), OTHER))
        for i in range(6):
            message = bag_image_message(START + i * STEP, pixels(i), frame_id='optical')
            writer.write(images, START + i * STEP, store.serialize_cdr(message, IMAGE))
    return path


def pixels(i: int) -> np.ndarray:
    return np.random.default_rng(i).integers(0, 256, (6, 8, 3), np.uint8)


def subscribe(user: Robot, kind: type, topic: str, depth: int = 100) -> list:
    """Subscribe before anybody publishes."""
    kept: list = []
    user.node.create_subscription(kind, topic, kept.append, depth)
    return kept


def test_messages_arrive_as_they_are_in_their_order_and_with_the_time_of_the_bag(bag):
    with robot() as user:
        images = subscribe(user, Image, '/played/image')
        notes = subscribe(user, Header, '/played/note')
        clock = subscribe(user, Clock, '/clock')
        with process(*PLAYER, bag, '--clock', '--wait', '30', '--speed', '0.5') as player:
            assert user.spin_until(lambda: len(images) == 6 and notes), player.output
            player.wait_for_output('published 7 messages')
            assert player.wait() == 0
            assert '/played/thing is left out: its type elsewhere_msgs/msg/Thing' in player.output
    assert [note.frame_id for note in notes] == ['note']
    stamps = [stamp_to_nanoseconds(image.header.stamp) for image in images]
    assert stamps == [START + i * STEP for i in range(6)]
    for i, image in enumerate(images):
        assert (image.header.frame_id, image.encoding) == ('optical', 'rgb8')
        np.testing.assert_array_equal(np.reshape(image.data, (6, 8, 3)), pixels(i))
    times = [stamp_to_nanoseconds(message.clock) for message in clock]
    assert times == sorted(times)
    assert times[0] >= START - STEP
    assert times[-1] <= START + 5 * STEP
    # In the bag's pauses, too: it is no clock that stands still between images.
    assert len({time for time in times if START < time < START + STEP}) > 1


def test_a_latched_topic_is_played_as_one(bag):
    from rclpy.qos import QoSDurabilityPolicy
    from rclpy.qos import QoSProfile

    latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
    with robot() as user, process(*PLAYER, bag, '--wait', '0', '--speed', '0.01'):
        # The player is in the middle of the bag, after the message, for ten seconds.
        notes = user.subscribe(Header, '/played/note', latched)
        assert user.spin_until(lambda: len(notes) == 1)


@pytest.mark.parametrize(
    ('arguments', 'code', 'words'),
    [
        (['nowhere'], 1, 'nowhere: no such bag'),
        (['nowhere', '--speed', '0'], 2, '--speed is 0.0; expected a number above 0'),
    ],
)
def test_what_cannot_be_played_is_one_line(arguments, code, words):
    run = subprocess.run([*PLAYER, *arguments], capture_output=True, text=True, timeout=120)
    assert run.returncode == code
    assert words in run.stderr
    assert 'Traceback' not in run.stderr
