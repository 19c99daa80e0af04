# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""One camera of an active node: from an image message to the published tracks."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
import math
from time import perf_counter
from typing import TYPE_CHECKING

from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.received import read_detections
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.tracker.ego_motion import EgoMotion
from gtr_ros.node.tracker.inputs import Inputs
from gtr_ros.node.tracker.metric import MetricPublisher
from gtr_ros.node.tracker.observers import Observers
from gtr_ros.node.tracker.pipeline import CameraFrame
from gtr_ros.node.tracker.placing import Placing
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.stamps import NANOSECONDS

if TYPE_CHECKING:
    from rclpy.node import Node

    from gtr_ros.node.tracker.inputs import CameraRequest
    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.node.tracker.sharing import SharedIds
    from gtr_ros.node.tracker.transform_listener import TransformListener
    from gtr_ros.profiling import Profiler
    from gtr_ros.structures import Detections

#: the stages of a frame's processing, from its stamp on; see docs/profile.md
STAGES = (
    'arrival',  # exposure, driver, DDS and rclpy, until the node has the message
    'mailbox',
    'conversion',
    'detector',
    'detector.prepare',
    'detector.network',
    'detector.decode',
    'detector.features',
    'camera motion',
    'tracker',
    'messages',
    'publishing',
    'viewers',  # messages made only for subscribers, except the debug image
    'debug image',
    'space',
    'rest',  # includes the processing of the other cameras
)


