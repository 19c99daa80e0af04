# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the page draws on an image, as JSON values."""

from __future__ import annotations

from collections.abc import Iterable
import math
from typing import TYPE_CHECKING
import zlib

from gtr_ros.boxes import centre_to_corners
from gtr_ros.media.drawing import colour_of
from gtr_ros.node.messages.zones import counter_texts

if TYPE_CHECKING:
    from vision_msgs.msg import BoundingBox2D
    from vision_msgs.msg import Detection2D
    from vision_msgs.msg import Detection2DArray

    from gtr_ros.msg import Counts
    from gtr_ros.msg import FollowedState
    from gtr_ros.msg import TrajectoryArray
    from gtr_ros.msg import ZoneArray

_Corners = tuple[float, float, float, float]


def objects_to_draw(detections: Detection2DArray, trajectories: TrajectoryArray) -> list[dict]:
    """
    Return the confirmed objects of an image, followed by the tentative ones.

    Each has its id, its label, its colour (RGB, 0..255), its box (xyxy, pixels of the image), its
    trail (the midpoints of the bottom edges of its boxes, oldest first), and whether it is
    confirmed.
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


def zones_to_draw(
    zones: ZoneArray, counts: Counts | None, image_size: tuple[int, int]
) -> list[dict]:
    """
    Return the zones of a camera.

    Each has its name, its corners (pixels of the image; None: it is on the ground), whether it is
    a line, its counters as a text, and how often a line was crossed from left to right and back.

    :param counts: None: not known
    :param image_size: (height, width), pixels
    """
    texts = {} if counts is None else counter_texts(counts)
    lines = {} if counts is None else {line.line: line for line in counts.lines}
    drawn = []
    for zone in zones.zones:
        height, width = image_size if zone.unit == zone.FRACTION else (1, 1)
        corners = [(corner.x * width, corner.y * height) for corner in zone.corners]
        if not all(math.isfinite(value) for corner in corners for value in corner):
            continue
        line = lines.get(zone.name)
        drawn.append(
            {
                'name': zone.name,
                'line': zone.is_line,
                'corners': None if zone.unit == zone.METRE else corners,
                'text': texts.get(zone.name, zone.name),
                'crossings': line and [line.left_to_right, line.right_to_left],
            }
        )
    return drawn


def followed_to_show(state: FollowedState | None) -> dict | None:
    """Return the followed object: id, state, seconds and distance; None: no tracker says."""
    if state is None:
        return None
    names = {
        state.NONE: 'none',
        state.FOLLOWING: 'following',
        state.HIDDEN: 'hidden',
        state.LOST: 'lost',
        state.FOUND_AGAIN: 'found again',
    }
    return {
        'id': state.id,
        'state': names.get(state.state, 'none'),
        'seconds': state.seconds if math.isfinite(state.seconds) else 0.0,
        'distance': state.distance if math.isfinite(state.distance) else None,
    }


def _object(
    track_id: str, label: str, box: _Corners, trail: Iterable[_Corners], confirmed: bool
) -> dict:
    # The ids of other trackers need not be numbers.
    number = int(track_id) if track_id.isdecimal() else zlib.crc32(track_id.encode())
    return {
        'id': track_id,
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
