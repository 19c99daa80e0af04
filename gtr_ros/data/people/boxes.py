# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Boxes with rounded edges."""

from __future__ import annotations

import numpy as np


def rounded_box(
    centre: np.ndarray, half: np.ndarray, radius: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """
    Return the mesh of a box with rounded edges.

    :param centre: (3,) metres
    :param half: (3,) half of its size along the axes, metres
    :param radius: of its edges, metres; at most the smallest half
    :return: positions (96, 3), normals (96, 3), triangles (108, 3), counter-clockwise from outside
    """
    inner = half - min(radius, float(np.min(half)) * 0.999)
    radius = float(np.min(half - inner))
    signs = np.array([-1.0, -0.5, 0.5, 1.0])
    index = np.arange(16).reshape(4, 4)
    quads = np.stack([index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]], -1)
    quads = quads.reshape(-1, 4)
    triangles = np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])
    positions, normals, faces = [], [], []
    for axis in range(3):
        for sign in (-1.0, 1.0):
            grid = np.empty((4, 4, 3))
            grid[..., axis] = sign
            grid[..., (axis + 1) % 3], grid[..., (axis + 2) % 3] = np.meshgrid(
                signs, signs, indexing='ij'
            )
            grid = grid.reshape(-1, 3)
            # The inner lines of the grid are at the inner box, the outer ones round the edge.
            away = np.where(np.abs(grid) > 0.9, np.sign(grid), 0.0)
            away /= np.linalg.norm(away, axis=1, keepdims=True)
            positions.append(centre + np.sign(grid) * inner + radius * away)
            normals.append(away)
            faces.append((triangles if sign > 0 else triangles[:, ::-1]) + 16 * len(faces))
    return np.concatenate(positions), np.concatenate(normals), np.concatenate(faces)
