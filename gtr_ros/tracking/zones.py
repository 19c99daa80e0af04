# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Zones and lines, in the image or on the ground, and the file that defines them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
import math
from pathlib import Path
from typing import Any

import numpy as np

from gtr_ros.parsing import parse_yaml
from gtr_ros.parsing import ParseError

#: what a zone is: an area that objects are in, or a line that they cross; with its least corners
KINDS = {'area': 3, 'line': 2}
#: what the numbers of the corners are
UNITS = ('fraction', 'pixel', 'metre')
#: the point of a box that is in a zone
POINTS = ('bottom', 'centre')

_KEYS = ('name', 'kind', 'corners', 'unit', 'point', 'classes', 'camera', 'margin')
_MOST = 1000  # zones of a file, and corners of a zone
_LARGEST = 1e6  # absolute value of a coordinate
#: of a zone without `margin`: box heights in the image, metres on the ground
_MARGIN = {'fraction': 0.05, 'pixel': 0.05, 'metre': 0.2}


class ZonesError(ValueError):
    """A file of zones that cannot be used at all; the message names it, the rule and a remedy."""


@dataclass(frozen=True, eq=False)
class Zone:
    """
    An area or a line.

    :param kind: one of `KINDS`
    :param corners: (K, 2) float64, in its unit; an area is closed by itself
    :param unit: fraction: of the image's width and height; pixel: of the image; metre: x and y of
        the ground, in the parameter target_frame
    :param point: of a box, one of `POINTS`; on the ground it is the object's position
    :param classes: names of the classes that count; empty: all
    :param camera: that it belongs to; '': every one
    :param margin: how far outside an area an object must be to have left it, and how far beyond a
        line to have crossed it: box heights in the image, metres on the ground
    """

    name: str
    kind: str
    corners: np.ndarray
    unit: str = 'fraction'
    point: str = 'bottom'
    classes: tuple[str, ...] = ()
    camera: str = ''
    margin: float = 0.05

    @property
    def on_ground(self) -> bool:
        """Whether it is on the ground, not in the image."""
        return self.unit == 'metre'

    def in_pixels(self, image_size: tuple[int, int]) -> Zone:
        """Return the zone with its corners in pixels of an image, (height, width)."""
        if self.unit != 'fraction':
            return self
        return replace(self, corners=self.corners * image_size[::-1], unit='pixel')


def read_zones(path: str | Path) -> tuple[list[Zone], list[str]]:
    """
    Read a file of zones.

    :return: the zones, and one line about each one that is left out because it is not valid
    :raises ZonesError: if the file cannot be read, or is no list of zones
    """
    try:
        content = parse_yaml(Path(path).read_text(encoding='utf-8'))
    except (OSError, UnicodeDecodeError) as error:
        raise ZonesError(f'cannot read the zones of {path}: {error}') from None
    except ParseError as error:
        raise ZonesError(f'{path} is {error}') from None
    entries = content.get('zones') if isinstance(content, Mapping) else None
    if not isinstance(entries, list) or len(entries) > _MOST:
        raise ZonesError(
            f'{path} has no list of at most {_MOST} zones under the key zones; '
            'config/zones.yaml is an example'
        )
    zones: list[Zone] = []
    faults: list[str] = []
    for i, entry in enumerate(entries):
        try:
            zones.append(_zone(entry, [zone.name for zone in zones]))
        except ValueError as error:
            named = isinstance(entry, Mapping) and isinstance(entry.get('name'), str)
            name = repr(entry['name'][:80]) if named else f'number {i + 1}'
            faults.append(f'{path}: zone {name} is left out: {error}')
    return zones, faults


def _zone(entry: Any, names: list[str]) -> Zone:
    if not isinstance(entry, Mapping):
        raise ValueError(f'it is {entry!r:.80}; expected name, kind and corners')
    unknown = [key for key in entry if key not in _KEYS]
    if unknown:
        raise ValueError(f'it has {unknown[0]!r:.80}; expected one of {", ".join(_KEYS)}')
    name = entry.get('name')
    if not isinstance(name, str) or not name:
        raise ValueError(f'its name is {name!r:.80}; expected a text')
    if name in names:
        raise ValueError('another zone has this name; give each its own')
    kind = _choice(entry, 'kind', tuple(KINDS), None)
    unit = _choice(entry, 'unit', UNITS, 'fraction')
    classes = entry.get('classes') or []
    if not isinstance(classes, list) or not all(isinstance(c, str) for c in classes):
        raise ValueError(f'its classes are {classes!r:.80}; expected a list of names')
    camera = entry.get('camera', '')
    if not isinstance(camera, str):
        raise ValueError(f'its camera is {camera!r:.80}; expected the name of a camera')
    margin = entry.get('margin', _MARGIN[unit])
    if not _is_number(margin) or not 0 <= margin <= _LARGEST:
        raise ValueError(f'its margin is {margin!r:.80}; expected a number from 0 on')
    return Zone(
        name,
        kind,
        _corners(entry.get('corners'), kind, unit),
        unit,
        _choice(entry, 'point', POINTS, 'bottom'),
        tuple(classes),
        camera,
        float(margin),
    )


