# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Ids that cameras share: by place, by appearance, and what never happens to an id."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.gallery import SimilarityStatistics
from gtr_ros.tracking.identities import Identities
from gtr_ros.tracking.identities import SharingOptions
from gtr_ros.tracking.metric import Objects
from gtr_ros.tracking.placement import PERSON
from gtr_ros.tracking.placement import Positions

START = 1_700_000_000 * NANOSECONDS
#: of Fisher's z: people of one camera are told apart well
SIMILARITY = SimilarityStatistics(same=2.0, different=0.3, deviation=0.25)
NOISE = 0.1  # metres
WIDTH = 16  # of features


def look(person: int) -> np.ndarray:
    """Return the feature of a person: nobody resembles another one."""
    return np.eye(WIDTH, dtype=np.float32)[person]


class Scene:
    """Cameras that see people; each frame is 0.1 s after the one before."""

    def __init__(self, cameras: int = 2, **options: float) -> None:
        self.identities = Identities(cameras, SharingOptions(**options))
        self.cameras, self.time = cameras, 0.0

    def see(self, camera: int, *people: tuple, alive=(), similarity=SIMILARITY) -> dict[int, int]:
        """
        Show an image of a camera; return the published ids by track.

        :param people: track, feature, place on the ground or None, and label
        """
        tracks = np.array([person[0] for person in people], np.int64)
        labels = np.array([p[3] if len(p) > 3 else 0 for p in people], np.int64)
        features = np.array([p[1] for p in people], np.float32).reshape(-1, WIDTH)
        stamp = START + round(self.time * NANOSECONDS)
        ids, published = self.identities.rename(
            camera,
            stamp,
            tracks,
            labels,
            np.ones(len(people), bool),
            features,
            np.append(tracks, np.array(alive, np.int64)),
            similarity,
        )
        assert len(set(ids.tolist())) == len(ids)
        points = [(np.nan,) * 3 if p[2] is None else (*p[2], 0.9) for p in people]
        self.place(camera, stamp, ids, labels, points)
        shown = {t: i for t, i, p in zip(tracks.tolist(), ids.tolist(), published.tolist()) if p}
        return shown

    def place(self, camera: int, stamp: int, ids: np.ndarray, labels: np.ndarray, points) -> None:
        count = len(ids)
        noise = np.tile(NOISE**2 * np.eye(3), (count, 1, 1))
        positions = Positions(
            np.array(points, float).reshape(-1, 3), noise, 0 * noise, np.full((count, 2), np.nan)
        )
        scores = np.full(count, 0.9, np.float32)
        objects = Objects(ids, labels, scores, [PERSON] * count)
        self.identities.place(camera, stamp, objects, positions)

    def run(self, frames: int, *views: tuple, **options) -> list[dict[int, int]]:
        """Show all cameras the same views for some frames; return the published ids of the last"""
        for _ in range(frames):
            self.time += 0.1
            found = [self.see(camera, *people, **options) for camera, people in enumerate(views)]
        return found


def test_an_object_in_overlapping_views_has_one_id():
    here, there = (3.0, 0.0), (5.0, 1.0)
    scene = Scene()
    front, left = scene.run(
        6,
        [(1, look(0), here), (2, look(1), there)],
        [(8, look(1), there), (9, look(0), here)],
    )
    assert len(front) == len(left) == 2
    assert (front[1], front[2]) == (left[9], left[8])
    assert scene.identities.joins == [0, 2]


def test_a_track_that_begins_where_another_camera_sees_an_object_waits_for_its_second_position():
    scene = Scene()
    known = scene.run(10, [(1, look(0), (3.0, 0.0))], [])[0][1]
    shown = [
        scene.run(1, [(1, look(0), (3.0, 0.0))], [(5, look(0), (3.05, 0.0))])[1] for _ in range(4)
    ]
    assert shown == [{}, {}, {5: known}, {5: known}]


def test_place_alone_is_enough_where_appearance_is_unknown():
    scene = Scene()
    front, left = scene.run(
        6, [(1, look(0), (3.0, 0.0))], [(5, look(1), (3.0, 0.05))], similarity=None
    )
    assert left[5] == front[1]


