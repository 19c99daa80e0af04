# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is true in a rendered drive: who must be found, whom to follow, whom a track shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.metric_scenes import match
from benchmarks.metric_scenes import Record
from gtr_ros.boxes import box_iou
from gtr_ros.boxes import clip_boxes
from gtr_ros.stamps import NANOSECONDS

#: visible share of a person who must be found, and of one who is hidden
SEEN, HIDDEN = 0.5, 0.1
#: metres, within which people must be found
NEAR = 8.0
#: nanoseconds after which somebody is chosen
BEGIN = 2 * NANOSECONDS


@dataclass(frozen=True, eq=False)
class Everybody:
    """
    Where all P people of a scene are in T images, also those out of view.

    :param people: (P,) identities
    :param positions: (T, P, 2) metres
    """

    people: np.ndarray
    positions: np.ndarray


def seen_near(record: Record) -> np.ndarray:
    """Return who must be found, (P,) bool: those within 8 m who are half visible."""
    gaps = np.hypot(*(record.positions[:, :2] - record.camera[:2, 3]).T)
    return (record.visibility >= SEEN) & (gaps <= NEAR)


def choose_person(records: list[Record]) -> int | None:
    """
    Return whom to follow: who is hidden or out of view most often between two times within 8 m.

    Of several, it is the one who is seen longest; None: nobody is seen after two seconds.
    """
    later = [r for r in records if r.stamp >= records[0].stamp + BEGIN]
    shares = [dict(zip(r.people.tolist(), r.visibility.tolist())) for r in later]
    near = [set(r.people[seen_near(r)].tolist()) for r in later]
    ranked = []
    for person in set().union(*near):
        seen = [i for i, people in enumerate(near) if person in people]
        hidden = [shares[i].get(person, 0.0) < HIDDEN for i in range(seen[0], seen[-1])]
        ranked.append((sum(hidden), len(seen), person))
    return max(ranked)[2] if ranked else None


def pixel_of(record: Record, person: int) -> tuple[float, float] | None:
    """
    Return where a click chooses a person, x and y; None: not now.

    :param record: with the tracks of the image
    """
    rows = np.flatnonzero((match(record) >= 0) & (_shown(record) == person))
    if len(rows) != 1:
        return None
    boxes = clip_boxes(record.tracks.boxes.astype(np.float64), record.size)
    if (box_iou(boxes[rows], boxes) > 0).sum() > 1:
        return None  # nobody can point at one of two who overlap
    x1, y1, x2, y2 = boxes[rows[0]].tolist()
    return (x1 + x2) / 2, (y1 + y2) / 2


def shown_by(record: Record) -> dict[int, int]:
    """Return the person that each track shows, by track id; without those that show nobody."""
    people = _shown(record)
    return {
        track_id: int(people[k])
        for k, track_id in enumerate(record.tracks.ids.tolist())
        if people[k] >= 0
    }


def _shown(record: Record) -> np.ndarray:
    """Return the identity that each track shows, -1: nobody."""
    rows = match(record)
    if not len(record.people):
        return np.full(len(rows), -1)
    return np.where(rows >= 0, record.people[rows], -1)
