# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the objects of one camera in 3D, in its own frame and in one that does not move."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import depth_to_metres
from gtr_ros.node.messages.depth import detections_3d_message
from gtr_ros.node.messages.depth import find_surfaces
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.tracking.upper_body import upper_middles

if TYPE_CHECKING:
    import numpy as np
    from std_msgs.msg import Header

    from gtr_ros.node.tracker.inputs import Inputs
    from gtr_ros.node.tracker.metric import MetricPublisher
    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.structures import Tracks


class Placing:
    """
    Places the objects of one camera in 3D, on the worker's thread.

    :param with_depth: whether there are depth images
    :param metric: publishes tracks in the target frame; None: there is none
    :param statistics: of the camera; its without_depth is updated
    :param warn: logs a warning unless it was logged a moment ago
    :param tentative: whether tracks that are not confirmed are placed in the target frame, too
    """

    def __init__(
        self,
        inputs: Inputs,
        with_depth: bool,
        metric: MetricPublisher | None,
        outputs: Outputs,
        statistics: CameraStatistics,
        warn: Callable[[str], object],
        tentative: bool = False,
    ) -> None:
        self._inputs = inputs
        self._with_depth = with_depth
        self._metric = metric
        self._outputs = outputs
        self._statistics = statistics
        self._warn = warn
        self._tentative = tentative

    def publish(
        self,
        header: Header,
        image_size: tuple[int, int],
        tracks: Tracks,
        class_names: Sequence[str],
    ) -> None:
        """
        Publish the confirmed objects of an image.

        :param header: of the image
        :param image_size: (height, width), pixels
        """
        depths = middles = None
        if self._with_depth:
            found = self._publish_detections(header, image_size, tracks, class_names)
            depths, middles = found or (None, None)
        if self._metric is not None:
            info = self._inputs.camera_info
            self._metric.add(header, image_size, tracks, class_names, info, depths, middles)

    def _publish_detections(
        self,
        header: Header,
        image_size: tuple[int, int],
        tracks: Tracks,
        class_names: Sequence[str],
    ) -> tuple[np.ndarray, np.ndarray | None] | None:
        """
        Publish the objects in the camera's frame if there is a depth image.

        :return: of the tracks to be placed, (N,) float64: depths, metres, and, for the target
            frame, x of their upper bodies, pixels; None: no depth image
        """
        inputs, camera_info = self._inputs, self._inputs.camera_info
        depth = inputs.depth_at(stamp_to_nanoseconds(header.stamp))
        if depth is None or camera_info is None:
            self._statistics.without_depth += int(tracks.confirmed.sum())
            return None
        if depth.header.frame_id != header.frame_id:
            self._warn(
                f'the depth images have the frame {depth.header.frame_id!r}, the images of '
                f'{inputs.topic} have {header.frame_id!r}: positions are right only if depth is '
                'registered to this camera'
            )
        class_ids = self._outputs.class_ids(class_names)
        try:
            metres = depth_to_metres(depth)
            chosen = tracks.confirmed | self._tentative
            surfaces = find_surfaces(metres, tracks.boxes[chosen], image_size)
            confirmed = surfaces[tracks.confirmed[chosen]]
            message, left_out = detections_3d_message(
                tracks, header, class_ids, image_size, metres, camera_info, confirmed
            )
        except ImageError as error:  # the detections in the image have been published
            self._statistics.without_depth += int(tracks.confirmed.sum())
            self._warn(f'no objects of {inputs.topic} in 3D: {error}')
            return None
        self._statistics.without_depth += left_out
        self._outputs.publish_in_3d(message)
        if self._metric is None:
            return surfaces[:, 0], None
        boxes = tracks.boxes[chosen]
        return surfaces[:, 0], upper_middles(metres, boxes, surfaces[:, 0], image_size)
