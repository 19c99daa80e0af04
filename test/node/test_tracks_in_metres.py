# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot drives past rendered people: the node tracks them in odom, over DDS, with all faults."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from opengl import needs_opengl
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
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray

from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.rendering import Frame
from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.tracking.footprints import POINT
from gtr_ros.tracking.footprints import UNKNOWN_SIZE

pytestmark = [pytest.mark.ros, needs_opengl]

SCENE = PeopleScene.parse(
    'people:objects=4,camera=drive,fov=69,rate=10,duration=4,size=240x320,seed=3'
)
TIMEOUT = 2.0  # s
#: the camera on the robot: forward of its middle, looking ahead
MOUNT = np.array([[0, 0, 1, 0.2], [-1, 0, 0, 0], [0, -1, 0, 0.4], [0, 0, 0, 1]], float)
#: metres, within which a track is that of a person
NEAR = 0.7


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def frames() -> list[Frame]:
    scene = generate(SCENE)
    return [scene.frame(t) for t in range(len(scene))]


def transform(header: Header, parent: str, child: str, pose: np.ndarray) -> TransformStamped:
    message = TransformStamped(header=Header(stamp=header.stamp, frame_id=parent))
    message.child_frame_id = child
    for name, value in zip('xyz', pose[:3, 3].tolist()):
        setattr(message.transform.translation, name, value)
    for name, value in zip('xyzw', Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()):
        setattr(message.transform.rotation, name, value)
    return message


