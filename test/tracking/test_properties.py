# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What holds for every scene and every linking rule."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker
from scenes import SECOND
import torch

from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

SETTINGS = settings(derandomize=True, max_examples=12, deadline=None)
SIZE = (480, 640)
every_rule = pytest.mark.parametrize('name', RULES)


@st.composite
def scenes(draw: st.DrawFn) -> list[Detections]:
    """Draw frames of people who walk, hide and come back, with clutter; positions are quarters."""
    chance = np.random.default_rng(draw(st.integers(0, 10_000)))
    people, count = draw(st.integers(1, 5)), draw(st.integers(2, 14))
    interval = draw(st.sampled_from([0.04, 0.1, 0.5]))
    hidden = draw(st.sampled_from([0.0, 0.2, 0.5]))
    places = chance.uniform([60, 100], [580, 380], (people, 2))
    speeds = chance.normal(0, 40, (people, 2))
    frames = []
    for t in range(count):
        seen = np.flatnonzero(chance.random(people) >= hidden)
        clutter = chance.uniform([60, 100], [580, 380], (chance.integers(3), 2))
        centres = np.concatenate([(places + t * interval * speeds)[seen], clutter])
        who = [*seen.tolist(), *(100 + chance.integers(100, size=len(clutter))).tolist()]
        detections = frame(
            np.round(4 * centres) / 4,
            1 + t * interval,
            looks(who, seed=int(chance.integers(1 << 30)), noise=0.3),
            labels=[i % 2 for i in who],
            scores=chance.uniform(0.3, 0.95, len(who)).astype(np.float32),
            image_size=SIZE,
        )
        # The rule tao compares the scores of all classes.
        class_scores = np.eye(2, dtype=np.float32)[detections.labels] * detections.scores[:, None]
        frames.append(replace(detections, class_scores=class_scores))
    return frames


def track(name: str, frames: list[Detections], **options) -> list[Tracks]:
    return _run(make_tracker(rule=RULES[name], window=8, **options), frames)


def _run(tracker: Tracker, frames: list[Detections]) -> list[Tracks]:
    return [tracker.update(detections) for detections in frames]


def assert_same(found: list[Tracks], expected: list[Tracks]) -> None:
    for one, other in zip(found, expected, strict=True):
        assert one.ids.tolist() == other.ids.tolist()
        assert one.confirmed.tolist() == other.confirmed.tolist()


@every_rule
@SETTINGS
@given(frames=scenes())
def test_ids_are_unique_in_a_frame_and_never_begin_again(name, frames):
    tracker = make_tracker(rule=RULES[name], window=8)
    highest = 0
    for part in (frames, frames):
        known: set[int] = set()
        for tracks in _run(tracker, part):
            ids = set(tracks.ids.tolist())
            assert len(ids) == len(tracks)
            assert all(i > highest for i in ids - known)
            highest = max(highest, *ids, 0)
            known |= ids
        tracker.reset()  # the same scene again: all its ids are new


@every_rule
@SETTINGS
@given(frames=scenes())
def test_tracks_are_where_detections_are_and_stay_confirmed(name, frames):
    confirmed: set[int] = set()
    for detections, tracks in zip(frames, track(name, frames, begin_score=0.5), strict=True):
        rows = [detections.boxes.tolist().index(box) for box in tracks.boxes.tolist()]
        assert rows == sorted(rows)
        assert tracks.scores.tolist() == detections.scores[rows].tolist()
        assert tracks.labels.tolist() == detections.labels[rows].tolist()
        strong = detections.boxes[detections.scores >= 0.5].tolist()
        assert all(box in tracks.boxes.tolist() for box in strong)
        now = set(tracks.ids[tracks.confirmed].tolist())
        assert confirmed & set(tracks.ids.tolist()) <= now
        confirmed |= now


@every_rule
@SETTINGS
@given(frames=scenes(), seed=st.integers(0, 1000))
def test_the_order_of_the_detections_changes_no_identity(name, frames, seed):
    chance = np.random.default_rng(seed)
    orders = [chance.permutation(len(detections)) for detections in frames]
    mixed = [reordered(detections, order) for detections, order in zip(frames, orders)]
    names: dict[int, int] = {}
    for one, other, order in zip(track(name, frames), track(name, mixed), orders, strict=True):
        ids, confirmed = np.zeros(len(order), int), np.zeros(len(order), bool)
        ids[order], confirmed[order] = other.ids, other.confirmed
        assert confirmed.tolist() == one.confirmed.tolist()
        for mine, its in zip(one.ids.tolist(), ids.tolist(), strict=True):
            assert names.setdefault(mine, its) == its
    assert len(set(names.values())) == len(names)


def reordered(detections: Detections, order: np.ndarray) -> Detections:
    return replace(
        detections,
        boxes=detections.boxes[order],
        scores=detections.scores[order],
        labels=detections.labels[order],
        features=detections.features[torch.from_numpy(order)],
        class_scores=detections.class_scores[order],
    )


@every_rule
@SETTINGS
@given(frames=scenes(), shift=st.tuples(st.integers(-2000, 2000), st.integers(-2000, 2000)))
def test_a_scene_elsewhere_in_the_image_has_the_same_ids(name, frames, shift):
    moved = [replace(d, boxes=d.boxes + np.tile(np.array(shift, np.float32), 2)) for d in frames]
    assert_same(track(name, moved), track(name, frames))


@every_rule
@SETTINGS
@given(frames=scenes(), scale=st.sampled_from([0.25, 0.5, 2.0, 8.0]))
def test_a_scene_at_another_resolution_has_the_same_ids(name, frames, scale):
    size = tuple(round(scale * side) for side in SIZE)
    scaled = [replace(d, boxes=d.boxes * np.float32(scale), image_size=size) for d in frames]
    assert_same(track(name, scaled), track(name, frames))


@every_rule
@SETTINGS
@given(frames=scenes(), seconds=st.integers(1, 2_000_000_000))
def test_a_scene_at_another_time_has_the_same_ids(name, frames, seconds):
    later = [replace(d, stamp=d.stamp + seconds * SECOND) for d in frames]
    assert_same(track(name, later), track(name, frames))


@every_rule
@SETTINGS
@given(frames=scenes(), empty=st.integers(1, 40))
def test_frames_without_detections_have_no_tracks_and_end_them_in_time(name, frames, empty):
    tracker = make_tracker(rule=RULES[name], window=8)
    before = {i for tracks in _run(tracker, frames) for i in tracks.ids.tolist()}
    last = frames[-1].stamp
    for t in range(1, empty + 1):
        assert not len(tracker.update(frame([], (last + t * SECOND) / SECOND, looks([]))))
    again = replace(frames[0], stamp=last + (empty + 1) * SECOND)
    ids = set(tracker.update(again).ids.tolist())
    if empty >= 8:  # more than any rule's memory: 8 frames, or 4.5 s
        assert not ids & before