class Camera:
    """
    The inputs, outputs and statistics of one camera, and the processing of its images.

    `read` and `track` run on the worker's thread, everything else on the executor's.

    :param node: the node that subscribes
    :param name: of the camera; '' for a single camera without a name
    :param outputs: of the camera
    :param pipeline: of all cameras
    :param parameters: returns the node's current parameters
    :param submit: called with this camera and an image to be tracked
    :param warn: logs a warning, unless it was logged a moment ago; returns whether it did
    :param profiler: of `STAGES`
    :param listener: of transforms; None: nothing uses them
    :param shared: the ids that all cameras share; None: each camera has ids of its own
    """

    def __init__(
        self,
        node: Node,
        name: str,
        outputs: Outputs,
        pipeline: Pipeline,
        parameters: Callable[[], NodeParameters],
        submit: Callable[[Camera, CameraRequest], None],
        warn: Callable[[str], bool],
        profiler: Profiler,
        listener: TransformListener | None = None,
        shared: SharedIds | None = None,
    ) -> None:
        self.name = name
        self.statistics = CameraStatistics()
        self.inputs = Inputs(
            node, name, parameters, self.statistics, lambda request: submit(self, request)
        )
        self.outputs = outputs
        self._clock = node.get_clock()
        self._pipeline = pipeline
        self._tracker = pipeline.tracker(name)
        self._warn = warn
        self._warned: set[str] = set()
        self._profiler = profiler
        self._read_at = 0.0  # seconds of perf_counter
        settings = parameters()
        self._compensates = settings.compensates
        self._ego_motion = None
        if settings.compensates and settings.camera_motion_frame:
            self._ego_motion = EgoMotion(
                settings.camera_motion_frame,
                lambda: self.inputs.topic,
                lambda: self.inputs.camera_info,
                listener,
                self.statistics,
                warn,
            )
        self._listener = listener
        self._placing = self._metric = None
        self._shared = shared
        share = None if shared is None else partial(shared.place, name)
        if settings.target_frame:
            self._metric = MetricPublisher(
                lambda: self.inputs.topic,
                settings,
                outputs,
                listener,
                self.statistics,
                warn,
                share,
            )
        if settings.depth or self._metric is not None:
            self._placing = Placing(
                self.inputs,
                settings.depth,
                self._metric,
                outputs,
                self.statistics,
                warn,
                tentative=shared is not None,
            )
        self.observers = Observers(node, name, outputs, settings, self.statistics, warn)
        self._boxes_size = None
        if settings.detections_width:
            self._boxes_size = settings.detections_height, settings.detections_width

    def clear(self) -> None:
        """Discard all messages that wait for others, for example after the clock was reset."""
        self.inputs.clear()
        if self._ego_motion is not None:
            self._ego_motion.clear()
        if self._metric is not None:
            self._metric.clear()
        if self._shared is not None:
            self._shared.clear()
        self.observers.clear()

    def update_statistics(self) -> None:
        """Copy the tracker's counters to the statistics, and estimate what did not arrive."""
        statistics, tracker = self.statistics, self._tracker
        statistics.publisher_rate, statistics.missing = self.inputs.arrivals.estimate()
        statistics.repaired_stamps = tracker.repaired_stamps
        statistics.resets = tracker.resets
        statistics.returns = tracker.returns
        statistics.last_return = tracker.last_return
        if self._shared is not None:
            statistics.joins = self._shared.joins(self.name)
        if self._metric is not None:
            self._metric.publish_ready()  # drops what waited too long, even if nothing arrives
        if self._listener is not None:
            statistics.refused_transforms = self._listener.refused

    def read(self, request: CameraRequest) -> CameraFrame:
        """
        Convert the messages of an image.

        :raises ImageError: if the image cannot be read
        :raises ValueError: if the boxes cannot be read
        """
        timer = self._profiler.begin(request.arrived)
        timer.mark('mailbox')
        self._read_at = perf_counter()
        image = image_to_array(request.image)
        detections = None
        if request.boxes is not None:
            label_of = self._pipeline.label_of
            detections = read_detections(
                request.boxes, image.shape[:2], label_of, self._boxes_size
            )
        stamp = stamp_to_nanoseconds(request.image.header.stamp) or None
        if stamp is None:
            self.statistics.without_stamp += 1
            self._warn_once(
                'no stamp',
                f'an image of {self.inputs.topic} has no stamp (0.000 s): it is assumed to follow '
                'the previous one after the average frame interval so far, 0.1 s at first, and '
                'the age of its detections is unknown. Configure the driver to stamp images',
            )
        timer.mark('conversion')
        return CameraFrame(image, stamp, detections, timer)

    def track(self, request: CameraRequest, frame: CameraFrame, detections: Detections) -> None:
        """
        Assign a track id to each detection of a frame, and publish the tracks.

        :param request: the request that the frame was read from
        """
        timer = frame.timer
        timer.mark('rest')
        if self._compensates:
            motion = None
            if self._ego_motion is not None:
                motion = self._ego_motion.update(request.image.header, frame.image.shape[:2])
            detections = self._pipeline.compensate(frame, detections, self.name, motion)
            timer.mark('camera motion')
        resets, repaired_stamps = self._tracker.resets, self._tracker.repaired_stamps
        tracks = self._pipeline.track(detections, self.name)
        if self._shared is not None:
            stamp = frame.stamp or self._clock.now().nanoseconds
            tracks = self._shared.rename(self.name, stamp, tracks, self._tracker)
        timer.mark('tracker')
        self._warn_about_stamp(frame.stamp, resets, repaired_stamps)
        names, header = self._pipeline.class_names, request.image.header
        self._describe_new_classes(request)
        timer.mark('rest')
        self.outputs.publish(tracks, frame.image, header, names, timer)
        now = self._clock.now().nanoseconds
        unknown = frame.stamp is None or not now  # simulated time without a clock is 0
        age = math.nan if unknown else (now - frame.stamp) / NANOSECONDS
        self.statistics.age = age
        self.outputs.publish_times(perf_counter() - self._read_at, age)
        self.observers.update(frame.stamp, header, tracks, frame.image, names)
        timer.mark('rest')
        timer.before('arrival', age)
        if self._placing:
            self._placing.publish(header, frame.image.shape[:2], tracks, names)
            timer.mark('space')
        self._profiler.end(timer)

    def _describe_new_classes(self, request: CameraRequest) -> None:
        """Publish the class names again if the other detector has sent a new class."""
        pipeline, outputs = self._pipeline, self.outputs
        names = pipeline.class_names
        if len(names) > outputs.described:
            outputs.describe(
                request.image.header, names, pipeline.description, pipeline.score_threshold
            )

    def _warn_about_stamp(self, stamp: int | None, resets: int, repaired_stamps: int) -> None:
        """
        Warn if the stamp of a tracked image was not after the previous one.

        :param resets: the tracker's count before the image
        :param repaired_stamps: the tracker's count before the image
        """
        if stamp is None:
            return
        subject = f'the stamp of an image of {self.inputs.topic}, {stamp / NANOSECONDS:.3f} s,'
        if self._tracker.resets > resets:
            self._warn(
                f'{subject} is more than a second before the newest one: the clock was reset, so '
                'all tracks were ended; ids continue to count up'
            )
        elif self._tracker.repaired_stamps > repaired_stamps:
            self._warn_once(
                'jitter',
                f'{subject} is not after the newest one: this is treated as jitter, and the image '
                'as the next frame; repaired_stamps in /diagnostics counts such images. Is the '
                "driver's clock right, and does only one camera publish there?",
            )

    def _warn_once(self, subject: str, text: str) -> None:
        """Log a warning that may apply to every image, once for each camera and subject."""
        if subject not in self._warned and self._warn(text):
            self._warned.add(subject)
