# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert zones and their counters to messages, and counters to texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from geometry_msgs.msg import Point

from gtr_ros.msg import Counts
from gtr_ros.msg import LineCount
from gtr_ros.msg import Zone as ZoneMessage
from gtr_ros.msg import ZoneArray
from gtr_ros.msg import ZoneCount

if TYPE_CHECKING:
    from std_msgs.msg import Header

    from gtr_ros.tracking.events import ZoneCounts
    from gtr_ros.tracking.zones import Zone

_UNITS = {
    'fraction': ZoneMessage.FRACTION,
    'pixel': ZoneMessage.PIXEL,
    'metre': ZoneMessage.METRE,
}


def zones_message(zones: Sequence[Zone], header: Header) -> ZoneArray:
    """Convert zones; header: its frame is that of the zones on the ground."""
    return ZoneArray(
        header=header,
        zones=[
            ZoneMessage(
                name=zone.name,
                is_line=zone.kind == 'line',
                unit=_UNITS[zone.unit],
                corners=[Point(x=x, y=y) for x, y in zone.corners.tolist()],
            )
            for zone in zones
        ],
    )


def counts_message(zones: Sequence[Zone], counts: Sequence[ZoneCounts], header: Header) -> Counts:
    """Convert the counters of zones, in their order."""
    message = Counts(header=header)
    for zone, count in zip(zones, counts):
        if zone.kind == 'area':
            message.zones.append(
                ZoneCount(
                    zone=zone.name, inside=count.inside, entered=count.entered, left=count.left
                )
            )
        else:
            message.lines.append(
                LineCount(line=zone.name, left_to_right=count.entered, right_to_left=count.left)
            )
    return message


def counter_texts(counts: Counts) -> dict[str, str]:
    """Return a text with the counters of each zone, by name."""
    areas = {
        zone.zone: f'{zone.zone}: {zone.inside} inside, {zone.entered} entered, {zone.left} left'
        for zone in counts.zones
    }
    lines = {
        line.line: f'{line.line}: {line.left_to_right} left to right, '
        f'{line.right_to_left} right to left'
        for line in counts.lines
    }
    return {**areas, **lines}
