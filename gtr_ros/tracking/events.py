# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Things that happen to the tracks of one camera: they appear, leave, enter zones, stand still."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from enum import IntEnum
import math
from typing import Any

import numpy as np

from gtr_ros.stamps import CLOCK_JUMP
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.zones import crossings
from gtr_ros.tracking.zones import distance_to
from gtr_ros.tracking.zones import is_inside
from gtr_ros.tracking.zones import Zone

_MOST_LEFT = 10_000  # objects that left and are remembered
_SAME = NANOSECONDS // 100  # between stamps of one moment
_NONE: Mapping[int, Any] = {}


class Kind(IntEnum):
    """What happened; the values are those of the message."""

    APPEARED = 1
    CONFIRMED = 2
    LEFT = 3
    CAME_BACK = 4
    ENTERED_ZONE = 5
    LEFT_ZONE = 6
    CROSSED_LINE = 7
    STANDS_STILL = 8
    MOVES_AGAIN = 9


@dataclass(frozen=True)
class Event:
    """
    Something that happened to a track.

    :param label: of the track
    :param zone: name of the zone or line; '': none
    :param seconds: LEFT: since the last box; CAME_BACK: away; LEFT_ZONE: spent in it; STANDS_STILL
        and MOVES_AGAIN: stood; otherwise 0
    :param probability: CAME_BACK: that it is the same object; nan: it was linked, not compared
    :param direction: CROSSED_LINE: left_to_right or right_to_left, seen along the line
    :param reason: LEFT and LEFT_ZONE: lost if its track ended, reset if all did; '' if it was seen
        to leave the zone
    """

    kind: Kind
    id: int
    label: int
    zone: str = ''
    seconds: float = 0.0
    probability: float = math.nan
    direction: str = ''
    reason: str = ''


@dataclass
class ZoneCounts:
    """
    The counters of an area or a line, since the node was activated.

    :param inside: objects in the area
    :param entered: how often one entered it; for a line, crossings from left to right
    :param left: how often one left it; for a line, crossings from right to left
    """

    inside: int = 0
    entered: int = 0
    left: int = 0


@dataclass
class _Object:
    """
    What is known of a track.

    :param seen: stamp of its newest box
    :param inside: the areas that it is in, each with the stamp at which it entered
    :param places: its newest point at each line
    :param since: stamp since which its places on the ground go on from each other; None: it has
        none now
    :param crossed: crossings of each line that are not counted yet, right to left less the others
    :param still_at: where it may stand, and since when; in box heights or metres
    :param stands: whether it was reported to stand still
    """

    label: int
    seen: int
    confirmed: bool = False
    inside: dict[int, int] = field(default_factory=dict)
    places: dict[int, np.ndarray] = field(default_factory=dict)
    crossed: dict[int, int] = field(default_factory=dict)
    since: int | None = None
    still_at: tuple[np.ndarray, int] | None = None
    stands: bool = False


