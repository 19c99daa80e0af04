# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Faults of publishers, subscribers and other nodes: see the table in docs/trust.md."""

from __future__ import annotations

from collections.abc import Iterator
import signal
import sys

from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from faults import faulty_node
from faults import ids_of
from faults import OBJECTS
from faults import Rig
from faults import rig
from faults import scene
from node_processes import ANSWER_SECONDS
from node_processes import executable
from node_processes import process
from node_processes import ros_environment
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import String

pytestmark = pytest.mark.ros

#: subscribes reliably to the detections of both cameras, says so, and reads nothing
DEAF = """
import signal, sys, time, rclpy
from vision_msgs.msg import Detection2DArray
rclpy.init()
node = rclpy.create_node('deaf')
kept = [node.create_subscription(Detection2DArray, t, print, 1000) for t in sys.argv[1:]]
while not all(node.count_publishers(t) for t in sys.argv[1:]):
    time.sleep(0.05)
print('listening', flush=True)
signal.pause()
"""


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running() -> Iterator[Rig]:
    with rig('/streams') as made:
        yield made


def test_the_process_of_a_publisher_is_killed_and_returns(running, tmp_path):
    still = tmp_path / 'scene.png'
    Picture.fromarray(scene()).save(still)
    camera = [
        *executable('video_publisher'),
        *(still, '--loop', '--rate', '20', '--ros-args', '-r', '__node:=driver'),
        *('-r', f'image:={running.topic("left")}'),
    ]
    user, found = running.user, running.detections['left']
    user.stamp = user.node.get_clock().now().nanoseconds
    before = running.ids('left')
    for _ in range(2):
        newest = user.stamp
        with process(*camera) as driver:
            assert user.spin_until(lambda newest=newest: max(found, default=0) > newest)
            driver.send(signal.SIGKILL)
            driver.wait()
        user.stamp = user.node.get_clock().now().nanoseconds
        after = ids_of(found[max(found)])
        # The start of a process may take longer than a track waits for its object.
        assert after == before or min(after) > max(before)
        before = after
        # Meanwhile the other camera goes on.
        running.ids('right')
    assert user.spin_until(lambda: 'no image on' in running.status['left']['message'])
    assert running.status['left']['level'] == '1'
    running.node.wait_for_output(f'no image on {running.topic("left")}', ANSWER_SECONDS)
    assert len(running.ids('left')) == len(OBJECTS)
    for name in running.cameras:
        running.recount(name)
        running.counted(name)


def test_a_publisher_of_another_type_is_named(running):
    user = running.user
    publisher = user.node.create_publisher(String, running.topic('spare'), 10)
    said = '/robot publishes std_msgs/msg/String there, not sensor_msgs/msg/Image'
    with running.survives():
        publisher.publish(String(data='no image'))
        assert user.spin_until(lambda: said in running.node.output), running.node.output
    user.node.destroy_publisher(publisher)


@pytest.mark.parametrize('reliability', list(QoSReliabilityPolicy)[1:3])
@pytest.mark.parametrize('durability', list(QoSDurabilityPolicy)[1:3])
def test_a_publisher_of_any_quality_of_service_is_received(running, reliability, durability):
    qos = QoSProfile(depth=5, reliability=reliability, durability=durability)
    user, topic = running.user, running.topic('left')
    with running.survives():
        user.replace_publisher(topic, Image, qos)
        assert len(running.exchange('left', scene()).detections) == len(OBJECTS)
        running.recount('left')


@pytest.mark.parametrize('number', [signal.SIGSTOP, signal.SIGKILL])
def test_a_subscriber_that_never_reads_or_is_killed_delays_nobody(running, number):
    topics = [f'/streams/tracker/{name}/detections' for name in running.cameras]
    with running.survives(), process(sys.executable, '-c', DEAF, *topics) as deaf:
        deaf.wait_for_output('listening')
        deaf.send(number)
        for _ in range(50):
            for name in running.cameras:
                assert len(running.exchange(name, scene()).detections) == len(OBJECTS)
        deaf.send(signal.SIGKILL)
        deaf.wait()


def test_subscribers_come_and_go(running):
    node = running.user.node
    with running.survives():
        for _ in range(20):
            subscription = node.create_subscription(
                Image, '/streams/tracker/left/debug_image', lambda message: None, 1
            )
            running.exchange('left', scene())
            node.destroy_subscription(subscription)


def test_publishers_come_and_go(running):
    node, topic = running.user.node, running.topic('left')
    with running.survives():
        for _ in range(20):
            other = node.create_publisher(Image, topic, 10)
            # Both, so that neither has a gap in its stamps that ends tracks.
            for name in running.cameras:
                running.exchange(name, scene())
            node.destroy_publisher(other)


def test_a_flood_from_one_camera_delays_no_other(running):
    user, sent = running.user, 0
    start = user.stamp

    def flood() -> None:
        nonlocal sent
        sent += 1
        running.send('left', scene(), start + 2_000_000 * sent)

    with running.survives(same_ids=False):
        ids = running.ids('right')
        timer = user.node.create_timer(0.002, flood)
        try:
            for _ in range(10):
                assert running.ids('right') == ids
                assert user.spin_until(lambda before=sent: sent >= before + 50)
        finally:
            user.node.destroy_timer(timer)
        user.stamp = max(user.stamp, start + 2_000_000 * sent)
        running.ids('left')
        for name in running.cameras:
            running.recount(name)
        counts = running.counted('left'), running.counted('right')
        assert int(counts[0]['received']) > int(counts[1]['received'])


def test_a_second_node_of_the_same_name_is_reported(running):
    with running.survives(), faulty_node('/streams') as other:
        other.wait_for_output('tracking on')
        said = 'other nodes are also named /streams/tracker'
        assert running.user.spin_until(
            lambda: said in running.node.output and said in other.output
        ), running.node.output
