# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The publishers of one camera."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Float64
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import LabelInfo
from vision_msgs.msg import VisionInfo
from visualization_msgs.msg import ImageMarker
from visualization_msgs.msg import MarkerArray

from gtr_ros.msg import Counts
from gtr_ros.msg import Crop
from gtr_ros.msg import FollowedState
from gtr_ros.msg import Track3DArray
from gtr_ros.msg import TrackEventArray
from gtr_ros.msg import TrajectoryArray
from gtr_ros.msg import ZoneArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.markers import markers_message
from gtr_ros.node.messages.markers import track_markers_message
from gtr_ros.node.messages.people import PeopleMessages
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import image_marker_message
from gtr_ros.node.messages.tracks import label_info_message
from gtr_ros.node.messages.tracks import trajectories_message
from gtr_ros.node.messages.tracks_3d import obstacles_message
from gtr_ros.node.topics import overridable
from gtr_ros.node.topics import qos_overrides_checked
from gtr_ros.node.tracker.places import Places
from gtr_ros.tracking.footprints import outlines
from gtr_ros.tracking.placement import kind_of
from gtr_ros.tracking.placement import PERSON

if TYPE_CHECKING:
    import numpy as np
    from rclpy.node import Node
    from rclpy.publisher import Publisher
    from std_msgs.msg import Header

    from gtr_ros.profiling import FrameTimer
    from gtr_ros.structures import Tracks
    from gtr_ros.tracking.metric import MetricState

