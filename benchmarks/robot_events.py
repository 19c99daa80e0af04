# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Zones in a rendered drive: where most happens, what must be reported, and what was reported."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from dataclasses import replace
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.metric_scenes import Record
from benchmarks.robot_truth import Everybody
from benchmarks.robot_truth import seen_near
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.events import Events
from gtr_ros.tracking.events import Kind
from gtr_ros.tracking.zones import distance_to
from gtr_ros.tracking.zones import is_inside
from gtr_ros.tracking.zones import Zone

if TYPE_CHECKING:
    from benchmarks.robot_run import Heard

#: events that are compared; what happens when a track is lost depends on what is seen
COMPARED = (Kind.ENTERED_ZONE, Kind.LEFT_ZONE, Kind.CROSSED_LINE)
#: nanoseconds by which an event may be early or late
TOLERANCE = NANOSECONDS
#: names of the zones, and their kinds
AREA, LINE = 'area', 'line'

_HALF = 1.0  # of an area's sides, metres
_REACH = 1.5  # of a line from its middle, metres
_SQUARE = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
_MARGIN = 0.2  # metres, that of zones on the ground


@dataclass(frozen=True)
class Happening:
    """
    An event of a person.

    :param stamp: of the image, nanoseconds
    :param direction: of a crossing
    """

    stamp: int
    person: int
    kind: Kind
    zone: str
    direction: str


@dataclass(frozen=True)
class Matched:
    """
    The events of a kind.

    :param due: that must be reported
    :param found: those of them that were
    :param late: others that were reported of people who are where that says
    :param wrong: others that say what is not true
    """

    due: int
    found: int
    late: int
    wrong: int


def happenings(
    records: list[Record], everybody: Everybody, zones: list[Zone]
) -> tuple[list[Happening], list[Happening]]:
    """
    Return what happens at zones by the node's rules, to people at their true positions.

    :return: all events, and those of them that must be reported: of people who must be found for
        a second before and after
    """
    events, found = Events(zones), []
    count = len(everybody.people)
    tracks = Tracks(
        ids=everybody.people,
        boxes=np.tile(np.array([0, 0, 1, 1], np.float32), (count, 1)),
        scores=np.ones(count, np.float32),
        labels=np.zeros(count, np.int64),
        confirmed=np.ones(count, bool),
    )
    seen = {record.stamp: set(record.people[seen_near(record)].tolist()) for record in records}
    for record, positions in zip(records, everybody.positions, strict=True):
        ground = dict(zip(everybody.people.tolist(), positions))
        for event in events.update(record.stamp, tracks, record.size, ('person',), ground):
            if is_compared(event.kind, event.reason):
                found.append(
                    Happening(record.stamp, event.id, event.kind, event.zone, event.direction)
                )
    due = [
        each
        for each in found
        if records[0].stamp + TOLERANCE <= each.stamp <= records[-1].stamp - TOLERANCE
        and all(
            each.person in people
            for stamp, people in seen.items()
            if abs(stamp - each.stamp) <= TOLERANCE
        )
    ]
    return found, due


def is_compared(kind: int, reason: str) -> bool:
    """Return whether an event was seen, at a zone."""
    return kind in COMPARED and not reason


def choose_zones(records: list[Record], everybody: Everybody) -> list[Zone]:
    """Return an area of 2 x 2 m and a line of 3 m, on a grid of 1 m, that most happens at."""
    places = np.concatenate([r.positions[seen_near(r), :2] for r in records])
    cells = np.unique(places.round(), axis=0)
    areas = [_zone(f'{AREA}{i}', AREA, m + _HALF * _SQUARE) for i, m in enumerate(cells)]
    ways = _REACH * np.array([[1.0, 0.0], [0.0, 1.0]])
    lines = [
        _zone(f'{LINE}{i}', LINE, np.stack([middle - way, middle + way]))
        for i, (middle, way) in enumerate(itertools.product(cells, ways))
    ]
    chosen = []
    for zones in (areas, lines):
        counts = Counter(each.zone for each in happenings(records, everybody, zones)[1])
        best = max(zones, key=lambda zone: counts[zone.name], default=None)
        chosen += [_zone(best.kind, best.kind, best.corners)] if best else []
    return chosen


