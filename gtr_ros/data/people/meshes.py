# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes that are drawn: an avatar with its bag, in two levels of detail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.bags import Bag

#: number of colours that a bag may have
SWATCHES = 16

_CELL = 0.035  # metres, in which vertices of the coarse mesh are merged
_UV_CELLS = 16  # across the texture; vertices further apart there are not merged


@dataclass(frozen=True, eq=False)
class Mesh:
    """
    A mesh in the bind pose, for `gtr_ros.data.people.gait.skin`.

    :param positions: (V, 3) float32, metres, in the person's own frame
    :param normals: (V, 3) float32
    :param uv: (V, 2) float32, of a person's texture, v down
    :param triangles: (F, 3) int32
    :param dense_weights: (V, 69) float32, shares of the joints
    """

    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray
    triangles: np.ndarray
    dense_weights: np.ndarray


def fine_mesh(avatar: Avatar) -> Mesh:
    """Return the whole mesh of an avatar."""
    return Mesh(
        avatar.positions, avatar.normals, avatar.uv, avatar.triangles, avatar.dense_weights
    )


def coarse_mesh(avatar: Avatar) -> Mesh:
    """
    Return a mesh with a third of the triangles, for people who look small.

    Vertices in a cell of space are moved to one point; those whose places in the texture differ
    stay apart, so that the texture is not torn.
    """
    cells = np.floor(avatar.positions / _CELL).astype(np.int64)
    corner = cells - cells.min(axis=0)
    size = corner.max(axis=0) + 1
    where = (corner[:, 0] * size[1] + corner[:, 1]) * size[2] + corner[:, 2]
    _, point = np.unique(where, return_inverse=True)
    in_uv = np.floor(avatar.uv * _UV_CELLS).astype(np.int64)
    _, vertex = np.unique(
        (point * _UV_CELLS + in_uv[:, 0]) * _UV_CELLS + in_uv[:, 1], return_inverse=True
    )
    # Points move together, so that no gaps open; the texture's place is each vertex's own.
    _, one = np.unique(vertex, return_index=True)
    at = point[one]
    positions = _mean(avatar.positions, point)[at]
    weights = _mean(avatar.dense_weights, point)[at]
    normals = _mean(avatar.normals, vertex)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    corners = vertex[avatar.triangles]
    a, b, c = point[avatar.triangles].T
    kept = corners[(a != b) & (b != c) & (c != a)]
    return Mesh(
        positions,
        normals,
        _mean(avatar.uv, vertex),
        np.unique(kept, axis=0).astype(np.int32),
        weights,
    )


def with_bag(mesh: Mesh, bag: Bag) -> Mesh:
    """Return a mesh that includes a bag; the bag's colours are the swatches of `bag_colours`."""
    _, swatch = bag_colours(bag)
    uv = np.empty((len(bag.positions), 2), np.float32)
    uv[:, 0] = (2 + (swatch + 0.5) / SWATCHES) / 3  # right of the body's texture
    uv[:, 1] = 0.75  # below the hair's
    return Mesh(
        np.concatenate([mesh.positions, bag.positions]),
        np.concatenate([mesh.normals, bag.normals]),
        np.concatenate([mesh.uv, uv]),
        np.concatenate([mesh.triangles, bag.triangles + len(mesh.positions)]),
        np.concatenate([mesh.dense_weights, bag.weights]),
    )


def bag_colours(bag: Bag) -> tuple[np.ndarray, np.ndarray]:
    """Return the colours of a bag, (K, 3) uint8 RGB, and which of them each vertex has, (V,)."""
    colours, swatch = np.unique(bag.colours, axis=0, return_inverse=True)
    return colours[:SWATCHES], np.minimum(swatch.ravel(), SWATCHES - 1)


def paint_swatches(texture: np.ndarray, bag: Bag) -> None:
    """
    Paint the colours of a bag into the free quarter of a person's texture.

    :param texture: (S, S * 3 // 2, 3) uint8, changed in place
    """
    size = len(texture)
    colours, _ = bag_colours(bag)
    wide = size // 2 // SWATCHES
    for i, colour in enumerate(colours):
        texture[size // 2 :, size + i * wide : size + (i + 1) * wide] = colour


def _mean(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the mean of the values (V, D) of each group, (G, D) float32."""
    order = np.argsort(group, kind='stable')
    starts = np.flatnonzero(np.diff(group[order], prepend=-1))
    sums = np.add.reduceat(values[order].astype(np.float64), starts, axis=0)
    return (sums / np.diff(np.append(starts, len(group)))[:, None]).astype(np.float32)
