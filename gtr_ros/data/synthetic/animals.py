# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw animals, riders and bicycles from the side."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from PIL import ImageDraw

from gtr_ros.data.synthetic.drawing import Look
from gtr_ros.data.synthetic.drawing import paint_fabric

_MASTER = 320  # pixels, height of the drawings that sprites are scaled from; also of a shirt's

# Animals facing right, in units of their height: body (x1, y1, x2, y2), position of the neck at
# the head, head (x, y, rx, ry), thickness of the legs, and end of the tail.
_BODIES = {
    'cow': ((0.14, 0.2, 1.16, 0.72), (1.28, 0.2), (1.34, 0.24, 0.16, 0.11), 0.1, (0.03, 0.62)),
    'horse': ((0.2, 0.27, 1.1, 0.63), (1.28, 0.1), (1.36, 0.17, 0.15, 0.08), 0.075, (0.03, 0.7)),
    'dog': ((0.22, 0.32, 1.08, 0.62), (1.2, 0.25), (1.29, 0.22, 0.21, 0.13), 0.09, (0.03, 0.05)),
}


class _Canvas:
    """Draws on an image, with coordinates in units of the drawing's height."""

    def __init__(self, image: Image.Image) -> None:
        self._draw = ImageDraw.Draw(image)

    def disc(self, x: float, y: float, rx: float, ry: float, fill, **options) -> None:
        corners = (x - rx, y - ry, x + rx, y + ry)
        self._draw.ellipse([c * _MASTER for c in corners], fill=fill, **options)

    def limb(self, points: list[tuple[float, float]], thick: float, fill) -> None:
        scaled = [(x * _MASTER, y * _MASTER) for x, y in points]
        self._draw.line(scaled, fill=fill, width=round(thick * _MASTER), joint='curve')
        for x, y in points:
            self.disc(x, y, thick / 2, thick / 2, fill)

    def shape(self, points: list[tuple[float, float]], fill) -> None:
        self._draw.polygon([(x * _MASTER, y * _MASTER) for x, y in points], fill=fill)