def _zone(name: str, kind: str, corners: np.ndarray) -> Zone:
    return Zone(name, kind, corners, 'metre', margin=_MARGIN)


def write_zones(path: Path, zones: list[Zone]) -> None:
    """Write zones as a file for the parameter zones_file."""
    lines = [
        f'  - {{name: {zone.name}, kind: {zone.kind}, unit: {zone.unit}, '
        f'margin: {zone.margin:g}, corners: {zone.corners.tolist()}}}'
        for zone in zones
    ]
    path.write_text('\n'.join(['zones:', *lines]) + '\n')


def published_of(heard: Heard, shown: dict[int, dict[int, int]]) -> list[Happening]:
    """Return the published events of people; whom a track showed last is whose event it is."""
    found, newest = [], {}
    stamps = iter(sorted(shown))
    stamp = next(stamps, None)
    for message in heard.messages['events']:
        now = stamp_to_nanoseconds(message.header.stamp)
        while stamp is not None and stamp <= now:
            newest.update(shown[stamp])
            stamp = next(stamps, None)
        for event in message.events:
            if is_compared(event.kind, event.reason):
                person = newest.get(int(event.id), -1)
                kind = Kind(event.kind)
                found.append(Happening(now, person, kind, event.zone, event.direction))
    return found


def matched(
    truth: list[Record], everybody: Everybody, zones: list[Zone], published: list[Happening]
) -> dict[Kind, Matched]:
    """Pair each published event with a true one that is like it, within a second."""
    true, due = happenings(truth, everybody, zones)
    rest, counts = list(true), {kind: Counter() for kind in COMPARED}
    for event in due:
        counts[event.kind]['due'] += 1
    for event in published:
        like = [
            each
            for each in rest
            if replace(each, stamp=event.stamp) == event
            and abs(each.stamp - event.stamp) <= TOLERANCE
        ]
        if like:
            nearest = min(like, key=lambda each: abs(each.stamp - event.stamp))
            rest.remove(nearest)
            counts[event.kind]['found'] += nearest in due
        else:
            holds = _holds(event, truth, everybody, zones)
            counts[event.kind]['late' if holds else 'wrong'] += 1
    names = ('due', 'found', 'late', 'wrong')
    return {kind: Matched(*(counts[kind][name] for name in names)) for kind in COMPARED}


def _holds(event: Happening, truth: list[Record], everybody: Everybody, zones: list[Zone]) -> bool:
    """Return whether somebody is in the area that they entered, or outside of one they left."""
    rows = np.flatnonzero(everybody.people == event.person)
    if event.kind == Kind.CROSSED_LINE or not len(rows):
        return False
    [corners] = [zone.corners for zone in zones if zone.name == event.zone]
    image = [record.stamp for record in truth].index(event.stamp)
    point = everybody.positions[image, rows[0]]
    inside = is_inside(corners, point) or distance_to(corners, point, closed=True) < _MARGIN
    return inside == (event.kind == Kind.ENTERED_ZONE)


def are_counted(heard: Heard) -> bool:
    """Return whether the newest counts are the sums of the events."""
    if not heard.messages['counts']:
        return False
    sums = Counter(
        (event.zone, event.kind, event.direction)
        for message in heard.messages['events']
        for event in message.events
        if event.zone
    )
    newest = heard.messages['counts'][-1]
    return all(
        (zone.entered, zone.left)
        == (sums[zone.zone, Kind.ENTERED_ZONE, ''], sums[zone.zone, Kind.LEFT_ZONE, ''])
        for zone in newest.zones
    ) and all(
        (line.left_to_right, line.right_to_left)
        == tuple(
            sums[line.line, Kind.CROSSED_LINE, way] for way in ('left_to_right', 'right_to_left')
        )
        for line in newest.lines
    )
