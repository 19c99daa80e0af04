# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The joints that all avatars have, in the order of their files."""

from __future__ import annotations

#: order of the fingers in the files
FINGERS = ('Thumb', 'Middle', 'Ring', 'Pinky', 'Index')
SIDES = ('Left', 'Right')


def _arm(side: str) -> list[tuple[str, str]]:
    chain = ('Spine2', f'{side}Shoulder', f'{side}Arm', f'{side}ForeArm', f'{side}Hand')
    chain += (f'{side}FingerBase',)
    joints = list(zip(chain[1:], chain))
    for finger in FINGERS:
        bones = (chain[-1], *(f'{side}Hand{finger}{number}' for number in range(1, 5)))
        joints.extend(zip(bones[1:], bones))
    return joints


def _leg(side: str) -> list[tuple[str, str]]:
    chain = ('Hips', *(f'{side}{bone}' for bone in ('UpLeg', 'Leg', 'Foot', 'ToeBase', 'ToeEnd')))
    return list(zip(chain[1:], chain))


_SPINE = ('Hips', 'Spine', 'Spine1', 'Spine2', 'Neck', 'Head')

#: (name, name of the parent) of each joint
_JOINTS = [
    ('Hips', ''),
    *_leg('Right'),
    *_leg('Left'),
    *zip(_SPINE[1:], _SPINE),
    ('HeadEnd', 'Head'),
    ('RightEye', 'Head'),
    ('LeftEye', 'Head'),
    *_arm('Right'),
    *_arm('Left'),
]
#: names of the 69 joints; the index of a name is the joint's index
JOINTS = tuple(name for name, _ in _JOINTS)
INDEX = {name: index for index, name in enumerate(JOINTS)}
#: index of each joint's parent; -1 for the hips
PARENTS = tuple(INDEX.get(parent, -1) for _, parent in _JOINTS)
