# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the object of one camera that is followed."""

from __future__ import annotations

from collections.abc import Callable
import math
import threading
from typing import TYPE_CHECKING

from geometry_msgs.msg import PoseStamped
import numpy as np
from rclpy.qos import QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

from gtr_ros.boxes import box_areas
from gtr_ros.msg import FollowedState
from gtr_ros.node.messages.poses import heading
from gtr_ros.node.messages.poses import pose_of
from gtr_ros.node.messages.poses import transform_of
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.tracker.follow_service import FollowError
from gtr_ros.node.tracker.follow_service import NEAREST
from gtr_ros.node.tracker.follow_service import PIXEL
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.following import Followed
from gtr_ros.tracking.following import Follower
from gtr_ros.tracking.following import State

if TYPE_CHECKING:
    from geometry_msgs.msg import Quaternion
    from rclpy.node import Node
    from rclpy.publisher import Publisher

    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.places import Snapshot
    from gtr_ros.structures import Tracks

_RECENT = 50  # images whose places may still arrive
_OLD = NANOSECONDS  # a place that is older says nothing about the distance now


class Following:
    """
    Follows one object of a camera; `choose` is called by the executor's thread.

    The pose is published for images that show the object, and, in the target frame, while it is
    coasted; the state for every image.

    :param camera: name of the camera; the frame of its object has it in front
    :param warn: logs a warning unless it was logged a moment ago
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        outputs: Outputs,
        parameters: NodeParameters,
        warn: Callable[[str], object],
    ) -> None:
        self._node, self._outputs, self._parameters = node, outputs, parameters
        self._places = outputs.places
        self._warn = warn
        frame = parameters.follow_frame
        self._frame = f'{camera}_{frame}' if camera and frame else frame
        self._transforms: Publisher | None = None
        if self._frame:
            self._transforms = node.create_publisher(TFMessage, '/tf', QoSProfile(depth=100))
        self._lock = threading.Lock()
        self._follower: Follower | None = None
        self._tracks: Tracks | None = None  # of the newest image
        self._recent: dict[int, Followed] = {}  # by stamp
        self._orientation: Quaternion | None = None
        self._places.on_arrival.append(self._on_places)
        self._publish_state(Header(stamp=node.get_clock().now().to_msg()), None)

    def close(self) -> None:
        """Destroy the publisher of the frame."""
        self._places.on_arrival.clear()
        if self._transforms is not None:
            self._node.destroy_publisher(self._transforms)
            self._transforms = None

    def choose(self, which: str, x: float, y: float) -> int:
        """
        Follow an object; return its id.

        :param which: an id, `NEAREST` or `PIXEL`
        :param x: pixel, for `PIXEL`
        :param y: pixel
        :raises FollowError: if there is no such object
        """
        with self._lock:
            tracks = self._tracks
            if tracks is None or not tracks.confirmed.any():
                raise FollowError('there is no confirmed object in the newest image')
            rows = np.flatnonzero(tracks.confirmed)
            if which == NEAREST:
                row = self._nearest(tracks, rows)
            elif which == PIXEL:
                row = _at_pixel(tracks, rows, x, y)
            else:
                row = _with_id(tracks, rows, which)
            track_id = int(tracks.ids[row])
            self._follower = Follower(track_id, self._parameters.follow_hidden)
            self._recent.clear()
            self._orientation = None
        if not (self._parameters.depth or self._parameters.target_frame):
            self._warn(
                f'{self._outputs.publishers["followed/pose"].topic_name} needs the position of '
                'the object: set the parameter depth or target_frame. Its state is published'
            )
        return track_id

    def stop(self) -> None:
        """Follow nothing."""
        with self._lock:
            self._follower = None
            self._recent.clear()
        self._publish_state(Header(stamp=self._node.get_clock().now().to_msg()), None)

    def update(self, stamp: int, header: Header, tracks: Tracks, image: np.ndarray) -> None:
        """
        Take over the tracks of an image, before its places are known.

        :param stamp: of the image, nanoseconds; also if its header has none
        :param header: of the image
        :param image: (H, W, 3) uint8 RGB
        """
        with self._lock:
            self._tracks = tracks
            if self._follower is None:
                return
            followed = self._follower.update(stamp, tracks, image)
            self._recent[stamp] = followed
            while len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]
        self._publish_state(header, followed, stamp)

    def _on_places(self, snapshot: Snapshot) -> None:
        """Publish the pose of the object in an image whose places have become known."""
        with self._lock:
            followed = self._recent.get(snapshot.stamp)
            place = snapshot.places.get(followed.id) if followed else None
            # The places of a hidden object's id are its own only while they are predicted.
            if place is None or (followed.row is None and not place.coasted):
                return
            self._orientation = heading(place.velocity, self._orientation)
            pose = pose_of(place.position, self._orientation)
        header = Header(stamp=nanoseconds_to_stamp(snapshot.stamp), frame_id=snapshot.frame)
        self._outputs.publishers['followed/pose'].publish(PoseStamped(header=header, pose=pose))
        if self._transforms is not None:
            transform = transform_of(pose, header, self._frame)
            self._transforms.publish(TFMessage(transforms=[transform]))

    def _publish_state(
        self, header: Header, followed: Followed | None, stamp: int | None = None
    ) -> None:
        message = FollowedState(header=header, distance=math.nan)
        if followed is not None and stamp is not None:
            message.state, message.id = int(followed.state), str(followed.id)
            message.seconds, message.probability = followed.seconds, followed.probability
            message.distance = self._distance(followed, stamp)
        seen = message.state in (FollowedState.FOLLOWING, FollowedState.FOUND_AGAIN)
        self._outputs.followed = message.id if seen else ''
        self._outputs.publishers['followed/state'].publish(message)

    def _distance(self, followed: Followed, stamp: int) -> float:
        """Return the distance of an object that was seen in the last second, metres, or nan."""
        seen = self._places.in_camera
        hidden = followed.state in (State.HIDDEN, State.LOST)
        if hidden or seen is None or stamp - seen.stamp > _OLD or followed.id not in seen.places:
            return math.nan
        return float(np.linalg.norm(seen.places[followed.id].position))

    def _nearest(self, tracks: Tracks, rows: np.ndarray) -> int:
        """Return the row of the nearest object: by distance if any is known, or by size."""
        seen = self._places.in_camera
        distances = {
            row: float(np.linalg.norm(seen.places[int(tracks.ids[row])].position))
            for row in rows.tolist()
            if seen is not None and int(tracks.ids[row]) in seen.places
        }
        if distances:
            return min(distances, key=distances.get)
        return int(rows[box_areas(tracks.boxes[rows]).argmax()])


def _at_pixel(tracks: Tracks, rows: np.ndarray, x: float, y: float) -> int:
    boxes = tracks.boxes[rows]
    hit = ((boxes[:, :2] <= [x, y]) & (boxes[:, 2:] >= [x, y])).all(axis=1)
    if not hit.any():
        raise FollowError(f'there is no confirmed object at pixel ({x:g}, {y:g})')
    # Of boxes within each other, the smallest one is meant.
    areas = np.where(hit, box_areas(boxes), np.inf)
    return int(rows[areas.argmin()])


def _with_id(tracks: Tracks, rows: np.ndarray, which: str) -> int:
    for row in rows.tolist():
        if str(int(tracks.ids[row])) == which:
            return row
    seen = ', '.join(str(i) for i in tracks.ids[rows][:20].tolist())
    raise FollowError(
        f'no confirmed object has the id {which[:40]!r}; the newest image has {seen}'
    )
