# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a node published during a rendered drive, compared with what is true."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from dataclasses import replace
from itertools import pairwise
import math
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.metric import compare
from benchmarks.metric import Figures
from benchmarks.metric import figures_of
from benchmarks.metric_scenes import Record
from benchmarks.robot_events import are_counted
from benchmarks.robot_events import Matched
from benchmarks.robot_events import matched
from benchmarks.robot_events import published_of
from benchmarks.robot_truth import Everybody
from benchmarks.robot_truth import seen_near
from benchmarks.robot_truth import shown_by
from gtr_ros.boxes import centre_to_corners
from gtr_ros.msg import FollowedState
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.events import Kind
from gtr_ros.tracking.footprints import POINT
from gtr_ros.tracking.metric import MetricState
from gtr_ros.tracking.zones import Zone

if TYPE_CHECKING:
    from sensor_msgs.msg import PointCloud2
    from vision_msgs.msg import Detection2DArray

    from benchmarks.robot_run import Heard
    from gtr_ros.msg import Track3DArray

#: metres on the ground, within which an outline is that of a person
CLOSE = 0.75
#: seconds for which another person must be followed for a hand-over
HANDED_OVER = 0.5
#: seconds for which somebody must be well seen to need a picture, and their visible share
_PICTURED, _CLEAR = 1.0, 0.9


@dataclass(frozen=True)
class Followed:
    """
    How one person was followed.

    :param seen: seconds for which the person was within 8 m and half visible, in processed images
    :param followed: those for which the state said so, and the followed box showed the person
    :param hand_overs: how often the state said so while it showed another one for half a second
    :param states: seconds in each state, by its name
    :param error: median distance of the published pose from the truth, metres
    """

    seen: float
    followed: float
    hand_overs: int
    states: dict[str, float]
    error: float


@dataclass(frozen=True)
class DriveFigures:
    """
    The figures of a drive.

    :param images: in the bag
    :param status: of the node, from /diagnostics
    :param placed: images with tracks in metres, of those with detections
    :param metric: errors of the tracks in metres
    :param coasted: share of the tracks that were predicted
    :param same: whether `~/tracks_3d` had the same objects as `~/tracks_with_velocity`
    :param followed: None: nobody was chosen
    :param events: by kind
    :param counted: whether the newest `~/counts` have the sums of the events
    :param outlined: share of the people within 8 m whose outline has points
    :param empty: share of the outlines where nobody is
    :param pictured: people who were seen well for a second, and those of them with a picture
    :param pictures: number of pictures, and of tracks whose pictures show several people
    """

    images: int
    status: dict[str, str]
    placed: tuple[int, int]
    metric: Figures
    coasted: float
    same: bool
    followed: Followed | None
    events: dict[Kind, Matched]
    counted: bool
    outlined: float
    empty: float
    pictured: tuple[int, int]
    pictures: tuple[int, int]


def figures_of_drive(
    truth: list[Record],
    heard: Heard,
    zones: list[Zone],
    person: int | None,
    everybody: Everybody,
) -> DriveFigures:
    """
    Compare what was heard with the truth.

    :param truth: of all images, without tracks
    :param person: who was to be followed
    :param everybody: where all people are in each image
    """
    detections = heard.by_stamp('detections')
    records = [with_tracks(r, detections[r.stamp]) for r in truth if r.stamp in detections]
    shown = {r.stamp: shown_by(r) for r in records}
    moving, placed = heard.by_stamp('tracks_with_velocity'), heard.by_stamp('tracks_3d')
    states = [_state(moving[r.stamp]) if r.stamp in moving else None for r in records]
    known = [state for state in states if state is not None]
    predicted = np.concatenate([np.zeros(0), *(state.unobserved > 0 for state in known)])
    places = {r.stamp: where for r, where in zip(truth, everybody.positions, strict=True)}
    outlined, empty = _outlines(records, heard.by_stamp('obstacles'), places)
    pictured, pictures = _pictures(records, shown, heard)
    return DriveFigures(
        images=len(truth),
        status=heard.status,
        placed=(len(known), len(records)),
        metric=figures_of(compare(records, states)),
        coasted=float(predicted.mean()) if len(predicted) else math.nan,
        same=all(
            [d.id for d in placed[stamp].detections] == [t.id for t in message.tracks]
            for stamp, message in moving.items()
            if stamp in placed
        ),
        followed=None if person is None else _followed(records, shown, heard, person),
        events=matched(truth, everybody, zones, published_of(heard, shown)),
        counted=are_counted(heard),
        outlined=outlined,
        empty=empty,
        pictured=pictured,
        pictures=pictures,
    )


def with_tracks(record: Record, message: Detection2DArray) -> Record:
    """Return the truth of an image with the tracks that were published for it."""
    found = [d for d in message.detections if d.results]
    boxes = [
        centre_to_corners(
            d.bbox.center.position.x, d.bbox.center.position.y, d.bbox.size_x, d.bbox.size_y
        )
        for d in found
    ]
    tracks = Tracks(
        ids=np.array([int(d.id) for d in found], np.int64),
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array([d.results[0].hypothesis.score for d in found], np.float32),
        labels=np.zeros(len(found), np.int64),
        confirmed=np.ones(len(found), bool),
    )
    return replace(record, tracks=tracks)