def test_objects_apart_have_different_ids_though_they_look_the_same():
    front, left = Scene().run(30, [(1, look(0), (3.0, 0.0))], [(5, look(0), (3.0, 2.0))])
    assert left[5] != front[1]


def test_objects_at_one_place_that_look_different_have_different_ids():
    places = [(1, look(0), (3.0, 0.0))], [(5, look(1), (3.2, 0.2))]
    front, left = Scene().run(30, *places)
    assert left[5] != front[1]


def test_of_two_new_tracks_near_an_object_the_nearer_gets_its_id():
    scene = Scene()
    scene.run(10, [(1, look(0), (3.0, 0.0))], [])
    front, left = scene.run(
        30,
        [(1, look(0), (3.0, 0.0))],
        [(5, look(1), (3.0, 0.9)), (6, look(0), (3.0, 0.05))],
        similarity=None,
    )
    assert left[6] == front[1] != left[5]


def test_a_class_is_not_joined_to_another():
    front, left = Scene().run(30, [(1, look(0), (3.0, 0.0), 0)], [(5, look(0), (3.0, 0.0), 1)])
    assert left[5] != front[1]


def walk_over(seconds: float, to: tuple, person: int = 0, **options) -> tuple[int, int]:
    """Let a person leave the first view at (3, 0) at 1 m/s along y; return ids before and after"""
    scene = Scene(**options)
    for k in range(10):
        before = scene.run(1, [(1, look(0), (3.0, 0.1 * k - 0.9))], [])[0]
    scene.run(round(10 * seconds), [], [])
    after = scene.run(30, [], [(5, look(person), to)])[1]
    return before[1], after[5]


def test_somebody_who_walks_to_another_view_keeps_the_id():
    before, after = walk_over(3, (3.0, 3.0))
    assert after == before


def test_somebody_else_who_comes_into_another_view_does_not():
    before, after = walk_over(3, (3.0, 3.0), person=1)
    assert after != before


def test_nobody_is_faster_than_people_walk():
    before, after = walk_over(3, (3.0, 40.0))
    assert after != before
    before, after = walk_over(60, (3.0, 6.0))
    assert after == before


def test_without_places_appearance_decides_after_the_object_was_lost():
    scene = Scene()
    known = scene.run(10, [(1, look(0), None)], [])[0][1]
    scene.run(20, [], [])
    new = scene.run(30, [], [(5, look(0), None), (6, look(1), None)])[1]
    assert new[5] == known != new[6]


def test_without_places_an_object_in_view_is_not_that_of_another_camera():
    front, left = Scene().run(30, [(1, look(0), None)], [(5, look(0), None)])
    assert front[1] != left[5]


def test_an_object_that_only_its_own_camera_saw_is_left_to_its_tracker():
    scene = Scene()
    known = scene.run(10, [(1, look(0), (3.0, 0.0))], [])[0][1]
    scene.run(60, [], [])
    assert scene.run(30, [(2, look(0), (3.0, 0.0))], [])[0][2] != known


def test_a_published_id_stays_when_evidence_comes_later():
    scene = Scene()
    alone = scene.run(10, [], [(5, look(0), None)])[1][5]
    front, left = scene.run(30, [(1, look(1), (3.0, 0.0))], [(5, look(0), (3.0, 0.0))])
    assert left[5] == alone
    assert front[1] != alone


def test_late_positions_delay_a_new_track_by_no_more_than_patience():
    scene = Scene()
    scene.run(10, [(1, look(0), (3.0, 0.0))], [])
    shown = [scene.run(1, [(1, look(0), (3.0, 0.0))], [(5, look(1), None)])[1] for _ in range(12)]
    first = next(k for k, ids in enumerate(shown) if ids)
    assert 1 <= first <= 10 * SharingOptions().patience + 1


def test_the_tracker_of_a_camera_that_finds_its_object_again_keeps_the_shared_id():
    scene = Scene()
    front, _ = scene.run(6, [(1, look(0), (3.0, 0.0))], [(5, look(0), (3.0, 0.0))])
    scene.run(60, [], [])
    assert scene.run(1, [], [(5, look(0), (3.0, 0.0))])[1] == {5: front[1]}


