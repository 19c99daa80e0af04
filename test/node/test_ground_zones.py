# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Zones on the ground, over DDS: events of those who walk through them; and people_msgs."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Transform
from geometry_msgs.msg import TransformStamped
from geometry_msgs.msg import Vector3
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
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray

from gtr_ros.msg import Counts
from gtr_ros.msg import TrackEvent
from gtr_ros.msg import TrackEventArray
from gtr_ros.node.messages.images import array_to_image

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
FOCAL = 100.0
#: metres: of the camera above the ground, of the walker ahead of it, and between two images
CAMERA, AHEAD, STEP = 1.0, 4.0, 0.15
THICKNESS = 0.085
ZONES = """
zones:
  - {name: bay, kind: area, unit: metre, corners: [[3, -0.5], [5, -0.5], [5, 0.4], [3, 0.4]]}
  - {name: gate, kind: line, unit: metre, corners: [[3, 0.0], [5, 0.0]]}
  - {name: beside, kind: area, unit: metre, corners: [[6, -3], [9, -3], [9, 3], [6, 3]]}
  - {name: two, kind: area, unit: metre, corners: [[0, 0], [1, 1]]}
  - {name: flat, kind: area, unit: metre, corners: [[0, 0], [1, 1], [2, 2]]}
  - {name: odd, kind: area, unit: feet, corners: [[0, 0], [1, 0], [1, 1]]}
  - {name: nan, kind: line, unit: metre, corners: [[0, .nan], [1, 0]]}
"""
FAULTS = (
    "zone 'two' is left out: it has 2 corners; expected 3 to 1000 for kind area",
    "zone 'flat' is left out: its corners lie on one line",
    "zone 'odd' is left out: its unit is 'feet'; expected one of fraction, pixel, metre",
    "zone 'nan' is left out: a corner is [0, nan]; expected two finite numbers",
)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def running(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """Run a node with the boxes of another detector, depth, and a camera that looks along x."""
    zones = tmp_path_factory.mktemp('zones') / 'zones.yaml'
    zones.write_text(ZONES)
    parameters = {
        'checkpoint': 'random',
        'runtime': 'torch',
        'threads': 1,
        'detections_topic': 'boxes',
        'depth': 'true',
        'depth_slop': 0.0,
        'target_frame': 'odom',
        'zones_file': zones,
        'min_hits': 1,
        'people': 'true' if find_spec('people_msgs') else 'false',
    }
    with tracker_node('__ns:=/yard', **parameters) as node, robot() as user:
        node.wait_for_output('tracking on /yard/image')
        static = user.node.create_publisher(TFMessage, '/tf_static', LATCHED)
        turn = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
        mount = Transform(translation=Vector3(z=CAMERA), rotation=turn)
        header = Header(frame_id='odom')
        stamped = TransformStamped(header=header, child_frame_id='optical', transform=mount)
        static.publish(TFMessage(transforms=[stamped]))
        kept = {
            name: user.subscribe(kind, f'/yard/tracker/{name}', qos)
            for name, kind, qos in (
                ('detections', Detection2DArray, 10),
                ('events', TrackEventArray, 10),
                ('counts', Counts, LATCHED),
            )
        }
        yield SimpleNamespace(node=node, user=user, kept=kept, static=static)


def show(running: SimpleNamespace, side: float, name: str = 'person') -> Detection2DArray:
    """Publish an image of somebody at (AHEAD, side), metres; return the detections."""
    left, right = (WIDTH / 2 - FOCAL * (side + s) / AHEAD for s in (0.25, -0.25))
    top, bottom = (HEIGHT / 2 - FOCAL * (z - CAMERA) / AHEAD for z in (1.7, 0.0))
    metres = np.full((HEIGHT, WIDTH), AHEAD - THICKNESS, '<f4')
    intrinsics = [FOCAL, 0, WIDTH / 2 - 0.5, 0, FOCAL, HEIGHT / 2 - 0.5, 0, 0, 1.0]

    def messages(header: Header) -> list[tuple[str, object]]:
        box = np.array([[left, top, right, bottom], [0, 0, 1, 1]], np.float32)
        found = boxes_message(header, name=name, boxes=box)
        found.detections = found.detections[:1]
        depth = Image(header=header, height=HEIGHT, width=WIDTH, encoding='32FC1', step=4 * WIDTH)
        depth.data = array('B', metres.tobytes())
        info = CameraInfo(header=header, width=WIDTH, height=HEIGHT, k=np.array(intrinsics))
        return [
            ('/yard/camera_info', info),
            ('/yard/depth', depth),
            ('/yard/image', array_to_image(picture(), header)),
            ('/yard/boxes', found),
        ]

    return running.user.exchange(messages, running.kept['detections'])


def wait(running: SimpleNamespace, condition) -> None:
    assert running.user.spin_until(condition), running.node.output


def test_bad_zones_are_one_line_each_and_counted(running):
    output = running.node.output
    assert [output.count(fault) for fault in FAULTS] == [1] * len(FAULTS)
    wait(running, lambda: running.kept['counts'])
    counts = running.kept['counts'][-1]
    assert [zone.zone for zone in counts.zones] == ['bay', 'beside']
    assert [line.line for line in counts.lines] == ['gate']
    reports = running.user.subscribe(DiagnosticArray, '/diagnostics')

    def counted() -> bool:
        values = {v.key: v.value for m in reports for s in m.status for v in s.values}
        return values.get('refused_zones') == str(len(FAULTS))

    wait(running, counted)


def test_somebody_who_walks_through_is_reported_with_the_zone(running):
    kept = running.kept
    places = np.arange(-1.05, 1.2, STEP)
    [detection] = [show(running, side) for side in places][-1].detections
    wait(running, lambda: any(zone.left for zone in kept['counts'][-1].zones))
    own = [
        (event.kind, event.zone, event.direction, event.reason, event.id, event.class_id)
        for message in kept['events']
        for event in message.events
        if event.zone
    ]
    rest = ('', detection.id, 'person')
    assert own == [
        (TrackEvent.ENTERED_ZONE, 'bay', '', *rest),
        # To the left of somebody who looks along the line, away from the camera.
        (TrackEvent.CROSSED_LINE, 'gate', 'right_to_left', *rest),
        (TrackEvent.LEFT_ZONE, 'bay', '', *rest),
    ]
    # 0.9 m and the margin of 0.2 m, at 1.5 m/s.
    [left] = [e for m in kept['events'] for e in m.events if e.kind == TrackEvent.LEFT_ZONE]
    assert left.seconds == pytest.approx(0.7, abs=0.2)
    counts = kept['counts'][-1]
    assert [(z.inside, z.entered, z.left) for z in counts.zones] == [(0, 1, 1), (0, 0, 0)]
    assert [(c.left_to_right, c.right_to_left) for c in counts.lines] == [(0, 1)]


@pytest.mark.skipif(not find_spec('people_msgs'), reason='needs people_msgs')
def test_people_are_also_published_as_people_msgs(running):
    from people_msgs.msg import People

    people = running.user.subscribe(People, '/yard/tracker/people')
    assert running.user.call(Trigger, '/yard/tracker/reset').success
    for side in np.arange(-1.05, 0.5, STEP):
        message = show(running, side)
    wait(running, lambda: people and people[-1].header.stamp == message.header.stamp)
    assert people[-1].header.frame_id == 'odom'
    [person] = people[-1].people
    assert person.name == message.detections[0].id
    assert person.reliability == pytest.approx(0.9)
    place, speed = person.position, person.velocity
    assert (place.x, place.y) == pytest.approx((AHEAD, side), abs=0.1)
    assert (speed.x, speed.y) == pytest.approx((0, 10 * STEP), abs=0.3)
    tags = dict(zip(person.tagnames, person.tags, strict=True))
    assert tags['coasted'] == 'false'
    assert float(tags['age']) == pytest.approx(1.0, abs=0.3)
    # Nothing else is a person.
    count = len(people)
    message = show(running, -1.0, 'forklift')
    wait(running, lambda: len(people) > count)
    assert message.detections[0].id not in {p.name for m in people for p in m.people}