class Events:
    """
    Tells what happens to the tracks of one camera.

    An object enters an area with the point of its box, and leaves it once that is farther outside
    than the margin; a line is crossed once the point is farther beyond it than the margin. An
    object without boxes for a moment is still where it was. One whose place on the ground turned
    out to be wrong, or whose track was given to another object, crosses nothing on the way there.

    :param zones: of this camera
    :param left_after: seconds without a box after which an object has left
    :param still_seconds: an object stands still if it stays this long at a place; 0: never
    :param still_speed: mean speed below which it stays there: box heights per second in the image,
        m/s where its position on the ground is known
    """

    def __init__(
        self,
        zones: Sequence[Zone] = (),
        left_after: float = 2.0,
        still_seconds: float = 10.0,
        still_speed: float = 0.05,
    ) -> None:
        self._zones = list(zones)
        self._left_after = round(left_after * NANOSECONDS)
        self._still = round(still_seconds * NANOSECONDS)
        self._still_radius = still_seconds * still_speed
        self._objects: dict[int, _Object] = {}
        self._gone: OrderedDict[int, int] = OrderedDict()  # stamp of the newest box, by id
        self._newest: int | None = None
        self._largest = 0  # id so far
        #: of each zone, in their order
        self.counts = [ZoneCounts() for _ in self._zones]

    def update(
        self,
        stamp: int,
        tracks: Tracks,
        image_size: tuple[int, int],
        names: Sequence[str],
        ground: Mapping[int, np.ndarray] = _NONE,
        since: Mapping[int, int] = _NONE,
    ) -> list[Event]:
        """
        Return what happened since the frame before.

        :param stamp: nanoseconds; one more than a second before the newest one means that the
            clock was reset, and ends all tracks
        :param tracks: of the frame
        :param image_size: (height, width), pixels
        :param names: name of each label
        :param ground: (2,) x and y of tracks on the ground, metres, by id
        :param since: stamps since which each of these places goes on from the one before,
            nanoseconds, by id; they may be off by a hundredth of a second
        """
        events: list[Event] = []
        if self._newest is not None and stamp < self._newest - CLOCK_JUMP:
            events += self.clear()
        now = self._newest = stamp if self._newest is None else max(stamp, self._newest)
        for track_id, one in self._objects.items():
            begun = since.get(track_id)
            if one.since is not None and begun is not None and begun > one.since + _SAME:
                self._forget_ground(one)
            one.since = begun
        returned = tracks.returned if tracks.returned is not None else np.zeros(len(tracks))
        zones = [zone.in_pixels(image_size) for zone in self._zones]
        rows = zip(
            tracks.ids.tolist(),
            tracks.boxes.astype(np.float64),
            tracks.labels.tolist(),
            tracks.confirmed.tolist(),
            returned.tolist(),
        )
        for track_id, box, label, confirmed, probability in rows:
            if not np.isfinite(box).all():
                continue
            events += self._appear(now, track_id, label, confirmed, probability)
            one = self._objects[track_id]
            one.seen, one.label = now, label
            place = ground.get(track_id)
            for i, zone in enumerate(zones):
                if not zone.classes or names[label] in zone.classes:
                    events += self._at_zone(now, track_id, one, i, zone, box, place)
            if one.confirmed and self._still:
                events += self._stand(now, track_id, one, box, place)
        for track_id in [i for i, o in self._objects.items() if now - o.seen > self._left_after]:
            events += self._leave(now, track_id, 'lost')
        return events

    def clear(self) -> list[Event]:
        """End all tracks, because the tracker did; the counters go on."""
        now = self._newest or 0
        events = [
            e for track_id in list(self._objects) for e in self._leave(now, track_id, 'reset')
        ]
        self._gone.clear()
        self._newest = None
        return events

    def _appear(
        self, now: int, track_id: int, label: int, confirmed: bool, probability: float
    ) -> list[Event]:
        events = []
        one = self._objects.get(track_id)
        if one is None:
            one = self._objects[track_id] = _Object(label, now)
            last = self._gone.pop(track_id, None)
            if last is not None:
                one.confirmed = True
                seconds = (now - last) / NANOSECONDS
                sure = probability or math.nan
                events.append(
                    Event(Kind.CAME_BACK, track_id, label, seconds=seconds, probability=sure)
                )
            elif track_id > self._largest:
                events.append(Event(Kind.APPEARED, track_id, label))
        self._largest = max(self._largest, track_id)
        if confirmed and not one.confirmed:
            one.confirmed = True
            events.append(Event(Kind.CONFIRMED, track_id, label))
        return events

    def _at_zone(
        self,
        now: int,
        track_id: int,
        one: _Object,
        i: int,
        zone: Zone,
        box: np.ndarray,
        place: np.ndarray | None,
    ) -> list[Event]:
        """Return what a track does at a zone."""
        if zone.on_ground and place is None:
            return []
        height = max(box[3] - box[1], 1e-9)
        if zone.on_ground:
            point, margin = place, zone.margin
        else:
            y = box[3] if zone.point == 'bottom' else (box[1] + box[3]) / 2
            point, margin = np.array([(box[0] + box[2]) / 2, y]), zone.margin * height
        if zone.kind == 'line':
            return self._at_line(track_id, one, i, zone, point, margin)
        inside = is_inside(zone.corners, point)
        if i in one.inside:
            if inside or distance_to(zone.corners, point, closed=True) < margin:
                return []
            return [self._leave_zone(now, track_id, one, i, '')]
        if not inside or not one.confirmed:
            return []
        one.inside[i] = now
        self.counts[i].inside += 1
        self.counts[i].entered += 1
        return [Event(Kind.ENTERED_ZONE, track_id, one.label, zone.name)]

    def _at_line(
        self,
        track_id: int,
        one: _Object,
        i: int,
        zone: Zone,
        point: np.ndarray,
        margin: float,
    ) -> list[Event]:
        before = one.places.get(i)
        one.places[i] = point
        if before is not None:
            leftwards = crossings(zone.corners, before, point)
            one.crossed[i] = one.crossed.get(i, 0) + (leftwards if zone.on_ground else -leftwards)
        if not one.crossed.get(i) or not one.confirmed:
            return []
        if distance_to(zone.corners, point, closed=False) < margin:
            return []
        return self._count_crossings(track_id, one, i)

    def _forget_ground(self, one: _Object) -> None:
        """Forget where an object was at lines on the ground."""
        for i in [i for i, zone in enumerate(self._zones) if zone.on_ground]:
            one.places.pop(i, None)
            one.crossed.pop(i, None)

    def _count_crossings(self, track_id: int, one: _Object, i: int) -> list[Event]:
        leftwards = one.crossed.pop(i, 0)
        if not leftwards:
            return []
        if leftwards > 0:
            self.counts[i].left += 1
        else:
            self.counts[i].entered += 1
        direction = 'right_to_left' if leftwards > 0 else 'left_to_right'
        name = self._zones[i].name
        return [Event(Kind.CROSSED_LINE, track_id, one.label, name, direction=direction)]

    def _leave_zone(self, now: int, track_id: int, one: _Object, i: int, reason: str) -> Event:
        seconds = (now - one.inside.pop(i)) / NANOSECONDS
        self.counts[i].inside -= 1
        self.counts[i].left += 1
        name = self._zones[i].name
        return Event(Kind.LEFT_ZONE, track_id, one.label, name, seconds=seconds, reason=reason)

    def _stand(
        self, now: int, track_id: int, one: _Object, box: np.ndarray, place: np.ndarray | None
    ) -> list[Event]:
        """Return whether a track stands still, or moves again."""
        unit = 1.0
        if place is None:
            unit = max(box[3] - box[1], 1e-9)
            place = np.array([(box[0] + box[2]) / 2, box[3], 0.0])
        known = one.still_at
        # A place in pixels and one in metres cannot be compared.
        if known is None or len(known[0]) != len(place):
            one.still_at = place, now
            return []
        where, since = known
        seconds = (now - since) / NANOSECONDS
        if np.linalg.norm(place - where) > self._still_radius * unit:
            one.still_at = place, now
            stood, one.stands = one.stands, False
            return [Event(Kind.MOVES_AGAIN, track_id, one.label, seconds=seconds)] * stood
        if one.stands or now - since < self._still:
            return []
        one.stands = True
        return [Event(Kind.STANDS_STILL, track_id, one.label, seconds=seconds)]

    def _leave(self, now: int, track_id: int, reason: str) -> list[Event]:
        one = self._objects.pop(track_id)
        if not one.confirmed:
            return []
        events = [e for i in list(one.crossed) for e in self._count_crossings(track_id, one, i)]
        events += [self._leave_zone(now, track_id, one, i, reason) for i in list(one.inside)]
        seconds = (now - one.seen) / NANOSECONDS
        events.append(Event(Kind.LEFT, track_id, one.label, seconds=seconds, reason=reason))
        self._gone[track_id] = one.seen
        if len(self._gone) > _MOST_LEFT:
            self._gone.popitem(last=False)
        return events
