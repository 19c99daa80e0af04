# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish what happens to the objects of one camera, its zones and their counters."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
import threading
from typing import TYPE_CHECKING

from std_msgs.msg import Header

from gtr_ros.msg import TrackEvent
from gtr_ros.msg import TrackEventArray
from gtr_ros.node.messages.markers import zone_markers_message
from gtr_ros.node.messages.zones import counter_texts
from gtr_ros.node.messages.zones import counts_message
from gtr_ros.node.messages.zones import zones_message
from gtr_ros.options import ConfigurationError
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.events import Event
from gtr_ros.tracking.events import Events
from gtr_ros.tracking.zones import read_zones
from gtr_ros.tracking.zones import Zone
from gtr_ros.tracking.zones import ZonesError

if TYPE_CHECKING:
    from rclpy.node import Node

    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.node.tracker.statistics import CameraStatistics
    from gtr_ros.structures import Tracks


class EventPublisher:
    """
    Publishes the events of one camera; may be called on any thread.

    :param camera: name of the camera
    :param statistics: of the camera; its refused_zones is set
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
        self._node, self._outputs = node, outputs
        zones = _zones_of(camera, parameters, statistics, warn)
        self._zones = zones
        self._events = Events(
            zones, parameters.left_after, parameters.still_seconds, parameters.still_speed
        )
        self._names: Sequence[str] = ()
        self._lock = threading.Lock()
        now = node.get_clock().now().to_msg()
        header = Header(stamp=now, frame_id=parameters.target_frame)
        self._zones_message = zones_message(zones, header)
        outputs.publishers['zones'].publish(self._zones_message)
        self._publish_counts(Header(stamp=now))

    def update(
        self,
        stamp: int,
        header: Header,
        tracks: Tracks,
        image_size: tuple[int, int],
        names: Sequence[str],
    ) -> None:
        """
        Publish what happened until an image.

        :param stamp: of the image, nanoseconds
        :param header: of the image
        :param image_size: (height, width), pixels
        :param names: name of each label
        """
        seen = self._outputs.places.in_target
        places = {} if seen is None else seen.places
        ground = {i: place.position[:2] for i, place in places.items()}
        since = {i: seen.stamp - round(p.age * NANOSECONDS) for i, p in places.items()}
        with self._lock:
            self._names = names
            events = self._events.update(stamp, tracks, image_size, names, ground, since)
            self._publish(header, events)

    def clear(self) -> None:
        """Publish that all tracks were ended."""
        with self._lock:
            header = Header(stamp=self._node.get_clock().now().to_msg())
            self._publish(header, self._events.clear())

    def _publish(self, header: Header, events: list[Event]) -> None:
        if not events:
            return
        class_ids = self._outputs.class_ids(self._names)
        messages = [
            TrackEvent(
                kind=int(event.kind),
                id=str(event.id),
                class_id=class_ids[event.label],
                zone=event.zone,
                seconds=event.seconds,
                probability=event.probability,
                direction=event.direction,
                reason=event.reason,
            )
            for event in events
        ]
        self._outputs.publishers['events'].publish(TrackEventArray(header=header, events=messages))
        if any(event.zone for event in events):
            self._publish_counts(header)

    def _publish_counts(self, header: Header) -> None:
        message = counts_message(self._zones, self._events.counts, header)
        publishers = self._outputs.publishers
        publishers['counts'].publish(message)
        if 'zones/markers' in publishers:  # there is a target frame
            markers = zone_markers_message(self._zones_message, counter_texts(message))
            publishers['zones/markers'].publish(markers)


def _zones_of(
    camera: str,
    parameters: NodeParameters,
    statistics: CameraStatistics,
    warn: Callable[[str], object],
) -> list[Zone]:
    """Return the zones of a camera; those that are not valid are logged and counted."""
    if not parameters.zones_file:
        return []
    try:
        zones, faults = read_zones(parameters.zones_file)
    except ZonesError as error:
        raise ConfigurationError(f'zones_file: {error}') from None
    used = []
    for zone in zones:
        if zone.camera and zone.camera not in parameters.camera_names:
            faults.append(
                f'{parameters.zones_file}: zone {zone.name!r} is left out: there is no camera '
                f'{zone.camera!r}; expected one of {", ".join(parameters.cameras) or "none"}'
            )
        elif zone.on_ground and not parameters.target_frame:
            faults.append(
                f'{parameters.zones_file}: zone {zone.name!r} is left out: its unit is metre, '
                'which needs the parameter target_frame'
            )
        elif zone.camera in ('', camera):
            used.append(zone)
    statistics.refused_zones = len(faults)
    for fault in faults:
        warn(fault)
    return used
