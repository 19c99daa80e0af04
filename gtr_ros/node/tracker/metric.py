# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the tracks of one camera in a frame that does not move with it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
import threading
from time import monotonic
from typing import TYPE_CHECKING

import numpy as np
from std_msgs.msg import Header

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.messages.depth import pinhole_of
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.messages.tracks_3d import tracks_3d_messages
from gtr_ros.node.tracker.transforms import TransformError
from gtr_ros.tracking.metric import MetricTracks
from gtr_ros.tracking.metric import Objects
from gtr_ros.tracking.placement import kind_of
from gtr_ros.tracking.placement import Pinhole
from gtr_ros.tracking.placement import place_by_depth
from gtr_ros.tracking.placement import place_on_ground
from gtr_ros.tracking.placement import Positions

if TYPE_CHECKING:
    from sensor_msgs.msg import CameraInfo

    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.node.tracker.transform_listener import TransformListener
    from gtr_ros.structures import Tracks


@dataclass(frozen=True, eq=False)
class _Waiting:
    """
    An image's objects, until its transforms have arrived.

    :param deadline: after which they are dropped, seconds of the steady clock
    :param objects: those to be placed
    :param confirmed: (N,) bool, which of them are published
    :param by_depth: in the camera's frame; None: no depth
    """

    header: Header
    deadline: float
    class_ids: Sequence[str]
    objects: Objects
    confirmed: np.ndarray
    boxes: np.ndarray
    camera: Pinhole
    by_depth: Positions | None


