# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""People move like people: feet stay where they stand, limbs keep their lengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gtr_ros.data.people.avatars import Avatars
from gtr_ros.data.people.gait import Gait
from gtr_ros.data.people.gait import make_gait
from gtr_ros.data.people.gait import pose
from gtr_ros.data.people.gait import skin
from gtr_ros.data.people.gait import stride_length
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.skeleton import INDEX
from gtr_ros.data.people.style import GESTURES

NAMES = ('Hispanic_M_1_Casual', 'White_F_3_Casual')
LOOK = Look(avatar=NAMES[0])
PACES = [('walk', 0.5), ('walk', 1.35), ('walk', 2.0), ('run', 2.8)]


@pytest.fixture(scope='module', params=NAMES)
def avatar(request):
    return Avatars().read(request.param)


def joints(avatar, matrices: np.ndarray) -> np.ndarray:
    """Return where the joints are, (69, 3) metres."""
    turned = np.einsum('jab,jb->ja', matrices[:, :3, :3], avatar.heads)
    return turned + matrices[:, :3, 3]


def stride(avatar, action, speed, moments=50, look=LOOK) -> list[np.ndarray]:
    """Return the matrices of one stride, which starts when the left heel strikes."""
    phases = np.arange(moments) / moments
    return [
        pose(avatar, look, Gait(), phase=phase, speed=speed, action=action) for phase in phases
    ]


def test_the_bind_pose_is_the_mesh(avatar):
    positions, normals = skin(avatar, np.tile(np.eye(4, dtype=np.float32), (69, 1, 1)))
    assert np.allclose(positions, avatar.positions, atol=1e-5)
    assert np.allclose(normals, avatar.normals, atol=1e-3)


@pytest.mark.parametrize(('action', 'speed'), PACES)
def test_a_foot_on_the_ground_does_not_slide(avatar, action, speed):
    moments = 100
    length = stride_length(Gait(), LOOK, speed)
    soles = np.flatnonzero(avatar.dense_weights[:, INDEX['LeftFoot']] > 0.9)
    soles = soles[avatar.positions[soles, 1] < 0.04]
    places = np.stack(
        [skin(avatar, matrices)[0][soles] for matrices in stride(avatar, action, speed, moments)]
    )
    places[..., 2] += length * np.arange(moments)[:, None] / moments
    flat = slice(int(0.1 * moments), int(0.17 * moments))
    moved = np.linalg.norm(np.ptp(places[flat][..., [0, 2]], axis=0), axis=1)
    assert np.median(moved) < 0.02


@pytest.mark.parametrize(('action', 'speed'), PACES)
def test_nobody_sinks_into_the_ground_or_floats(avatar, action, speed):
    lowest = [skin(avatar, matrices)[0][:, 1].min() for matrices in stride(avatar, action, speed)]
    assert min(lowest) > -0.015
    assert max(lowest) < (0.01 if action == 'walk' else 0.06)


@pytest.mark.parametrize(('action', 'speed'), PACES)
def test_bones_keep_their_lengths(avatar, action, speed):
    for side in ('Left', 'Right'):
        for start, end in (('UpLeg', 'Leg'), ('Leg', 'Foot'), ('Arm', 'ForeArm')):
            first, second = INDEX[side + start], INDEX[side + end]
            bind = np.linalg.norm(avatar.heads[first] - avatar.heads[second])
            for matrices in stride(avatar, action, speed, 8):
                at = joints(avatar, matrices)
                assert np.linalg.norm(at[first] - at[second]) == pytest.approx(bind, abs=1e-3)


@pytest.mark.parametrize(('action', 'speed'), PACES)
def test_motion_is_continuous(avatar, action, speed):
    moments = 200
    at = np.stack([joints(avatar, m) for m in stride(avatar, action, speed, moments)])
    steps = np.linalg.norm(np.diff(np.concatenate([at, at[:1]]), axis=0), axis=2)
    seconds = stride_length(Gait(), LOOK, speed) / speed / moments
    assert steps.max() / seconds < 5 * speed + 1


def test_an_arm_swings_against_its_leg(avatar):
    at = np.stack([joints(avatar, matrices)[:, 2] for matrices in stride(avatar, 'walk', 1.35)])
    for side, other in (('Left', 'Right'), ('Right', 'Left')):
        hand = at[:, INDEX[f'{side}Hand']]
        assert np.corrcoef(hand, at[:, INDEX[f'{other}Foot']])[0, 1] > 0.8
        assert 0.15 < np.ptp(hand) < 0.7


