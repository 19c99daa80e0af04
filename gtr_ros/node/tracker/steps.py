# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The steps from a camera's message to what is published of it, on the worker's thread."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
import math
from time import perf_counter
from typing import TYPE_CHECKING

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import depth_to_metres
from gtr_ros.node.messages.depth import detections_3d_message
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.received import read_detections
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.tracker.pipeline import Frame
from gtr_ros.profiling import Profiler

if TYPE_CHECKING:
    from rclpy.clock import Clock

    from gtr_ros.node.tracker.inputs import Inputs
    from gtr_ros.node.tracker.inputs import Request
    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.pipeline import Events
    from gtr_ros.node.tracker.pipeline import Pipeline
    from gtr_ros.structures import Detections
    from gtr_ros.structures import Tracks

#: what the time of a frame goes to, from its stamp on; see docs/profile.md
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
    'viewers',  # what is made only while somebody subscribes, but for the debug image
    'debug image',
    'space',
    'rest',  # the other cameras' turns, too
)


@dataclass
class Camera:
    """
    One camera of an active node.

    :param age: seconds from the stamp of the newest image to its detections; nan: it has none
    :param without_stamp: images that had none
    :param without_depth: objects that were not published in 3D, for want of depth
    """

    inputs: Inputs
    outputs: Outputs
    age: float = math.nan
    without_stamp: int = 0
    without_depth: int = 0


class TrackingSteps:
    """
    See a camera's images through; see `gtr_ros.node.tracker.worker.Steps`.

    :param cameras: by name
    :param parameters: the node's, of which these steps need what cannot change
    :param clock: the node's
    :param warn: logs a line, once in a while; says whether it did
    :param profiler: of `STAGES`
    """

    def __init__(
        self,
        pipeline: Pipeline,
        cameras: Mapping[str, Camera],
        parameters: NodeParameters,
        clock: Clock,
        warn: Callable[[str], bool],
        profiler: Profiler = Profiler(STAGES, enabled=False),
    ) -> None:
        self._pipeline = pipeline
        self._profiler = profiler
        self._cameras = cameras
        self._clock = clock
        self._warn = warn
        self._said: set[tuple[str, str]] = set()  # cameras, and what is said of each once
        self._compensates = parameters.camera_motion
        self._in_3d = parameters.depth
        self._found_in = None
        if parameters.detections_width:
            self._found_in = parameters.detections_height, parameters.detections_width
        self._began: dict[str, float] = {}

    def read(self, camera: str, request: Request) -> Frame:
        """Show an image's pixels, and read the boxes that came with it."""
        timer = self._profiler.begin(request.arrived)
        timer.mark('mailbox')
        self._began[camera] = perf_counter()
        image = image_to_array(request.image)
        detections = None
        if request.boxes is not None:
            label_of = self._pipeline.label_of
            detections = read_detections(request.boxes, image.shape[:2], label_of, self._found_in)
        stamp = stamp_to_nanoseconds(request.image.header.stamp) or None
        if stamp is None:
            own = self._cameras[camera]
            own.without_stamp += 1
            self._warn_once(
                camera,
                'no stamp',
                f'an image of {own.inputs.topic} has the stamp 0.000 s, which is none: it is '
                'taken to come as long after the one before as images came so far, 0.1 s at '
                'first, and the age of what is published is unknown. Let the driver stamp images',
            )
        timer.mark('conversion')
        return Frame(image, stamp, detections, timer)

    def detect(self, frames: Sequence[Frame]) -> list[Detections]:
        """Find the objects of one frame of each camera, in one pass."""
        for frame in frames:
            frame.timer.mark('rest')
        found = self._pipeline.detect(frames)
        parts = self._profiler.take_parts()
        for frame in frames:
            frame.timer.mark('detector', parts)
        return found

    def follow(self, camera: str, request: Request, frame: Frame, detections: Detections) -> None:
        """Say who they are, and publish it."""
        own, header, timer = self._cameras[camera], request.image.header, frame.timer
        names = self._pipeline.class_names
        timer.mark('rest')
        if self._compensates:
            detections = self._pipeline.compensate(frame, detections, camera)
            timer.mark('camera motion')
        before = self._pipeline.events(camera)
        tracks = self._pipeline.follow(detections, camera)
        timer.mark('tracker')
        self._warn_of_stamp(camera, frame.stamp, before)
        if len(names) > own.outputs.described:
            threshold = self._pipeline.score_threshold
            own.outputs.describe(header, names, self._pipeline.description, threshold)
        timer.mark('rest')
        own.outputs.publish(tracks, frame.image, header, names, timer)
        now = self._clock.now().nanoseconds
        own.age = math.nan if frame.stamp is None else (now - frame.stamp) / 1e9
        own.outputs.publish_times(perf_counter() - self._began[camera], own.age)
        timer.mark('rest')
        timer.before('arrival', own.age)
        if self._in_3d:
            self._place(own, request, frame, tracks)
            timer.mark('space')
        self._profiler.end(timer)

    def _warn_of_stamp(self, camera: str, stamp: int | None, before: Events) -> None:
        """Say what the tracker made of a stamp that is not after the one before."""
        now = self._pipeline.events(camera)
        if stamp is None:
            return
        which = f'the stamp of an image of {self._cameras[camera].inputs.topic}, {stamp / 1e9:.3f}'
        if now.resets > before.resets:
            self._warn(
                f'{which} s, is more than a second before the latest: time began again, so every '
                'track did; ids go on counting'
            )
        elif now.repaired_stamps > before.repaired_stamps:
            self._warn_once(
                camera,
                'jitter',
                f'{which} s, is not after the latest: it is taken for jitter, and the image for '
                'the next one; repaired_stamps in /diagnostics counts these. Is the clock of the '
                'driver right, and does only one camera publish there?',
            )

    def _warn_once(self, camera: str, what: str, text: str) -> None:
        """Say of a camera what may be so of each image."""
        if (camera, what) not in self._said and self._warn(text):
            self._said.add((camera, what))

    def _place(self, own: Camera, request: Request, frame: Frame, tracks: Tracks) -> None:
        """Publish in 3D, where there is depth of that moment."""
        header, camera_info = request.image.header, own.inputs.camera_info
        depth = own.inputs.depth_at(stamp_to_nanoseconds(header.stamp))
        if depth is None or camera_info is None:
            own.without_depth += int(tracks.confirmed.sum())
            return
        if depth.header.frame_id != header.frame_id:
            self._warn(
                f'depth is in the frame {depth.header.frame_id!r}, the image of '
                f'{own.inputs.topic} in {header.frame_id!r}: places are right only if depth is '
                'registered to this camera'
            )
        class_ids = own.outputs.class_ids(self._pipeline.class_names)
        size = frame.image.shape[:2]
        try:
            metres = depth_to_metres(depth)
            message, left_out = detections_3d_message(
                tracks, header, class_ids, size, metres, camera_info
            )
        except ImageError as error:  # what is in the image is published all the same
            own.without_depth += int(tracks.confirmed.sum())
            self._warn(f'no objects of {own.inputs.topic} in 3D: {error}')
            return
        own.without_depth += left_out
        own.outputs.publish_in_3d(message)
