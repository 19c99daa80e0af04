# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How well one person is followed through crossings and occlusions."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
import math

import numpy as np

from gtr_ros.boxes import box_iou
from gtr_ros.boxes import clip_boxes
from gtr_ros.boxes import match_boxes
from gtr_ros.data.people import Frame
from gtr_ros.data.people.rendering import VISIBLE
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic.crossings import CrossingFrame
from gtr_ros.data.synthetic.crossings import DIFFERENT
from gtr_ros.data.synthetic.crossings import SAME
from gtr_ros.data.synthetic.crossings import SUCCESSIVE
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.calibration import Calibration
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.following import Follower
from gtr_ros.tracking.following import State
from gtr_ros.tracking.following import uncovered
from gtr_ros.tracking.tracker import Tracker

#: of the features of the scenes
CALIBRATION = Calibration(
    same=SAME, different=DIFFERENT, deviation=0.2, drop=SUCCESSIVE - SAME, trust=50.0
)
#: frames in a row in which another person is followed: shorter ones are confusions of one box
HANDED_OVER = 5
#: frames in a row in which the person stands apart from all others before being chosen
CHOSEN = 5
#: IoU of the boxes of two people above which one is in front of the other
_TOUCH = 0.05


@dataclass(frozen=True, eq=False)
class Observed:
    """
    One frame: the tracks, and whom they show.

    :param stamp: nanoseconds
    :param people: (N,) int64, the person of each track; -1: nobody
    :param visible: whether person 0 can be seen
    :param apart: whether this is so, and nobody else is in front of or behind person 0
    :param image: (H, W, 3) uint8 RGB, if there is one
    """

    stamp: int
    tracks: Tracks
    people: np.ndarray
    visible: bool
    apart: bool
    image: np.ndarray | None = None


@dataclass(frozen=True)
class FollowCounts:
    """
    What happened in a number of scenes; counts can be added.

    :param scenes: number of scenes in which the person was chosen
    :param hand_overs: how often another person was followed for `HANDED_OVER` frames or more
    :param visible: frames in which the person could be seen, after being chosen
    :param followed: those in which the person was followed
    :param wrong: frames in which another person was
    :param returns: how often anybody was found again
    :param false_returns: those in which it was another person
    """

    scenes: int = 0
    hand_overs: int = 0
    visible: int = 0
    followed: int = 0
    wrong: int = 0
    returns: int = 0
    false_returns: int = 0

    def __add__(self, other: FollowCounts) -> FollowCounts:
        return FollowCounts(*(a + b for a, b in zip(self.values(), other.values())))

    def values(self) -> tuple[int, ...]:
        """Return the counts in the order of the fields."""
        return tuple(vars(self).values())

    @property
    def share(self) -> float:
        """Share of the visible time in which the person was followed."""
        return self.followed / max(self.visible, 1)


class Trial:
    """
    Follows person 0, who is chosen after half a second apart from all others.

    :param hidden: see `Follower`
    :param by_id: follow the id of the track alone, for comparison; nobody is found again
    :param latest: seconds from the first frame; a scene in which the person is not chosen until
        then is not counted
    """

    def __init__(
        self, hidden: float = 10.0, by_id: bool = False, latest: float = math.inf
    ) -> None:
        self._hidden, self._by_id, self._latest = hidden, by_id, latest
        self._chosen: int | None = None  # id
        self._follower: Follower | None = None
        self._first: int | None = None  # stamp
        self._alone = self._wrong = 0  # frames in a row
        self._before = State.FOLLOWING
        self._counts = dict.fromkeys(vars(FollowCounts()), 0)

    @property
    def counts(self) -> FollowCounts:
        """What happened until now."""
        return FollowCounts(**self._counts)

    def update(self, frame: Observed) -> None:
        """Take over the next frame."""
        if self._chosen is None and not self._choose(frame):
            return
        counts, people = self._counts, frame.people
        if self._follower is None:
            rows = np.flatnonzero(frame.tracks.ids == self._chosen)
            row, state = (int(rows[0]) if len(rows) else None), State.NONE
        else:
            followed = self._follower.update(frame.stamp, frame.tracks, frame.image)
            row, state = followed.row, followed.state
        right = row is not None and bool(people[row] == 0)
        wrong = row is not None and bool(people[row] > 0)
        counts['visible'] += frame.visible
        counts['followed'] += right
        counts['wrong'] += wrong
        # A box that shows nobody ends no run.
        self._wrong = self._wrong + wrong if row is not None and not right else 0
        counts['hand_overs'] += wrong and self._wrong == HANDED_OVER
        if state == State.FOUND_AGAIN and self._before != State.FOUND_AGAIN:
            counts['returns'] += 1
            counts['false_returns'] += not right
        self._before = state

    def _choose(self, frame: Observed) -> bool:
        """Choose the person if that is possible now; return whether it was."""
        tracks = frame.tracks
        self._first = frame.stamp if self._first is None else self._first
        shown = np.flatnonzero((frame.people == 0) & tracks.confirmed & _alone(tracks.boxes))
        self._alone = self._alone + 1 if len(shown) and frame.apart else 0
        late = frame.stamp - self._first > self._latest * NANOSECONDS
        if self._alone < CHOSEN or late:
            return False
        self._chosen = int(tracks.ids[shown[0]])
        if not self._by_id:
            self._follower = Follower(self._chosen, self._hidden)
        self._counts['scenes'] = 1
        return True


