# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw people and their background."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
import math
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw

from gtr_ros.data.synthetic.scene import ASPECT
from gtr_ros.data.synthetic.scene import FARTHEST
from gtr_ros.data.synthetic.scene import LOOK
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.scene import SCENERY
from gtr_ros.data.synthetic.world import World

_PHASES = 8  # number of drawings of a stride
_MASTER = 320  # pixels, height of the drawing that sprites are scaled from


class Renderer:
    """
    Draws the frames of a world; see `gtr_ros.data.sequence.Images`.

    :param looks: appearance of all people in the world; None: as in the scene
    """

    def __init__(self, scene: Scene, world: World, looks: list[Look] | None = None) -> None:
        self._scene = scene
        self._world = world
        self._looks = looks or make_looks(scene)
        self._masters: dict[tuple[int, int], Image.Image] = {}
        self._sprites: dict[tuple[int, int, int], Image.Image] = {}

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over all frames, (H, W, 3) uint8 RGB each."""
        return map(self.at, range(len(self._world.boxes)))

    @cached_property
    def _background(self) -> Image.Image:
        return _paint_background(self._scene, self._world.margin)

    def at(self, t: int) -> np.ndarray:
        """Draw frame t."""
        world, (height, width) = self._world, self._scene.size
        left, top = (
            round(m + c) for m, c in zip(world.margin, world.camera[t].tolist(), strict=True)
        )
        frame = self._background.crop((left, top, left + width, top + height))
        boxes = world.boxes[t]
        for i in np.argsort(boxes[:, 3], kind='stable').tolist():
            if not world.hidden[t, i]:
                x1, y1, x2, y2 = boxes[i].tolist()
                phase = int(world.phases[t, i] * _PHASES) % _PHASES
                sprite = self._sprite(i, phase, round(y2) - round(y1))
                frame.paste(sprite, (round((x1 + x2 - sprite.width) / 2), round(y1)), sprite)
        return np.array(frame)

    def _sprite(self, person: int, phase: int, height: int) -> Image.Image:
        """Return (height, width) RGBA of one person in one phase of the stride."""
        if (person, phase, height) not in self._sprites:
            if (person, phase) not in self._masters:
                self._masters[person, phase] = paint_person(self._looks[person], phase / _PHASES)
            if len(self._sprites) >= 4096:  # some 50 MB at 480 x 640
                self._sprites.clear()
            size = (max(1, round(ASPECT * height)), height)
            master = self._masters[person, phase]
            self._sprites[person, phase, height] = master.resize(size, Image.Resampling.BOX)
        return self._sprites[person, phase, height]


class Look(NamedTuple):
    """
    The appearance of a person, as numbers only, so that two can be blended.

    :param colours: (6, 3) in [0, 1], RGB of shirt, its pattern, trousers, skin, hair and shoes
    :param patterns: (4,) in [0, 1], strength of horizontal stripes, vertical stripes, checks and a
        logo
    :param period: of the pattern, in units of the person's height
    :param sleeves: in [0, 1], blend of the arms between the colours of skin (0) and shirt (1)
    :param bag: (4,) in [0, 1], RGB and opacity of a shoulder bag
    """

    colours: np.ndarray
    patterns: np.ndarray
    period: np.ndarray
    sleeves: np.ndarray
    bag: np.ndarray


_COMMON = Look(
    colours=np.array(
        [
            [0.35, 0.42, 0.50],
            [0.62, 0.62, 0.60],
            [0.22, 0.23, 0.30],
            [0.80, 0.62, 0.50],
            [0.22, 0.16, 0.12],
            [0.12, 0.11, 0.11],
        ]
    ),
    patterns=np.zeros(4),
    period=np.array(0.07),
    sleeves=np.array(1.0),
    bag=np.array([0.3, 0.25, 0.2, 0.0]),
)
_SKINS = ((0.96, 0.80, 0.69), (0.85, 0.64, 0.50), (0.62, 0.43, 0.31), (0.40, 0.27, 0.20))
_HAIRS = ((0.10, 0.08, 0.07), (0.32, 0.20, 0.10), (0.78, 0.62, 0.35), (0.60, 0.58, 0.56))


def make_looks(scene: Scene) -> list[Look]:
    """Return the appearance of all people in a scene."""
    looks = []
    first_hue = random_stream(scene, LOOK).random()
    for i in range(scene.objects):
        stream = random_stream(scene, LOOK, i)
        # Multiples of the golden ratio keep the hues of any number of people apart.
        hue = first_hue + 0.618034 * i
        own = Look(
            colours=np.array(
                [
                    _colour(hue, stream.uniform(0.5, 1), stream.uniform(0.35, 1)),
                    _colour(stream.random(), stream.uniform(0, 1), stream.uniform(0.1, 1)),
                    _colour(stream.random(), stream.uniform(0, 0.7), stream.uniform(0.1, 0.8)),
                    _SKINS[stream.integers(4)],
                    _HAIRS[stream.integers(4)],
                    _colour(stream.random(), stream.uniform(0, 0.6), stream.uniform(0.05, 0.9)),
                ]
            ),
            patterns=np.eye(5)[stream.integers(5), :4],
            period=np.array(stream.uniform(0.045, 0.11)),
            sleeves=np.array(float(stream.integers(2))),
            bag=np.array([*_colour(stream.random(), 0.7, 0.6), float(stream.random() < 0.4)]),
        )
        s = scene.similarity
        looks.append(Look(*(s * c + (1 - s) * o for c, o in zip(_COMMON, own))))
    return looks


def _colour(hue: float, saturation: float, value: float) -> list[float]:
    """Return RGB in [0, 1]; the hue is in turns."""
    return [
        value * (1 - saturation * min(max(2 - abs((hue * 6 + shift) % 6 - 3), 0), 1))
        for shift in (0, 4, 2)
    ]


def paint_person(look: Look, phase: float) -> Image.Image:
    """
    Draw a person from the front.

    :param phase: in [0, 1), of the stride
    :return: RGBA, `_MASTER` pixels high; the person reaches its borders
    """
    size = (round(ASPECT * _MASTER), _MASTER)
    colours = [_bytes(colour) for colour in look.colours]
    shirt, _, trousers, skin, hair, shoes = colours
    sleeve = _bytes(look.sleeves * look.colours[0] + (1 - look.sleeves) * look.colours[3])
    person = Image.new('RGBA', size)
    draw = ImageDraw.Draw(person)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * _MASTER, y * _MASTER) for x, y in points]

    def disc(x: float, y: float, rx: float, ry: float, colour: tuple[int, ...]) -> None:
        draw.ellipse(at((x - rx, y - ry), (x + rx, y + ry)), fill=colour)

    def limb(points: list[tuple[float, float]], thick: float, colour: tuple[int, ...]) -> None:
        draw.line(at(*points), fill=colour, width=round(thick * _MASTER), joint='curve')
        for x, y in points:
            disc(x, y, thick / 2, thick / 2, colour)

    swing = math.sin(2 * math.pi * phase)
    for side, step in ((-1, swing), (1, -swing)):
        # One foot is always on the ground, where the box ends.
        lift = 0.045 * max(0.0, math.cos(2 * math.pi * phase) * side)
        foot = (0.2 + side * 0.055 + 0.06 * step, 0.955 - lift)
        hip, knee = (0.2 + side * 0.042, 0.5), (0.2 + side * 0.05, 0.72 - lift / 2)
        limb([hip, knee, foot], 0.082, trousers)
        disc(foot[0] + 0.01 * side, 0.975 - lift, 0.045, 0.025, shoes)

    limb([(0.2, 0.1), (0.2, 0.18)], 0.05, skin)
    torso = Image.new('L', size)
    right = [(0.24, 0.155), (0.3, 0.185), (0.275, 0.54)]
    outline = [*right, *[(0.4 - x, y) for x, y in reversed(right)]]
    ImageDraw.Draw(torso).polygon(at(*outline), fill=255)
    person.paste(paint_fabric(look, size), (0, 0), torso)
    for side, step in ((-1, -swing), (1, swing)):
        shoulder, elbow = (0.2 + side * 0.09, 0.2), (0.2 + side * 0.15, 0.35)
        hand = (0.2 + side * 0.17, 0.485 + 0.025 * step)
        limb([shoulder, elbow], 0.055, shirt)
        limb([elbow, hand], 0.045, sleeve)
        disc(*hand, 0.028, 0.03, skin)
    disc(0.2, 0.082, 0.056, 0.08, hair)
    disc(0.2, 0.098, 0.044, 0.058, skin)

    *bag, opacity = look.bag.tolist()
    if opacity > 0:
        layer = Image.new('RGBA', size)
        drawn = ImageDraw.Draw(layer)
        fill = (*_bytes(bag), round(255 * opacity))
        drawn.line(at((0.13, 0.17), (0.3, 0.42)), fill=fill, width=round(0.018 * _MASTER))
        drawn.rounded_rectangle(at((0.235, 0.42), (0.365, 0.57)), 8, fill=fill)
        person = Image.alpha_composite(person, layer)

    # Light from the left.
    pixels = np.array(person)
    light = 1.1 - 0.45 * (np.arange(size[0]) / size[0])[None, :, None]
    pixels[..., :3] = np.clip(pixels[..., :3] * light, 0, 255)
    return Image.fromarray(pixels)


def paint_fabric(look: Look, size: tuple[int, int]) -> Image.Image:
    """Return the RGB pattern of a shirt, of the drawing's size, (width, height)."""
    x = (np.arange(size[0]) / _MASTER)[None]
    y = (np.arange(size[1]) / _MASTER)[:, None]
    across = np.broadcast_to(y / look.period % 1 < 0.5, size[::-1])
    down = np.broadcast_to(x / look.period % 1 < 0.5, size[::-1])
    logo = np.hypot(x - 0.2, y - 0.29) < look.period * 0.7
    parts = np.stack([across, down, across ^ down, logo], axis=-1) @ look.patterns
    shirt, accent = look.colours[0], look.colours[1]
    return Image.fromarray(_to_bytes(shirt + parts[..., None] * (accent - shirt)))


