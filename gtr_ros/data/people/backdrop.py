# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is behind the people: painted streets, parks and halls, or photos."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.people.materials import noise

#: (height, width) of a panorama, pixels; its left and right sides meet
PANORAMA = (384, 3072)

_PHOTOS = ('.jpg', '.jpeg', '.png', '.webp')
_WALLS = np.array(
    [
        (196, 188, 172),
        (172, 150, 128),
        (150, 98, 80),
        (208, 204, 196),
        (140, 146, 152),
        (184, 168, 120),
        (118, 112, 108),
        (206, 186, 170),
    ],
    float,
)


@cache
def _bank(number: int) -> np.ndarray:
    """Return random numbers that repeat, (512, 2048), with features of 4, 20 or 90 pixels."""
    scale = (4, 20, 90)[number]
    return noise(np.random.default_rng(number), (512, 2048), scale, (0.8, 0.9, 1.2)[number])


def _tone(stream: np.random.Generator, low: float, high: float, strength: float) -> np.ndarray:
    """Draw a colour, (3,): its brightness from a range, its saturation up to a strength."""
    grey = stream.uniform(low, high)
    return np.clip(grey * (1 + strength * stream.uniform(-1, 1, 3)), 0, 250)


class _Strip:
    """A picture that goes round; columns are metres along it, rows metres above the ground."""

    def __init__(self, stream: np.random.Generator, length: float, height: float) -> None:
        self.stream, self.length, self.height = stream, length, height
        self.rows, self.columns = PANORAMA
        self.pixels = np.zeros((self.rows, self.columns, 3), np.float32)

    def row(self, z: float) -> int:
        return round(self.rows * (1 - min(max(z / self.height, 0), 1)))

    def column(self, x: float) -> int:
        return round(self.columns * x / self.length)

    def area(self, x: float, wide: float, low: float, high: float) -> tuple[slice, slice]:
        """Return the rows and columns of a rectangle; it ends at the strip's ends."""
        first = max(self.column(x), 0)
        return slice(self.row(high), self.row(low)), slice(first, max(self.column(x + wide), 0))

    def fill(self, x: float, wide: float, low: float, high: float, colour) -> None:
        self.pixels[self.area(x, wide, low, high)] = colour

    def shade(self, x: float, wide: float, low: float, high: float, factor: float) -> None:
        self.pixels[self.area(x, wide, low, high)] *= factor

    def noise(self, number: int) -> np.ndarray:
        """Return a field of `_bank`, shifted, (rows, columns, 1)."""
        field = np.roll(_bank(number), tuple(self.stream.integers(0, 2048, 2)), axis=(0, 1))
        return np.tile(field, (1, 2))[: self.rows, : self.columns, None]

    def grain(self, number: int, strength: float) -> None:
        self.pixels *= 1 + strength * self.noise(number)

    def finish(self) -> np.ndarray:
        return np.clip(self.pixels, 0, 255).astype(np.uint8)


def paint_panorama(
    kind: str, stream: np.random.Generator, length: float, height: float, sky: np.ndarray
) -> np.ndarray:
    """
    Paint a panorama.

    :param kind: 'street', 'park' or 'hall'
    :param length: of the whole panorama, metres
    :param height: metres
    :param sky: (3,) linear RGB in [0, 1] above everything
    :return: (*PANORAMA, 3) uint8 RGB
    """
    strip = _Strip(stream, length, height)
    if kind == 'hall':
        _hall(strip)
    else:
        _sky(strip, sky)
        _trees(strip, layers=1 if kind == 'street' else 3)
        if kind == 'street':
            _street(strip)
        _hedges(strip)
    return strip.finish()