def follow(
    frames: Iterable[Observed],
    hidden: float = 10.0,
    by_id: bool = False,
    latest: float = math.inf,
) -> FollowCounts:
    """Follow person 0 of a scene; the arguments are those of `Trial`."""
    trial = Trial(hidden, by_id, latest)
    for frame in frames:
        trial.update(frame)
    return trial.counts


def observe(frames: Iterable[CrossingFrame], tracker: Tracker) -> Iterator[Observed]:
    """Track the detections of a scene."""
    for frame in frames:
        tracks = tracker.update(frame.detections)
        visible = bool((frame.people == 0).any())
        people = _people_of(tracks, frame)
        yield Observed(frame.detections.stamp, tracks, people, visible, apart=visible)


def observe_frame(stamp: int, tracks: Tracks, frame: Frame, identities: list[int]) -> Observed:
    """
    Return whom the tracks of a rendered frame show.

    Of the people whose box overlaps that of the track by half, it is the one who is seen best.

    :param stamp: nanoseconds
    :param identities: of persons 0, 1, ...
    """
    people = np.array([identities.index(i) for i in frame.ids.tolist()] + [-1])
    whole, boxes = clip_boxes(frame.full_boxes, frame.owners.shape), tracks.boxes.astype(float)
    overlap = np.maximum(box_iou(boxes, whole), box_iou(boxes, frame.boxes))
    seen = np.where(overlap >= 0.5, overlap * frame.visibility, 0)
    shown = np.full(len(boxes), -1)
    if len(frame.ids):
        shown = np.where(seen.max(axis=1) > 0, seen.argmax(axis=1), -1)
    row = np.flatnonzero(people == 0)
    visible = bool((frame.visibility[row] >= VISIBLE).any())
    apart = visible and (box_iou(whole[row], whole) > _TOUCH).sum() == 1
    return Observed(stamp, tracks, people[shown], visible, bool(apart), frame.image)


def observe_truth(
    stamp: int, tracks: Tracks, truth: Truth, person: int, image: np.ndarray
) -> Observed:
    """
    Return whom the tracks of a labelled frame show; person 0 is the one with the id `person`.

    The person can be seen if no nearer one covers a third of the box.

    :param stamp: nanoseconds
    :param image: (H, W, 3) uint8 RGB
    """
    ids, boxes = truth.ids[truth.counted], truth.boxes[truth.counted]
    people = np.full(len(tracks.boxes), -1)
    rows, columns = match_boxes(box_iou(tracks.boxes.astype(np.float64), boxes))
    people[rows] = np.where(ids[columns] == person, 0, 1)
    row = np.flatnonzero(ids == person)
    visible = bool(uncovered(boxes)[row].any())
    apart = visible and (box_iou(boxes[row], boxes) > _TOUCH).sum() == 1
    return Observed(stamp, tracks, people, visible, bool(apart), image)


def _people_of(tracks: Tracks, frame: CrossingFrame) -> np.ndarray:
    """Return the person of each track, (N,)."""
    same = (tracks.boxes[:, None] == frame.detections.boxes[None]).all(axis=2)
    return frame.people[np.nonzero(same)[1]]


def _alone(boxes: np.ndarray) -> np.ndarray:
    """Return which boxes touch no other one, (N,) bool: those that a user can point at."""
    return (box_iou(boxes, boxes) > 0).sum(axis=1) == 1


def crossing_tracker() -> Tracker:
    """Return a tracker for the features of `generate_crossing`, calibrated as they are."""
    association = CosineAssociation()
    association.calibration = CALIBRATION
    return Tracker(association, begin_score=0.4)
