# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the objects of one camera in 3D."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import depth_to_metres
from gtr_ros.node.messages.depth import detections_3d_message
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from gtr_ros.node.tracker.inputs import Inputs
    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.structures import Tracks


class Placing:
    """
    Places the objects of one camera in 3D with its depth images, on the worker's thread.

    :param statistics: of the camera; its without_depth is updated
    :param warn: logs a warning unless it was logged a moment ago
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: Outputs,
        statistics: CameraStatistics,
        warn: Callable[[str], object],
    ) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._statistics = statistics
        self._warn = warn

    def publish(
        self,
        header: Header,
        image_size: tuple[int, int],
        tracks: Tracks,
        class_names: Sequence[str],
    ) -> None:
        """
        Publish the confirmed objects of an image if there is a depth image for it.

        :param header: of the image
        :param image_size: (height, width), pixels
        """
        inputs, camera_info = self._inputs, self._inputs.camera_info
        depth = inputs.depth_at(stamp_to_nanoseconds(header.stamp))
        if depth is None or camera_info is None:
            self._statistics.without_depth += int(tracks.confirmed.sum())
            return
        if depth.header.frame_id != header.frame_id:
            self._warn(
                f'the depth images have the frame {depth.header.frame_id!r}, the images of '
                f'{inputs.topic} have {header.frame_id!r}: positions are right only if depth is '
                'registered to this camera'
            )
        class_ids = self._outputs.class_ids(class_names)
        try:
            metres = depth_to_metres(depth)
            message, left_out = detections_3d_message(
                tracks, header, class_ids, image_size, metres, camera_info
            )
        except ImageError as error:  # the detections in the image have been published
            self._statistics.without_depth += int(tracks.confirmed.sum())
            self._warn(f'no objects of {inputs.topic} in 3D: {error}')
            return
        self._statistics.without_depth += left_out
        self._outputs.publish_in_3d(message)
