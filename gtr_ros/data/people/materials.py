# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Painted materials of the ground, of walls and of things; each repeats without seams."""

from __future__ import annotations

import numpy as np

#: width and height of a texture, pixels
SIZE = 512
#: names of the materials; the index is the layer
LAYERS = (
    'asphalt',
    'concrete',
    'slabs',
    'cobbles',
    'grass',
    'gravel',
    'planks',
    'tiles',
    'carpet',
    'vinyl',
    'plaster',
    'bricks',
    'wood',
    'metal',
    'paint',
    'leaves',
    'bark',
    'glass',
    'poster',
)
#: those of the ground, outside and inside
OUTSIDE = ('asphalt', 'concrete', 'slabs', 'cobbles', 'grass', 'gravel')
INSIDE = ('planks', 'tiles', 'carpet', 'vinyl', 'concrete')


#: rows, columns, shift of every second row, spread of the colours, darkness of the joints
_JOINTS = {
    'slabs': (4, 4, 0.0, 14, 46),
    'cobbles': (16, 16, 0.5, 24, 55),
    'tiles': (6, 6, 0.0, 5, 30),
    'bricks': (26, 8, 0.5, 18, -50),
    'planks': (14, 2, 0.37, 22, 40),
}


def noise(
    stream: np.random.Generator, size: tuple[int, int], scale: float, slope: float = 1.0
) -> np.ndarray:
    """
    Return smooth random numbers that repeat without seams, (height, width) float32.

    :param scale: size of the largest features, pixels
    :param slope: how much weaker features of half that size are; 0: white noise
    :return: of mean 0 and standard deviation 1
    """
    fy = np.fft.fftfreq(size[0])[:, None]
    fx = np.fft.rfftfreq(size[1])[None]
    frequency = np.hypot(fx, fy) * scale
    spectrum = np.fft.rfft2(stream.standard_normal(size).astype(np.float32))
    spectrum *= (1 + frequency**2) ** (-0.75 * slope)
    spectrum[0, 0] = 0
    field = np.fft.irfft2(spectrum, size).astype(np.float32)
    return field / field.std()


def paint_materials() -> np.ndarray:
    """Return the materials, (L, SIZE, SIZE, 3) uint8 RGB; they are always the same."""
    return np.stack([_paint(name, np.random.default_rng(i)) for i, name in enumerate(LAYERS)])


def _paint(name: str, stream: np.random.Generator) -> np.ndarray:
    base, fine, coarse, tone = {
        'asphalt': ((98, 98, 100), 13, 5, 1),
        'concrete': ((150, 147, 140), 6, 6, 1.5),
        'slabs': ((158, 150, 140), 8, 5, 1.5),
        'cobbles': ((128, 122, 116), 10, 6, 2),
        'grass': ((92, 112, 58), 22, 9, 4),
        'gravel': ((142, 132, 118), 20, 5, 2),
        'planks': ((150, 108, 70), 5, 6, 2),
        'tiles': ((180, 176, 168), 2.5, 3, 1),
        'carpet': ((96, 96, 112), 9, 4, 1.5),
        'vinyl': ((160, 162, 160), 2.5, 3, 1),
        'plaster': ((178, 174, 164), 3.5, 5, 1),
        'bricks': ((148, 88, 70), 7, 5, 2),
        'wood': ((140, 100, 64), 5, 8, 2),
        'metal': ((138, 140, 144), 3, 5, 0.5),
        'paint': ((150, 150, 152), 1, 4, 0.5),
        'leaves': ((88, 108, 56), 26, 14, 6),
        'bark': ((96, 82, 68), 14, 10, 2),
        'glass': ((84, 94, 104), 2, 14, 1),
        'poster': ((190, 186, 180), 3, 4, 1),
    }[name]
    shape = (SIZE, SIZE)
    light = fine * noise(stream, shape, 3, 0.6) + coarse * noise(stream, shape, 120, 1.0)
    colour = np.asarray(base, np.float32) + light[..., None]
    colour += tone * np.stack([noise(stream, shape, 60, 1.0) for _ in range(3)], axis=-1)
    colour = _structure(name, colour, stream)
    return np.clip(colour, 4, 250).astype(np.uint8)


def _structure(name: str, colour: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Add joints, grain, leaves or pictures."""
    if name in _JOINTS:
        colour = _bricks(colour, stream, *_JOINTS[name])
    elif name in ('wood', 'bark'):
        grain = np.cumsum(noise(stream, (SIZE, SIZE), 10, 0.8), axis=0)
        grain = (grain - np.linspace(0, 1, SIZE)[:, None] * grain[-1]) / 20
        colour = colour + (9 if name == 'wood' else 16) * np.tanh(grain)[..., None]
    elif name in ('leaves', 'grass'):
        dark = noise(stream, (SIZE, SIZE), 14 if name == 'leaves' else 5, 1.0)
        depth = 38 if name == 'leaves' else 14
        colour = colour + depth * np.tanh(dark)[..., None] * [0.8, 1.0, 0.6]
    elif name == 'asphalt':
        cracks = np.abs(noise(stream, (SIZE, SIZE), 220, 1.3)) < 0.006
        colour = colour - 35 * cracks[..., None]
    elif name == 'poster':
        colour = _poster(colour, stream)
    return colour


def _bricks(colour, stream, rows: int, columns: int, shift: float, spread: float, joint: float):
    """Divide a texture into bricks of slightly different colours, with joints between them."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    row = np.floor(y * rows).astype(int)
    along = x * columns + shift * (row % 2)
    column = np.floor(along).astype(int) % columns
    tones = spread * stream.standard_normal((rows, columns, 1)) * 0.6
    tones = tones + 0.12 * spread * stream.standard_normal((rows, columns, 3))
    width = 2.0 / SIZE
    edges = np.minimum(y * rows % 1, 1 - y * rows % 1) / rows < width
    edges |= np.minimum(along % 1, 1 - along % 1) / columns < width
    return colour + tones[row, column] - joint * edges[..., None]


def _poster(colour: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Print shapes in strong colours."""
    for _ in range(14):
        x, y = stream.integers(0, SIZE, 2)
        wide, high = stream.integers(SIZE // 16, SIZE // 2, 2)
        ink = stream.uniform(20, 235, 3)
        colour[y : y + high, x : x + wide] = 0.15 * colour[y : y + high, x : x + wide] + 0.85 * ink
    return colour
