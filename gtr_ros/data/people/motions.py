# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What people do with their bodies: walk, run, stand, sit and bend, as targets of a rig."""

from __future__ import annotations

import math

import numpy as np

from gtr_ros.data.people.footsteps import Footsteps
from gtr_ros.data.people.footsteps import smooth
from gtr_ros.data.people.rig import Measures
from gtr_ros.data.people.rig import Targets
from gtr_ros.data.people.style import Gait

TURN = 2 * math.pi


def walking(
    body: Measures, gait: Gait, phase: float, stride: float, speed: float, time: float, run: float
) -> Targets:
    """
    Return a moment of walking or running; the left heel strikes at phase 0.

    :param stride: metres, in the bind pose's scale
    :param speed: m/s
    :param run: 0 walk, 1 run
    """
    share = smooth(stride, 0.0, 1.3)
    duty = (0.66 - 0.04 * min(speed, 2.0)) * (1 - run) + 0.37 * run
    step = Footsteps(body, stride, duty, run, (0.05 + 0.05 * share) * (1 - run) + 0.42 * run)
    feet, turns = np.empty((2, 3)), np.empty((2, 3))
    apart = abs(body.ankles[0, 0]) * (1 - share) + gait.track * (1 - 0.5 * run) * share
    for index, sign in enumerate((1, -1)):
        (y, z, pitch), toes = step.at(phase + 0.5 * index)
        feet[index] = sign * apart, y, z
        turns[index] = pitch, gait.toe_out * (1 - 0.6 * run), toes
    wave = math.cos(TURN * (phase - 0.02))
    across = math.sin(TURN * (phase - 0.03))
    bounce = gait.bounce * (0.017 * (1 - run) * share**2 + 0.03 * run)
    low = 0.05 * (1 - run) + 0.19 * run
    rise = -bounce * math.cos(2 * TURN * (phase - low))
    pelvis = np.array(
        [0.022 * across * share * (1 - 0.6 * run), rise - bounce - 0.02 * run - 0.005, 0.0]
    )
    yaw, roll = -(5 + 4 * run) * wave * share, 3.2 * across * share * gait.sway
    lean = gait.lean + 3 * share + 7 * run
    chest_yaw = (4.5 + 6 * run) * wave * share * gait.swing
    arms = _swinging(gait, wave, share, run)
    head = _head(gait, time) + np.array([2 * run, 0, 0])
    if gait.busy and gait.gesture in ('phone', 'reading'):
        hand = int(not gait.left_handed)
        arms[hand] = (1 - run) * np.array(_GESTURES[gait.gesture][1], float) + run * arms[hand]
        head += (1 - run) * _glance(gait)
    return Targets(
        pelvis=pelvis,
        pelvis_turn=np.array([0.5 * lean, yaw, roll]),
        spine_turn=np.array([0.5 * lean, chest_yaw - yaw, -1.25 * roll]),
        head_turn=head,
        arms=arms,
        feet=feet,
        feet_turn=turns,
    )


def _swinging(gait: Gait, wave: float, share: float, run: float) -> np.ndarray:
    """Return the arms of a walking person; each swings against the leg of its side."""
    arms = np.empty((2, 7))
    for index, sign in enumerate((1, -1)):
        forward = -sign * wave * (1 + sign * gait.uneven)
        reach = (21 * (1 - run) + 36 * run) * share * gait.swing
        bent = gait.elbow + 9 * (1 + forward) * share * gait.swing
        arms[index] = (
            (3 + reach * forward) * (1 - run) + (-6 + reach * forward) * run,
            gait.abduct + 4 * run,
            12 + 4 * forward * share + 6 * run,
            bent * (1 - run) + (88 + 14 * forward) * run,
            8 * (1 - run),
            26 + 14 * run,
            gait.shrug,
        )
    return arms


def _head(gait: Gait, time: float) -> np.ndarray:
    """Return where the head turns to: a habit, and slow looks to the sides."""
    slow = math.sin(0.53 * time + 7 * gait.offset) + math.sin(0.29 * time + 3 * gait.offset)
    look = smooth(abs(slow), 0.6, 1.6) * math.copysign(22, slow)
    if gait.gesture == 'phone':
        look *= 0.25  # the hand at the ear follows the chest, not the head
    return np.array([gait.nod, gait.gaze + look, 1.5 * math.sin(0.41 * time + gait.offset)])


