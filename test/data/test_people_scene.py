# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The text form of scenes of rendered people, and its errors."""

from __future__ import annotations

import pytest

from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import stream_of
from gtr_ros.data.people.scene import visit_stream


def test_the_text_form_keeps_every_parameter():
    scene = PeopleScene(
        objects=3,
        split='all',
        pool=50,
        avatars='/avatars',
        backgrounds='photos',
        camera='drive',
        height=0.5,
        fov=60.0,
        rate=12.5,
        duration=20.0,
        size=(240, 320),
        occluders=0,
        likeness=0.5,
        absence=3.0,
        visit=2,
        light='dusk',
        seed=7,
    )
    assert PeopleScene.parse(str(scene)) == scene
    assert str(PeopleScene()) == 'people'
    assert PeopleScene.parse('people') == PeopleScene()
    assert str(PeopleScene(objects=20)) == 'people:objects=20'


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('synthetic', 'expected people'),
        ('people:persons=3', "key 'persons'"),
        ('people:objects=3,objects=4', 'objects occurs twice'),
        ('people:objects=many', 'expected a whole number'),
        ('people:objects=-1', 'objects is -1; expected 0 to 200'),
        ('people:camera=drone', "camera is 'drone'; expected one of wall, stand"),
        ('people:light=noon', "light is 'noon'; expected one of '' \\(drawn\\), day"),
        ('people:split=dev', "split is 'dev'"),
        ('people:height=50', 'height is 50.0; expected 0 \\(drawn\\), or 0.1 to 10'),
        ('people:fov=170', 'fov is 170.0'),
        ('people:absence=9', 'absence is 9.0 s; expected 0 to 8'),
        ('people:objects=12,pool=4', 'pool is 4; expected an identity for each of 12'),
        ('people:size=10x10', 'size is'),
    ],
)
def test_an_invalid_text_is_explained(text, message):
    with pytest.raises(ValueError, match=message):
        PeopleScene.parse(text)


def test_scenes_with_other_pictures_have_other_keys():
    scenes = [PeopleScene(), PeopleScene(visit=1), PeopleScene(rate=5), PeopleScene(seed=1)]
    assert len({scene.image_key for scene in scenes}) == len(scenes)
    assert PeopleScene().image_key == PeopleScene().image_key


def test_a_visit_has_its_own_random_numbers_and_shares_the_others():
    first, second = PeopleScene(), PeopleScene(visit=1)
    assert stream_of(first, 0).random() == stream_of(second, 0).random()
    assert visit_stream(first, 0).random() != visit_stream(second, 0).random()


def test_the_image_key_changes_with_the_files_of_a_folder(tmp_path):
    (tmp_path / 'a.png').write_bytes(b'1')
    before = PeopleScene(backgrounds=str(tmp_path)).image_key
    assert PeopleScene(backgrounds=str(tmp_path)).image_key == before
    (tmp_path / 'b.png').write_bytes(b'2')
    assert PeopleScene(backgrounds=str(tmp_path)).image_key != before
