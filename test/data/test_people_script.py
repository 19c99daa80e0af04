# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""In scenes with a script, the first person is covered when and as the script says."""

from __future__ import annotations

import numpy as np
from opengl import needs_opengl
import pytest

from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.cast import Person
from gtr_ros.data.people.gait import make_gait
from gtr_ros.data.people.looks import Look
from gtr_ros.data.people.places import make_places
from gtr_ros.data.people.scene import SCRIPTS
from gtr_ros.data.people.schedule import make_absences
from gtr_ros.data.people.script import HIDDEN
from gtr_ros.data.people.script import START
from gtr_ros.data.people.world import World

BODY = 0.5  # metres, width of a person
CAMERAS = ('wall', 'stand', 'shake')


def scene_of(script: str, seed: int, **values) -> PeopleScene:
    values = {'objects': 6, 'occluders': 0, 'camera': CAMERAS[seed % 3], **values}
    return PeopleScene(script=script, seed=seed, **values)


def make_world(scene: PeopleScene) -> tuple[World, Camera]:
    camera = Camera(scene)
    people = tuple(Person(i, Look('nobody'), make_gait(i)) for i in range(scene.objects))
    places = make_places(scene, camera)
    return World(scene, camera, people, places, make_absences(scene)), camera


def polar(world: World, camera: Camera, t: float) -> tuple[np.ndarray, np.ndarray]:
    """Return bearings to the left, radians, and distances of the people, metres."""
    x, y, _, yaw, _, _ = camera.place(0.0)
    across = world.at(t).positions - (x, y)
    return np.arctan2(across[:, 1], across[:, 0]) - yaw, np.hypot(*across.T)


@pytest.mark.parametrize('seed', range(6))
def test_somebody_crosses_in_front_of_the_first_person(seed):
    world, camera = make_world(scene_of('crossing', seed))
    sides = []
    for t in (START - 1.5, START, START + 1.5):
        bearings, distances = polar(world, camera, t)
        assert distances[1] < distances[0] - 0.5
        sides.append((bearings[1] - bearings[0]) * distances[0])
    assert abs(sides[1]) < BODY
    assert min(abs(sides[0]), abs(sides[2])) > 1
    assert sides[0] * sides[2] < 0


@pytest.mark.parametrize('seed', range(6))
def test_somebody_walks_in_front_of_the_first_person_for_seconds(seed):
    world, camera = make_world(scene_of('company', seed, duration=13.0))
    for t in np.arange(START + 0.5, START + HIDDEN - 0.5, 0.25):
        bearings, distances = polar(world, camera, t)
        assert abs(bearings[1] - bearings[0]) * distances[0] < BODY
        assert distances[1] < distances[0] - 0.4
    for t in (START - 1.5, START + HIDDEN + 1.5):
        bearings, distances = polar(world, camera, t)
        assert abs(bearings[1] - bearings[0]) * distances[0] > 1


@pytest.mark.parametrize('seed', range(6))
def test_a_wall_hides_the_first_person_while_the_second_one_comes_out(seed):
    scene = scene_of('wall', seed, duration=13.0)
    world, camera = make_world(scene)
    [wall] = make_places(scene, camera)
    x, y, _, yaw, _, _ = camera.place(0.0)
    to_wall = wall.centre - (x, y)
    middle, far = np.arctan2(to_wall[1], to_wall[0]) - yaw, np.hypot(*to_wall)

    def behind(t: float) -> np.ndarray:
        """Return (N,) bool: who is behind the wall, as the camera sees it."""
        bearings, distances = polar(world, camera, t)
        half = np.arctan2(wall.size[0] / 2, far)
        return (np.abs(bearings - middle) < half) & (distances > far)

    during = np.arange(START + 0.5, START + HIDDEN - 0.5, 0.25)
    assert all(behind(t)[0] for t in during)
    assert not behind(START - 1.5)[0]
    assert not behind(START + HIDDEN + 1.5)[0]
    assert all(behind(t)[1] for t in np.arange(0, START, 0.5))
    assert not all(behind(t)[1] for t in during)


@pytest.mark.parametrize('script', SCRIPTS[1:])
def test_the_two_walk_as_people_do_and_the_others_make_room(script):
    world, _ = make_world(scene_of(script, 4, duration=13.0))
    before = world.at(0.0).positions
    for t in np.arange(0.1, 13.0, 0.1):
        positions = world.at(t).positions
        assert np.hypot(*(positions - before)[:2].T).max() < 0.22
        gaps = np.hypot(*(positions[:, None] - positions).transpose(2, 0, 1))
        assert t < 1 or gaps[~np.eye(6, dtype=bool)].min() > 0.35
        before = positions


def test_a_script_changes_only_the_first_two_people_when_the_scene_begins():
    plain, _ = make_world(scene_of('', 4))
    scripted, _ = make_world(scene_of('crossing', 4))
    np.testing.assert_allclose(
        plain.at(0.0).positions[2:], scripted.at(0.0).positions[2:], atol=0.3
    )


def test_the_script_is_part_of_the_text_form():
    scene = scene_of('company', 3)
    assert PeopleScene.parse(str(scene)) == scene
    assert 'script=company' in str(scene)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('people:script=dance', "script is 'dance'; expected one of '' \\(none\\), crossing"),
        ('people:script=wall,camera=drive', 'a camera that stays'),
        ('people:script=wall,objects=1', '2 objects or more'),
        ('people:script=wall,absence=2', 'absence 0'),
    ],
)
def test_a_script_that_cannot_be_played_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        PeopleScene.parse(text)


@needs_opengl
def test_the_wall_is_drawn_in_front_of_the_first_person():
    people = generate(scene_of('wall', 1, rate=1.0, duration=8.0, size=(120, 160)))
    first = people.people[0].identity

    def visible(t: int) -> float:
        frame = people.truth(t)
        return float(frame.visibility[frame.ids == first].sum())

    assert visible(1) > 0.9
    assert max(visible(t) for t in (5, 6, 7)) < 0.05
