# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Poses an avatar's joints: legs by inverse kinematics from the feet, all else by angles."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
import math

import numpy as np

from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.skeleton import INDEX
from gtr_ros.data.people.skeleton import JOINTS
from gtr_ros.data.people.skeleton import PARENTS
from gtr_ros.data.people.skeleton import SIDES

#: most of a leg's length that a pose uses: a straight knee looks locked
REACH = 0.998
#: metres over which the height of the pelvis gives way to what the legs can reach
_YIELD = 0.012
#: most that the pelvis gives way, metres; then the foot comes nearer
_LOWERED = 0.04
#: how far a hanging arm comes in and down at the shoulder, metres
_SETTLE = np.array([0.016, 0.012, 0.0])
_DOWN = np.array([0.0, -1.0, 0.0])
_FINGERS = ('Middle', 'Ring', 'Pinky', 'Index')

# Columns of `Targets.arms`.
FLEX, ABDUCT, TWIST, ELBOW, PRONATE, CURL, SHRUG = range(7)


@dataclass
class Targets:
    """
    What a pose asks of the body. Index 0 of a pair is the left side, 1 the right.

    Turns are (pitch, yaw, roll) in degrees: pitch forward, yaw to the left, roll to the right.

    :param pelvis: (3,) displacement from the bind pose, metres; lowered further if a leg is too
        short for its foot
    :param pelvis_turn: (3,) in the person's frame
    :param spine_turn: (3,) of the chest relative to the pelvis
    :param head_turn: (3,) in the person's frame
    :param arms: (2, 7) degrees, relative to the chest: flexion forward, abduction, twist inward,
        elbow, pronation, curl of the fingers, shoulder up
    :param feet: (2, 3) positions of the ankles, metres
    :param feet_turn: (2, 3) degrees: toes down, toes out, bend of the toes up
    """

    pelvis: np.ndarray
    pelvis_turn: np.ndarray
    spine_turn: np.ndarray
    head_turn: np.ndarray
    arms: np.ndarray
    feet: np.ndarray
    feet_turn: np.ndarray

    def blend(self, other: Targets, share: float) -> Targets:
        """Return the targets between these (share 0) and others (share 1)."""
        if share <= 0:
            return self
        if share >= 1:
            return other
        return Targets(
            *(
                (1 - share) * getattr(self, field.name) + share * getattr(other, field.name)
                for field in fields(self)
            )
        )


@dataclass(frozen=True)
class Measures:
    """
    Lengths of an avatar in the bind pose, metres.

    :param thigh: hip to knee
    :param shank: knee to ankle
    :param ankles: (2, 3) positions of the ankles
    :param height: of the ankles, metres
    :param ball: (2,) height and distance to the front of the ball of the foot, from the ankle
    :param heel: (2,) the same of the heel's end
    :param toe: (2,) the same of the toes' end
    :param hips: height of the hip joints
    """

    thigh: float
    shank: float
    ankles: np.ndarray
    height: float
    ball: np.ndarray
    heel: np.ndarray
    toe: np.ndarray
    hips: float


def measure(avatar: Avatar) -> Measures:
    """Return an avatar's measures."""
    if 'measures' not in avatar.derived:
        avatar.derived['measures'] = _measure(avatar)
    return avatar.derived['measures']


def _measure(avatar: Avatar) -> Measures:
    heads = avatar.heads
    ankle, ball = heads[INDEX['LeftFoot']], heads[INDEX['LeftToeBase']]
    foot = avatar.dense_weights[:, [INDEX['LeftFoot'], INDEX['LeftToeBase']]].sum(axis=1) > 0.7
    sole = avatar.positions[foot & (avatar.positions[:, 1] < ankle[1])]
    return Measures(
        thigh=float(np.linalg.norm(heads[INDEX['LeftLeg']] - heads[INDEX['LeftUpLeg']])),
        shank=float(np.linalg.norm(ankle - heads[INDEX['LeftLeg']])),
        ankles=heads[[INDEX['LeftFoot'], INDEX['RightFoot']]],
        height=float(ankle[1]),
        ball=(ball - ankle)[1:],
        heel=np.array([-ankle[1], sole[:, 2].min() - ankle[2]]),
        toe=np.array([-ankle[1], sole[:, 2].max() - ankle[2]]),
        hips=float(heads[INDEX['LeftUpLeg']][1]),
    )