class MetricPublisher:
    """
    Tracks the objects of one camera in metres, and publishes them in the order of their images.

    An image whose transforms have not arrived waits, and those after it wait with it, while the
    worker goes on. Calls may come from any thread.

    :param topic: returns the topic of the images, for warnings
    :param parameters: of the node, as it was configured
    :param statistics: of the camera; its without_transform is updated
    :param warn: logs a warning, unless it was logged a moment ago
    :param share: called with the stamp of an image and the places of all its tracks, those that
        are not confirmed included; None: only confirmed ones are placed
    """

    def __init__(
        self,
        topic: Callable[[], str],
        parameters: NodeParameters,
        outputs: Outputs,
        listener: TransformListener,
        statistics: CameraStatistics,
        warn: Callable[[str], object],
        share: Callable[[int, Objects, Positions], None] | None = None,
    ) -> None:
        self._topic, self._parameters = topic, parameters
        self._outputs, self._listener, self._statistics = outputs, listener, statistics
        self._warn, self._share = warn, share
        self._tracks = MetricTracks(parameters.coast)
        self._queue: deque[_Waiting] = deque()
        self._lock = threading.Lock()
        listener.on_arrival.append(self.publish_ready)

    def clear(self) -> None:
        """End all tracks, and forget what waits, for example after the clock was reset."""
        with self._lock:
            self._queue.clear()
            self._tracks.clear()
        self._listener.newest_image = 0
        self._listener.transforms.clear()

    def add(
        self,
        header: Header,
        image_size: tuple[int, int],
        tracks: Tracks,
        class_names: Sequence[str],
        camera_info: CameraInfo | None,
        depths: np.ndarray | None,
        middles: np.ndarray | None = None,
    ) -> None:
        """
        Add the objects of an image; they are published at once, or when the transforms arrive.

        :param header: of the image
        :param image_size: (height, width), pixels
        :param depths: (N,) float64, metres, nan: unknown, of the surfaces of the tracks that are
            placed; None: there is no depth image
        :param middles: (N,) float64, pixels, nan: unknown, x of the upper bodies of these tracks
        """
        stamp = stamp_to_nanoseconds(header.stamp)
        try:
            if camera_info is None:
                raise ImageError('no camera_info has arrived')
            if not stamp or not header.frame_id:
                lacking = 'no frame_id' if stamp else 'no stamp'
                raise ImageError(f'they have {lacking}, so no transform applies to them')
            camera = pinhole_of(camera_info, image_size)
        except ImageError as error:
            with self._lock:
                self._drop(str(error))
            return
        chosen = tracks.confirmed | (self._share is not None)
        boxes, labels = tracks.boxes[chosen], tracks.labels[chosen]
        kinds = [kind_of(class_names[label]) for label in labels.tolist()]
        by_depth = None
        if depths is not None:
            error = self._parameters.depth_error
            by_depth = place_by_depth(boxes, depths, camera, kinds, error, middles)
        waiting = _Waiting(
            header=header,
            deadline=monotonic() + self._parameters.transform_timeout,
            class_ids=self._outputs.class_ids(class_names),
            objects=Objects(tracks.ids[chosen], labels, tracks.scores[chosen], kinds),
            confirmed=tracks.confirmed[chosen],
            boxes=boxes,
            camera=camera,
            by_depth=by_depth,
        )
        self._listener.newest_image = max(self._listener.newest_image, stamp)
        with self._lock:
            self._queue.append(waiting)
        self.publish_ready()

    def publish_ready(self) -> None:
        """Publish the images whose transforms have arrived; drop those that waited too long."""
        with self._lock:
            while self._queue:
                waiting = self._queue[0]
                try:
                    positions = self._place(waiting)
                except TransformError as error:
                    if monotonic() < waiting.deadline:
                        return
                    self._drop(f'{error}; waited for it {self._parameters.transform_timeout:g} s')
                else:
                    self._publish(waiting, positions)
                self._queue.popleft()

    def _place(self, waiting: _Waiting) -> Positions:
        """
        Return the positions of an image's objects in the target frame.

        :raises TransformError: if a transform is missing
        """
        settings, frame = self._parameters, waiting.header.frame_id
        lookup = self._listener.transforms.lookup
        stamp = stamp_to_nanoseconds(waiting.header.stamp)
        pose = lookup(settings.target_frame, frame, stamp)
        by_depth = waiting.by_depth and waiting.by_depth.moved(pose)
        if not settings.ground_frame:
            if by_depth is None:
                return Positions.unknown(len(waiting.boxes))
            return by_depth
        above_ground = lookup(settings.ground_frame, frame, stamp)
        objects = waiting.objects
        on_ground = place_on_ground(waiting.boxes, waiting.camera, objects.kinds, above_ground)
        on_ground = on_ground.moved(pose @ np.linalg.inv(above_ground))
        return on_ground if by_depth is None else by_depth.completed(on_ground)

    def _publish(self, waiting: _Waiting, positions: Positions) -> None:
        stamp = stamp_to_nanoseconds(waiting.header.stamp)
        objects = waiting.objects
        if self._share is not None:
            self._share(stamp, objects, positions)
            objects, positions = _select(objects, positions, waiting.confirmed)
        state = self._tracks.update(stamp, objects, positions)
        header = Header(stamp=waiting.header.stamp, frame_id=self._parameters.target_frame)
        self._outputs.publish_tracks_3d(*tracks_3d_messages(state, header, waiting.class_ids))
        self._outputs.publish_obstacles(state, header, self._parameters.predict_seconds)

    def _drop(self, reason: str) -> None:
        self._statistics.without_transform += 1
        self._warn(
            f'an image of {self._topic()} has no tracks in {self._parameters.target_frame!r}: '
            f'{reason}'
        )


def _select(
    objects: Objects, positions: Positions, chosen: np.ndarray
) -> tuple[Objects, Positions]:
    """Return some of the objects of an image; chosen is (N,) bool."""
    kinds = [kind for kind, wanted in zip(objects.kinds, chosen.tolist()) if wanted]
    return (
        Objects(objects.ids[chosen], objects.labels[chosen], objects.scores[chosen], kinds),
        Positions(
            positions.points[chosen],
            positions.covariances[chosen],
            positions.lasting[chosen],
            positions.sizes[chosen],
        ),
    )
