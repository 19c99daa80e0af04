# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags that people carry: rounded boxes, and straps that lie on the body."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.data.people import colours
from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.boxes import rounded_box
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.skeleton import INDEX
from gtr_ros.data.people.straps import Torso

#: joint that the bag itself follows; straps follow the skin below them
JOINTS = {'backpack': 'Spine2', 'shoulder': 'Hips', 'case': 'RightHand'}
_WIDTH = 0.045


@dataclass(frozen=True, eq=False)
class Bag:
    """
    A bag's mesh on an avatar in the bind pose, in the person's own frame.

    :param kind: 'backpack', 'shoulder' or 'case'
    :param joint: index of the joint that the bag without its straps follows
    :param positions: (V, 3) float32, metres
    :param normals: (V, 3) float32
    :param triangles: (F, 3) int32, counter-clockwise from outside
    :param colours: (V, 3) uint8 RGB
    :param weights: (V, 69) float32, shares of the joints
    """

    kind: str
    joint: int
    positions: np.ndarray
    normals: np.ndarray
    triangles: np.ndarray
    colours: np.ndarray
    weights: np.ndarray


def bag_mesh(look: Look, avatar: Avatar) -> Bag | None:
    """
    Return the bag of a look on its avatar, or None if it has none.

    It takes about a millisecond and does not depend on the pose: keep it, and call `place_bag`.
    """
    if not look.bag:
        return None
    joint = INDEX[JOINTS[look.bag]]
    rigid = np.zeros(len(avatar.parents), np.float32)
    rigid[joint] = 1
    build = {'backpack': _backpack, 'shoulder': _shoulder_bag, 'case': _case}[look.bag]
    parts = []
    for positions, normals, triangles, weights, shade in build(avatar, look.bag_size):
        colour = colours.rgb(np.multiply(look.bag_colour, shade))
        weights = np.tile(rigid, (len(positions), 1)) if weights is None else weights
        parts.append(
            (positions, normals, triangles, np.tile(colour, (len(positions), 1)), weights)
        )
    starts = np.cumsum([0] + [len(part[0]) for part in parts])
    return Bag(
        kind=look.bag,
        joint=joint,
        positions=np.concatenate([part[0] for part in parts]).astype(np.float32),
        normals=np.concatenate([part[1] for part in parts]).astype(np.float32),
        triangles=np.concatenate([part[2] + start for part, start in zip(parts, starts)]).astype(
            np.int32
        ),
        colours=np.concatenate([part[3] for part in parts]),
        weights=np.concatenate([part[4] for part in parts]),
    )


def place_bag(bag: Bag, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return positions and normals of a bag in a pose, (V, 3) float32, in the person's own frame.

    :param matrices: (69, 4, 4), from `pose`
    """
    rows = np.ascontiguousarray(matrices[:, :3], np.float32).reshape(-1, 12)
    blended = (bag.weights @ rows).reshape(-1, 3, 4)
    positions = np.einsum('vij,vj->vi', blended[..., :3], bag.positions) + blended[..., 3]
    normals = np.einsum('vij,vj->vi', blended[..., :3], bag.normals)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    return positions, normals


def _backpack(avatar: Avatar, size: float) -> list[tuple]:
    torso = Torso(avatar)
    middle = avatar.heads[INDEX['Spine2']][1]
    half = np.array([0.14, 0.205, 0.07]) * size
    top = middle + 0.225
    back = torso.depth(0, [middle, middle + 0.1], -1, across=0.1).min() - 0.005
    centre = np.array([0, top - half[1], back - half[2]])
    pocket = half * (0.76, 0.45, 0.42)
    lower = centre - np.array([0, 0.42 * half[1], half[2] + 0.5 * pocket[2]])
    parts = [
        (*rounded_box(centre, half, 0.045), None, 1.0),
        (*rounded_box(lower, pocket, 0.025), None, 0.85),
    ]
    for side in (1, -1):
        x = side * 0.1
        path = torso.over_shoulder(x, middle - 0.06, top - 0.05)
        low = path[0]
        path = np.concatenate([[[side * 0.15, low[1] - 0.05, 0.3 * low[2] + 0.7 * back]], path])
        parts.append((*torso.ribbon(path, np.array([1.0, 0, 0]), _WIDTH), 0.7))
    return parts


def _shoulder_bag(avatar: Avatar, size: float) -> list[tuple]:
    torso = Torso(avatar)
    hip = avatar.heads[INDEX['Hips']][1]
    half = np.array([0.045, 0.12, 0.15]) * size
    side = torso.side(hip - 0.1, hip + 0.06)
    centre = np.array([side + half[0], hip - 0.02, -0.05])
    loop = torso.across(-0.075, np.array([side, hip + half[1] - 0.01, -0.04]), half[2] * 0.8)
    return [
        (*rounded_box(centre, half, 0.03), None, 1.0),
        (*torso.ribbon(loop, np.array([0.8, 0.55, 0]), 0.035), 0.75),
    ]


def _case(avatar: Avatar, size: float) -> list[tuple]:
    hand = avatar.heads[INDEX['RightHand']]
    grip = avatar.heads[INDEX['RightHandMiddle1']] - hand
    x = hand[0] + grip[0] - 0.025  # the fingers close below the palm, which is the end of -x
    half = np.array([0.145, 0.05, 0.2]) * size
    centre = np.array([x - 0.028 - half[0], hand[1] - 0.01, hand[2]])
    handle = np.array([x - 0.018, hand[1] - 0.01, hand[2]])
    return [
        (*rounded_box(centre, half, 0.02), None, 1.0),
        (*rounded_box(handle, np.array([0.018, 0.012, 0.07]), 0.01), None, 0.7),
    ]