def photo_panorama(folder: Path, stream: np.random.Generator) -> np.ndarray:
    """
    Return a panorama of photos side by side, each also mirrored, (*PANORAMA, 3) uint8 RGB.

    :raises FormatError: if the folder has no photos, or one cannot be read
    """
    files = photos_in(folder)
    rows, columns = PANORAMA
    pieces, wide = [], 0
    while wide < columns // 2:
        file = files[int(stream.integers(len(files)))]
        try:
            with Image.open(file) as image:
                image.draft('RGB', (2 * rows, 2 * rows))
                picture = image.convert('RGB')
        except OSError as error:
            raise FormatError(file, f'not a photo: {error}') from error
        width = max(1, round(picture.width * rows / picture.height))
        pieces.append(np.asarray(picture.resize((width, rows), Image.Resampling.BILINEAR)))
        wide += width
    half = np.concatenate(pieces, axis=1)[:, : columns // 2]
    return np.ascontiguousarray(np.concatenate([half, half[:, ::-1]], axis=1))


def photos_in(folder: Path) -> list[Path]:
    """
    Return the photos in a folder, sorted.

    :raises FormatError: if there are none
    """
    folder = Path(folder).expanduser()
    files = sorted(f for f in folder.rglob('*') if f.suffix.lower() in _PHOTOS)
    if not files:
        raise FormatError(folder, f'has no photos; expected {", ".join(_PHOTOS)}')
    return files


def _sky(strip: _Strip, zenith: np.ndarray) -> None:
    top = 255 * np.sqrt(np.clip(zenith, 0, 1))
    horizon = 0.4 * top + 0.6 * np.array([226, 228, 232]) * min(1.0, 0.3 + top.mean() / 200)
    share = np.linspace(0, 1, strip.rows, dtype=np.float32)[:, None, None]
    strip.pixels[:] = top * (1 - share) + horizon * share
    # None at the top, where the sky goes on without them.
    clouds = np.clip(0.4 * strip.noise(2) + strip.stream.uniform(-0.5, 0.3), 0, 1)
    clouds *= np.clip(2.5 * share, 0, 0.6)
    white = 0.9 * np.array([238, 240, 244], np.float32) * float(top.mean()) / 200
    strip.pixels += (white - strip.pixels) * clouds


def _trees(strip: _Strip, layers: int) -> None:
    """Paint rows of trees, the nearer ones darker and stronger in colour."""
    stream = strip.stream
    y = np.arange(strip.rows)[:, None]
    for layer in range(layers):
        near = (layer + 1) / layers
        crest = strip.height * stream.uniform(0.15, 0.4) * (1 + 0.25 * near)
        line = noise(stream, (1, strip.columns), 160, 1.0)[0]
        ragged = noise(stream, (1, strip.columns), 14, 0.8)[0]
        crest = crest * (1 + 0.16 * line + 0.04 * ragged)
        top = strip.rows * (1 - crest / strip.height)
        green = stream.uniform((52, 70, 34), (96, 112, 58))
        inside = y >= top[None]
        texture = (12 * strip.noise(1) + 8 * strip.noise(0))[inside]
        strip.pixels[inside] = green * (0.75 + 0.2 * near) + 60 * (1 - near) + texture
        strip.shade(0, strip.length, 0, 0.08 * strip.height, 0.75)


def _street(strip: _Strip) -> None:
    """Paint houses with windows, doors and shops; trees stay in the gaps."""
    stream, x = strip.stream, 0.0
    while x < strip.length:
        wide = stream.uniform(8, 22)
        if stream.random() < 0.78:
            _house(strip, x, min(wide, strip.length - x))
        x += wide + (stream.uniform(2, 8) if stream.random() < 0.3 else 0)
    strip.grain(1, 0.03)


def _house(strip: _Strip, x: float, wide: float) -> None:
    stream = strip.stream
    high = strip.height * stream.uniform(0.35, 0.95)
    wall = _WALLS[stream.integers(len(_WALLS))] * stream.uniform(0.7, 1.1)
    strip.fill(x, wide, 0, high, wall)
    strip.fill(x, wide, high - 0.4, high, wall * 0.7)
    floor, window = stream.uniform(2.8, 3.6), stream.uniform(1.0, 1.6)
    step = window + stream.uniform(0.8, 1.8)
    glass = _tone(stream, 40, 120, 0.1) * (0.9, 1.0, 1.1)
    frame = wall * 0.6 if stream.random() < 0.5 else np.array([225, 224, 220.0])
    for level in range(1, int(high / floor)):
        for k in range(int(wide / step)):
            at = x + 0.5 + k * step
            low = level * floor + 0.9
            strip.fill(at - 0.1, window + 0.2, low - 0.1, low + 1.6, frame)
            strip.fill(at, window, low, low + 1.5, glass * stream.uniform(0.6, 1.5))
    shop = stream.random() < 0.6
    at = x + 0.4
    while at < x + wide - 1.5:
        size = stream.uniform(1.0, 3.5) if shop else stream.uniform(1.0, 1.4)
        size = min(size, x + wide - at - 0.2)
        dark = _tone(stream, 25, 95, 0.15) * (1 if shop else 0.8)
        strip.fill(at, size, 0.1 if shop else 0.0, 2.5, dark)
        if shop:
            goods = _tone(stream, 40, 190, 0.6)
            strip.fill(at + 0.2, size * 0.4, 0.4, stream.uniform(0.8, 1.8), goods)
        at += size + stream.uniform(0.3, 3.0)
    if shop:
        strip.fill(x, wide, 2.7, 3.3, _tone(stream, 40, 190, 0.7))
    strip.shade(x, 0.15, 0, high, 0.75)


def _hedges(strip: _Strip) -> None:
    """Paint low things in front: hedges, fences, parked cars."""
    stream, x = strip.stream, 0.0
    while x < strip.length:
        wide = stream.uniform(3, 9)
        kind = stream.random()
        if kind < 0.25:
            strip.fill(x, wide, 0, stream.uniform(0.7, 1.8), stream.uniform((40, 56, 28), 80))
        elif kind < 0.5:
            paint = _WALLS[stream.integers(len(_WALLS))] * stream.uniform(0.2, 1.1)
            strip.fill(x, 4.3, 0.25, 0.85, paint)
            strip.fill(x + 0.9, 2.4, 0.85, 1.4, (60, 68, 76))
            for wheel in (0.6, 3.1):
                strip.fill(x + wheel, 0.65, 0, 0.6, (28, 28, 30))
        x += wide + stream.uniform(0, 10)
    strip.grain(0, 0.03)


def _hall(strip: _Strip) -> None:
    """Paint the walls of a room: doors, windows, shelves, posters."""
    stream = strip.stream
    wall = _WALLS[stream.integers(len(_WALLS))] * stream.uniform(0.8, 1.1)
    strip.pixels[:] = wall
    if stream.random() < 0.5:
        strip.fill(
            0, strip.length, 0, stream.uniform(0.9, 1.4), wall * stream.uniform(0.5, 0.9, 3)
        )
    strip.fill(0, strip.length, 0, 0.12, wall * 0.4)
    x, high = 0.0, strip.height
    while x < strip.length:
        kind, wide = stream.random(), stream.uniform(1.0, 4.0)
        if kind < 0.16:
            strip.fill(x - 0.1, 1.2, 0, 2.2, wall * 0.55)
            strip.fill(x, 1.0, 0, 2.1, _tone(stream, 60, 190, 0.25))
        elif kind < 0.34:
            strip.fill(x - 0.08, wide + 0.16, 0.9, min(high - 0.3, 2.6), (228, 228, 226))
            strip.fill(x, wide, 1.0, min(high - 0.4, 2.5), _tone(stream, 130, 240, 0.08))
            strip.fill(x + wide / 2, 0.06, 1.0, min(high - 0.4, 2.5), (228, 228, 226))
        elif kind < 0.55:
            _shelf(strip, x, wide)
        elif kind < 0.7:
            strip.fill(x, wide * 0.4, 1.1, 1.1 + wide * 0.4, _tone(stream, 60, 220, 0.5))
            strip.fill(x + 0.1, wide * 0.25, 1.3, 1.2 + wide * 0.2, _tone(stream, 60, 220, 0.5))
        elif kind < 0.78:
            strip.fill(x, 0.5, 0, high, wall * 0.8)
            strip.shade(x + 0.35, 0.15, 0, high, 0.8)
        x += wide + stream.uniform(0.2, 2.5)
    strip.grain(2, 0.03)


def _shelf(strip: _Strip, x: float, wide: float) -> None:
    stream = strip.stream
    high, step = stream.uniform(1.4, 2.4), stream.uniform(0.3, 0.5)
    strip.fill(x, wide, 0, high, (70, 66, 62))
    low = 0.1
    while low + step < high:
        at = x + 0.05
        while at < x + wide - 0.1:
            size = stream.uniform(0.08, 0.4)
            top = low + step * stream.uniform(0.4, 0.85)
            strip.fill(at, min(size, x + wide - at), low, top, _tone(stream, 50, 200, 0.7))
            at += size + stream.uniform(0, 0.06)
        low += step
