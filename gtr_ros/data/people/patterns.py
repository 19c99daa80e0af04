# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Patterns on the top, measured on the body, not in the texture."""

from __future__ import annotations

import numpy as np

from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.skeleton import INDEX

#: v of the middle of the torso's front: all avatars share one layout
_FRONT = 0.73
#: one light and one dark stripe, metres
_STRIPE = 0.085
#: width of an edge between two colours, metres
_EDGE = 0.008
_BINS = 48


def pattern_share(avatar: Avatar, kind: str, texels: np.ndarray, size: int) -> np.ndarray:
    """
    Return the share of the second colour in texels of the top, (N,) float32.

    :param kind: 'stripes', 'band', 'blocks' or 'open'
    :param texels: (N,) indices of the flat texture
    :param size: height of the texture
    """
    width = size * 3 // 2
    u, v = (texels % width + 0.5) / size, (texels // width + 0.5) / size
    torso, left, right = _islands(u, v)
    shoulder = avatar.heads[INDEX['LeftArm'], 1]
    height = np.full(len(texels), shoulder)
    tables = _tables(avatar)
    height[torso] = np.interp(u[torso], *tables['torso'])
    if kind == 'stripes':
        for name, sleeve in (('left', left), ('right', right)):
            height[sleeve] = shoulder - np.interp(v[sleeve], *tables[name])
        edge = np.abs((height / _STRIPE) % 1.0 - 0.5) * _STRIPE - _STRIPE / 4
        edge[~(torso | left | right)] = -1
    elif kind == 'band':
        edge = np.where(torso, 0.045 - np.abs(height - shoulder + 0.16), -1.0)
    elif kind == 'blocks':
        edge = np.where(torso, height - shoulder + 0.1, 1.0)
    else:
        edge = np.where(torso, (0.028 - np.abs(v - _FRONT)) * 2, -1.0)
    return np.clip(edge / _EDGE + 0.5, 0, 1).astype(np.float32)


def _islands(u: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return whether texels are of the torso and the legs, and of the two sleeves; u in 0..1."""
    torso = (v > 0.45) & (u > 0.27)
    return torso, (v > 0.7) & (u < 0.25), (v < 0.42) & (u > 0.6) & (u < 0.86)


def _tables(avatar: Avatar) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return texture coordinates, and heights or distances along the arm, metres, for them."""
    if 'pattern' not in avatar.derived:
        u, v = avatar.uv[:, 0] * 1.5, avatar.uv[:, 1]
        x, y = np.abs(avatar.positions[:, 0]), avatar.positions[:, 1]
        arm = x - avatar.heads[INDEX['LeftArm'], 0]
        torso, left, right = _islands(u, v)
        avatar.derived['pattern'] = {
            'torso': _table(u[torso], y[torso]),
            'left': _table(v[left], arm[left]),
            'right': _table(v[right], arm[right]),
        }
    return avatar.derived['pattern']


def _table(coordinates: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median value for equal steps of a coordinate."""
    low, high = coordinates.min(), coordinates.max()
    bins = np.minimum((coordinates - low) / (high - low) * _BINS, _BINS - 1).astype(int)
    filled = np.unique(bins)
    medians = np.array([np.median(values[bins == index]) for index in filled])
    return low + (filled + 0.5) / _BINS * (high - low), medians