def _paint_background(scene: Scene, margin: tuple[int, int]) -> Image.Image:
    """
    Draw a wall with doors and posters, and the pavement in front of it.

    :param margin: pixels beyond the image to the left and right, and above and below
    """
    stream = random_stream(scene, SCENERY)
    height, width = scene.size[0] + 2 * margin[1], scene.size[1] + 2 * margin[0]
    horizon = margin[1] + round((FARTHEST - 0.06) * scene.size[0])
    unit = scene.size[0] / 480
    y = np.arange(height)[:, None, None]
    wall = np.array(_colour(stream.random(), 0.15, 0.62)) * np.ones((height, width, 1))
    ground = np.array(_colour(stream.random(), 0.12, 0.48)) * (0.8 + 0.35 * y / height)
    image = Image.fromarray(_to_bytes(np.where(y < horizon, wall, ground)))
    draw = ImageDraw.Draw(image)

    # Bricks, and the joints between slabs, which converge at a vanishing point.
    for row in range(0, horizon, max(4, round(12 * unit))):
        draw.line([(0, row), (width, row)], fill=_bytes(wall[0, 0] * 0.88))
    for _ in range(round(width / unit / 40)):
        x, wide = stream.uniform(0, width), stream.uniform(15, 55) * unit
        tall = stream.uniform(25, 90) * unit
        low = horizon - stream.choice([0, 25]) * unit
        fill = _bytes(_colour(stream.random(), stream.uniform(0.1, 0.6), stream.uniform(0.2, 0.8)))
        frame = _bytes(wall[0, 0] * 0.6)
        draw.rectangle((x, low - tall, x + wide, low), fill=fill, outline=frame, width=2)
    joint = _bytes(ground[height // 2, 0] * 0.82)
    for x in np.arange(-2 * width, 3 * width, 70 * unit):
        far = width / 2 + (x - width / 2) * 0.4
        draw.line([(far, horizon), (x, height)], fill=joint)
    row = 8 * unit
    while horizon + row < height:
        draw.line([(0, horizon + row), (width, horizon + row)], fill=joint)
        row *= 1.45
    for _ in range(round(width / unit / 30)):
        x, low = stream.uniform(0, width), stream.uniform(horizon, height)
        wide = stream.uniform(8, 50) * unit
        shade = stream.uniform(0.7, 1.2)
        fill = _bytes(np.clip(ground[int(low), 0] * shade, 0, 1))
        draw.ellipse((x - wide, low - 0.3 * wide, x + wide, low + 0.3 * wide), fill=fill)

    return add_grain(image, stream)


def add_grain(image: Image.Image, stream: np.random.Generator) -> Image.Image:
    """Add noise of several scales to an RGB image, so that no two spots look the same."""
    width, height = image.size
    grain = np.zeros((height, width))
    for cell, strength in ((1, 5), (4, 5), (24, 7), (160, 14)):
        small = stream.standard_normal((height // cell + 2, width // cell + 2)) * strength
        layer = Image.fromarray(small.astype(np.float32))
        grain += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    pixels = np.clip(np.asarray(image) + grain[..., None], 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _to_bytes(colours: np.ndarray) -> np.ndarray:
    return np.clip(np.round(np.asarray(colours) * 255), 0, 255).astype(np.uint8)


def _bytes(colour) -> tuple[int, ...]:
    return tuple(_to_bytes(colour).tolist())
