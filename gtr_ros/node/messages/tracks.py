# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert tracks and stamps to messages."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Point
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from vision_msgs.msg import BoundingBox2D
from vision_msgs.msg import Detection2D
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import LabelInfo
from vision_msgs.msg import ObjectHypothesis
from vision_msgs.msg import ObjectHypothesisWithPose
from vision_msgs.msg import VisionClass
from visualization_msgs.msg import ImageMarker

from gtr_ros.boxes import corners_to_centre
from gtr_ros.media.drawing import colour_of
from gtr_ros.msg import Trajectory as TrajectoryMessage
from gtr_ros.msg import TrajectoryArray
from gtr_ros.msg import TrajectoryBox
from gtr_ros.stamps import NANOSECONDS

if TYPE_CHECKING:
    from gtr_ros.structures import Tracks
    from gtr_ros.structures import Trajectory


def stamp_to_nanoseconds(stamp: Time) -> int:
    """Return the nanoseconds since the epoch of the clock that stamped the message."""
    return stamp.sec * NANOSECONDS + stamp.nanosec


def nanoseconds_to_stamp(nanoseconds: int) -> Time:
    """Convert nanoseconds to a message; seconds are rounded down, so that times before 0 work."""
    seconds, rest = divmod(int(nanoseconds), NANOSECONDS)
    return Time(sec=seconds, nanosec=rest)


def detections_message(
    tracks: Tracks,
    header: Header,
    class_names: Sequence[str],
) -> Detection2DArray:
    """
    Convert the confirmed tracks of an image.

    Tentative tracks are left out: an object is published once it has been detected often enough to
    be trusted; from then on, its id does not change.

    All detections share the same header object and the same pose object in their results: replace
    these in a detection, but do not modify them.

    :param tracks: of one image
    :param header: of that image; the array and every detection have it
    :param class_names: the name of each label
    """
    # Constructing a message constructs all its fields, including those passed as arguments, so
    # copying an empty message is faster. Python's numbers are faster than numpy's.
    empty_detection, empty_result = Detection2D(header=header), ObjectHypothesisWithPose()
    message = Detection2DArray(header=header)
    for track_id, box, label, score, confirmed in zip(
        tracks.ids.tolist(),
        tracks.boxes.tolist(),
        tracks.labels.tolist(),
        tracks.scores.tolist(),
        tracks.confirmed.tolist(),
    ):
        if not confirmed:
            continue
        result = copy(empty_result)
        result.hypothesis = ObjectHypothesis(class_id=class_names[label], score=score)
        detection = copy(empty_detection)
        detection.id = str(track_id)
        detection.bbox = bounding_box(box)
        detection.results = [result]
        message.detections.append(detection)
    return message


def trajectories_message(tracks: Tracks, header: Header) -> TrajectoryArray:
    """Convert the trajectories of an image's objects, including tentative ones."""
    return TrajectoryArray(
        header=header,
        trajectories=[_trajectory(trajectory) for trajectory in tracks.trajectories],
    )


def image_marker_message(tracks: Tracks, header: Header) -> ImageMarker:
    """
    Draw the boxes of the confirmed objects on the image, each in the colour of its id.

    :param header: of the image
    """
    message = ImageMarker(
        header=header, ns='tracks', type=ImageMarker.LINE_LIST, action=ImageMarker.ADD, scale=2.0
    )
    for track_id, box, confirmed in zip(tracks.ids, tracks.boxes, tracks.confirmed):
        if not confirmed:
            continue
        x1, y1, x2, y2 = (float(edge) for edge in box)
        corners = [(x1, y1), (x2, y1), (x2, y2), (x1, y2)]
        red, green, blue = (channel / 255 for channel in colour_of(int(track_id)))
        for start, end in zip(corners, corners[1:] + corners[:1]):
            message.points += [Point(x=x, y=y, z=0.0) for x, y in (start, end)]
            message.outline_colors.append(ColorRGBA(r=red, g=green, b=blue, a=1.0))
    return message


def label_info_message(header: Header, class_names: Sequence[str], threshold: float) -> LabelInfo:
    """Return the class of each label; threshold: minimum score of objects that are published."""
    classes = [VisionClass(class_id=i, class_name=name) for i, name in enumerate(class_names)]
    return LabelInfo(header=header, class_map=classes, threshold=float(threshold))


def _trajectory(trajectory: Trajectory) -> TrajectoryMessage:
    window = zip(trajectory.stamps, trajectory.boxes, trajectory.likelihoods)
    return TrajectoryMessage(
        id=str(int(trajectory.id)),
        confirmed=bool(trajectory.confirmed),
        boxes=[
            TrajectoryBox(
                stamp=nanoseconds_to_stamp(stamp),
                bbox=bounding_box(box),
                probability=float(likelihood),
            )
            for stamp, box, likelihood in window
        ],
        away=float(trajectory.away),
    )


def bounding_box(box: Sequence[float]) -> BoundingBox2D:
    """Convert a box, xyxy, pixels."""
    x, y, width, height = corners_to_centre(*map(float, box))
    message = BoundingBox2D(size_x=width, size_y=height)
    message.center.position.x, message.center.position.y = x, y
    return message
