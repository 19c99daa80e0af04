# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Meshes of the ground, of walls, and of what stands on the ground."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np

from gtr_ros.data.people.materials import LAYERS
from gtr_ros.data.people.places import Place

#: of a vertex: position, normal, place in the texture, layer of the texture, tint; float32
WIDTH = 3 + 3 + 2 + 1 + 3
#: metres that a texture covers
TILE = 2.0

_SIDES = ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1))
_MATERIALS = {
    'pillar': ('concrete', 'plaster', 'bricks', 'tiles', 'metal'),
    'hedge': ('leaves',),
    'bench': ('wood', 'metal', 'concrete'),
    'crate': ('wood', 'metal', 'plaster', 'concrete'),
    'board': ('plaster', 'metal', 'poster'),
    'car': ('paint',),
    'tree': ('bark',),
}
#: what stands in the place of others in a hall
_INSIDE = {'tree': 'pillar', 'hedge': 'crate', 'car': 'crate'}
_GREENS = ((0.5, 0.75, 0.4), (0.8, 0.9, 0.55))  # darkest and lightest


def quad(corners: np.ndarray, uv: np.ndarray, layer: int, tint: Sequence[float]) -> np.ndarray:
    """
    Return two triangles as vertices, (6, WIDTH) float32.

    :param corners: (4, 3), counter-clockwise as seen from the side that is drawn
    :param uv: (4, 2)
    """
    normal = np.cross(corners[1] - corners[0], corners[3] - corners[0])
    normal = normal / np.linalg.norm(normal)
    rows = [[*corner, *normal, *at, layer, *tint] for corner, at in zip(corners, uv, strict=True)]
    return np.array(rows, np.float32)[[0, 1, 2, 0, 2, 3]]


def box(
    centre: Sequence[float], size: Sequence[float], turn: float, layer: int, tint: Sequence[float]
) -> np.ndarray:
    """
    Return a box, (36, WIDTH) float32.

    :param centre: (3,) of the box, metres
    :param size: (3,) along its own axes, metres
    :param turn: about the vertical, radians
    """
    cos, sin = math.cos(turn), math.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
    half = np.asarray(size) / 2
    parts = []
    for side in _SIDES:
        normal = np.array(side, float)
        up = np.array([1.0, 0, 0]) if side[2] else np.array([0, 0, 1.0])
        across = np.cross(up, normal)
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
        local = normal + signs[:, :1] * across + signs[:, 1:] * up
        corners = (local * half) @ rotation.T + np.asarray(centre)
        extent = np.array([np.abs(across) @ half, np.abs(up) @ half])
        uv = (signs * [1, -1]) * extent / TILE + np.asarray(centre)[:2] * 0.37
        parts.append(quad(corners, uv, layer, tint))
    return np.concatenate(parts)


def prism(
    centre: Sequence[float], radius: float, height: float, layer: int, tint: Sequence[float]
) -> np.ndarray:
    """Return a round pillar that stands on the ground, (V, WIDTH) float32."""
    count = 10
    angle = np.arange(count + 1) * 2 * math.pi / count
    rim = np.column_stack([np.cos(angle), np.sin(angle)]) * radius + np.asarray(centre)[:2]
    parts = []
    for k in range(count):
        low = np.array([[*rim[k], 0], [*rim[k + 1], 0]])
        high = low[::-1] + np.array([0, 0, height])
        u = angle[[k, k + 1, k + 1, k]] * radius / TILE
        uv = np.column_stack([u, -np.array([0, 0, height, height]) / TILE])
        part = quad(np.concatenate([low, high]), uv, layer, tint)
        part[:, 3:5] = (part[:, :2] - np.asarray(centre)[:2]) / radius  # smooth
        parts.append(part)
        top = np.array([*low, [*np.asarray(centre)[:2], 0], low[0]]) + np.array([0, 0, height])
        parts.append(quad(top[[0, 1, 2, 2]], top[[0, 1, 2, 2], :2] / TILE, layer, tint)[:3])
    return np.concatenate(parts)


