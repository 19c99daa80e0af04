# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Paints an avatar's texture in the colours of a look."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy import ndimage

from gtr_ros.data.people import colours
from gtr_ros.data.people.avatars import Avatar
from gtr_ros.data.people.avatars import BODY
from gtr_ros.data.people.avatars import BOTTOM
from gtr_ros.data.people.avatars import HAIR
from gtr_ros.data.people.avatars import SHOES
from gtr_ros.data.people.avatars import SKIN
from gtr_ros.data.people.avatars import TOP
from gtr_ros.data.people.look import Look
from gtr_ros.data.people.patterns import pattern_share

#: texels of the full texture around the cloth that get its colours: the masks end a little before
#: the mesh does, and mipmaps look beyond it
_MARGIN = 12


class _Canvas(NamedTuple):
    """
    What painting needs of an avatar at one size.

    :param base: (S, S * 3 // 2, 3) uint8 RGB
    :param texels: part to indices of texels of the flat base
    :param shares: part to (N, 1) float32, share of the part in each of its texels
    :param lab: part to (N, 3) float32, Lab colours
    :param mean: part to (3,) mean Lab colour
    """

    base: np.ndarray
    texels: dict[int, np.ndarray]
    shares: dict[int, np.ndarray]
    lab: dict[int, np.ndarray]
    mean: dict[int, np.ndarray]


def paint(avatar: Avatar, look: Look, size: int = BODY) -> np.ndarray:
    """
    Return the texture of a look, (size, size * 3 // 2, 3) uint8 RGB; its layout is the atlas's.

    Only the mean colour of a part moves; its shading stays, scaled by how bright the cloth is.

    :param size: height; a power of two up to 512
    :raises ValueError: if the size is none of those
    """
    if size not in (64, 128, 256, BODY):
        raise ValueError(f'size is {size}; expected 64, 128, 256 or {BODY}')
    canvas = _canvas(avatar, size)
    painted = canvas.base.reshape(-1, 3).copy()
    wanted = {TOP: look.top, BOTTOM: look.bottom, SHOES: look.shoes}
    if look.hair is not None:
        wanted[HAIR] = look.hair
    for part, texels in canvas.texels.items():
        stored = canvas.lab[part]
        mean = canvas.mean[part]
        if part == SKIN:
            moved = stored + np.asarray(look.tone, np.float32)
        elif part in wanted:
            target = np.asarray(wanted[part], np.float32)
            if part == TOP and look.pattern:
                share = pattern_share(avatar, look.pattern, texels, size)[:, None]
                target = target + share * (np.asarray(look.second, np.float32) - target)
            moved = _dye(stored, mean, target)
        else:
            continue
        share = canvas.shares[part]
        new = colours.rgb(moved)
        old = painted[texels]
        painted[texels] = old + np.rint(share * (new.astype(np.float32) - old)).astype(np.int16)
    return painted.reshape(canvas.base.shape)


def _dye(stored: np.ndarray, mean: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Move Lab colours (N, 3) from their mean to a target (3,) or (N, 3)."""
    shade = stored - mean
    contrast = np.clip(np.sqrt((target[..., :1] + 12) / (mean[0] + 12)), 0.55, 1.5)
    return target + shade * contrast


def _canvas(avatar: Avatar, size: int) -> _Canvas:
    """Return the canvas of an avatar; at 256 it keeps about 2 MB in memory."""
    if ('canvas', size) not in avatar.derived:
        avatar.derived['canvas', size] = _prepare(avatar, size)
    return avatar.derived['canvas', size]


def _prepare(avatar: Avatar, size: int) -> _Canvas:
    atlas, parts = avatar.atlas, avatar.parts
    step = BODY // size
    if step > 1:
        shape = (size * 3 // 2, size)
        atlas = np.asarray(Image.fromarray(atlas).resize(shape, Image.Resampling.BOX))
        parts = parts[step // 2 :: step, step // 2 :: step]
    base, parts = _widen(atlas, parts, 2 if step > 1 else 3, max(_MARGIN / step, 1.5))
    flat = base.reshape(-1, 3)
    texels, shares, stored, means = {}, {}, {}, {}
    blurred = {}
    for part in (SKIN, TOP, BOTTOM, SHOES, HAIR):
        mask = parts == part
        if mask.any():
            blurred[part] = ndimage.uniform_filter(mask.astype(np.float32), 3)
            if part == HAIR:  # the masks of painted curls have small holes
                wide = ndimage.uniform_filter(mask.astype(np.float32), 1 + 2 * (8 // (step + 1)))
                blurred[part] = np.clip(1.8 * wide - 0.1, blurred[part], 1)
            means[part] = colours.lab(base[mask]).mean(axis=0)
    for part, mask in blurred.items():
        texels[part] = np.flatnonzero(mask > 0.02)
        shares[part] = mask.reshape(-1)[texels[part]][:, None]
        stored[part] = colours.lab(flat[texels[part]])
    return _Canvas(base, texels, shares, stored, means)


def _widen(
    atlas: np.ndarray, parts: np.ndarray, rim: int, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """
    Correct the rim of the cloth, and extend it beyond, against seams between islands.

    The outermost texels of an island are mixed with what is next to it, and some masks call them
    skin. They get part and colour of the nearest texel farther inside, if that is cloth.

    :param rim: width of the rim, texels
    :param margin: width of what is added, texels
    """
    clean = ndimage.binary_erosion(parts > 0, iterations=rim, border_value=1)
    distance, (rows, columns) = ndimage.distance_transform_edt(~clean, return_indices=True)
    nearest = parts[rows, columns]
    cloth = (nearest == TOP) | (nearest == BOTTOM) | (nearest == SHOES)
    near = cloth & (distance > 0) & (distance <= rim + margin)
    atlas, parts = atlas.copy(), parts.copy()
    atlas[near] = atlas[rows[near], columns[near]]
    parts[near] = nearest[near]
    return atlas, parts
