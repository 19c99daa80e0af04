# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A rendered drive of a robot as a bag, as its drivers would record it; and what is true in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.interfaces import Qos
from rosbags.interfaces import QosDurability
from rosbags.interfaces import QosHistory
from rosbags.interfaces import QosLiveliness
from rosbags.interfaces import QosReliability
from rosbags.interfaces import QosTime
from rosbags.rosbag2 import Writer
from scipy.spatial.transform import Rotation

from benchmarks.metric_scenes import Record
from benchmarks.metric_scenes import stereo
from benchmarks.metric_scenes import truth_of
from benchmarks.robot_truth import Everybody
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import make_header
from gtr_ros.data.formats.bag_messages import make_message
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.data.people import People
from gtr_ros.data.people.rendering import Frame
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks

#: frames: of the world, of the robot, which is on the ground, and of its camera
ODOM, BASE, OPTICAL = 'odom', 'base_link', 'camera_optical_frame'
#: topics of the camera
COLOUR, DEPTH, INFO = '/camera/image', '/camera/depth', '/camera/camera_info'
#: stamp of the first image, nanoseconds
START = 1000 * NANOSECONDS

_CAMERA_INFO, _TRANSFORMS = 'sensor_msgs/msg/CameraInfo', 'tf2_msgs/msg/TFMessage'
_ODOMETRY_RATE = 50  # Hz
#: seconds from a stamp until the message is received: images are exposed and transferred first
_IMAGE_DELAY, _ODOMETRY_DELAY = 0.03, 0.005
#: seconds of odometry before the first image, and after the last
_MARGIN = 0.5
_FOREVER = QosTime(2147483647, 4294967295)
_LATCHED = Qos(
    QosHistory.KEEP_LAST,
    1,
    QosReliability.RELIABLE,
    QosDurability.TRANSIENT_LOCAL,
    _FOREVER,
    _FOREVER,
    QosLiveliness.AUTOMATIC,
    _FOREVER,
    False,
)

_Message = tuple[int, str, str, Any]


def write_drive(path: Path, people: People) -> list[Record]:
    """
    Render a scene into a bag: images, depth of a stereo camera, calibration, odometry and mount.

    :param path: folder of the bag, which is created
    :return: what is true in each image; nothing is tracked yet
    """
    truth: list[Record] = []
    mount = mount_of(people)
    messages = [*_odometry(people, mount), *_mount(mount)]
    # By receive time; images are too large to be kept, and each is received after all before it.
    messages.sort(key=lambda message: message[0])
    store, connections = typestore(), {}
    with Writer(path, version=9, storage_plugin=STORAGES['mcap']) as writer:
        for received, topic, kind, message in _merged(messages, _images(people, truth)):
            if topic not in connections:
                profiles = [_LATCHED] if topic == '/tf_static' else []
                connections[topic] = writer.add_connection(
                    topic, kind, typestore=store, offered_qos_profiles=profiles
                )
            writer.write(connections[topic], received, store.serialize_cdr(message, kind))
    return truth


def everybody_of(people: People) -> Everybody:
    """Return where all people of a scene are, also those out of view."""
    moments = [people.world.at(stamp / NANOSECONDS) for stamp in people.stamps.tolist()]
    identities = np.array([person.identity for person in people.people], np.int64)
    return Everybody(identities, np.stack([moment.positions for moment in moments]))


def mount_of(people: People) -> np.ndarray:
    """Return the camera's pose on the robot, (4, 4): above its origin, tilted as at the start."""
    pose = people.camera.pose(0.0)
    x, y, _, yaw, _, _ = people.camera.place(0.0)
    ground = np.eye(4)
    ground[:3, :3] = Rotation.from_euler('z', yaw).as_matrix()
    ground[:2, 3] = x, y
    return np.linalg.inv(ground) @ pose


def _merged(small: list[_Message], large: Iterator[_Message]) -> Iterator[_Message]:
    """Yield messages by receive time; both are sorted."""
    rest = iter(small)
    waiting = next(rest, None)
    for message in large:
        while waiting is not None and waiting[0] <= message[0]:
            yield waiting
            waiting = next(rest, None)
        yield message
    while waiting is not None:
        yield waiting
        waiting = next(rest, None)