def standing(body: Measures, gait: Gait, time: float) -> Targets:
    """Return a moment of standing: the weight shifts, the chest breathes, the head looks about."""
    slow = math.sin(0.37 * time + 5 * gait.offset) + 0.4 * math.sin(0.91 * time + gait.offset)
    shift = math.tanh(2.2 * (slow + 0.5 * gait.uneven)) * 0.75 + 0.15 * slow
    breath = math.sin(1.6 * time + gait.offset)
    apart = abs(body.ankles[0, 0]) + 0.03 * gait.stance
    ahead = 0.05 * gait.uneven
    feet = np.array(
        [[apart, body.ankles[0, 1], ahead], [-apart, body.ankles[1, 1], -ahead]],
    )
    feet[:, 2] -= 0.05
    toes = np.array([[0, gait.toe_out + 6, 0], [0, gait.toe_out + 6, 0]], float)
    roll = 3.5 * shift
    arms = _gesture(gait, time, breath)
    head = _head(gait, time) + _glance(gait)
    return Targets(
        pelvis=np.array([0.035 * shift, -0.004, -0.02]),
        pelvis_turn=np.array([0.5 * gait.lean - 1, 3 * shift + 2 * slow, roll]),
        spine_turn=np.array([0.5 * gait.lean + 0.5 * breath, -4 * shift, -1.3 * roll]),
        head_turn=head,
        arms=arms,
        feet=feet,
        feet_turn=toes,
    )


#: flexion, abduction, twist, elbow, pronation, curl, shrug of the left and the right arm
_GESTURES = {
    'hang': ((2, 6, 14, 14, 10, 26, 0), (2, 6, 14, 14, 10, 26, 0)),
    'phone': ((3, 6, 14, 16, 10, 28, 0), (64, 6, 8, 141, 10, 35, 3)),
    'reading': ((4, 6, 14, 18, 10, 28, 0), (14, 12, 34, 100, -30, 35, 0)),
    'folded': ((16, 10, 48, 62, 20, 22, 0), (16, 10, 48, 62, 20, 22, 0)),
    'behind': ((-27, 21, 76, 66, 30, 25, -2), (-24, 20, 78, 62, 30, 25, -2)),
    'hip': ((-14, 52, 58, 98, 0, 25, 2), (2, 6, 14, 14, 10, 26, 0)),
}


def _gesture(gait: Gait, time: float, breath: float) -> np.ndarray:
    """Return the arms of a standing person."""
    arms = np.array(_GESTURES[gait.gesture], float)
    if gait.left_handed:
        arms = arms[::-1].copy()
    if gait.gesture == 'hang':
        arms[:, 1] = gait.abduct
        arms[:, 3] = gait.elbow
    idle = math.sin(0.7 * time + 2 * gait.offset)
    arms[:, 0] += 1.5 * idle * np.array([1, -0.7])
    arms[:, 6] += gait.shrug + 0.8 * breath
    return arms


def _glance(gait: Gait) -> np.ndarray:
    if gait.gesture == 'reading':
        return np.array([24.0, -8.0 if not gait.left_handed else 8.0, 0.0])
    if gait.gesture == 'phone':
        return np.array([4.0, 0.0, 6.0 if not gait.left_handed else -6.0])
    return np.zeros(3)


def sitting(body: Measures, gait: Gait, time: float, seat: float) -> Targets:
    """
    Return a moment of sitting with the feet on the ground.

    :param seat: height of the seat in the bind pose's scale, metres
    """
    breath = math.sin(1.6 * time + gait.offset)
    apart = 0.10 + 0.03 * gait.stance
    ahead = 0.05 * gait.uneven
    feet = np.array([[apart, body.ankles[0, 1], ahead], [-apart, body.ankles[1, 1], -ahead]])
    height = seat + 0.105 - body.hips
    slump = 8 + gait.lean
    arms = np.array([[24, 7, 20, 48, 35, 15, 0], [24, 7, 20, 48, 35, 15, 0]], float)
    arms[:, 6] += gait.shrug + 0.8 * breath
    if gait.gesture in ('reading', 'phone'):
        arms[int(not gait.left_handed)] = np.array(_GESTURES[gait.gesture][1], float)
    return Targets(
        pelvis=np.array([0.0, height, -body.thigh - 0.02]),
        pelvis_turn=np.array([-8.0, 0.0, 0.0]),
        spine_turn=np.array([8 + slump + 0.5 * breath, 3 * math.sin(0.3 * time), 0.0]),
        head_turn=_head(gait, time) + _glance(gait),
        arms=arms,
        feet=feet,
        feet_turn=np.array([[0, gait.toe_out + 2, 0], [0, gait.toe_out + 2, 0]], float),
    )


def bending(body: Measures, gait: Gait, time: float) -> Targets:
    """Return a moment of bending down to something on the ground in front of the feet."""
    apart = abs(body.ankles[0, 0]) + 0.03
    feet = np.array([[apart, body.ankles[0, 1], 0.06], [-apart, body.ankles[1, 1], -0.10]])
    feet[:, 2] -= 0.03
    idle = math.sin(1.3 * time + gait.offset)
    arm = (76 + 5 * idle, 4, 16, 14, 20, 25, 4)
    return Targets(
        pelvis=np.array([0.0, -0.20, -0.20]),
        pelvis_turn=np.array([52.0, 0.0, 0.0]),
        spine_turn=np.array([40.0, 6 * gait.uneven, 0.0]),
        head_turn=np.array([62 + 4 * idle, gait.gaze, 0.0]),
        arms=np.array([arm, arm], float),
        feet=feet,
        feet_turn=np.array([[0, 10, 0], [14, 10, 14]], float),
    )
