# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a camera moved between two of its images, according to the transforms."""

from __future__ import annotations

from collections.abc import Callable
import math
import re
from typing import NamedTuple
from typing import TYPE_CHECKING

import numpy as np

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import pinhole_of
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.tracker.transforms import TransformError
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.ego_motion import angle_of
from gtr_ros.tracking.ego_motion import FASTEST
from gtr_ros.tracking.ego_motion import image_motion
from gtr_ros.tracking.placement import Pinhole

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header

    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.node.tracker.transform_listener import TransformListener

# What differs between two warnings for the same reason: names and numbers.
_DETAILS = re.compile(r"'[^']*'|\d[\d.]*")


class _View(NamedTuple):
    """What an image was taken with, and when, nanoseconds."""

    stamp: int
    frame: str
    camera: Pinhole


class _MotionError(LookupError):
    """The transforms do not tell how the camera moved."""


class EgoMotion:
    """
    The motion of one camera from one tracked image to the next; never waits for a transform.

    `update` runs on the worker's thread, `clear` on the executor's.

    :param frame: does not move with the camera
    :param topic: returns the topic of the images, for warnings
    :param camera_info: returns the newest one; None: none has arrived
    :param statistics: of the camera; its without_ego_motion is updated
    :param warn: logs a warning, unless it was logged a moment ago; returns whether it did
    """

    def __init__(
        self,
        frame: str,
        topic: Callable[[], str],
        camera_info: Callable[[], CameraInfo | None],
        listener: TransformListener,
        statistics: CameraStatistics,
        warn: Callable[[str], bool],
    ) -> None:
        self._frame, self._topic, self._camera_info = frame, topic, camera_info
        self._listener, self._statistics, self._warn = listener, statistics, warn
        self._said: set[str] = set()
        # The previous image, or why it is of no use; None: there was none.
        self._before: _View | str | None = None

    def clear(self) -> None:
        """Forget the previous image and the transforms, for example after the clock was reset."""
        self._before = None
        self._listener.newest_image = 0
        self._listener.transforms.clear()

    def update(self, header: Header, image_size: tuple[int, int]) -> np.ndarray | None:
        """
        Return how the camera moved since the previous image; count and say it if it is unknown.

        :param header: of the image
        :param image_size: (height, width), pixels
        :return: (2, 3) float64, as `Detections.camera`; None: unknown, or the first image
        """
        before = self._before
        try:
            now = self._view(header, image_size)
        except ImageError as error:
            now = str(error)
        self._before = now
        try:
            return None if before is None else self._between(before, now)
        except (TransformError, _MotionError) as error:
            self._statistics.without_ego_motion += 1
            self._explain(str(error))
        return None

    def _view(self, header: Header, image_size: tuple[int, int]) -> _View:
        """
        Return what is known about an image.

        :raises ImageError: if it is not enough
        """
        info, stamp = self._camera_info(), stamp_to_nanoseconds(header.stamp)
        if not stamp or not header.frame_id:
            raise ImageError(f'an image has no {"frame_id" if stamp else "stamp"}')
        self._listener.newest_image = max(self._listener.newest_image, stamp)
        if info is None:
            raise ImageError('no camera_info has arrived')
        return _View(stamp, header.frame_id, pinhole_of(info, image_size))

    def _between(self, before: _View | str, now: _View | str) -> np.ndarray:
        """
        Return the motion between two images.

        :raises TransformError: if a transform is missing
        :raises _MotionError: if there is another reason why it is not known
        """
        for view in (before, now):
            if isinstance(view, str):
                raise _MotionError(view)
        seconds = (now.stamp - before.stamp) / NANOSECONDS
        if seconds <= 0:
            raise _MotionError('the stamp of an image is not after that of the previous one')
        poses = [
            self._listener.transforms.lookup(self._frame, view.frame, view.stamp)
            for view in (before, now)
        ]
        turn = poses[1][:3, :3].T @ poses[0][:3, :3]
        angle = angle_of(turn)
        turned = (
            f'frame {now.frame!r} turned in {self._frame!r} by {math.degrees(angle):.0f} degrees '
            f'in {seconds:.3f} s'
        )
        if angle > FASTEST * seconds:
            raise _MotionError(f'the transforms jump: {turned}')
        motion = image_motion(turn, before.camera, now.camera)
        if motion is None:
            raise _MotionError(f'hardly anything is in both of two images: {turned}')
        return motion

    def _explain(self, reason: str) -> None:
        """Log a reason once."""
        kind = _DETAILS.sub('', reason)
        if kind not in self._said and self._warn(
            f'the motion of the camera of {self._topic()} is estimated from its images where '
            f'transforms do not tell it: {reason}. without_ego_motion in /diagnostics counts '
            'these images; each reason is logged once'
        ):
            self._said.add(kind)
