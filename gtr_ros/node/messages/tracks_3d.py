# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert tracks in metres to messages."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
import math

from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import PoseWithCovariance
from geometry_msgs.msg import Twist
from geometry_msgs.msg import TwistWithCovariance
from geometry_msgs.msg import Vector3
import numpy as np
from sensor_msgs.msg import PointCloud2
from sensor_msgs.msg import PointField
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox3D
from vision_msgs.msg import Detection3D
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import ObjectHypothesis
from vision_msgs.msg import ObjectHypothesisWithPose

from gtr_ros.msg import Track3D
from gtr_ros.msg import Track3DArray
from gtr_ros.tracking.footprints import POINT
from gtr_ros.tracking.metric import MetricState

#: variance of an angle that is not measured, rad^2: any value is equally probable
UNKNOWN_ANGLE = math.pi**2 / 3
#: variance of an angular velocity that is not measured, rad^2 / s^2
UNKNOWN_TURN = 1e3

_FIELD_TYPES = {np.dtype('<f4'): PointField.FLOAT32, np.dtype('<u4'): PointField.UINT32}


def tracks_3d_messages(
    state: MetricState, header: Header, class_names: Sequence[str]
) -> tuple[Detection3DArray, Track3DArray]:
    """
    Convert the tracks at the time of an image.

    The detections have position and covariance, the tracks also velocity, age and whether they are
    coasted; both have the same objects in the same order. Boxes stand upright along the axes of
    the frame, as wide along x as along y; a size that is not known yet is 0.

    :param header: stamp of the image, and the frame of the tracks
    :param class_names: the name of each label
    """
    detections, tracks = Detection3DArray(header=header), Track3DArray(header=header)
    for k, track_id in enumerate(state.ids.tolist()):
        name, score = class_names[int(state.labels[k])], float(state.scores[k])
        covariance = state.covariances[k]
        position = Pose(position=Point(**_axes(state.positions[k])))
        pose = PoseWithCovariance(
            pose=position, covariance=_with_angles(covariance[:3, :3], UNKNOWN_ANGLE)
        )
        width, height = np.nan_to_num(state.sizes[k]).tolist()
        size = Vector3(x=width, y=width, z=height)
        hypothesis = ObjectHypothesis(class_id=name, score=score)
        detections.detections.append(
            Detection3D(
                header=header,
                id=str(track_id),
                results=[ObjectHypothesisWithPose(hypothesis=hypothesis, pose=pose)],
                bbox=BoundingBox3D(center=position, size=size),
            )
        )
        tracks.tracks.append(
            Track3D(
                id=str(track_id),
                class_id=name,
                score=score,
                pose=pose,
                twist=TwistWithCovariance(
                    twist=Twist(linear=Vector3(**_axes(state.velocities[k]))),
                    covariance=_with_angles(covariance[3:, 3:], UNKNOWN_TURN),
                ),
                size=size,
                coasted=bool(state.unobserved[k] > 0),
                unobserved=float(state.unobserved[k]),
                age=float(state.ages[k]),
            )
        )
    return detections, tracks


def obstacles_message(points: np.ndarray, header: Header) -> PointCloud2:
    """
    Convert the outlines of objects.

    :param points: (P,) of `gtr_ros.tracking.footprints.POINT`
    :param header: stamp of the image, and the frame of the points
    """
    data = array('B')
    data.frombytes(points.tobytes())
    return PointCloud2(
        header=header,
        height=1,
        width=len(points),
        fields=[
            PointField(name=name, offset=offset, datatype=_FIELD_TYPES[kind], count=1)
            for name, (kind, offset) in POINT.fields.items()
        ],
        is_bigendian=False,
        point_step=POINT.itemsize,
        row_step=POINT.itemsize * len(points),
        data=data,
        is_dense=True,
    )


def _axes(values: np.ndarray) -> dict[str, float]:
    return dict(zip('xyz', values.tolist(), strict=True))


def _with_angles(covariance: np.ndarray, variance: float) -> np.ndarray:
    """Return a (3, 3) covariance as ROS's (36,), with angles that are not measured."""
    full = variance * np.eye(6)
    full[:3, :3] = covariance
    return full.ravel()
