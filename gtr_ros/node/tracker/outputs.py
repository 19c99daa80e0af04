# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says of one camera: its publishers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import LabelInfo
from vision_msgs.msg import VisionInfo
from visualization_msgs.msg import ImageMarker
from visualization_msgs.msg import MarkerArray

from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.depth import markers_message
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import image_marker_message
from gtr_ros.node.messages.tracks import label_info_message
from gtr_ros.node.messages.tracks import trajectories_message

if TYPE_CHECKING:
    import numpy as np
    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from std_msgs.msg import Header

    from gtr_ros.profiling import FrameTimer
    from gtr_ros.structures import Tracks

_RESULT_QOS = QoSProfile(depth=10)
_NEWEST_QOS = QoSProfile(depth=1)
_LATCHED_QOS = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """
    The publishers of one camera, from the beginning to `close`.

    :param node: that they belong to
    :param camera: its name; '' is the one without
    :param with_index: whether class_id is the label; else the name
    :param in_3d: whether objects are published in 3D, too
    """

    def __init__(self, node: Node, camera: str, with_index: bool, in_3d: bool) -> None:
        self._node = node
        self._prefix = f'~/{camera}/' if camera else '~/'
        self._with_index = with_index
        self._publishers: list[Publisher] = []
        self._detections = self._publish(Detection2DArray, 'detections', _RESULT_QOS)
        self._trajectories = self._publish(TrajectoryArray, 'trajectories', _RESULT_QOS)
        self._debug_image = self._publish(Image, 'debug_image', _NEWEST_QOS)
        self._compressed = self._publish(CompressedImage, 'debug_image/compressed', _NEWEST_QOS)
        self._image_marker = self._publish(ImageMarker, 'image_marker', _NEWEST_QOS)
        self._processing = self._publish(Float64, 'debug/processing_time_ms', _NEWEST_QOS)
        self._latency = self._publish(Float64, 'debug/pipeline_latency_ms', _NEWEST_QOS)
        self._label_info = self._publish(LabelInfo, 'label_info', _LATCHED_QOS)
        self._vision_info = self._publish(VisionInfo, 'vision_info', _LATCHED_QOS)
        #: how many labels `describe` has named
        self.described = 0
        self._detections_3d = self._markers = None
        if in_3d:
            self._detections_3d = self._publish(Detection3DArray, 'detections_3d', _RESULT_QOS)
            self._markers = self._publish(MarkerArray, 'markers', _NEWEST_QOS)

    def close(self) -> None:
        """Stop publishing."""
        for publisher in self._publishers:
            self._node.destroy_publisher(publisher)
        self._publishers.clear()

    def describe(
        self, header: Header, class_names: Sequence[str], method: str, threshold: float
    ) -> None:
        """
        Say what runs, and what the labels mean; those who come later are told, too.

        :param header: with the time from which on it is so
        :param method: model and association
        :param threshold: score from which on objects are tracked
        """
        self.described = len(class_names)
        self._label_info.publish(label_info_message(header, class_names, threshold))
        self._vision_info.publish(
            VisionInfo(
                header=header,
                method=method,
                database_location=self._label_info.topic_name,
                database_version=0,
            )
        )

    def publish(
        self,
        tracks: Tracks,
        image: np.ndarray,
        header: Header,
        class_names: Sequence[str],
        timer: FrameTimer,
    ) -> None:
        """
        Say who is in an image.

        :param image: (H, W, 3) uint8, RGB; drawn upon, a copy, only while somebody subscribes
        :param header: of the image
        :param timer: of the image
        """
        ids = self.class_ids(class_names)
        message = detections_message(tracks, header, ids)
        timer.mark('messages')
        self._detections.publish(message)
        timer.mark('publishing')
        # Hundreds of boxes a frame, each a message in the message: only for those who look.
        if self._trajectories.get_subscription_count():
            self._trajectories.publish(trajectories_message(tracks, header))
        if self._image_marker.get_subscription_count():
            self._image_marker.publish(image_marker_message(tracks, header))
        timer.mark('viewers')
        plain = self._debug_image.get_subscription_count()
        compressed = self._compressed.get_subscription_count()
        if plain or compressed:
            from gtr_ros.media.drawing import annotate

            drawn = annotate(image, tracks, class_names)
            if plain:
                self._debug_image.publish(array_to_image(drawn, header, 'rgb8'))
            if compressed:
                self._compressed.publish(compress(drawn, header))
            timer.mark('debug image')

    def class_ids(self, class_names: Sequence[str]) -> Sequence[str]:
        """Return what each label is called in a message."""
        return [str(i) for i in range(len(class_names))] if self._with_index else class_names

    def publish_in_3d(self, detections: Detection3DArray) -> None:
        """Say where the objects are, and draw them for rviz while somebody subscribes."""
        self._detections_3d.publish(detections)
        if self._markers.get_subscription_count():
            self._markers.publish(markers_message(detections))

    def publish_times(self, processing: float, latency: float) -> None:
        """
        Say how long an image took.

        :param processing: seconds from when it was taken up
        :param latency: seconds from its stamp; not a number where it has none
        """
        self._processing.publish(Float64(data=1e3 * processing))
        self._latency.publish(Float64(data=1e3 * latency))

    def _publish(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        # Each of these adds parameters to the node: for the results alone.
        options = QoSOverridingOptions.with_default_policies() if qos is _RESULT_QOS else None
        publisher = self._node.create_publisher(
            kind, self._prefix + topic, qos, qos_overriding_options=options
        )
        self._publishers.append(publisher)
        return publisher
