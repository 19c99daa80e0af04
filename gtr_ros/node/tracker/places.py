# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the objects of one camera are, in metres: what was published of them last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gtr_ros.node.messages.tracks import stamp_to_nanoseconds

if TYPE_CHECKING:
    from vision_msgs.msg import Detection3DArray

    from gtr_ros.msg import Track3DArray


@dataclass(frozen=True, eq=False)
class Place:
    """
    The place of an object.

    :param position: (3,) float64, metres
    :param velocity: (3,) float64, m/s; None: unknown, in the camera's frame
    :param coasted: whether it was predicted, not measured
    :param age: seconds for which each place has gone on from the one before
    """

    position: np.ndarray
    velocity: np.ndarray | None = None
    coasted: bool = False
    age: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """The places of the objects in one image, by id; stamp: nanoseconds; frame: of the places."""

    stamp: int
    frame: str
    places: dict[int, Place]


class Places:
    """
    The newest places in the camera's frame, and in the target frame; any thread may read them.

    :param in_target: whether there are places in the target frame
    """

    def __init__(self, in_target: bool) -> None:
        self._in_target = in_target
        #: called with each snapshot in the target frame or, if there is none, in the camera's
        self.on_arrival: list[Callable[[Snapshot], None]] = []
        #: in the camera's optical frame; None: none yet
        self.in_camera: Snapshot | None = None
        #: in the target frame; None: none yet
        self.in_target: Snapshot | None = None

    def add_detections(self, message: Detection3DArray) -> None:
        """Take over the places in the camera's frame."""
        self.in_camera = _snapshot(
            message,
            {int(d.id): Place(_vector(d.bbox.center.position)) for d in message.detections},
        )
        if not self._in_target:
            self._notify(self.in_camera)

    def add_tracks(self, message: Track3DArray) -> None:
        """Take over the places in the target frame."""
        self.in_target = _snapshot(
            message,
            {
                int(track.id): Place(
                    _vector(track.pose.pose.position),
                    _vector(track.twist.twist.linear),
                    track.coasted,
                    track.age,
                )
                for track in message.tracks
            },
        )
        self._notify(self.in_target)

    def _notify(self, snapshot: Snapshot) -> None:
        for callback in self.on_arrival:
            callback(snapshot)


def _snapshot(message: Detection3DArray | Track3DArray, places: dict[int, Place]) -> Snapshot:
    header = message.header
    return Snapshot(stamp_to_nanoseconds(header.stamp), header.frame_id, places)


def _vector(message: object) -> np.ndarray:
    return np.array([message.x, message.y, message.z], np.float64)