def test_an_object_that_another_camera_sees_gets_its_id_back_in_a_new_track():
    scene, place = Scene(), (3.0, 0.0)
    front, _ = scene.run(6, [(1, look(0), place)], [(5, look(0), place)])
    scene.run(20, [(1, look(0), place)], [], alive=[5])
    new = scene.run(10, [(1, look(0), place)], [(6, look(0), place)], alive=[5])[1]
    assert new == {6: front[1]}
    # Only one of two tracks of a camera can have it.
    both = scene.run(10, [(1, look(0), place)], [(6, look(0), place), (5, look(1), (5.0, 0.0))])[1]
    assert both[6] == front[1] != both[5]


def test_one_camera_that_ends_does_not_change_the_others():
    scene, place = Scene(3), (3.0, 0.0)
    ids = scene.run(6, *[[(k + 1, look(0), place)] for k in range(3)])
    for _ in range(100):
        scene.time += 0.1
        assert scene.see(1, (2, look(0), place)) == {2: ids[1][2]}
        assert scene.see(2, (3, look(0), place)) == {3: ids[1][2]}


def test_a_camera_whose_clock_goes_back_begins_new_ids_and_others_go_on():
    scene, place = Scene(), (3.0, 0.0)
    front, left = scene.run(6, [(1, look(0), place)], [(5, look(0), place)])
    scene.time -= 100
    restarted = scene.see(1, (6, look(0), place))
    scene.time += 100.1
    assert scene.see(0, (1, look(0), place)) == {1: front[1]}
    assert restarted.get(6) != left[5]


def test_no_id_is_used_again_after_a_reset():
    scene = Scene()
    view = [[(1, look(0), (3.0, 0.0))], [(5, look(1), (3.0, 2.0))]]
    before = {i for ids in scene.run(20, *view) for i in ids.values()}
    scene.identities.clear()
    assert not len(scene.identities.objects)
    after = {i for ids in scene.run(20, *view) for i in ids.values()}
    assert len(before) == len(after) == 2
    assert not before & after


@pytest.mark.parametrize('options', [{'size': 20}, {'seconds': 2.0}, {'size': 0}])
def test_the_number_of_lost_objects_is_bounded(options):
    scene = Scene(**options)
    for track in range(1, 200):
        scene.run(2, [(track, look(track % WIDTH), (track % 7, 0.0))], [])
        most = 1 + min(options.get('size', 1000), round(options.get('seconds', 1000) * 5) + 1)
        assert len(scene.identities.objects) <= most
    objects = scene.identities.objects
    rows = {len(values) for values in vars(objects).values() if isinstance(values, np.ndarray)}
    assert rows == {len(objects)}


@settings(derandomize=True, max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_ids_are_unique_in_an_image_stay_and_are_not_used_for_another_class(seed):
    chance, scene = np.random.default_rng(seed), Scene(3)
    people = chance.uniform(0, 5, (6, 2))
    tracks = np.zeros((3, 6), np.int64)  # of each person in each camera; 0: none
    newest, owner, shown = [0] * 3, {}, {}
    for _ in range(40):
        people += chance.normal(0, 0.1, people.shape)
        scene.time += 0.1
        for camera in range(3):
            begins = chance.random(6) < 0.1
            for person in np.flatnonzero(begins).tolist():
                newest[camera] += 1
                tracks[camera, person] = newest[camera]
            visible = np.flatnonzero((chance.random(6) < 0.8) & (tracks[camera] > 0)).tolist()
            view = [
                (
                    int(tracks[camera, p]),
                    look(p // 2),
                    None if chance.random() < 0.2 else people[p],
                    p % 2,
                )
                for p in visible
            ]
            found = scene.see(camera, *view, alive=tracks[camera])
            for person in visible:
                track = int(tracks[camera, person])
                if track not in found:
                    continue
                identity = found[track]
                assert owner.setdefault(identity, person % 2) == person % 2
                before = shown.setdefault((camera, track), identity)
                # Another track of this camera may have taken it over.
                taken = any(k[0] == camera and k[1] > track for k in shown if shown[k] == before)
                assert identity == before or taken
                shown[camera, track] = identity
