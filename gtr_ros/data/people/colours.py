# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CIE Lab colours (D65), and which ones people wear."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_TO_XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
_WHITE = _TO_XYZ.sum(axis=1)
_TO_XYZ_WHITE = (_TO_XYZ / _WHITE[:, None]).astype(np.float32)
_TO_RGB = np.linalg.inv(_TO_XYZ / _WHITE[:, None]).astype(np.float32)
_STEPS = 4096


def _tables() -> tuple[np.ndarray, np.ndarray]:
    """Return sRGB bytes to linear, (256,), and linear in `_STEPS` steps to sRGB bytes."""
    codes = np.arange(256) / 255
    linear = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    x = np.arange(_STEPS) / (_STEPS - 1)
    coded = np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
    return linear.astype(np.float32), np.round(255 * coded).astype(np.uint8)


_LINEAR, _CODED = _tables()


def lab(rgb: np.ndarray) -> np.ndarray:
    """Return the Lab colours, (..., 3) float32, of (..., 3) uint8 sRGB."""
    xyz = _LINEAR[rgb] @ _TO_XYZ_WHITE.T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def rgb(colours: np.ndarray) -> np.ndarray:
    """Return (..., 3) uint8 sRGB of Lab colours (..., 3); what sRGB lacks is cut off."""
    colours = np.asarray(colours, np.float32)
    y = (colours[..., 0] + 16) / 116
    roots = np.stack([y + colours[..., 1] / 500, y, y - colours[..., 2] / 200], axis=-1)
    xyz = np.where(roots > 0.206893, roots * roots * roots, (roots - 16 / 116) / 7.787)
    linear = xyz @ _TO_RGB.T
    return _CODED[(np.clip(linear, 0, 1) * (_STEPS - 1) + 0.5).astype(np.int16)]


class Dye(NamedTuple):
    """
    A family of colours.

    :param colour: its middle, Lab
    :param spread: standard deviation of L, and of a and b
    """

    colour: tuple[float, float, float]
    spread: tuple[float, float]


_DYES = {
    'black': Dye((13, 0, -1), (4, 1)),
    'charcoal': Dye((28, 0, -2), (5, 1.5)),
    'grey': Dye((52, 0, -1), (9, 2)),
    'light grey': Dye((74, 0, 0), (5, 2)),
    'white': Dye((92, 0, 2), (3, 2)),
    'navy': Dye((20, 5, -18), (5, 4)),
    'blue': Dye((42, 4, -38), (8, 8)),
    'light blue': Dye((72, -5, -20), (7, 6)),
    'dark denim': Dye((28, 0, -14), (5, 3)),
    'denim': Dye((44, -2, -20), (7, 4)),
    'pale denim': Dye((65, -3, -13), (6, 4)),
    'beige': Dye((73, 3, 16), (7, 5)),
    'khaki': Dye((58, 3, 22), (7, 5)),
    'brown': Dye((33, 10, 17), (7, 5)),
    'olive': Dye((40, -5, 20), (7, 5)),
    'green': Dye((42, -30, 16), (9, 8)),
    'teal': Dye((42, -20, -12), (8, 6)),
    'red': Dye((42, 55, 32), (6, 8)),
    'burgundy': Dye((26, 30, 10), (5, 5)),
    'pink': Dye((72, 26, 3), (8, 7)),
    'orange': Dye((63, 40, 55), (5, 8)),
    'yellow': Dye((82, 4, 62), (5, 9)),
    'purple': Dye((34, 28, -30), (9, 8)),
}

#: how many people of a hundred or so wear what; estimates, black, grey, blue and white prevail
TOPS = {
    'black': 20, 'charcoal': 9, 'grey': 9, 'light grey': 5, 'white': 13, 'navy': 11, 'blue': 5,
    'light blue': 4, 'dark denim': 2, 'beige': 4, 'brown': 3, 'olive': 3, 'green': 2, 'teal': 1.5,
    'red': 4, 'burgundy': 2, 'pink': 2, 'orange': 1, 'yellow': 1.5, 'purple': 1,
}  # fmt: skip
BOTTOMS = {
    'black': 27, 'charcoal': 8, 'grey': 6, 'light grey': 2, 'white': 2.5, 'navy': 8, 'blue': 1,
    'dark denim': 14, 'denim': 14, 'pale denim': 4, 'beige': 4, 'khaki': 5, 'brown': 2, 'olive': 2,
    'red': 0.5, 'burgundy': 0.7, 'green': 0.5,
}  # fmt: skip
SHOES = {
    'black': 42, 'charcoal': 7, 'grey': 6, 'white': 22, 'navy': 4, 'brown': 12, 'beige': 4,
    'red': 1.5, 'blue': 1.5,
}  # fmt: skip
BAGS = {
    'black': 40, 'charcoal': 10, 'grey': 8, 'navy': 9, 'brown': 12, 'beige': 4, 'olive': 5,
    'red': 4, 'blue': 3, 'teal': 2, 'burgundy': 2, 'yellow': 1, 'pink': 1,
}  # fmt: skip


def draw(rng: np.random.Generator, shares: dict[str, float]) -> tuple[float, float, float]:
    """Draw a Lab colour: a family by its share, then a colour of that family."""
    weights = np.array(list(shares.values()), float)
    dye = _DYES[list(shares)[int(rng.choice(len(weights), p=weights / weights.sum()))]]
    return near(rng, dye.colour, *dye.spread)


def near(
    rng: np.random.Generator, colour: tuple[float, float, float], light: float, tint: float
) -> tuple[float, float, float]:
    """Draw a Lab colour near another, with standard deviations of L, and of a and b."""
    offset = rng.normal(0, (light, tint, tint))
    values = np.asarray(colour) + offset
    return float(np.clip(values[0], 6, 96)), float(values[1]), float(values[2])