class Drive:
    """The robot's drivers: they publish a frame's messages, and keep what the node answers."""

    def __init__(self, user: Robot, node: Process, depth: bool = True) -> None:
        self.user, self.node, self.depth = user, node, depth
        node.wait_for_output('tracking on /image')
        self.detections = user.subscribe(Detection2DArray, '/tracker/detections')
        self.placed = user.subscribe(Detection3DArray, '/tracker/tracks_3d')
        self.moving = user.subscribe(Track3DArray, '/tracker/tracks_with_velocity')
        self.outlines = user.subscribe(PointCloud2, '/tracker/obstacles')
        self.reports = user.subscribe(DiagnosticArray, '/diagnostics')
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        static = user.node.create_publisher(TFMessage, '/tf_static', latched)
        mount = transform(Header(), 'base_link', 'optical', MOUNT)
        static.publish(TFMessage(transforms=[mount]))

    def send(self, frame: Frame, fault: str = '') -> Header:
        """Publish a frame; fault: what is wrong with it."""
        header = self.user.header()
        height, width = frame.depth.shape
        k = frame.intrinsics.copy()
        k[:2, 2] -= 0.5
        values = frame.depth.astype('<f4')
        if fault == 'zero depth':
            values = np.zeros_like(values)
        elif fault == 'nan depth':
            values = np.full_like(values, np.nan)
        elif fault == 'narrow depth':
            values = np.ascontiguousarray(values[:, : width // 2])
        info = CameraInfo(header=header, width=width, height=height)
        if fault != 'no calibration':
            info.k = k.ravel()
        self._publish('/camera_info', info)
        if self.depth:
            depth = Image(header=header, height=height, width=values.shape[1], encoding='32FC1')
            depth.step, depth.data = 4 * values.shape[1], array('B', values.tobytes())
            self._publish('/depth', depth)
        if fault != 'no transform':
            self.move(frame, header)
        self._publish('/image', array_to_image(frame.image, header))
        return header

    def move(self, frame: Frame, header: Header) -> None:
        """Publish where the robot was at a frame."""
        pose = frame.camera @ np.linalg.inv(MOUNT)
        message = TFMessage(transforms=[transform(header, 'odom', 'base_link', pose)])
        self._publish('/tf', message)

    def exchange(self, frame: Frame, fault: str = '') -> Track3DArray:
        """Publish a frame until its tracks arrive: best effort may lose an image."""
        for _ in range(3):
            header = self.send(frame, fault)
            if self.user.spin_until(lambda h=header: self.answer(self.moving, h) is not None, 5):
                return self.answer(self.moving, header)
        raise AssertionError(f'no tracks for three images:\n{self.node.output}')

    def detect(self, frame: Frame, fault: str) -> Header:
        """Publish a frame until its detections arrive, and return its header."""
        for _ in range(3):
            header = self.send(frame, fault)
            if self.user.spin_until(
                lambda h=header: self.answer(self.detections, h) is not None, TIMEOUT / 2
            ):
                return header
        raise AssertionError(f'no detections for three images:\n{self.node.output}')

    def has_tracks(self, header: Header) -> bool:
        """Take what has arrived; return whether the tracks of an image are among it."""
        return self.user.spin_until(lambda: self.answer(self.moving, header) is not None, 0.5)

    @staticmethod
    def answer(messages: list, header: Header):
        return next((m for m in messages if m.header.stamp == header.stamp), None)

    def counters(self) -> dict[str, str]:
        """Wait for a report that was made after this call, and return it."""
        seen = len(self.reports)
        assert self.user.spin_until(lambda: len(self.reports) >= seen + 2)
        return {value.key: value.value for value in self.reports[-1].status[0].values}

    def _publish(self, topic: str, message: object) -> None:
        self.user.publish(topic, message)
        self.user.spin_until(lambda: False, 0.02)


@pytest.fixture(scope='module')
def drive() -> Iterator[Drive]:
    options = {'threads': 1, 'runtime': 'torch', 'target_frame': 'odom', 'class_names': '[person]'}
    with tracker_node(depth='true', transform_timeout=TIMEOUT, **options) as node, robot() as user:
        yield Drive(user, node)


def position(track: Track3D) -> np.ndarray:
    point = track.pose.pose.position
    return np.array([point.x, point.y, point.z])


def velocity(track: Track3D) -> np.ndarray:
    return np.array([track.twist.twist.linear.x, track.twist.twist.linear.y])


def errors_of(drive: Drive, frames: list[Frame]) -> tuple[list, list]:
    """Drive through the scene; return errors of position, metres, and of velocity, m/s."""
    world, people = generate(SCENE).world, generate(SCENE).people
    rows = {person.identity: i for i, person in enumerate(people)}
    where, how_fast, ids = [], [], defaultdict(set)
    for t, frame in enumerate(frames):
        answer = drive.exchange(frame)
        assert answer.header.frame_id == 'odom'
        now, later = (world.at(seconds).positions for seconds in (t / 10, t / 10 + 0.1))
        for track in answer.tracks:
            covariance = np.reshape(track.pose.covariance, (6, 6))
            assert np.linalg.eigvalsh(covariance).min() > 0
            assert track.class_id == 'person'
            chosen = [rows[i] for i in frame.ids[frame.visibility > 0.9].tolist()]
            gaps = np.hypot(*(now[chosen] - position(track)[:2]).T)
            if not track.coasted and len(gaps) and gaps.min() < NEAR:
                i = chosen[gaps.argmin()]
                ids[i].add(track.id)
                where.append(gaps.min())
                if track.age >= 1:
                    how_fast.append(np.hypot(*(velocity(track) - (later[i] - now[i]) / 0.1)))
    assert len(ids) >= 2
    return where, how_fast


def test_people_are_tracked_in_odom_while_the_robot_drives(drive, frames):
    where, how_fast = errors_of(drive, frames)
    assert len(where) > 1.2 * len(frames)
    assert np.median(where) < 0.15
    assert np.percentile(where, 90) < 0.35
    assert len(how_fast) > 5
    assert np.median(how_fast) < 0.35
    # The standard message has the same objects.
    newest = drive.moving[-1]
    drive.user.spin_until(lambda: drive.answer(drive.placed, newest.header) is not None)
    same = drive.answer(drive.placed, newest.header)
    assert same.header == newest.header
    assert [d.id for d in same.detections] == [t.id for t in newest.tracks]
    for detection, track in zip(same.detections, newest.tracks):
        assert detection.results[0].pose == track.pose
        assert detection.results[0].hypothesis.class_id == 'person'
        assert 0.8 < detection.bbox.size.z < 2.2
    check_obstacles(drive, newest)


def check_obstacles(drive: Drive, newest: Track3DArray) -> None:
    """Check that each track has its outline, and that walkers had paths of 2 s."""
    drive.user.spin_until(lambda: drive.answer(drive.outlines, newest.header) is not None)
    points = points_of(drive.answer(drive.outlines, newest.header))
    assert len(newest.tracks) > 0
    assert {str(i) for i in points['id']} == {track.id for track in newest.tracks}
    for track in newest.tracks:
        now = points[(points['id'] == int(track.id)) & (points['time'] == 0)]
        radius = (track.size.x or UNKNOWN_SIZE[0]) / 2
        offsets = np.stack([now['x'], now['y']], 1) - position(track)[:2]
        np.testing.assert_allclose(np.hypot(*offsets.T), radius, rtol=1e-3)
    assert max(points_of(cloud)['time'].max(initial=0) for cloud in drive.outlines) == 2


def points_of(cloud: PointCloud2) -> np.ndarray:
    assert cloud.header.frame_id == 'odom'
    assert [(f.name, f.offset, f.datatype) for f in cloud.fields] == [
        ('x', 0, 7),
        ('y', 4, 7),
        ('z', 8, 7),
        ('id', 12, 6),
        ('time', 16, 7),
    ]
    points = np.frombuffer(cloud.data, POINT)
    assert len(points) == cloud.width * cloud.height
    assert cloud.row_step == len(cloud.data)
    return points


@pytest.mark.parametrize('fault', ['zero depth', 'nan depth', 'narrow depth'])
def test_without_depth_people_are_predicted_and_marked(drive, frames, fault):
    for _ in range(8):
        before = drive.exchange(frames[-1])
    seen = [track.id for track in before.tracks if not track.coasted]
    assert seen
    after = drive.exchange(frames[-1], fault)
    coasted = {track.id: track for track in after.tracks}
    for track in before.tracks:
        if track.id in seen:
            assert coasted[track.id].coasted
            assert coasted[track.id].unobserved > 0
            spread = [
                np.trace(np.reshape(each.pose.covariance, (6, 6)))
                for each in (track, coasted[track.id])
            ]
            assert spread[1] > spread[0]
    if fault == 'narrow depth':
        drive.node.wait_for_output('no objects of /image in 3D: a depth image of 160x240 pixels')
    assert int(drive.counters()['without_depth']) > 0
    seen_again = [track for track in drive.exchange(frames[-1]).tracks if not track.coasted]
    assert seen_again


def test_tracks_follow_when_a_late_transform_arrives_and_detections_do_not_wait(drive, frames):
    drive.exchange(frames[-1])
    header = drive.detect(frames[-1], 'no transform')
    assert not drive.has_tracks(header)
    drive.move(frames[-1], header)
    assert drive.user.spin_until(lambda: drive.answer(drive.moving, header) is not None)
    stamps = [stamp_to_nanoseconds(message.header.stamp) for message in drive.moving]
    assert stamps == sorted(stamps)


def test_a_missing_transform_is_waited_for_named_and_counted(drive, frames):
    drive.exchange(frames[-1])
    before = int(drive.counters()['without_transform'])
    header = drive.detect(frames[-1], 'no transform')
    drive.node.wait_for_output(f'older than the image; waited for it {TIMEOUT:g} s')
    assert "the newest transform of frame 'base_link' in 'odom'" in drive.node.output
    assert not drive.has_tracks(header)
    assert int(drive.counters()['without_transform']) > before
    assert drive.exchange(frames[-1]).tracks


def test_a_transform_of_the_future_is_refused_named_and_counted(drive, frames):
    before = int(drive.counters()['refused_transforms'])
    header = drive.user.header()
    header.stamp.sec += 3600
    drive.move(frames[0], header)
    drive.node.wait_for_output("the transform of frame 'base_link' in 'odom' is 3")
    assert 's in the future' in drive.node.output
    assert int(drive.counters()['refused_transforms']) == before + 1
    assert drive.exchange(frames[-1]).tracks


def test_a_camera_info_of_zeros_is_named_and_counted(drive, frames):
    drive.exchange(frames[-1])
    before = int(drive.counters()['without_transform'])
    header = drive.detect(frames[-1], 'no calibration')
    drive.node.wait_for_output("has no tracks in 'odom': camera_info has the focal lengths [0.0")
    assert not drive.has_tracks(header)
    assert int(drive.counters()['without_transform']) > before
    assert drive.exchange(frames[-1]).tracks


def test_without_depth_people_are_placed_on_the_ground(frames):
    options = {'threads': 1, 'runtime': 'torch', 'target_frame': 'odom', 'class_names': '[person]'}
    with tracker_node(ground_frame='odom', **options) as node, robot() as user:
        where, _ = errors_of(Drive(user, node, depth=False), frames)
        assert len(where) > 8
        assert np.median(where) < 0.35


def test_a_target_frame_needs_something_that_tells_where_objects_are():
    with tracker_node(target_frame='odom') as node:
        assert node.wait() == 1
        assert "target_frame is 'odom', but depth is false and ground_frame empty" in node.output
