# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Avatars are complete, their split is by person, and broken files are named."""

from __future__ import annotations

import shutil

import numpy as np
from paths import SHARED
import pytest

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.avatars import INCLUDED
from gtr_ros.data.people.avatars import person_of
from gtr_ros.data.people.avatars import read_avatar
from gtr_ros.data.people.avatars import split_of

NAME = 'Hispanic_M_1_Casual'
EVERYBODY = SHARED / 'data' / 'avatars'


@pytest.fixture(scope='module')
def included() -> Avatars:
    return Avatars()


@pytest.fixture
def folder(tmp_path):
    """Return a folder with one avatar, to be broken."""
    (tmp_path / 'parts').mkdir()
    shutil.copyfile(INCLUDED / f'{NAME}.glb', tmp_path / f'{NAME}.glb')
    shutil.copyfile(INCLUDED / 'parts' / f'{NAME}.png', tmp_path / 'parts' / f'{NAME}.png')
    return tmp_path


def test_every_included_avatar_is_a_complete_rig(included):
    for name in included.names():
        avatar = included.read(name)
        vertices = len(avatar.positions)
        assert avatar.normals.shape == (vertices, 3)
        assert avatar.joints.shape == avatar.weights.shape == (vertices, 4)
        assert avatar.triangles.min() == 0
        assert avatar.triangles.max() == vertices - 1
        assert np.allclose(avatar.weights.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(avatar.dense_weights.sum(axis=1), 1, atol=1e-5)
        assert np.allclose(avatar.rest @ avatar.inverse_bind, np.eye(4), atol=1e-4)
        assert 1.6 < avatar.height < 1.9
        parts = set(np.unique(avatar.parts[:, :512]))
        assert {1, 2, 4} <= parts <= set(range(6))
        assert 3 in parts or name == 'White_F_3_Casual'  # a dress is a top


def test_triangles_face_outwards(included):
    avatar = included.read(NAME)
    corners = avatar.positions[avatar.triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    outwards = (facing * avatar.normals[avatar.triangles[:, 0]]).sum(axis=1) > 0
    assert outwards.mean() > 0.98


def test_uv_of_the_hair_mesh_lies_in_the_hair_texture(included):
    avatar = included.read('White_F_3_Casual')
    u, v = avatar.uv.T
    hair = u > 2 / 3
    assert hair.any()
    assert v[hair].max() <= 0.5
    assert (avatar.parts[:256, 512:] == 5).all()
    assert avatar.atlas[:256, 512:].std() > 0


def test_the_included_avatars_are_all_of_the_test_split(included):
    assert included.names('test') == included.names('all')
    assert len(included.names('all')) == 8
    with pytest.raises(ValueError, match='name a folder with all of them'):
        included.names('train')


def test_an_unknown_split_is_refused(included):
    with pytest.raises(ValueError, match="'val'; expected one of train, validation, test"):
        included.names('val')


def test_an_avatar_is_read_once_while_it_is_kept():
    avatars = Avatars(kept=1)
    first = avatars.read(NAME)
    assert avatars.read(NAME) is first
    avatars.read('White_F_3_Casual')
    assert avatars.read(NAME) is not first


@pytest.mark.skipif(not EVERYBODY.is_dir(), reason='needs the folder of all avatars')
def test_a_person_is_in_one_split_whatever_the_outfit():
    avatars = Avatars(EVERYBODY)
    persons = {
        split: {person_of(name) for name in avatars.names(split)}
        for split in ('train', 'validation', 'test')
    }
    assert sum(map(len, persons.values())) == len(set.union(*persons.values())) == 42
    assert [len(persons[split]) for split in ('train', 'validation', 'test')] == [28, 7, 7]
    assert sum(len(avatars.names(split)) for split in persons) == len(avatars.names('all')) == 234


@pytest.mark.skipif(not EVERYBODY.is_dir(), reason='needs the folder of all avatars')
@pytest.mark.parametrize('split', ['train', 'validation', 'test'])
def test_splits_are_balanced_over_groups_and_sexes(split):
    persons = {person_of(name) for name in Avatars(EVERYBODY).names(split)}
    women = sum('_F_' in person for person in persons)
    assert abs(2 * women - len(persons)) <= 1
    groups = [person.removeprefix('X_').split('_')[0] for person in persons]
    assert len({groups.count(group) for group in set(groups)}) == 1
    assert len(set(groups)) == 7


@pytest.mark.skipif(not EVERYBODY.is_dir(), reason='needs the folder of all avatars')
def test_the_included_files_are_those_of_the_folder():
    for name in Avatars().names():
        for part in (f'{name}.glb', f'parts/{name}.png'):
            assert (INCLUDED / part).read_bytes() == (EVERYBODY / part).read_bytes()


def test_the_split_does_not_depend_on_the_folder(included):
    assert {split_of(person_of(name)) for name in included.names()} == {'test'}
    assert split_of('Somebody_F_9') == 'train'


def test_a_file_that_is_cut_short_is_named(folder):
    file = folder / f'{NAME}.glb'
    file.write_bytes(file.read_bytes()[:200_000])
    with pytest.raises(FormatError, match=f'{NAME}.glb: expected a complete GLB file'):
        read_avatar(file)


def test_a_file_of_another_kind_is_named(folder):
    file = folder / f'{NAME}.glb'
    file.write_bytes(b'\x89PNG\r\n\x1a\n' + bytes(100))
    with pytest.raises(FormatError, match='GLB'):
        read_avatar(file)


def test_another_skeleton_is_refused(folder):
    file = folder / f'{NAME}.glb'
    file.write_bytes(file.read_bytes().replace(b'"RightUpLeg"', b'"RightUpLog"'))
    with pytest.raises(FormatError, match='RightUpLog: expected the 69 joints'):
        read_avatar(file)


def test_a_mask_of_another_size_is_refused(folder):
    from PIL import Image

    mask = folder / 'parts' / f'{NAME}.png'
    Image.new('L', (64, 64)).save(mask)
    with pytest.raises(FormatError, match='expected a mask of 512 x 512'):
        read_avatar(folder / f'{NAME}.glb')


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(FormatError, match='has no avatars'):
        Avatars(tmp_path)
