# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Two cameras whose views overlap, over DDS: an object that both see has one id."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TransformStamped
from node_processes import Process
from node_processes import ros_environment
from node_processes import tracker_node
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from robot import Robot
from robot import robot
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray

from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.structures import Tracks

pytestmark = pytest.mark.ros

HEIGHT, WIDTH, FOCAL = 240, 320, 250.0
#: where the cameras are in map, metres; both look along x, 0.85 m above the ground
CAMERAS = {'front': (0.0, 0.0), 'left': (0.0, 2.0)}
#: people by the number that their clothes are drawn from: x and y, metres
PLACES = {1: (4.0, 1.0), 2: (4.0, -1.5), 3: (4.0, 3.5)}
#: who is listed by the detector, in this order
SEEN = {'front': (2, 1), 'left': (1, 3)}
OPTIONS = {
    'cameras': '[front, left]',
    'threads': 1,
    'runtime': 'torch',
    'detections_topic': 'boxes',
    'target_frame': 'map',
    'depth': 'true',
    'transform_timeout': 2.0,
}


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def box_of(camera: str, person: int) -> np.ndarray:
    """Return where a person is in an image, xyxy, pixels."""
    (x, y), (left, top) = PLACES[person], CAMERAS[camera]
    across = WIDTH / 2 - FOCAL * (y - top) / (x - left)
    half = np.array([0.25, 0.8]) * FOCAL / (x - left)
    middle = np.array([across, HEIGHT / 2])
    return np.concatenate([middle - half, middle + half]).astype(np.float32)


def draw(camera: str) -> tuple[np.ndarray, np.ndarray]:
    """Return an image, and the depth of everything in it, metres."""
    image = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    depth = np.full((HEIGHT, WIDTH), 8.0, '<f4')
    for person in SEEN[camera]:
        x1, y1, x2, y2 = box_of(camera, person).round().astype(int)
        clothes = np.random.default_rng(person).integers(0, 256, (4, 2, 3), np.uint8)
        rows = np.arange(y2 - y1) * 4 // (y2 - y1)
        columns = np.arange(x2 - x1) * 2 // (x2 - x1)
        image[y1:y2, x1:x2] = clothes[rows][:, columns]
        depth[y1:y2, x1:x2] = PLACES[person][0] - 0.085
    return image, depth


class Drivers:
    """The drivers of both cameras, and what the node answers."""

    def __init__(self, user: Robot, node: Process) -> None:
        node.wait_for_output('tracking on /front/image')
        self.user, self.node = user, node
        self.answers = {
            name: user.subscribe(Detection2DArray, f'/tracker/{name}/detections')
            for name in CAMERAS
        }
        self.placed = {
            name: user.subscribe(Detection3DArray, f'/tracker/{name}/tracks_3d')
            for name in CAMERAS
        }
        self.reports = user.subscribe(DiagnosticArray, '/diagnostics')
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        static = user.node.create_publisher(TFMessage, '/tf_static', latched)
        transforms = []
        for name, (x, y) in CAMERAS.items():
            transform = TransformStamped(header=Header(frame_id='map'), child_frame_id=name)
            for axis, value in zip('xyz', (x, y, 0.85)):
                setattr(transform.transform.translation, axis, value)
            # x to the right, y down, z forward
            for axis, value in zip('xyzw', (-0.5, 0.5, -0.5, 0.5)):
                setattr(transform.transform.rotation, axis, value)
            transforms.append(transform)
        static.publish(TFMessage(transforms=transforms))

    def send(self) -> None:
        """Publish an image of each camera, and wait for the detections, unless one is lost."""
        stamp = self.user.header().stamp
        for name in CAMERAS:
            header = Header(stamp=stamp, frame_id=name)
            image, depth = draw(name)
            people = SEEN[name]
            boxes = Tracks(
                ids=np.array(people),
                boxes=np.array([box_of(name, person) for person in people]),
                scores=np.full(len(people), 0.9, np.float32),
                labels=np.zeros(len(people), np.int64),
                confirmed=np.ones(len(people), bool),
            )
            info = CameraInfo(header=header, width=WIDTH, height=HEIGHT)
            info.k = np.array(
                [[FOCAL, 0, WIDTH / 2 - 0.5], [0, FOCAL, HEIGHT / 2 - 0.5], [0, 0, 1]]
            ).ravel()
            metres = Image(header=header, height=HEIGHT, width=WIDTH, encoding='32FC1')
            metres.step, metres.data = 4 * WIDTH, array('B', depth.tobytes())
            self.user.publish(f'/{name}/camera_info', info)
            self.user.publish(f'/{name}/depth', metres)
            self.user.publish(f'/{name}/boxes', detections_message(boxes, header, ['person']))
            self.user.publish(f'/{name}/image', array_to_image(image, header))
        self.user.spin_until(
            lambda: all(a and a[-1].header.stamp == stamp for a in self.answers.values()), 2
        )

    def run(self, images: int = 8) -> dict[str, dict[int, set[str]]]:
        """Publish until everybody was published for some images; return all ids that they had."""
        for _ in range(60):
            self.send()
            counts = [len(m.detections) for a in self.answers.values() for m in a]
            if sum(count == 2 for count in counts) >= 2 * images:
                break
        found = {name: {person: set() for person in people} for name, people in SEEN.items()}
        for name, messages in self.answers.items():
            for detection in (d for message in messages for d in message.detections):
                middle = detection.bbox.center.position.x
                gaps = {p: abs(box_of(name, p)[[0, 2]].mean() - middle) for p in SEEN[name]}
                person = min(gaps, key=gaps.get)
                assert gaps[person] < 5
                found[name][person].add(detection.id)
        return found


def test_an_object_that_two_cameras_see_has_one_id_from_the_first_message_on():
    with tracker_node(share_ids='true', **OPTIONS) as node, robot() as user:
        drivers = Drivers(user, node)
        found = drivers.run()
        both = found['front'][1]
        assert len(both) == 1, node.output
        assert found['left'][1] == both
        ids = both | found['front'][2] | found['left'][3]
        assert len(ids) == 3
        for name, people in SEEN.items():
            assert drivers.user.spin_until(
                lambda name=name: any(len(m.detections) == 2 for m in drivers.placed[name])
            )
            expected = set().union(*(found[name][person] for person in people))
            assert {d.id for m in drivers.placed[name] for d in m.detections} == expected
        seen = len(drivers.reports)
        assert user.spin_until(lambda: len(drivers.reports) >= seen + 2)
        joins = [
            int(value.value)
            for status in drivers.reports[-1].status
            for value in status.values
            if value.key == 'joins'
        ]
        assert sum(joins) == 1


def test_without_the_parameter_each_camera_has_ids_of_its_own():
    with tracker_node(**OPTIONS) as node, robot() as user:
        found = Drivers(user, node).run(3)
        assert found == {'front': {2: {'1'}, 1: {'2'}}, 'left': {1: {'1'}, 3: {'2'}}}
