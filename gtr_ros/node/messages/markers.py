# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Markers for rviz: objects in the camera's frame, tracks in metres, and zones on the ground."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
import math
from typing import TYPE_CHECKING

from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point
from geometry_msgs.msg import Pose
from geometry_msgs.msg import Quaternion
from geometry_msgs.msg import Vector3
import numpy as np
from std_msgs.msg import ColorRGBA
from std_msgs.msg import Header
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from gtr_ros.media.drawing import colour_of
from gtr_ros.tracking.footprints import ELLIPSE_95
from gtr_ros.tracking.footprints import UNKNOWN_SIZE

if TYPE_CHECKING:
    from vision_msgs.msg import Detection3DArray

    from gtr_ros.msg import Track3D
    from gtr_ros.msg import Track3DArray
    from gtr_ros.msg import ZoneArray

_LIFETIME = Duration(nanosec=500_000_000)
_MAX_ID = 2**31 - 1

# Metres.
_TEXT_HEIGHT = 0.2
_THICKNESS = 0.02  # of what lies on the ground
_SHAFT, _HEAD = 0.06, 0.15  # of an arrow, diameters

#: opacity of an object, of the followed one, and by how much it is paler while it is coasted
_OPACITY, _FOLLOWED, _COASTED = 0.4, 0.9, 0.4
# A velocity is shown from this speed and age on: before that it is mostly noise.
_LEAST_SPEED, _LEAST_AGE = 0.1, 0.5  # m/s, s

_WHITE = (1.0, 1.0, 1.0)
_ZONE_COLOUR = (1.0, 0.75, 0.0)


def markers_message(detections: Detection3DArray) -> MarkerArray:
    """
    Mark each object in the camera's frame: its box, with its id and class above.

    The first marker deletes those of the previous message; the others are in the colours of their
    ids.

    :param detections: made by `gtr_ros.node.messages.depth.detections_3d_message`
    """
    header = detections.header
    message = _deleting(header)
    for detection in detections.detections:
        track_id = int(detection.id)
        colour = _colour_of(track_id)
        centre, size = detection.bbox.center.position, detection.bbox.size
        height = min(max(size.y / 5, 0.05), 0.3)
        above = Point(x=centre.x, y=centre.y - size.y / 2 - height, z=centre.z)
        message.markers += [
            _marker(
                header,
                ('boxes', track_id),
                Marker.CUBE,
                (*colour, _OPACITY),
                pose=detection.bbox.center,
                scale=size,
            ),
            _marker(
                header,
                ('labels', track_id),
                Marker.TEXT_VIEW_FACING,
                (*colour, 1.0),
                pose=Pose(position=above),
                scale=Vector3(z=height),
                text=f'{detection.id} {detection.results[0].hypothesis.class_id}',
            ),
        ]
    return message


def track_markers_message(tracks: Track3DArray, followed: str = '') -> MarkerArray:
    """
    Mark each track in metres: size, velocity, certainty, and what it is.

    On the ground below the object are the 95 % ellipse of its position, and an arrow to where it
    is in one second. Size is an upright cylinder; an object that was not seen whole yet has the
    size of its obstacle. Coasted objects are paler; the followed one is not transparent, and its
    text is white. The first marker deletes those of the previous message.

    :param tracks: in a frame whose z axis is up
    :param followed: id of the followed object; '': none
    """
    message = _deleting(tracks.header)
    for track in tracks.tracks:
        message.markers += _markers_of(track, tracks.header, track.id == followed)
    return message


def zone_markers_message(zones: ZoneArray, texts: Mapping[str, str]) -> MarkerArray:
    """
    Mark the zones on the ground, each with its counters; they stay until the next message.

    :param zones: those in the image are left out
    :param texts: of each zone, by name
    """
    # Without a stamp, rviz transforms them at the newest time, whenever they were latched.
    header = Header(frame_id=zones.header.frame_id)
    message = _deleting(header)
    for i, zone in enumerate(zones.zones):
        if zone.unit != zone.METRE:
            continue
        corners = zone.corners if zone.is_line else [*zone.corners, zone.corners[0]]
        middle = np.mean([(corner.x, corner.y) for corner in zone.corners], axis=0)
        message.markers += [
            _marker(
                header,
                ('zones', i),
                Marker.LINE_STRIP,
                (*_ZONE_COLOUR, 1.0),
                Duration(),
                scale=Vector3(x=2 * _THICKNESS),
                points=corners,
            ),
            _marker(
                header,
                ('zone labels', i),
                Marker.TEXT_VIEW_FACING,
                (*_ZONE_COLOUR, 1.0),
                Duration(),
                pose=Pose(position=Point(x=middle[0], y=middle[1], z=_TEXT_HEIGHT)),
                scale=Vector3(z=_TEXT_HEIGHT),
                text=texts.get(zone.name, zone.name),
            ),
        ]
    return message


