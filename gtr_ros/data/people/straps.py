# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Straps: ribbons that lie on an avatar's torso and move with its skin."""

from __future__ import annotations

import numpy as np

from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.skeleton import INDEX

_BONES = ('Hips', 'Spine', 'Spine1', 'Spine2', 'LeftShoulder', 'RightShoulder')
#: of a strap above the clothes, metres
_ABOVE = 0.012
_UP = np.array([0.0, _ABOVE, 0.0])
#: how far around a point the body's surface is looked for, metres
_NEAR = 0.035


class Torso:
    """The surface of an avatar's torso in the bind pose."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar
        shares = avatar.dense_weights[:, [INDEX[bone] for bone in _BONES]].sum(axis=1)
        self.vertices = np.flatnonzero(shares > 0.55)
        self.points = avatar.positions[self.vertices].astype(np.float64)

    def depth(self, x: float, heights: np.ndarray, sign: int, across: float = _NEAR) -> np.ndarray:
        """
        Return z of the front (sign 1) or the back (sign -1) at x and some heights, metres.

        :param across: half of the width in which the outermost point counts
        """
        found = []
        for y in np.atleast_1d(heights):
            offset = np.abs(self.points[:, :2] - (x, y)) / (across, _NEAR)
            near = offset.max(axis=1) <= 1
            if not near.any():
                near = offset.max(axis=1) <= offset.max(axis=1).min() + 0.1
            found.append(sign * (sign * self.points[near, 2]).max())
        return np.array(found)

    def side(self, low: float, high: float) -> float:
        """Return x of the left side between two heights, metres."""
        near = (self.points[:, 1] > low) & (self.points[:, 1] < high)
        return float(self.points[near, 0].max())

    def top(self, x: float) -> np.ndarray:
        """Return the highest point of the shoulder at x, (3,) metres."""
        near = self.points[np.abs(self.points[:, 0] - x) < 0.02]
        highest = near[near[:, 1].argmax()]
        return np.array([x, highest[1], highest[2]])

    def over_shoulder(self, x: float, front: float, back: float) -> np.ndarray:
        """Return a path (N, 3) at x from a height in front over the shoulder to one behind."""
        top = self.top(x)
        rise = np.linspace(front, top[1] - 0.035, 6)
        fall = np.linspace(top[1] - 0.03, back, 3)
        before = np.stack([np.full(6, x), rise, _smooth(self.depth(x, rise, 1)) + _ABOVE], axis=1)
        after = np.stack([np.full(3, x), fall, self.depth(x, fall, -1) - _ABOVE], axis=1)
        return np.concatenate([before, [top + _UP], after])

    def across(self, x: float, end: np.ndarray, wide: float) -> np.ndarray:
        """
        Return a path (N, 3) from a bag on one hip over the other shoulder and back to the bag.

        :param x: where it lies on the shoulder
        :param end: (3,) middle of the bag's upper edge
        :param wide: half of the distance between the strap's ends
        """
        top = self.top(x)
        shares = np.linspace(0.12, 0.88, 7)
        xs, ys = (end[axis] + shares * (top[axis] - end[axis]) for axis in (0, 1))
        sides = []
        for sign in (1, -1):
            z = np.concatenate([self.depth(a, [b], sign) for a, b in zip(xs, ys)])
            sides.append(np.stack([xs, ys, _smooth(z) + sign * _ABOVE], axis=1))
        ends = end + np.array([[0.01, 0, wide], [0.01, 0, -wide]])
        return np.concatenate([ends[:1], sides[0], [top + _UP], sides[1][::-1], ends[1:]])

    def ribbon(
        self, path: np.ndarray, width_axis: np.ndarray, width: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """
        Return the mesh of a strap along a path.

        :param path: (N, 3) metres
        :param width_axis: (3,) direction of its width, about
        :return: positions and normals (2 N, 3), triangles, and weights (2 N, 69) of the joints:
            those of the nearest skin
        """
        along = np.gradient(path, axis=0)
        wide = width_axis - along * ((along @ width_axis) / (along**2).sum(axis=1))[:, None]
        wide /= np.linalg.norm(wide, axis=1, keepdims=True)
        normals = np.cross(wide, along)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        inside = np.array([0.0, path[:, 1].max() - 0.25, float(np.median(self.points[:, 2]))])
        normals *= np.sign(((path - inside) * normals).sum(axis=1, keepdims=True))
        positions = np.concatenate([path - wide * width / 2, path + wide * width / 2])
        normals = np.concatenate([normals, normals])
        count = len(path)
        first = np.arange(count - 1)
        triangles = np.concatenate(
            [
                np.stack([first, first + 1, first + count], axis=1),
                np.stack([first + 1, first + count + 1, first + count], axis=1),
            ]
        )
        corners = positions[triangles]
        facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        flipped = (facing * normals[triangles[:, 0]]).sum(axis=1) < 0
        triangles[flipped] = triangles[flipped][:, ::-1]
        distances = np.linalg.norm(positions[:, None] - self.points, axis=2)
        nearest = self.vertices[distances.argmin(axis=1)]
        return positions, normals, triangles, self.avatar.dense_weights[nearest]


def _smooth(values: np.ndarray) -> np.ndarray:
    """Return distances to the front or the back, moved outwards where their neighbours are."""
    padded = np.concatenate([values[:1], values, values[-1:]])
    mean = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    return np.maximum(values, mean) if values.mean() > 0 else np.minimum(values, mean)
