# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags are closed, lie on the body and follow it."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.bags import bag_mesh
from gtr_ros.data.people.bags import place_bag
from gtr_ros.data.people.boxes import rounded_box
from gtr_ros.data.people.gait import Gait
from gtr_ros.data.people.gait import pose
from gtr_ros.data.people.gait import skin
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.skeleton import INDEX

KINDS = ('backpack', 'shoulder', 'case')


@pytest.fixture(scope='module', params=Avatars().names())
def avatar(request):
    return Avatars().read(request.param)


def test_somebody_without_a_bag_has_no_mesh(avatar):
    assert bag_mesh(Look(avatar=avatar.name), avatar) is None


@pytest.mark.parametrize('kind', KINDS)
def test_a_bag_touches_its_owner(avatar, kind):
    look = Look(avatar=avatar.name, bag=kind)
    bag = bag_mesh(look, avatar)
    matrices = pose(avatar, look, Gait(), phase=0.3, speed=1.3)
    body, _ = skin(avatar, matrices)
    placed, normals = place_bag(bag, matrices)
    gaps = np.linalg.norm(placed[:, None] - body[None, ::3], axis=2)
    assert gaps.min() < 0.03
    assert 0.15 < np.ptp(placed, axis=0).max() < 0.9
    assert placed[:, 1].min() > 0.05
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-4)
    assert bag.triangles.max() == len(placed) - 1


def test_a_backpack_is_behind_and_its_straps_are_in_front(avatar):
    look = Look(avatar=avatar.name, bag='backpack')
    bag = bag_mesh(look, avatar)
    assert bag.positions[:, 2].min() < -0.2
    assert bag.positions[:, 2].max() > 0.05
    assert np.abs(bag.positions[:, 0].mean()) < 0.02


def test_a_case_hangs_below_the_right_hand(avatar):
    look = Look(avatar=avatar.name, bag='case')
    matrices = pose(avatar, look, Gait(), phase=0.0, speed=1.3)
    placed, _ = place_bag(bag_mesh(look, avatar), matrices)
    hand = matrices[INDEX['RightHand']] @ (*avatar.heads[INDEX['RightHand']], 1)
    assert placed[:, 1].max() < hand[1] + 0.02
    assert np.abs(placed[:, [0, 2]].mean(axis=0) - hand[[0, 2]]).max() < 0.15


def test_a_case_stays_above_the_ground_when_its_owner_bends(avatar):
    look = Look(avatar=avatar.name, bag='case', bag_size=1.2)
    bag = bag_mesh(look, avatar)
    for share in (0.3, 0.6, 1.0):
        matrices = pose(avatar, look, Gait(), phase=0, speed=0, action='bend', share=share)
        assert place_bag(bag, matrices)[0][:, 1].min() > -0.02


def test_a_larger_bag_is_larger(avatar):
    small, large = (
        bag_mesh(Look(avatar=avatar.name, bag='case', bag_size=size), avatar)
        for size in (0.8, 1.2)
    )
    assert np.ptp(large.positions[:, 2]) > 1.3 * np.ptp(small.positions[:, 2])


def test_triangles_of_a_box_face_outwards():
    positions, normals, triangles = rounded_box(np.zeros(3), np.array([0.1, 0.2, 0.05]), 0.03)
    corners = positions[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert ((facing * corners.mean(axis=1)).sum(axis=1) > 0).all()
    assert np.allclose(positions.max(axis=0), (0.1, 0.2, 0.05))
    assert np.allclose(np.linalg.norm(normals, axis=1), 1)