_RESULT_QOS = QoSProfile(depth=10)
_NEWEST_QOS = QoSProfile(depth=1)
_LATCHED_QOS = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Outputs:
    """
    The publishers of one camera, until `close`.

    :param node: the node that publishes
    :param camera: name of the camera; '' for a single camera without a name
    :param with_index: whether class_id is the label instead of the class name
    :param in_3d: whether objects are also published in 3D
    :param in_frame: whether tracks are also published in a frame that does not move
    :param people: whether those of people are also published as people_msgs/People
    :raises ConfigurationError: if people_msgs cannot be imported
    """

    def __init__(
        self,
        node: Node,
        camera: str,
        with_index: bool,
        in_3d: bool,
        in_frame: bool = False,
        people: bool = False,
    ) -> None:
        self._people_messages = PeopleMessages() if people else None
        self._node = node
        self._prefix = f'~/{camera}/' if camera else '~/'
        self._with_index = with_index
        #: by topic, relative to the topics of the camera
        self.publishers: dict[str, Publisher] = {}
        self._detections = self._advertise(Detection2DArray, 'detections', _RESULT_QOS)
        self._trajectories = self._advertise(TrajectoryArray, 'trajectories', _RESULT_QOS)
        self._debug_image = self._advertise(Image, 'debug_image', _NEWEST_QOS)
        self._compressed = self._advertise(CompressedImage, 'debug_image/compressed', _NEWEST_QOS)
        self._image_marker = self._advertise(ImageMarker, 'image_marker', _NEWEST_QOS)
        self._processing = self._advertise(Float64, 'debug/processing_time_ms', _NEWEST_QOS)
        self._latency = self._advertise(Float64, 'debug/pipeline_latency_ms', _NEWEST_QOS)
        self._label_info = self._advertise(LabelInfo, 'label_info', _LATCHED_QOS)
        self._vision_info = self._advertise(VisionInfo, 'vision_info', _LATCHED_QOS)
        #: number of labels in the newest label_info
        self.described = 0
        self._advertise(TrackEventArray, 'events', _RESULT_QOS)
        self._advertise(Counts, 'counts', _LATCHED_QOS)
        self._advertise(ZoneArray, 'zones', _LATCHED_QOS)
        self._advertise(Crop, 'crops', _RESULT_QOS)
        self._advertise(PoseStamped, 'followed/pose', _RESULT_QOS)
        self._advertise(FollowedState, 'followed/state', _LATCHED_QOS)
        #: id of the followed object while it is seen; '': none
        self.followed = ''
        #: what was published of the objects' places
        self.places = Places(in_frame)
        self._detections_3d = self._markers = None
        if in_3d:
            self._detections_3d = self._advertise(Detection3DArray, 'detections_3d', _RESULT_QOS)
            self._markers = self._advertise(MarkerArray, 'markers', _NEWEST_QOS)
        self._tracks_3d = self._velocities = self._obstacles = None
        if in_frame:
            self._tracks_3d = self._advertise(Detection3DArray, 'tracks_3d', _RESULT_QOS)
            self._velocities = self._advertise(Track3DArray, 'tracks_with_velocity', _RESULT_QOS)
            self._obstacles = self._advertise(PointCloud2, 'obstacles', _NEWEST_QOS)
            self._track_markers = self._advertise(MarkerArray, 'tracks_3d/markers', _NEWEST_QOS)
            self._advertise(MarkerArray, 'zones/markers', _LATCHED_QOS)
        #: class_id of people, as far as the classes are known
        self._person_ids: frozenset[str] = frozenset()
        if self._people_messages:
            self._people = self._advertise(self._people_messages.kind, 'people', _RESULT_QOS)

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self.publishers.values():
            self._node.destroy_publisher(publisher)
        self.publishers.clear()

    def describe(
        self, header: Header, class_names: Sequence[str], method: str, threshold: float
    ) -> None:
        """
        Publish which method runs and what the labels mean, on latched topics.

        :param header: its stamp is the time from which this applies
        :param method: detector, linking rule and association
        :param threshold: minimum score of objects that are tracked
        """
        self.described = len(class_names)
        self._person_ids = frozenset(
            class_id
            for class_id, name in zip(self.class_ids(class_names), class_names)
            if kind_of(name) is PERSON
        )
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
        Publish the tracks of an image.

        :param image: (H, W, 3) uint8, RGB; the debug image is drawn on a copy, and only while it
            has subscribers
        :param header: of the image
        :param timer: of the frame
        """
        ids = self.class_ids(class_names)
        message = detections_message(tracks, header, ids)
        timer.mark('messages')
        self._detections.publish(message)
        timer.mark('publishing')
        # There may be hundreds of boxes in a frame, each a separate message: only for subscribers.
        if self._trajectories.get_subscription_count():
            self._trajectories.publish(trajectories_message(tracks, header))
        if self._image_marker.get_subscription_count():
            self._image_marker.publish(image_marker_message(tracks, header))
        timer.mark('viewers')
        raw = self._debug_image.get_subscription_count()
        compressed = self._compressed.get_subscription_count()
        if raw or compressed:
            from gtr_ros.media.drawing import annotate

            drawn = annotate(image, tracks, class_names)
            if raw:
                self._debug_image.publish(array_to_image(drawn, header, 'rgb8'))
            if compressed:
                self._compressed.publish(compress(drawn, header))
            timer.mark('debug image')

    def class_ids(self, class_names: Sequence[str]) -> Sequence[str]:
        """Return the class_id of each label in messages."""
        return [str(i) for i in range(len(class_names))] if self._with_index else class_names

    def publish_in_3d(self, detections: Detection3DArray) -> None:
        """Publish the objects in 3D, and markers for rviz while they have subscribers."""
        self._detections_3d.publish(detections)
        self.places.add_detections(detections)
        if self._markers.get_subscription_count():
            self._markers.publish(markers_message(detections))

    def publish_tracks_3d(self, detections: Detection3DArray, tracks: Track3DArray) -> None:
        """Publish the tracks in the target frame, and markers while they have subscribers."""
        self._tracks_3d.publish(detections)
        self._velocities.publish(tracks)
        if self._track_markers.get_subscription_count():
            self._track_markers.publish(track_markers_message(tracks, self.followed))
        if self._people_messages and self._people.get_subscription_count():
            self._people.publish(self._people_messages.make(tracks, self._person_ids))
        self.places.add_tracks(tracks)

    def publish_obstacles(self, state: MetricState, header: Header, seconds: float) -> None:
        """
        Publish the outlines of the tracks in the target frame while they have subscribers.

        :param header: stamp of the image, in the target frame
        :param seconds: for which the paths of moving objects are predicted
        """
        if self._obstacles.get_subscription_count():
            self._obstacles.publish(obstacles_message(outlines(state, seconds), header))

    def publish_times(self, processing: float, latency: float) -> None:
        """
        Publish how long an image took.

        :param processing: seconds since the worker took it
        :param latency: seconds since its stamp; nan if it has none
        """
        self._processing.publish(Float64(data=1e3 * processing))
        self._latency.publish(Float64(data=1e3 * latency))

    def _advertise(self, kind: type, topic: str, qos: QoSProfile) -> Publisher:
        # Overridable QoS adds parameters to the node for each topic, so it is used only for the
        # results.
        options = overridable(qos) if qos is _RESULT_QOS else {'qos_profile': qos}
        with qos_overrides_checked():
            publisher = self._node.create_publisher(kind, self._prefix + topic, **options)
        self.publishers[topic] = publisher
        return publisher
