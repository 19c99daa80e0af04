# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node follows an object, reports events and publishes pictures, over DDS."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
import math
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import tracker_node
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from robot import boxes_message
from robot import HEIGHT
from robot import picture
from robot import Robot
from robot import robot
from robot import WIDTH
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

from gtr_ros.media.pixels import decompress
from gtr_ros.msg import Counts
from gtr_ros.msg import Crop
from gtr_ros.msg import FollowedState
from gtr_ros.msg import TrackEvent
from gtr_ros.msg import TrackEventArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.srv import Follow

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
FOCAL = 100.0
#: metres, of the left and the right half of the image
NEAR, FAR = 2.0, 4.0
LEFT, RIGHT = [10, 20, 40, 80], [70, 10, 100, 60]
ZONES = """
zones:
  - {name: door, kind: area, unit: pixel, corners: [[50, 0], [128, 0], [128, 96], [50, 96]]}
  - {name: broken, kind: area, corners: [[0, 0], [1, 1]]}
  - {name: bay, kind: area, unit: metre, corners: [[0, 0], [1, 0], [1, 1]]}
"""


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Run a node that tracks the boxes of another detector, with depth; and a robot."""
    zones = tmp_path_factory.mktemp('zones') / 'zones.yaml'
    zones.write_text(ZONES)
    parameters = {
        'checkpoint': 'random',
        'runtime': 'torch',
        'threads': 1,
        'detections_topic': 'boxes',
        'depth': 'true',
        'depth_slop': 0.0,
        'zones_file': zones,
        'min_hits': 1,
        'left_after': 0.5,
        'follow_hidden': 1.0,
    }
    with tracker_node('__ns:=/watch', **parameters) as node, robot() as user:
        node.wait_for_output('tracking on /watch/image')
        topics = {
            'detections': (Detection2DArray, 10),
            'events': (TrackEventArray, 10),
            'counts': (Counts, LATCHED),
            'followed/state': (FollowedState, LATCHED),
            'followed/pose': (PoseStamped, 10),
        }
        kept = {
            name: user.subscribe(kind, f'/watch/tracker/{name}', qos)
            for name, (kind, qos) in topics.items()
        }
        kept['tf'] = user.subscribe(TFMessage, '/tf')
        yield SimpleNamespace(node=node, user=user, kept=kept)


def show(running: SimpleNamespace, *boxes: list[int]) -> Detection2DArray:
    """Publish an image with its depth and these boxes; return the detections."""
    metres = np.full((HEIGHT, WIDTH), NEAR, '<f4')
    metres[:, WIDTH // 2 :] = FAR
    intrinsics = np.array([FOCAL, 0, WIDTH / 2, 0, FOCAL, HEIGHT / 2, 0, 0, 1.0])

    def messages(header):
        found = boxes_message(header)
        found.detections = found.detections[: len(boxes)]
        for detection, (x1, y1, x2, y2) in zip(found.detections, boxes):
            box = detection.bbox
            box.center.position.x, box.center.position.y = (x1 + x2) / 2, (y1 + y2) / 2
            box.size_x, box.size_y = float(x2 - x1), float(y2 - y1)
        depth = Image(
            header=header,
            height=HEIGHT,
            width=WIDTH,
            encoding='32FC1',
            step=4 * WIDTH,
            data=array('B', metres.tobytes()),
        )
        info = CameraInfo(header=header, width=WIDTH, height=HEIGHT, k=intrinsics)
        return [
            ('/watch/camera_info', info),
            ('/watch/depth', depth),
            ('/watch/image', array_to_image(picture(), header)),
            ('/watch/boxes', found),
        ]

    return running.user.exchange(messages, running.kept['detections'])


def events_of(running: SimpleNamespace) -> list[tuple[int, str, str]]:
    return [
        (event.kind, event.zone, event.reason)
        for message in running.kept['events']
        for event in message.events
    ]


def follow(user: Robot, **request) -> Follow.Response:
    return user.call(Follow, '/watch/tracker/follow', **request)


def wait(running: SimpleNamespace, condition) -> None:
    assert running.user.spin_until(condition), running.node.output


def test_bad_zones_are_named_and_the_node_goes_on(running):
    output = running.node.output
    for fault in (
        "'broken' is left out: it has 2 corners",
        "'bay' is left out: its unit is metre",
    ):
        assert output.count(fault) == 1
    # The latched counters are there before the first image.
    wait(running, lambda: running.kept['counts'])
    assert [zone.zone for zone in running.kept['counts'][-1].zones] == ['door']


def test_the_chosen_object_is_published_with_pose_frame_and_state(running):
    user, kept = running.user, running.kept
    states = kept['followed/state']
    wait(running, lambda: states and states[-1].state == FollowedState.NONE)
    left, right = (int(d.id) for d in show(running, LEFT, RIGHT).detections)
    # The right box is at a greater distance, so the left one is the nearest.
    answer = follow(user, id='nearest')
    assert (answer.success, answer.id) == (True, str(left)), answer.message
    header = show(running, LEFT, RIGHT).header
    wait(running, lambda: kept['followed/pose'] and kept['followed/pose'][-1].header == header)
    place = kept['followed/pose'][-1].pose.position
    # 0.5 pixels: calibrations count from the centre of the first pixel.
    expected = (25 - WIDTH / 2 - 0.5) / FOCAL * NEAR, (50 - HEIGHT / 2 - 0.5) / FOCAL * NEAR, NEAR
    np.testing.assert_allclose((place.x, place.y, place.z), expected, atol=1e-5)
    wait(running, lambda: kept['tf'] and kept['tf'][-1].transforms[0].header == header)
    [transform] = kept['tf'][-1].transforms
    assert (transform.child_frame_id, transform.header.frame_id) == ('followed', 'optical')
    assert transform.transform.translation.z == pytest.approx(NEAR)
    header = show(running, LEFT, RIGHT).header
    wait(running, lambda: states[-1].state == FollowedState.FOLLOWING)
    assert states[-1].id == str(left)
    wait(running, lambda: not math.isnan(states[-1].distance))
    assert states[-1].distance == pytest.approx(float(np.linalg.norm(expected)), abs=1e-4)
    # A pixel chooses the other one.
    answer = follow(user, id='pixel', x=80.0, y=30.0)
    assert (answer.success, answer.id) == (True, str(right))
    # While it is not seen there is no pose, and nobody else is taken for it.
    wait(running, lambda: kept['followed/pose'][-1].header == header)
    poses = len(kept['followed/pose'])
    for _ in range(8):
        show(running, LEFT)
    wait(running, lambda: states[-1].state == FollowedState.HIDDEN)
    assert states[-1].id == str(right)
    assert len(kept['followed/pose']) == poses
    for _ in range(6):
        show(running, LEFT)
    wait(running, lambda: states[-1].state == FollowedState.LOST)
    answer = user.call(Trigger, '/watch/tracker/unfollow')
    assert answer.success
    wait(running, lambda: states[-1].state == FollowedState.NONE)


@pytest.mark.parametrize(
    ('request_', 'reason'),
    [
        ({'id': '4711'}, 'no confirmed object has the id'),
        ({'id': 'the red one'}, 'no confirmed object has the id'),
        ({'id': 'pixel', 'x': 1.0, 'y': 1.0}, 'no confirmed object at pixel (1, 1)'),
        ({'id': 'pixel', 'x': math.nan, 'y': 1.0}, 'no confirmed object at pixel'),
        ({'id': 'nearest', 'camera': 'rear'}, "no camera 'rear'"),
    ],
)
def test_requests_that_name_no_object_are_refused(running, request_, reason):
    show(running, LEFT, RIGHT)
    answer = follow(running.user, **request_)
    assert not answer.success
    assert reason in answer.message
    assert '\n' not in answer.message
    assert show(running, LEFT, RIGHT).detections


def test_refused_zones_and_requests_are_counted(running):
    follow(running.user, id='4711')
    statuses = running.user.subscribe(DiagnosticArray, '/diagnostics')

    def counted() -> bool:
        values = {v.key: v.value for m in statuses for s in m.status for v in s.values}
        return values.get('refused_zones') == '2' and int(values.get('refused_follows', 0)) >= 1

    wait(running, counted)


def test_events_and_counts_are_published(running):
    kept = running.kept
    show(running, LEFT)
    show(running, LEFT, RIGHT)
    wait(running, lambda: (TrackEvent.ENTERED_ZONE, 'door', '') in events_of(running))
    kinds = {kind for kind, *_ in events_of(running)}
    assert {TrackEvent.APPEARED, TrackEvent.CONFIRMED} <= kinds
    wait(running, lambda: kept['counts'][-1].zones[0].inside == 1)
    for _ in range(8):
        show(running, LEFT)
    wait(running, lambda: (TrackEvent.LEFT_ZONE, 'door', 'lost') in events_of(running))
    assert (TrackEvent.LEFT, '', 'lost') in events_of(running)
    wait(running, lambda: kept['counts'][-1].zones[0].inside == 0)
    answer = running.user.call(Trigger, '/watch/tracker/reset')
    assert answer.success
    wait(running, lambda: (TrackEvent.LEFT, '', 'reset') in events_of(running))


def test_pictures_are_published_while_somebody_subscribes(running):
    show(running, LEFT)
    crops = running.user.subscribe(Crop, '/watch/tracker/crops')
    assert not crops
    for _ in range(3):
        message = show(running, LEFT)
    [detection] = message.detections
    wait(running, lambda: crops)
    crop = crops[0]
    assert crop.id == detection.id
    assert crop.class_id == 'forklift'
    assert crop.bbox == detection.bbox
    assert 0 < crop.quality < 1
    # The box and a tenth around it.
    assert decompress(crop.image).shape == (73, 37, 3)
    assert crop.image.header == crop.header
    assert crop.header.frame_id == 'optical'


def test_a_file_that_is_no_list_of_zones_stops_the_activation(tmp_path):
    path = tmp_path / 'zones.yaml'
    path.write_text('zones: 7\n')
    with tracker_node(checkpoint='random', runtime='torch', threads=1, zones_file=path) as node:
        node.wait_for_output('cannot activate: zones_file:', START_SECONDS)
        assert str(path) in node.output
        assert node.wait() == 1