def test_knees_bend_in_the_swing_and_not_backwards(avatar):
    angles = []
    for matrices in stride(avatar, 'walk', 1.35):
        hip, knee, ankle = joints(avatar, matrices)[
            [INDEX['LeftUpLeg'], INDEX['LeftLeg'], INDEX['LeftFoot']]
        ]
        thigh, shank = knee - hip, ankle - knee
        sign = np.sign(np.cross(thigh, shank)[0])
        cosine = thigh @ shank / np.linalg.norm(thigh) / np.linalg.norm(shank)
        angles.append(sign * np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    assert 45 < max(angles) < 85
    assert min(angles) > -1
    assert np.argmax(angles) > 0.6 * len(angles)


def test_the_head_is_steadier_than_the_hands(avatar):
    at = np.stack([joints(avatar, matrices) for matrices in stride(avatar, 'walk', 1.35)])
    head = np.ptp(at[:, INDEX['Head']], axis=0)
    assert head.max() < 0.06
    assert 0.01 < np.ptp(at[:, 0, 1]) < 0.06


def test_a_larger_person_is_larger(avatar):
    tall = replace(LOOK, height=1.1, width=0.95)
    first = skin(avatar, pose(avatar, LOOK, Gait(), phase=0, speed=0, action='stand'))[0]
    second = skin(avatar, pose(avatar, tall, Gait(), phase=0, speed=0, action='stand'))[0]
    assert second[:, 1].max() / first[:, 1].max() == pytest.approx(1.1, rel=1e-3)
    assert np.ptp(second[:, 0]) / np.ptp(first[:, 0]) == pytest.approx(1.1 * 0.95, rel=1e-3)
    assert second[:, 1].min() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize('gesture', GESTURES)
def test_standing_people_move_and_their_feet_do_not(avatar, gesture):
    gait = Gait(gesture=gesture)
    moments = [
        pose(avatar, LOOK, gait, phase=0, speed=0, action='stand', time=time)
        for time in np.linspace(0, 20, 21)
    ]
    at = np.stack([joints(avatar, matrices) for matrices in moments])
    moved = np.ptp(at, axis=0).max(axis=1)
    assert moved[INDEX['LeftFoot']] < 0.012
    assert 0.02 < moved[0] < 0.15
    for matrices in moments[::5]:
        assert abs(skin(avatar, matrices)[0][:, 1].min()) < 0.012


def test_a_hand_with_a_phone_is_at_the_ear(avatar):
    gait = Gait(gesture='phone')
    at = joints(avatar, pose(avatar, LOOK, gait, phase=0, speed=0, action='stand'))
    ear = at[INDEX['Head']] + (-0.08, 0.05, 0.0)
    assert np.linalg.norm(at[INDEX['RightHandMiddle1']] - ear) < 0.12


def test_sitting_people_sit_at_the_height_of_a_seat(avatar):
    positions, _ = skin(avatar, pose(avatar, LOOK, Gait(), phase=0, speed=0, action='sit'))
    at = joints(avatar, pose(avatar, LOOK, Gait(), phase=0, speed=0, action='sit'))
    thighs = [INDEX['Hips'], INDEX['LeftUpLeg'], INDEX['RightUpLeg']]
    behind = avatar.dense_weights[:, thighs].sum(axis=1) > 0.8
    seat = positions[behind & (positions[:, 2] < at[0, 2] + 0.1)]
    assert 0.40 < np.percentile(seat[:, 1], 2) < 0.48
    assert at[INDEX['LeftLeg'], 1] == pytest.approx(0.5, abs=0.08)
    assert positions[:, 1].min() == pytest.approx(0, abs=0.015)
    assert 1.15 < positions[:, 1].max() < 1.45


def test_sitting_down_starts_from_standing(avatar):
    standing = pose(avatar, LOOK, Gait(), phase=0, speed=0, action='stand', time=3)
    for action in ('sit', 'bend'):
        start = pose(avatar, LOOK, Gait(), phase=0, speed=0, action=action, time=3, share=0)
        assert np.array_equal(start, standing)


def test_bending_brings_the_hands_near_the_ground(avatar):
    at = joints(avatar, pose(avatar, LOOK, Gait(), phase=0, speed=0, action='bend'))
    assert at[[INDEX['LeftHand'], INDEX['RightHand']], 1].max() < 0.5
    assert at[INDEX['Head'], 1] < 1.1


def test_walking_at_no_speed_is_standing(avatar):
    still = pose(avatar, LOOK, Gait(), phase=0.3, speed=0, action='walk', time=2)
    assert np.array_equal(
        still, pose(avatar, LOOK, Gait(), phase=0.7, speed=0, action='stand', time=2)
    )


def test_styles_differ_and_belong_to_their_seed():
    assert make_gait(5) == make_gait(5)
    assert len({make_gait(seed) for seed in range(50)}) == 50
    assert {make_gait(seed).gesture for seed in range(200)} == set(GESTURES)


def test_a_faster_or_taller_person_makes_longer_strides():
    assert stride_length(Gait(), LOOK, 0) == 0
    assert stride_length(Gait(), LOOK, 1.35) == pytest.approx(1.42)
    assert stride_length(Gait(), LOOK, 2) > stride_length(Gait(), LOOK, 1)
    tall = replace(LOOK, height=1.1)
    assert stride_length(Gait(), tall, 1) > stride_length(Gait(), LOOK, 1)


def test_a_case_hangs_still_while_the_other_arm_swings(avatar):
    carrying = replace(LOOK, bag='case')
    at = np.stack([joints(avatar, m) for m in stride(avatar, 'walk', 1.35, look=carrying)])
    assert np.ptp(at[:, INDEX['RightHand'], 2]) < 0.5 * np.ptp(at[:, INDEX['LeftHand'], 2])


def test_a_vertex_without_a_normal_is_skinned(avatar):
    normals = avatar.normals.copy()
    normals[7] = 0
    matrices = pose(avatar, LOOK, Gait(), phase=0.2, speed=1.2)
    positions, found = skin(replace(avatar, normals=normals), matrices)
    assert not found[7].any() and np.isfinite(found).all() and np.isfinite(positions).all()


def test_an_unknown_action_is_refused(avatar):
    with pytest.raises(ValueError, match="action is 'fly'; expected one of walk, run"):
        pose(avatar, LOOK, Gait(), phase=0, speed=1, action='fly')
