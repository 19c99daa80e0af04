# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses of objects: a place, and where the object is heading."""

from __future__ import annotations

import math

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Transform
from geometry_msgs.msg import TransformStamped
from geometry_msgs.msg import Vector3
import numpy as np
from std_msgs.msg import Header

#: m/s, below which the velocity says nothing about the heading
_LEAST_SPEED = 0.3
#: of axes x forwards and z up in an optical frame, whose z is forwards and y down
_AHEAD = Quaternion(x=0.5, y=-0.5, z=0.5, w=0.5)


def heading(velocity: np.ndarray | None, before: Quaternion | None) -> Quaternion:
    """
    Return the orientation of an object: x along its way, z up.

    :param velocity: (3,) m/s, in a frame whose z is up; None: the frame is a camera's optical one,
        and x points away from the camera
    :param before: used while the object is too slow; None: not known, x is that of the frame
    """
    if velocity is None:
        return _AHEAD
    if math.hypot(velocity[0], velocity[1]) < _LEAST_SPEED:
        return before or Quaternion(w=1.0)
    half = math.atan2(velocity[1], velocity[0]) / 2
    return Quaternion(z=math.sin(half), w=math.cos(half))


def pose_of(position: np.ndarray, orientation: Quaternion) -> Pose:
    """Return a pose; position: (3,) metres."""
    x, y, z = position.tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=orientation)


def transform_of(pose: Pose, header: Header, child: str) -> TransformStamped:
    """Return the transform from a frame at a pose, child, to that of the header."""
    place = pose.position
    return TransformStamped(
        header=header,
        child_frame_id=child,
        transform=Transform(
            translation=Vector3(x=place.x, y=place.y, z=place.z), rotation=pose.orientation
        ),
    )