def _images(people: People, truth: list[Record]) -> Iterator[_Message]:
    """Yield the messages of the camera; append what is true in each image."""
    stream = np.random.default_rng([people.scene.seed, 1])
    for t in range(len(people)):
        frame, seconds = people.frame(t), int(people.stamps[t]) / NANOSECONDS
        stamp = START + int(people.stamps[t])
        truth.append(record_of(people, frame, seconds, stamp))
        header = make_header(stamp, OPTICAL)
        depth = stereo(frame.depth, float(frame.intrinsics[0, 0]), stream)
        millimetres = np.nan_to_num(1e3 * depth).round().astype('<u2')
        received = stamp + round(_IMAGE_DELAY * NANOSECONDS)
        yield received, INFO, _CAMERA_INFO, _calibration(header, frame)
        yield received, DEPTH, IMAGE, _image(header, millimetres, '16UC1')
        yield received, COLOUR, IMAGE, _image(header, frame.image, 'rgb8')


def record_of(people: People, frame: Frame, seconds: float, stamp: int) -> Record:
    """Return what is true in an image; nothing is tracked yet."""
    positions, velocities, upright = truth_of(people, frame, seconds)
    return Record(
        stamp=stamp,
        camera=frame.camera,
        focal=float(frame.intrinsics[0, 0]),
        size=people.scene.size,
        tracks=Tracks(
            np.zeros(0, np.int64),
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int64),
            np.zeros(0, bool),
        ),
        surfaces={},
        people=frame.ids,
        boxes=frame.full_boxes,
        visibility=frame.visibility,
        positions=positions,
        velocities=velocities,
        upright=upright,
    )


def _image(header: Any, pixels: np.ndarray, encoding: str) -> Any:
    height, width = pixels.shape[:2]
    data = np.ascontiguousarray(pixels).reshape(-1).view(np.uint8)
    step = len(data) // height
    return make_message('sensor_msgs/Image', header, height, width, encoding, 0, step, data)


def _calibration(header: Any, frame: Frame) -> Any:
    k = frame.intrinsics.copy()
    k[:2, 2] -= 0.5  # a calibration counts from the centre of the first pixel
    projection = np.column_stack([k, np.zeros(3)])
    region = make_message('sensor_msgs/RegionOfInterest', 0, 0, 0, 0, False)
    return make_message(
        'sensor_msgs/CameraInfo',
        header,
        *frame.depth.shape,
        'plumb_bob',
        np.zeros(5),
        k.ravel(),
        np.eye(3).ravel(),
        projection.ravel(),
        0,
        0,
        region,
    )


def _odometry(people: People, mount: np.ndarray) -> Iterator[_Message]:
    """Yield where the robot is; before the scene it is where it begins."""
    to_base, end = np.linalg.inv(mount), int(people.stamps[-1]) / NANOSECONDS + _MARGIN
    for i in range(round(-_MARGIN * _ODOMETRY_RATE), round(end * _ODOMETRY_RATE) + 1):
        seconds = i / _ODOMETRY_RATE
        pose = people.camera.pose(max(seconds, 0.0)) @ to_base
        stamp = START + round(seconds * NANOSECONDS)
        received = stamp + round(_ODOMETRY_DELAY * NANOSECONDS)
        yield received, '/tf', _TRANSFORMS, _transforms(stamp, ODOM, BASE, pose)


def _mount(mount: np.ndarray) -> Iterator[_Message]:
    stamp = START - round(_MARGIN * NANOSECONDS)
    yield stamp, '/tf_static', _TRANSFORMS, _transforms(stamp, BASE, OPTICAL, mount)


def _transforms(stamp: int, parent: str, child: str, pose: np.ndarray) -> Any:
    shift = make_message('geometry_msgs/Vector3', *pose[:3, 3].tolist())
    turn = Rotation.from_matrix(pose[:3, :3]).as_quat().tolist()
    transform = make_message(
        'geometry_msgs/Transform', shift, make_message('geometry_msgs/Quaternion', *turn)
    )
    header = make_header(stamp, parent)
    stamped = make_message('geometry_msgs/TransformStamped', header, child, transform)
    return make_message('tf2_msgs/TFMessage', [stamped])
