# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objects that the page draws on an image, as JSON values."""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import TYPE_CHECKING
import zlib

from gtr_ros.boxes import centre_to_corners
from gtr_ros.media.drawing import colour_of

if TYPE_CHECKING:
    from vision_msgs.msg import BoundingBox2D
    from vision_msgs.msg import Detection2D
    from vision_msgs.msg import Detection2DArray

    from gtr_ros.msg import TrajectoryArray

_Corners = tuple[float, float, float, float]


def objects_to_draw(detections: Detection2DArray, trajectories: TrajectoryArray) -> list[dict]:
    """
    Return the confirmed objects of an image, followed by the tentative ones.

    Each has its label, its colour (RGB, 0..255), its box (xyxy, pixels of the image), its trail
    (the midpoints of the bottom edges of its boxes, oldest first), and whether it is confirmed.
    """
    trails = {
        trajectory.id: [_corners(box.bbox) for box in trajectory.boxes]
        for trajectory in trajectories.trajectories
    }
    objects = []
    for detection in detections.detections:
        trail = trails.pop(detection.id, [])
        box = _corners(detection.bbox)
        objects.append(_object(detection.id, _label(detection), box, trail, confirmed=True))
    for track_id, trail in trails.items():
        if trail:
            objects.append(_object(track_id, track_id, trail[-1], trail, confirmed=False))
    # JSON has no infinities and no nan, and such values cannot be drawn.
    return [each for each in objects if all(map(math.isfinite, each['box']))]


def _object(
    track_id: str, label: str, box: _Corners, trail: Iterable[_Corners], confirmed: bool
) -> dict:
    # The ids of other trackers need not be numbers.
    number = int(track_id) if track_id.isdecimal() else zlib.crc32(track_id.encode())
    return {
        'label': label,
        'colour': colour_of(number),
        'box': list(box),
        'trail': [((x1 + x2) / 2, y2) for x1, _, x2, y2 in trail],
        'confirmed': confirmed,
    }


def _label(detection: Detection2D) -> str:
    if not detection.results:
        return detection.id
    best = max((result.hypothesis for result in detection.results), key=lambda each: each.score)
    return f'{detection.id} {best.class_id} {best.score:.2f}'


def _corners(box: BoundingBox2D) -> _Corners:
    centre = box.center.position
    return centre_to_corners(centre.x, centre.y, box.size_x, box.size_y)