def ground(centre: np.ndarray, reach: float, layer: int, tint, scale: float) -> np.ndarray:
    """Return the ground around a point, (6, WIDTH) float32."""
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    corners = np.column_stack([signs * reach + centre, np.zeros(4)])
    return quad(corners, corners[:, :2] / TILE * scale, layer, tint)


def ceiling(
    centre: np.ndarray, half: Sequence[float], height: float, layer: int, tint: Sequence[float]
) -> np.ndarray:
    """Return a rectangle that is seen from below, (6, WIDTH) float32."""
    signs = np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    corners = np.column_stack([signs * half + centre, np.full(4, height)])
    return quad(corners, corners[:, :2] / TILE, layer, tint)


def build(place: Place, stream: np.random.Generator, inside: bool) -> np.ndarray:
    """
    Return the mesh of a thing, (V, WIDTH) float32.

    :param stream: its colours are drawn from this
    :param inside: whether it is in a hall, where a tree is a pillar, and a hedge a counter
    """
    kind = _INSIDE.get(place.kind, place.kind) if inside else place.kind
    kinds = _MATERIALS[kind]
    layer = LAYERS.index(str(stream.choice(kinds)))
    grey = stream.uniform(0.35, 1.1)
    tint = grey * stream.uniform(0.75, 1.15, 3)
    x, y = place.centre
    length, depth, height = place.size

    def part(at: Sequence[float], size: Sequence[float], layer: int, tint) -> np.ndarray:
        """Return a box whose centre is given along and across the thing, and from the ground."""
        cos, sin = math.cos(place.turn), math.sin(place.turn)
        centre = x + cos * at[0] - sin * at[1], y + sin * at[0] + cos * at[1], at[2]
        return box(centre, size, place.turn, layer, tint)

    if kind == 'hedge':
        tint = stream.uniform(*_GREENS)
    if kind == 'pillar' and stream.random() < 0.5:
        return prism((x, y), length / 2, height, layer, tint)
    if kind == 'tree':
        leaves, green = LAYERS.index('leaves'), stream.uniform(*_GREENS)
        crown = [
            part(
                stream.uniform(-0.7, 0.7, 3) + np.array([0, 0, height - 0.6]),
                stream.uniform(1, 2.2, 3),
                leaves,
                green * stream.uniform(0.7, 1.1),
            )
            for _ in range(5)
        ]
        return np.concatenate([prism((x, y), length / 2, height, layer, (0.7, 0.6, 0.5)), *crown])
    if kind == 'bench':
        seat = part((0, 0, 0.43), (length, 0.45, 0.05), layer, tint)
        back = part((0, -0.24, 0.7), (length, 0.05, 0.4), layer, tint)
        legs = [
            part((s * length * 0.4, 0, 0.2), (0.07, 0.4, 0.4), layer, tint * 0.5) for s in (-1, 1)
        ]
        return np.concatenate([seat, back, *legs])
    if kind == 'car':
        glass = LAYERS.index('glass')
        body = part((0, 0, 0.55), (length, depth, 0.6), layer, tint)
        cabin = part((-0.15, 0, 1.1), (length * 0.5, depth * 0.86, 0.55), glass, (0.5, 0.55, 0.6))
        roof = part((-0.15, 0, 1.4), (length * 0.46, depth * 0.82, 0.06), layer, tint)
        wheels = [
            part(
                (a * length * 0.3, b * depth * 0.46, 0.32),
                (0.62, 0.2, 0.62),
                LAYERS.index('metal'),
                (0.05, 0.05, 0.05),
            )
            for a in (-1, 1)
            for b in (-1, 1)
        ]
        return np.concatenate([body, cabin, roof, *wheels])
    if kind == 'board':
        legs = [
            part((s * length * 0.42, 0, 0.3), (0.06, depth * 0.7, 0.6), layer, tint * 0.4)
            for s in (-1, 1)
        ]
        return np.concatenate(
            [part((0, 0, 0.3 + height / 2), (length, depth, height - 0.5), layer, tint), *legs]
        )
    return part((0, 0, height / 2), (length, depth, height), layer, tint)