def rotation(pitch: float, yaw: float = 0.0, roll: float = 0.0) -> np.ndarray:
    """Return the rotation (3, 3): roll about Z, then pitch about X, then yaw about Y; degrees."""
    a, b, c = math.radians(pitch), math.radians(yaw), math.radians(roll)
    sa, ca, sb, cb, sc, cc = (f(x) for x in (a, b, c) for f in (math.sin, math.cos))
    return np.array(
        [
            [cb * cc + sb * sa * sc, sb * sa * cc - cb * sc, sb * ca],
            [ca * sc, ca * cc, -sa],
            [cb * sa * sc - sb * cc, sb * sc + cb * sa * cc, cb * ca],
        ]
    )


def _aligning(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the smallest rotation (3, 3) that takes one direction to another."""
    start = start / np.linalg.norm(start)
    x, y, z = np.cross(start, end)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + cross + cross @ cross / (1 + start @ end)


def _frame(hinge: np.ndarray, bone: np.ndarray) -> np.ndarray:
    """Return the right-handed axes (3, 3), in columns, of a bone and the hinge at its end."""
    bone = bone / math.sqrt(bone @ bone)
    hinge = hinge - (hinge @ bone) * bone
    hinge = hinge / math.sqrt(hinge @ hinge)
    return np.stack([hinge, bone, np.cross(hinge, bone)], axis=1)


class _Rig:
    """What poses need of an avatar and do not change: directions of its bones."""

    def __init__(self, avatar: Avatar) -> None:
        self.heads = avatar.heads
        self.down = {}
        self.legs = {}
        for side in SIDES:
            bones = (('Arm', 'ForeArm'), ('ForeArm', 'Hand'), ('Hand', 'HandMiddle1'))
            for bone, end in bones:
                self.down[side + bone] = _aligning(self._bone(side + bone, side + end), _DOWN)
            for bone, end in (('UpLeg', 'Leg'), ('Leg', 'Foot')):
                vector = self._bone(side + bone, side + end)
                frame = _frame(np.array([1.0, 0.0, 0.0]), vector).T
                self.legs[side + bone] = (frame, float(np.linalg.norm(vector)))

    def _bone(self, start: str, end: str) -> np.ndarray:
        return self.heads[INDEX[end]] - self.heads[INDEX[start]]


def _rig(avatar: Avatar) -> _Rig:
    if 'rig' not in avatar.derived:
        avatar.derived['rig'] = _Rig(avatar)
    return avatar.derived['rig']


class _Pose:
    """Displacements of the joints from the bind pose: x becomes turn @ x + shift."""

    def __init__(self, rig: _Rig) -> None:
        self.rig = rig
        self.turns = np.empty((len(JOINTS), 3, 3))
        self.shifts = np.empty((len(JOINTS), 3))
        self.done = np.zeros(len(JOINTS), bool)

    def at(self, joint: str) -> np.ndarray:
        """Return where a joint is, given its parent's displacement."""
        index = INDEX[joint]
        parent = PARENTS[index]
        return self.turns[parent] @ self.rig.heads[index] + self.shifts[parent]

    def turn(self, joint: str, turn: np.ndarray, position: np.ndarray | None = None) -> None:
        """Set a joint's orientation in the person's frame."""
        index = INDEX[joint]
        position = self.at(joint) if position is None else position
        self.turns[index] = turn
        self.shifts[index] = position - turn @ self.rig.heads[index]
        self.done[index] = True

    def finish(self) -> np.ndarray:
        """Return the matrices (69, 4, 4); joints without orientation follow their parents."""
        for index in np.flatnonzero(~self.done):
            self.turns[index] = self.turns[PARENTS[index]]
            self.shifts[index] = self.shifts[PARENTS[index]]
        matrices = np.zeros((len(JOINTS), 4, 4))
        matrices[:, :3, :3] = self.turns
        matrices[:, :3, 3] = self.shifts
        matrices[:, 3, 3] = 1
        return matrices


def solve(avatar: Avatar, targets: Targets) -> np.ndarray:
    """Return the displacement of each joint from the bind pose, (69, 4, 4) float64."""
    rig = _rig(avatar)
    pose = _Pose(rig)
    pelvis = rotation(*targets.pelvis_turn)
    pose.turn('Hips', pelvis, _hips(rig, pelvis, targets))
    chest = pelvis
    step = rotation(*(targets.spine_turn / 3))
    for joint in ('Spine', 'Spine1', 'Spine2'):
        chest = chest @ step
        pose.turn(joint, chest)
    lean = targets.pelvis_turn + targets.spine_turn
    pose.turn('Neck', rotation(*(0.5 * (lean + targets.head_turn))))
    pose.turn('Head', rotation(*targets.head_turn))
    for index, side in enumerate(SIDES):
        sign = 1 - 2 * index
        _arm(pose, side, sign, chest, targets.arms[index])
        _leg(pose, side, sign, targets.feet[index], targets.feet_turn[index])
    return pose.finish()


def _hips(rig: _Rig, pelvis: np.ndarray, targets: Targets) -> np.ndarray:
    """Return the position of the hips: as asked, or as low as the legs need it."""
    position = rig.heads[0] + targets.pelvis
    heights = [position[1]]
    for side, foot in zip(SIDES, targets.feet):
        joint = pelvis @ (rig.heads[INDEX[f'{side}UpLeg']] - rig.heads[0])
        across = foot[[0, 2]] - position[[0, 2]] - joint[[0, 2]]
        reach = REACH * (rig.legs[f'{side}UpLeg'][1] + rig.legs[f'{side}Leg'][1])
        heights.append(foot[1] - joint[1] + math.sqrt(max(reach**2 - across @ across, 0.01)))
    lowest = min(heights)
    soft = sum(math.exp((lowest - height) / _YIELD) for height in heights)
    lowered = position[1] - lowest + _YIELD * math.log(soft)
    position[1] -= _LOWERED * math.tanh(lowered / _LOWERED)
    return position


def _arm(pose: _Pose, side: str, sign: int, chest: np.ndarray, angles: np.ndarray) -> None:
    down = pose.rig.down
    pose.turn(f'{side}Shoulder', chest @ rotation(0, 0, sign * (angles[SHRUG] - 16)))
    upper = chest @ rotation(-angles[FLEX]) @ rotation(0, 0, sign * angles[ABDUCT])
    upper = upper @ rotation(0, -sign * angles[TWIST])
    # A hanging arm comes in and down a little: without this, the skin makes square shoulders.
    settled = pose.at(f'{side}Arm') + chest @ (_SETTLE * (-sign, -1, 1))
    pose.turn(f'{side}Arm', upper @ down[f'{side}Arm'], settled)
    fore = upper @ rotation(-angles[ELBOW])
    half = rotation(0, -sign * angles[PRONATE] / 2)
    pose.turn(f'{side}ForeArm', fore @ half @ down[f'{side}ForeArm'])
    hand = fore @ half @ half @ down[f'{side}Hand']
    pose.turn(f'{side}Hand', hand)
    pose.turn(f'{side}FingerBase', hand)
    curl = rotation(0, 0, -sign * angles[CURL])
    for finger in _FINGERS:
        turn = hand
        for number in (1, 2, 3):
            turn = turn @ curl
            pose.turn(f'{side}Hand{finger}{number}', turn)
    thumb = hand @ rotation(0, sign * angles[CURL] * 0.5)
    pose.turn(f'{side}HandThumb1', thumb)


def _leg(pose: _Pose, side: str, sign: int, foot: np.ndarray, turn: np.ndarray) -> None:
    """Bend hip and knee so that the ankle is at its target, or as near as the leg reaches."""
    (thigh_frame, thigh), (shank_frame, shank) = (
        pose.rig.legs[f'{side}UpLeg'],
        pose.rig.legs[f'{side}Leg'],
    )
    hip = pose.at(f'{side}UpLeg')
    line = foot - hip
    distance = math.sqrt(line @ line)
    line = line / distance
    distance = min(max(distance, abs(thigh - shank) + 0.01), 0.9995 * (thigh + shank))
    ahead = rotation(0, sign * turn[1])[:, 2] + pose.turns[0][:, 2]
    if line[1] > -0.5:
        ahead = ahead + np.array([0.0, 1.0, 0.0])
    hinge = np.cross(ahead, line)
    hinge = hinge / math.sqrt(hinge @ hinge)
    cosine = (thigh**2 + distance**2 - shank**2) / (2 * thigh * distance)
    angle = math.acos(min(max(cosine, -1.0), 1.0))
    bone = math.cos(angle) * line + math.sin(angle) * np.cross(line, hinge)
    knee = hip + thigh * bone
    pose.turn(f'{side}UpLeg', _frame(hinge, bone) @ thigh_frame, hip)
    ankle = hip + distance * line
    pose.turn(f'{side}Leg', _frame(hinge, ankle - knee) @ shank_frame, knee)
    sole = rotation(turn[0], sign * turn[1])
    pose.turn(f'{side}Foot', sole, ankle)
    pose.turn(f'{side}ToeBase', sole @ rotation(-turn[2]))
