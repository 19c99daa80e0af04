# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is made of the tracks of one camera: one followed, events, and best pictures."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_ros.node.tracker.crops import CropPublisher
from gtr_ros.node.tracker.events import EventPublisher
from gtr_ros.node.tracker.following import Following

if TYPE_CHECKING:
    import numpy as np
    from rclpy.node import Node
    from std_msgs.msg import Header

    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.structures import Tracks


class Observers:
    """
    Publishes what happens to the tracks of one camera, until `close`.

    :param camera: name of the camera
    :param parameters: of the node, as it was configured
    :param statistics: of the camera
    :param warn: logs a warning unless it was logged a moment ago
    :raises ConfigurationError: if the file of zones cannot be used at all
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        outputs: Outputs,
        parameters: NodeParameters,
        statistics: CameraStatistics,
        warn: Callable[[str], object],
    ) -> None:
        self._clock = node.get_clock()
        self._events = EventPublisher(node, camera, outputs, parameters, statistics, warn)
        self._crops = CropPublisher(outputs, parameters.crop_rate)
        self.following = Following(node, camera, outputs, parameters, warn)

    def close(self) -> None:
        """Release what is not of the outputs."""
        self.following.close()

    def clear(self) -> None:
        """Report that all tracks were ended."""
        self._events.clear()

    def update(
        self,
        stamp: int | None,
        header: Header,
        tracks: Tracks,
        image: np.ndarray,
        names: Sequence[str],
    ) -> None:
        """
        Take over the tracks of an image, before they are placed in 3D.

        :param stamp: of the image, nanoseconds; None: it has none
        :param header: of the image
        :param image: (H, W, 3) uint8 RGB
        :param names: name of each label
        """
        if stamp is None:
            stamp = self._clock.now().nanoseconds
        self.following.update(stamp, header, tracks, image)
        self._events.update(stamp, header, tracks, image.shape[:2], names)
        self._crops.update(stamp, header, tracks, image, names)
