# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People walk, and neither through each other nor through things."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.cast import Person
from gtr_ros.data.people.gait import make_gait
from gtr_ros.data.people.looks import Look
from gtr_ros.data.people.places import make_places
from gtr_ros.data.people.places import Place
from gtr_ros.data.people.scene import CAMERAS
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.schedule import make_absences
from gtr_ros.data.people.world import World


def make_world(scene: PeopleScene, places: tuple[Place, ...] | None = None) -> World:
    camera = Camera(scene)
    people = tuple(Person(i, Look('nobody'), make_gait(i)) for i in range(scene.objects))
    places = make_places(scene, camera) if places is None else places
    return World(scene, camera, people, places, make_absences(scene))


def in_view(scene: PeopleScene, camera: Camera, world: World, t: float) -> np.ndarray:
    """Return (N,) bool: whose middle is in the image."""
    positions = world.at(t).positions
    points = np.column_stack([positions, np.ones((len(positions), 2))])
    x, y, z = (points @ np.linalg.inv(camera.pose(t)).T)[:, :3].T
    height, width = scene.size
    u, v = (camera.view.focal * a / np.maximum(z, 0.01) for a in (x, y))
    return (z > 0.3) & (np.abs(u) < width / 2) & (np.abs(v) < height / 2)


@pytest.mark.parametrize('camera', CAMERAS)
def test_people_are_seen_and_keep_apart(camera):
    scene = PeopleScene(objects=16, camera=camera, occluders=4, seed=3)
    camera, world = Camera(scene), make_world(scene)
    seen = []
    for t in np.arange(0, scene.duration, 0.2):
        positions = world.at(t).positions
        gaps = np.hypot(*(positions[:, None] - positions).transpose(2, 0, 1))
        assert gaps[~np.eye(16, dtype=bool)].min() > 0.35
        seen.append(in_view(scene, camera, world, t).mean())
    assert np.mean(seen) > 0.3


def test_nobody_walks_through_a_pillar():
    scene = PeopleScene(objects=20, fov=70, seed=5)
    pillar = Place('pillar', Camera(scene).ground(0, 5.0, 0.0), 0.0, np.array([1.0, 1.0, 3]), 0)
    world = make_world(scene, (pillar,))
    passed = 0
    for t in np.arange(0, scene.duration, 0.1):
        gaps = np.hypot(*(world.at(t).positions - pillar.centre).T)
        assert gaps.min() > 0.7
        passed += np.count_nonzero(gaps < 1.8)
    assert passed


def test_the_world_does_not_depend_on_the_frame_rate_or_the_visit():
    scenes = [PeopleScene(seed=4), PeopleScene(seed=4, rate=25), PeopleScene(seed=4, visit=3)]
    worlds = [make_world(scene) for scene in scenes]
    for t in (0.0, 0.04, 3.3, 11.9):
        first, *others = (world.at(t) for world in worlds)
        for other in others:
            assert np.array_equal(first.positions, other.positions)
            assert np.array_equal(first.phases, other.phases)


def test_people_move_continuously_while_they_are_in_view():
    scene = PeopleScene(objects=16, camera='drive', seed=1)
    camera, world = Camera(scene), make_world(scene)
    times = np.arange(0, scene.duration - 0.02, 0.02)
    for t in times:
        before, after = world.at(t), world.at(t + 0.02)
        steps = np.hypot(*(after.positions - before.positions).T)
        seen = in_view(scene, camera, world, t) | in_view(scene, camera, world, t + 0.02)
        assert steps[seen].max(initial=0) < 0.02 * 5
        assert (after.phases >= before.phases - 1e-9).all()


def test_everybody_is_away_once_and_leaves_and_enters_beside_the_view():
    scene = PeopleScene(objects=8, camera='stand', absence=4.0, duration=30, seed=2)
    camera, world = Camera(scene), make_world(scene)
    times = np.arange(0, scene.duration, 0.05)
    present = np.array([world.at(t).present for t in times])
    assert (np.count_nonzero(np.diff(present.astype(int), axis=0) < 0, axis=0) == 1).all()
    away = np.count_nonzero(~present, axis=0) * 0.05
    assert away == pytest.approx(np.full(8, 4.0), abs=0.06)
    for i, (begin, end) in enumerate(world.absences):
        assert begin >= 2
        assert end <= scene.duration - 2
        assert not in_view(scene, camera, world, end)[i]
    left = [in_view(scene, camera, world, b - 0.05)[i] for i, (b, _) in enumerate(world.absences)]
    assert np.mean(left) < 0.5  # some have too far to go


def test_somebody_sits_down_on_a_bench():
    scene = PeopleScene(objects=10, duration=60, seed=0, fov=80)
    bench = Place('bench', Camera(scene).ground(0, 4.0, 0.0), 0.0, np.array([2.0, 0.5, 0.9]), 0)
    world = make_world(scene, (bench,))
    sat = []
    for t in np.arange(0, 60, 0.5):
        moment = world.at(t)
        for i, action in enumerate(moment.actions):
            if action == 'sit' and moment.shares[i] == 1:
                gaps = np.hypot(*(bench.seats()[:, :2] - moment.positions[i]).T)
                sat.append(gaps.min())
    assert len(sat) > 4
    assert max(sat) < 0.15


def test_speeds_vary_and_feet_do_not_slide():
    scene = PeopleScene(objects=40, occluders=0, seed=6)
    world = make_world(scene)
    speeds = np.array([world.at(t).speeds for t in np.arange(0, 12, 0.5)])
    assert np.ptp(np.median(speeds, axis=0)) > 0.8
    before, after = world.at(2.0), world.at(3.0)
    walked = np.hypot(*(after.positions - before.positions).T)
    strides = after.phases - before.phases
    steady = (np.abs(after.speeds - before.speeds) < 0.1) & (before.speeds > 0.8)
    assert steady.sum() > 5
    lengths = walked[steady] / strides[steady]
    assert ((lengths > 0.7) & (lengths < 2.8)).all()
