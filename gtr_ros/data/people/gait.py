# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How a person moves: the style of one person, poses, and the skin that follows them."""

from __future__ import annotations

import math

import numpy as np

from gtr_ros.data.people import motions
from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.rig import ABDUCT
from gtr_ros.data.people.rig import FLEX
from gtr_ros.data.people.rig import measure
from gtr_ros.data.people.rig import solve
from gtr_ros.data.people.rig import Targets
from gtr_ros.data.people.style import Gait
from gtr_ros.data.people.style import make_gait

__all__ = ['ACTIONS', 'SEAT', 'Gait', 'make_gait', 'pose', 'skin', 'stride_length']

ACTIONS = ('walk', 'run', 'stand', 'sit', 'bend')
#: height of the seat that sitting people sit on, metres
SEAT = 0.45
#: how far somebody with a case in the hand bends: it must not enter the ground
_SHALLOW = 0.4
#: stride, metres, and speed, m/s, of an average man of 1.8 m; women's legs are 5 % shorter
_STRIDE, _SPEED = 1.42, 1.35


def stride_length(gait: Gait, look: Look, speed: float) -> float:
    """
    Return how far a person gets in one stride (two steps), metres; feet then do not slide.

    The cadence grows as the square root of the speed, walking and running alike.

    :param speed: m/s
    """
    factor = gait.stride * look.height * (0.95 if '_F_' in look.avatar else 1.0)
    return _STRIDE * factor * math.sqrt(max(speed, 0.0) / _SPEED)


def pose(
    avatar: Avatar,
    look: Look,
    gait: Gait,
    *,
    phase: float,
    speed: float,
    action: str = 'walk',
    time: float = 0.0,
    share: float = 1.0,
) -> np.ndarray:
    """
    Return the skin matrices of a moment, (69, 4, 4) float32, from the bind pose into the frame.

    The frame is the person's own, metres: +Y up, +Z forward, +X to the left, on the ground between
    the feet; height and width of the look are applied. Walking and running at a speed of 0 is
    standing.

    :param phase: in strides; the left heel strikes at whole numbers. Grows by distance divided by
        `stride_length`
    :param speed: m/s
    :param action: one of 'walk', 'run', 'stand', 'sit' (on a seat at 0.45 m), 'bend'
    :param time: of idle movements, seconds
    :param share: of 'sit' and 'bend': 0 still standing, 1 sitting or bent
    :raises ValueError: if there is no such action
    """
    if action not in ACTIONS:
        raise ValueError(f'action is {action!r}; expected one of {", ".join(ACTIONS)}')
    body = measure(avatar)
    wide, high = look.width * look.height, look.height
    targets = motions.standing(body, gait, time)
    if action in ('walk', 'run') and speed > 0:
        stride = stride_length(gait, look, speed) / wide
        run = float(action == 'run') * motions.smooth(speed, 1.2, 2.2)
        moving = motions.walking(body, gait, phase, stride, speed, time, run)
        targets = targets.blend(moving, motions.smooth(speed, 0.0, 0.35))
    elif action == 'sit':
        seated = motions.sitting(body, gait, time, SEAT / high)
        targets = targets.blend(seated, motions.smooth(share))
    elif action == 'bend':
        if look.bag == 'case':
            share *= _SHALLOW
        targets = targets.blend(motions.bending(body, gait, time), motions.smooth(share))
    _carry(targets, look)
    matrices = solve(avatar, targets)
    matrices[:, :3] *= np.array([wide, high, wide])[:, None]
    return matrices.astype(np.float32)


def _carry(targets: Targets, look: Look) -> None:
    """Hold the arms as the bag asks: a case hangs straight, an arm passes a bag on the hip."""
    if look.bag == 'case':
        lean = targets.pelvis_turn[0] + targets.spine_turn[0]
        arm = targets.arms[1]
        arm[:] = 2 + lean + 0.15 * (arm[FLEX] - 2), 9, 8, 6, 0, 55, -3
    elif look.bag == 'shoulder' and targets.arms[0, ABDUCT] < 11:
        targets.arms[0, ABDUCT] = 11


def skin(avatar: Avatar, matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Return the mesh in a pose.

    :param matrices: (69, 4, 4), from `pose`
    :return: positions and unit normals, both (V, 3) float32, in the person's own frame
    """
    rows = np.ascontiguousarray(matrices[:, :3], np.float32).reshape(-1, 12)
    blended = (avatar.dense_weights @ rows).reshape(-1, 3, 4)
    turns = blended[..., :3]
    positions = np.einsum('vij,vj->vi', turns, avatar.positions) + blended[..., 3]
    normals = np.einsum('vij,vj->vi', turns, avatar.normals)
    # In a coarse mesh, the merged normals of a thin part may cancel: they stay zero.
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    return positions, normals
