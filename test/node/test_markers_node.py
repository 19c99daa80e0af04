# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node publishes markers and zones over DDS, and rviz and Foxglove are told their topics."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
import json
from types import SimpleNamespace

import numpy as np
from paths import REPOSITORY
import pytest
import yaml

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from geometry_msgs.msg import TransformStamped
from node_processes import ros_environment
from node_processes import tracker_node
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from robot import boxes_message
from robot import HEIGHT
from robot import picture
from robot import robot
from robot import WIDTH
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

from gtr_ros.msg import FollowedState
from gtr_ros.msg import Track3DArray
from gtr_ros.msg import Zone
from gtr_ros.msg import ZoneArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.srv import Follow

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
DISTANCE = 3.0
ZONES = """
zones:
  - {name: door, kind: area, corners: [[0.25, 0], [0.75, 0], [0.75, 1]]}
  - {name: bay, kind: area, unit: metre, corners: [[0, -5], [9, -5], [9, 5], [0, 5]]}
  - {name: broken, kind: area, corners: [[0, 0], [1, 1]]}
"""


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Run a node that tracks the boxes of another detector in metres; and a robot."""
    zones = tmp_path_factory.mktemp('zones') / 'zones.yaml'
    zones.write_text(ZONES)
    parameters = {
        'checkpoint': 'random',
        'runtime': 'torch',
        'threads': 1,
        'detections_topic': 'boxes',
        'depth': 'true',
        'target_frame': 'odom',
        'zones_file': zones,
        'min_hits': 1,
    }
    with tracker_node('__ns:=/rviz', **parameters) as node, robot() as user:
        node.wait_for_output('tracking on /rviz/image')
        static = user.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        # The camera looks along x of odom, where z is up.
        mount = TransformStamped(header=Header(frame_id='odom'), child_frame_id='optical')
        turn = mount.transform.rotation
        turn.x, turn.y, turn.z, turn.w = -0.5, 0.5, -0.5, 0.5
        static.publish(TFMessage(transforms=[mount]))
        tracks = user.subscribe(Track3DArray, '/rviz/tracker/tracks_with_velocity')
        yield SimpleNamespace(node=node, user=user, tracks=tracks)


def show(running: SimpleNamespace) -> Track3DArray:
    """Publish an image with two boxes and their depth; return the tracks in metres."""
    metres = np.full((HEIGHT, WIDTH), DISTANCE, '<f4')
    intrinsics = np.array([100.0, 0, WIDTH / 2, 0, 100.0, HEIGHT / 2, 0, 0, 1.0])

    def messages(header: Header) -> list[tuple[str, object]]:
        depth = Image(header=header, height=HEIGHT, width=WIDTH, encoding='32FC1')
        depth.step, depth.data = 4 * WIDTH, array('B', metres.tobytes())
        info = CameraInfo(header=header, width=WIDTH, height=HEIGHT, k=intrinsics)
        return [
            ('/rviz/camera_info', info),
            ('/rviz/depth', depth),
            ('/rviz/image', array_to_image(picture(), header)),
            ('/rviz/boxes', boxes_message(header)),
        ]

    return running.user.exchange(messages, running.tracks)


def answer(running: SimpleNamespace, kept: list, header: Header):
    """Return the message with the stamp of an image."""

    def found(message) -> bool:
        # Markers have theirs in each.
        own = message.markers[0].header if isinstance(message, MarkerArray) else message.header
        return own.stamp == header.stamp

    assert running.user.spin_until(lambda: any(map(found, kept))), running.node.output
    return next(filter(found, kept))


def test_tracks_are_marked_where_they_are_and_the_followed_one_says_so(running):
    user = running.user
    markers = user.subscribe(MarkerArray, '/rviz/tracker/tracks_3d/markers')
    show(running)
    tracks = show(running)
    assert len(tracks.tracks) == 2
    shown = answer(running, markers, tracks.header).markers
    assert {each.header.frame_id for each in shown} == {'odom'}
    bodies = {each.id: each.pose.position for each in shown if each.ns == 'objects'}
    assert bodies == {int(track.id): track.pose.pose.position for track in tracks.tracks}
    assert all(DISTANCE <= place.x < DISTANCE + 1 for place in bodies.values())
    first, second = (track.id for track in tracks.tracks)
    assert user.call(Follow, '/rviz/tracker/follow', id=second).success
    states = user.subscribe(FollowedState, '/rviz/tracker/followed/state', LATCHED)
    tracks = show(running)
    labels = {
        each.id: each.text
        for each in answer(running, markers, tracks.header).markers
        if each.ns == 'labels'
    }
    assert labels[int(second)].startswith(f'following {second} ')
    assert labels[int(first)].startswith(f'{first} ')
    assert user.spin_until(lambda: states and states[-1].state == FollowedState.FOLLOWING)


def test_who_comes_late_is_told_the_zones(running):
    zones = running.user.subscribe(ZoneArray, '/rviz/tracker/zones', LATCHED)
    assert running.user.spin_until(lambda: zones)
    assert zones[-1].header.frame_id == 'odom'
    assert [(zone.name, zone.unit) for zone in zones[-1].zones] == [
        ('door', Zone.FRACTION),
        ('bay', Zone.METRE),
    ]
    for _ in range(5):  # until both are known to be there
        show(running)
    kept = running.user.subscribe(MarkerArray, '/rviz/tracker/zones/markers', LATCHED)
    # Both objects are in the bay, and the door is in the image.
    said = ['bay: 2 inside, 2 entered, 0 left']
    assert running.user.spin_until(
        lambda: kept and [m.text for m in kept[-1].markers if m.text] == said
    ), kept


def rviz_topics() -> Iterator[tuple[str, str, str, QoSDurabilityPolicy]]:
    """Yield the file, the class, the topic and the durability of each display of rviz."""
    for path in sorted((REPOSITORY / 'config').glob('*.rviz')):
        manager = yaml.safe_load(path.read_text())['Visualization Manager']
        for display in manager['Displays']:
            if topic := display.get('Topic'):
                name = topic['Durability Policy'].upper().replace(' ', '_')
                kind = display['Class'].removeprefix('rviz_default_plugins/')
                yield path.name, kind, topic['Value'], QoSDurabilityPolicy[name]


DISPLAYED = {
    'Image': 'sensor_msgs/msg/Image',
    'MarkerArray': 'visualization_msgs/msg/MarkerArray',
    'PointCloud2': 'sensor_msgs/msg/PointCloud2',
    'Pose': 'geometry_msgs/msg/PoseStamped',
}


def test_rviz_shows_only_topics_that_exist_with_their_types(running):
    displays = list(rviz_topics())
    assert {file for file, *_ in displays} == {'tracker.rviz', 'tracker_in_metres.rviz'}
    for file, kind, topic, durability in displays:
        [publisher] = running.user.node.get_publishers_info_by_topic(f'/rviz/{topic}')
        assert publisher.topic_type == DISPLAYED[kind], (file, topic)
        assert publisher.qos_profile.durability == durability, (file, topic)


def test_foxglove_shows_only_topics_that_exist(running):
    layout = json.loads((REPOSITORY / 'config/foxglove_layout.json').read_text())
    panels = layout['configById']
    topics = [*panels['3D!objects']['topics'], panels['Image!tracks']['imageMode']['imageTopic']]
    topics += [path['value'].removesuffix('.data') for path in panels['Plot!times']['paths']]
    assert len(topics) == 8
    for topic in topics:
        assert running.user.node.get_publishers_info_by_topic(f'/rviz{topic}'), topic
