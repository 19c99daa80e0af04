# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node with the default checkpoint gets a rendered clip: images, depth and calibration."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator

import numpy as np
from opengl import needs_opengl
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ros_environment
from node_processes import tracker_node
from robot import corners
from robot import robot
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray

from gtr_ros.boxes import box_iou
from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.rendering import Frame
from gtr_ros.node.messages.images import array_to_image

pytestmark = [pytest.mark.ros, needs_opengl]

SCENE = PeopleScene.parse('people:objects=4,camera=stand,rate=10,duration=2,size=240x320,seed=4')

#: people of whom less is visible may be missed
VISIBLE = 0.9


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def messages(frame: Frame, header: Header) -> list[tuple[str, object]]:
    """Return what a depth camera publishes for a frame."""
    height, width = frame.depth.shape
    depth = Image(
        header=header,
        height=height,
        width=width,
        encoding='32FC1',
        step=4 * width,
        data=array('B', frame.depth.astype('<f4').tobytes()),
    )
    info = CameraInfo(header=header, width=width, height=height, k=frame.intrinsics.ravel())
    return [
        ('/rendered/camera_info', info),
        ('/rendered/depth', depth),
        ('/rendered/image', array_to_image(frame.image, header)),
    ]


def test_rendered_people_keep_their_ids_and_are_as_far_away_as_they_are():
    scene = generate(SCENE)
    frames = [scene.frame(t) for t in range(len(scene))]
    ids, errors, missed, seen = defaultdict(set), [], 0, 0
    with (
        tracker_node('__ns:=/rendered', threads=1, runtime='torch', depth='true') as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /rendered/image')
        flat = user.subscribe(Detection2DArray, '/rendered/tracker/detections')
        solid = user.subscribe(Detection3DArray, '/rendered/tracker/detections_3d')
        for frame in frames:
            in_3d = user.exchange(lambda header, f=frame: messages(f, header), solid)
            placed = {d.id: d for d in in_3d.detections}
            [message] = [m for m in flat if m.header == in_3d.header]
            people = [
                i
                for i, d in enumerate(message.detections)
                if d.results[0].hypothesis.class_id == 'person'
            ]
            overlap = box_iou(frame.boxes, corners(message).reshape(-1, 4)[people])
            for row in np.flatnonzero(frame.visibility > VISIBLE):
                seen += 1
                if not people or overlap[row].max() < 0.5:
                    missed += 1
                    continue
                detection = message.detections[people[overlap[row].argmax()]]
                ids[frame.ids[row]].add(detection.id)
                centre = placed[detection.id].bbox.center.position
                errors.append(centre.z - frame.distance[row])
    assert seen > len(frames)
    assert missed < 0.2 * seen
    assert all(len(found) == 1 for found in ids.values())
    assert len(set.union(*ids.values())) == len(ids)
    # The surface of a body is nearer than its middle, by less than half a stride.
    assert np.abs(errors).max() < 0.6
    assert -0.3 < np.median(errors) < 0.05