def _markers_of(track: Track3D, header: Header, followed: bool) -> Iterator[Marker]:
    track_id = int(track.id)
    colour = _colour_of(track_id)
    paler = _COASTED if track.coasted else 1.0
    centre, size = track.pose.pose.position, track.size
    width, height = size.x or UNKNOWN_SIZE[0], size.z or UNKNOWN_SIZE[1]
    ground = centre.z - height / 2
    yield _marker(
        header,
        ('objects', track_id),
        Marker.CYLINDER,
        (*colour, paler * (_FOLLOWED if followed else _OPACITY)),
        pose=Pose(position=centre),
        scale=Vector3(x=width, y=width, z=height),
    )
    largest, smallest, yaw = _ellipse(np.reshape(track.pose.covariance, (6, 6))[:2, :2])
    yield _marker(
        header,
        ('ellipses', track_id),
        Marker.CYLINDER,
        (*colour, paler * _OPACITY),
        pose=Pose(
            position=Point(x=centre.x, y=centre.y, z=ground),
            orientation=Quaternion(z=math.sin(yaw / 2), w=math.cos(yaw / 2)),
        ),
        scale=Vector3(x=2 * largest, y=2 * smallest, z=_THICKNESS),
    )
    velocity = track.twist.twist.linear
    speed = math.hypot(velocity.x, velocity.y)
    if speed >= _LEAST_SPEED and track.age >= _LEAST_AGE:
        start = Point(x=centre.x, y=centre.y, z=ground + _HEAD / 2)
        end = Point(x=centre.x + velocity.x, y=centre.y + velocity.y, z=start.z)
        yield _marker(
            header,
            ('velocities', track_id),
            Marker.ARROW,
            (*colour, paler),
            scale=Vector3(x=_SHAFT, y=_HEAD),
            points=[start, end],
        )
    yield _marker(
        header,
        ('labels', track_id),
        Marker.TEXT_VIEW_FACING,
        (*(_WHITE if followed else colour), paler),
        pose=Pose(position=Point(x=centre.x, y=centre.y, z=centre.z + height / 2 + _TEXT_HEIGHT)),
        scale=Vector3(z=_TEXT_HEIGHT),
        text=f'{"following " if followed else ""}{track.id} {track.class_id} {speed:.1f} m/s',
    )


def _ellipse(covariance: np.ndarray) -> tuple[float, float, float]:
    """Return the half axes of the 95 % ellipse, the larger first, and the angle of that one."""
    variances, axes = np.linalg.eigh(covariance)
    smallest, largest = np.sqrt(ELLIPSE_95 * np.maximum(variances, 0)).tolist()
    return largest, smallest, math.atan2(axes[1, 1], axes[0, 1])


def _deleting(header: Header) -> MarkerArray:
    return MarkerArray(markers=[Marker(header=header, action=Marker.DELETEALL)])


def _colour_of(track_id: int) -> tuple[float, ...]:
    return tuple(channel / 255 for channel in colour_of(track_id))


def _marker(
    header: Header,
    key: tuple[str, int],
    kind: int,
    colour: tuple[float, ...],
    lifetime: Duration = _LIFETIME,
    **fields: object,
) -> Marker:
    """
    Return a marker.

    :param key: namespace and number
    :param colour: red, green, blue and opacity, 0..1
    """
    name, number = key
    red, green, blue, alpha = colour
    return Marker(
        header=header,
        ns=name,
        id=number % _MAX_ID,
        type=kind,
        action=Marker.ADD,
        color=ColorRGBA(r=red, g=green, b=blue, a=alpha),
        lifetime=lifetime,
        **fields,
    )