def paint_coat(stream: np.random.Generator) -> Image.Image:
    """Return a random RGB coat for an animal: with patches or spots, or nearly plain."""
    size = (round(1.5 * _MASTER), _MASTER)
    furs = [(235, 228, 215), (40, 34, 32), (122, 72, 40), (176, 128, 76), (105, 100, 98)]
    base, accent = (np.array(furs[k], float) for k in stream.permutation(len(furs))[:2])
    cells, amount = ((4, 0.3), (10, 0.6), (3, 1.4))[stream.integers(3)]
    noise = Image.fromarray(stream.standard_normal((cells, 2 * cells)).astype(np.float32))
    patches = np.asarray(noise.resize(size, Image.Resampling.BICUBIC)) > amount
    coat = np.where(patches[..., None], accent, base * stream.uniform(0.85, 1.1, 3))
    # Light from above, and hair.
    light = 1.12 - 0.45 * np.linspace(0, 1, _MASTER)[:, None, None]
    hairs = stream.standard_normal((_MASTER // 6 + 1, size[0] // 2)).astype(np.float32)
    hairs = np.asarray(Image.fromarray(hairs).resize(size, Image.Resampling.BILINEAR))
    return Image.fromarray(np.clip(coat * light + 9 * hairs[..., None], 0, 255).astype(np.uint8))


def paint_animal(kind: str, coat: Image.Image, phase: float) -> Image.Image:
    """
    Draw an animal from the side, facing right.

    :param kind: 'cow', 'horse' or 'dog'
    :param coat: RGB, of the drawing's size
    :param phase: in [0, 1), of the stride
    :return: RGBA, 1.5 times as wide as high; the animal reaches its borders
    """
    (x1, y1, x2, y2), neck, head, thick, tail = _BODIES[kind]
    animal = Image.new('RGBA', coat.size)
    dark, horn = (38, 30, 28), (222, 208, 176)

    def add(mask: Image.Image, shade: float = 1.0) -> None:
        shaded = coat if shade == 1 else coat.point(lambda value: round(value * shade))
        animal.paste(shaded, (0, 0), mask)

    # Hind legs and forelegs alternate; two of the four feet are on the ground.
    legs = [(x1 + 0.14, 0.0), (x2 - 0.16, 0.5), (x1 + 0.22, 0.1), (x2 - 0.08, 0.6)]
    for k, (hip, late) in enumerate(legs):
        turn = 2 * math.pi * (phase + late)
        lift = 0.16 * max(0.0, math.cos(turn))
        foot = hip + 0.2 * math.sin(turn)
        knee = ((hip + foot) / 2 + 0.3 * lift + 0.02, (y2 + 0.97 - lift) / 2)
        mask = Image.new('L', coat.size)
        _Canvas(mask).limb([(hip, y2 - 0.12), knee, (foot, 0.95 - lift)], thick, 255)
        add(mask, 0.62 if k < 2 else 0.9)
        _Canvas(animal).disc(foot + 0.015, 0.965 - lift, thick * 0.55, 0.035, dark)
        if k == 1:
            _Canvas(animal).limb([(x1 + 0.05, y1 + 0.1), (tail[0] + 0.02, tail[1])], 0.055, dark)

    mask = Image.new('L', coat.size)
    canvas, middle, half = _Canvas(mask), (y1 + y2) / 2, (y2 - y1) / 2
    for x in (x1 + half, x2 - half):
        canvas.disc(x, middle, half, half, 255)
    canvas.shape(
        [(x1 + half, y1), (x2 - half, y1 + 0.02), (x2 - half, y2), (x1 + half, y2 - 0.05)], 255
    )
    canvas.limb([(x2 - half, middle), (x2 - 0.1, middle - 0.06), neck], 0.2, 255)
    hx, hy, rx, ry = head
    canvas.disc(hx, hy, rx, ry, 255)
    add(mask)

    canvas = _Canvas(animal)
    canvas.disc(hx + rx * 0.72, hy + ry * 0.25, rx * 0.28, ry * 0.6, dark)
    canvas.disc(hx + rx * 0.1, hy - ry * 0.3, 0.018, 0.018, (12, 10, 10))
    if kind == 'horse':
        canvas.limb(
            [(neck[0] - 0.05, 0.05), (neck[0] - 0.2, 0.2), (x2 - 0.18, y1 + 0.03)], 0.07, dark
        )
    if kind == 'cow':
        canvas.limb([(hx - 0.07, hy - 0.1), (hx - 0.04, 0.015)], 0.03, horn)
        canvas.limb([(hx - 0.12, hy - 0.06), (hx - 0.22, hy - 0.04)], 0.05, dark)
    else:
        canvas.shape([(hx - 0.16, hy), (hx - 0.1, 0.0), (hx - 0.04, hy - ry * 0.8)], dark)
    return animal


def paint_bicycle(look: Look, phase: float) -> Image.Image:
    """Draw a bicycle from the side, RGBA, 1.5 times as wide as high."""
    bicycle = Image.new('RGBA', (round(1.5 * _MASTER), _MASTER))
    canvas = _Canvas(bicycle)
    frame = tuple(round(255 * value) for value in look.colours[0])
    rear, front, crank, seat = (0.37, 0.63), (1.13, 0.63), (0.7, 0.66), (0.6, 0.14)
    for x, y in (rear, front):
        canvas.disc(
            x, y, 0.365, 0.365, None, outline=(25, 25, 28, 255), width=round(0.05 * _MASTER)
        )
        for spoke in range(5):
            turn = math.pi * (spoke / 5 + phase)
            dx, dy = 0.33 * math.cos(turn), 0.33 * math.sin(turn)
            canvas.limb([(x - dx, y - dy), (x + dx, y + dy)], 0.01, (120, 120, 120))
    for points in ([rear, crank, seat, rear], [seat, (1.02, 0.2), crank], [(1.02, 0.2), front]):
        canvas.limb(points, 0.05, frame)
    canvas.limb([(1.02, 0.2), (1.0, 0.03), (1.12, 0.03)], 0.04, (25, 25, 28))
    canvas.limb([(0.52, 0.12), (0.68, 0.12)], 0.06, (25, 25, 28))
    return bicycle


def paint_rider(look: Look, phase: float, pedals: bool) -> Image.Image:
    """Draw a sitting person from the side, facing right, RGBA, half as wide as high."""
    size = (_MASTER // 2, _MASTER)
    rider = Image.new('RGBA', size)
    shirt, _, trousers, skin, hair, shoes = (
        tuple(round(255 * min(max(value, 0), 1)) for value in colour) for colour in look.colours
    )
    canvas, turn = _Canvas(rider), 2 * math.pi * phase
    feet = [(0.3, 0.925)]
    if pedals:
        swing = (0.06 * math.cos(turn), 0.03 * math.sin(turn))
        feet = [(0.3 - swing[0], 0.925 - swing[1]), (0.3 + swing[0], 0.925 + swing[1])]
    for x, y in feet:
        canvas.limb([(0.13, 0.58), (0.4, 0.66 + y - 0.925), (x, y)], 0.11, trousers)
        canvas.limb([(x, y), (x + 0.07, y + 0.03)], 0.06, shoes)
    torso = Image.new('L', size)
    _Canvas(torso).limb([(0.21, 0.26), (0.12, 0.55)], 0.22, 255)
    rider.paste(paint_fabric(look, size), (0, 0), torso)
    canvas.limb([(0.24, 0.26), (0.33, 0.42)], 0.075, shirt)
    canvas.limb([(0.33, 0.42), (0.46, 0.42)], 0.06, shirt if look.sleeves > 0.5 else skin)
    canvas.disc(0.26, 0.09, 0.085, 0.09, hair)
    canvas.disc(0.29, 0.105, 0.065, 0.075, skin)
    return rider