def _state(message: Track3DArray) -> MetricState:
    tracks = message.tracks

    def vectors(values: list) -> np.ndarray:
        return np.array([[v.x, v.y, v.z] for v in values], np.float64).reshape(-1, 3)

    covariances = np.zeros((len(tracks), 6, 6))
    for k, track in enumerate(tracks):
        covariances[k, :3, :3] = np.reshape(track.pose.covariance, (6, 6))[:3, :3]
        covariances[k, 3:, 3:] = np.reshape(track.twist.covariance, (6, 6))[:3, :3]
    return MetricState(
        ids=np.array([int(t.id) for t in tracks], np.int64),
        labels=np.zeros(len(tracks), np.int64),
        scores=np.array([t.score for t in tracks], np.float32),
        positions=vectors([t.pose.pose.position for t in tracks]),
        velocities=vectors([t.twist.twist.linear for t in tracks]),
        covariances=covariances,
        sizes=np.array([[t.size.x, t.size.z] for t in tracks], np.float64).reshape(-1, 2),
        unobserved=np.array([t.unobserved for t in tracks], np.float64),
        ages=np.array([t.age for t in tracks], np.float64),
    )


def _followed(
    records: list[Record], shown: dict[int, dict[int, int]], heard: Heard, person: int
) -> Followed | None:
    if heard.answer is None or not heard.answer.success:
        return None
    names = {
        FollowedState.FOLLOWING: 'following',
        FollowedState.HIDDEN: 'hidden',
        FollowedState.LOST: 'lost',
        FollowedState.FOUND_AGAIN: 'found again',
    }
    published = heard.by_stamp('followed/state')
    poses = heard.by_stamp('followed/pose')
    seconds: dict[str, float] = defaultdict(float)
    seen = followed = 0.0
    hand_overs, wrong_since, before = 0, None, None
    errors = []
    for record in records:
        message = published.get(record.stamp)
        if message is None or message.state not in names or record.stamp < heard.asked:
            continue
        step = 0.0 if before is None else (record.stamp - before) / NANOSECONDS
        before = record.stamp
        seconds[names[message.state]] += step
        row = np.flatnonzero(record.people == person)
        visible = len(row) > 0 and bool(seen_near(record)[row[0]])
        sure = message.state in (FollowedState.FOLLOWING, FollowedState.FOUND_AGAIN)
        whom = shown[record.stamp].get(int(message.id)) if sure else None
        seen += step * visible
        followed += step * (visible and whom == person)
        if whom is None or whom == person:
            wrong_since = None
        elif wrong_since is None:
            wrong_since = record.stamp
        elif 0 < wrong_since <= record.stamp - round(HANDED_OVER * NANOSECONDS):
            hand_overs, wrong_since = hand_overs + 1, -1  # counts once
        if record.stamp in poses and len(row):
            place = poses[record.stamp].pose.position
            errors.append(np.hypot(*(record.positions[row[0], :2] - [place.x, place.y])))
    return Followed(
        seen, followed, hand_overs, dict(seconds), float(np.median(errors)) if errors else math.nan
    )


def _outlines(
    records: list[Record], clouds: dict[int, PointCloud2], people: dict[int, np.ndarray]
) -> tuple[float, float]:
    """Return the share of people within 8 m with points, and of outlines where nobody is."""
    near, alone = [], []
    for record in records:
        if record.stamp not in clouds:
            continue
        points = np.frombuffer(clouds[record.stamp].data, POINT)
        points = points[points['time'] == 0]
        places = np.stack([points['x'], points['y']], axis=1)
        needed = record.positions[seen_near(record), :2]
        near += (_nearest(needed, places) < CLOSE).tolist()
        gaps = _nearest(places, people[record.stamp])
        alone += [
            bool((gaps[points['id'] == track_id] >= CLOSE).all())
            for track_id in np.unique(points['id'])
        ]
    return (
        float(np.mean(near)) if near else math.nan,
        float(np.mean(alone)) if alone else math.nan,
    )


def _nearest(places: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the distance of each place, (N, 2), to the nearest of the others, (M, 2)."""
    gaps = np.linalg.norm(places[:, None] - others[None], axis=2)
    return gaps.min(axis=1, initial=np.inf)


def _pictures(
    records: list[Record], shown: dict[int, dict[int, int]], heard: Heard
) -> tuple[tuple[int, int], tuple[int, int]]:
    """See `DriveFigures`."""
    clear: dict[int, float] = defaultdict(float)
    for before, record in pairwise(records):
        well = seen_near(record) & (record.visibility >= _CLEAR)
        for person in record.people[well].tolist():
            clear[person] += (record.stamp - before.stamp) / NANOSECONDS
    needed = {person for person, seconds in clear.items() if seconds >= _PICTURED}
    subjects: dict[int, set[int]] = defaultdict(set)
    for crop in heard.messages['crops']:
        stamp = stamp_to_nanoseconds(crop.header.stamp)
        person = shown.get(stamp, {}).get(int(crop.id))
        if person is not None:
            subjects[int(crop.id)].add(person)
    have = set().union(*subjects.values())
    mixed = sum(len(people) > 1 for people in subjects.values())
    return (len(needed), len(needed & have)), (len(heard.messages['crops']), mixed)