def _choice(entry: Mapping, key: str, choices: tuple[str, ...], default: str | None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f'its {key} is {value!r:.80}; expected one of {", ".join(choices)}')
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _corners(value: Any, kind: str, unit: str) -> np.ndarray:
    least = KINDS[kind]
    count = len(value) if isinstance(value, list) else 0
    if not least <= count <= _MOST:
        raise ValueError(f'it has {count} corners; expected {least} to {_MOST} for kind {kind}')
    for corner in value:
        pair = isinstance(corner, list) and len(corner) == 2 and all(map(_is_number, corner))
        if not pair or max(map(abs, corner)) > _LARGEST:
            raise ValueError(f'a corner is {corner!r:.80}; expected two finite numbers, [x, y]')
    corners = np.array(value, np.float64)
    if unit == 'fraction' and not ((corners >= 0) & (corners <= 1)).all():
        raise ValueError(
            f'a corner is {corners[((corners < 0) | (corners > 1)).any(axis=1)][0].tolist()}; '
            'expected fractions of the image from 0 to 1, or set unit to pixel'
        )
    if kind == 'area' and abs(_area(corners)) < 1e-12:
        raise ValueError('its corners lie on one line; expected an area')
    if kind == 'line' and (np.abs(np.diff(corners, axis=0)).sum(axis=1) == 0).any():
        raise ValueError('two of its corners in a row are the same; expected a line')
    return corners


def _area(corners: np.ndarray) -> float:
    x, y = corners.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def is_inside(corners: np.ndarray, point: np.ndarray) -> bool:
    """
    Return whether a point is in a polygon, by the rule of even and odd.

    Of two polygons that share an edge, a point on that edge is in exactly one.

    :param corners: (K, 2)
    :param point: (2,)
    """
    a, b = corners, np.roll(corners, -1, axis=0)
    x, y = point
    spans = (a[:, 1] > y) != (b[:, 1] > y)
    rise = np.where(spans, b[:, 1] - a[:, 1], 1.0)
    at = a[:, 0] + (y - a[:, 1]) / rise * (b[:, 0] - a[:, 0])
    return bool((spans & (x < at)).sum() % 2)


def distance_to(corners: np.ndarray, point: np.ndarray, closed: bool) -> float:
    """Return the distance of a point to the edges of a polygon (closed), or to a line."""
    a = corners if closed else corners[:-1]
    b = np.roll(corners, -1, axis=0) if closed else corners[1:]
    along = b - a
    squared = np.maximum((along * along).sum(axis=1), 1e-300)
    share = (((point - a) * along).sum(axis=1) / squared).clip(0, 1)
    return float(np.linalg.norm(a + share[:, None] * along - point, axis=1).min())


def crossings(corners: np.ndarray, start: np.ndarray, end: np.ndarray) -> int:
    """
    Return how often a step crosses a line: from its right to its left, less from left to right.

    Right and left are those of somebody who looks along the line, where y points to the left of x:
    as on the ground. In an image, where y points down, they are exchanged.

    :param corners: (K, 2)
    :param start: (2,)
    :param end: (2,)
    """

    def side(origin: np.ndarray, along: np.ndarray, point: np.ndarray) -> np.ndarray:
        way = point - origin
        return along[..., 0] * way[..., 1] - along[..., 1] * way[..., 0]

    a, b = corners[:-1], corners[1:]
    # A point on the line counts as on its left, so that each crossing counts once.
    before, after = side(a, b - a, start) >= 0, side(a, b - a, end) >= 0
    step = end - start
    # A corner on the path belongs to one of its two segments.
    spans = (side(start, step, a) >= 0) != (side(start, step, b) >= 0)
    return int((after & ~before & spans).sum()) - int((before & ~after & spans).sum())
