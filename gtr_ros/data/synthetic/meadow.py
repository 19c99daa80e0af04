# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw the frames of a film: a meadow with trees, and the objects on it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from PIL import Image
from PIL import ImageChops
from PIL import ImageColor
from PIL import ImageDraw

from gtr_ros.data.synthetic.animals import paint_animal
from gtr_ros.data.synthetic.animals import paint_bicycle
from gtr_ros.data.synthetic.animals import paint_coat
from gtr_ros.data.synthetic.animals import paint_rider
from gtr_ros.data.synthetic.chase import Filmed
from gtr_ros.data.synthetic.chase import FilmWorld
from gtr_ros.data.synthetic.chase import WORLD
from gtr_ros.data.synthetic.drawing import add_grain
from gtr_ros.data.synthetic.drawing import Look
from gtr_ros.data.synthetic.drawing import make_looks
from gtr_ros.data.synthetic.drawing import paint_person
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene

_COAT, _MEADOW, _BARK = range(60, 63)  # numbers of the random streams

_PHASES = 8  # number of drawings of a stride


class FilmRenderer:
    """Draws the frames of a film; see `gtr_ros.data.sequence.Images`."""

    def __init__(self, filmed: Filmed, film: FilmWorld) -> None:
        self._filmed = filmed
        self._film = film
        self._sprites: dict[tuple[int, int], Image.Image] = {}

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over all frames, (H, W, 3) uint8 RGB each."""
        return map(self.at, range(len(self._film.view)))

    def at(self, t: int) -> np.ndarray:
        """Draw frame t."""
        film = self._film
        frame = self._view(self._world[0], t)
        open_ = self._view(self._world[1], t)
        for i in np.argsort(film.nearness[t], kind='stable').tolist():
            x1, y1, x2, y2 = (round(side) for side in film.boxes[t, i].tolist())
            if x2 <= max(x1, 0) or y2 <= max(y1, 0) or x1 >= frame.width:
                continue
            sprite = self._sprite(i, int(film.phases[t, i] * _PHASES) % _PHASES)
            sprite = sprite.resize((x2 - x1, y2 - y1), Image.Resampling.BOX)
            if film.facing[t, i] < 0:
                sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            # Parts behind trees are not visible.
            shown = ImageChops.multiply(sprite.getchannel('A'), open_.crop((x1, y1, x2, y2)))
            frame.paste(sprite, (x1, y1), shown)
        return np.array(frame)

    def empty(self, t: int) -> np.ndarray:
        """Draw frame t without objects."""
        return np.array(self._view(self._world[0], t))

    def _view(self, world: Image.Image, t: int) -> Image.Image:
        """Return the camera's view of the drawn world, or of a mask of the world."""
        back = np.linalg.inv(np.concatenate([self._film.view[t], [[0, 0, 1]]]))
        return world.transform(
            self._filmed.size[::-1],
            Image.Transform.AFFINE,
            back[:2].ravel().tolist(),
            Image.Resampling.BILINEAR,
        )

    @cached_property
    def _world(self) -> tuple[Image.Image, Image.Image]:
        return paint_meadow(self._filmed, self._film.trees)

    @cached_property
    def _looks(self) -> list[Look]:
        count = len(self._film.kinds)
        return make_looks(Scene(objects=count, similarity=0.0, seed=self._filmed.seed))

    @cached_property
    def _coats(self) -> list[Image.Image]:
        count = len(self._film.kinds)
        return [paint_coat(random_stream(self._filmed, _COAT, i)) for i in range(count)]

    def _sprite(self, i: int, phase: int) -> Image.Image:
        """Return an object as RGBA, facing right, in one phase of the stride."""
        if (i, phase) not in self._sprites:
            kind, part = self._film.kinds[i], phase / _PHASES
            if i == 1 and self._film.rides:
                sprite = paint_rider(self._looks[i], part, pedals=self._film.kinds[0] == 'bicycle')
            elif kind == 'person':
                sprite = paint_person(self._looks[i], part)
            elif kind == 'bicycle':
                sprite = paint_bicycle(self._looks[i], part)
            else:
                sprite = paint_animal(kind, self._coats[i], part)
            self._sprites[i, phase] = sprite
        return self._sprites[i, phase]


def paint_meadow(filmed: Filmed, trees: np.ndarray) -> tuple[Image.Image, Image.Image]:
    """
    Draw the world without objects.

    :param trees: (K, 2) float64, x of the centre and width of trunks, pixels
    :return: RGB; and a mask, L: 0 where there are trees, 255 elsewhere
    """
    stream = random_stream(filmed, _MEADOW)
    height, width = (round(n * side) for n, side in zip(WORLD[::-1], filmed.size))
    unit = filmed.size[0] / 480
    horizon = round(0.4 * height)
    y = np.arange(height)[:, None, None] / height
    sky = np.array([150, 185, 225]) + 60 * y
    grass = np.array([78, 118, 52]) * (0.75 + 0.5 * y)
    pixels = np.broadcast_to(np.where(y * height < horizon, sky, grass), (height, width, 3))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)

    for _ in range(round(width / unit / 22)):  # a wood, and houses in front of it
        x, r = stream.uniform(0, width), stream.uniform(14, 46) * unit
        fill = _hsv(stream.uniform(80, 140), 45, stream.uniform(25, 48))
        draw.ellipse((x - r, horizon - 1.5 * r, x + r, horizon + 0.3 * r), fill=fill)
    for _ in range(round(width / unit / 260)):
        x, w, h = stream.uniform(0, width), *(stream.uniform(30, 80, 2) * unit)
        fill = _hsv(stream.uniform(0, 360), 35, stream.uniform(50, 90))
        draw.rectangle((x, horizon - h, x + w, horizon), fill=fill)
        roof = [(x - 5 * unit, horizon - h), (x + w / 2, horizon - 1.5 * h)]
        draw.polygon([*roof, (x + w + 5 * unit, horizon - h)], fill=(110, 50, 40))
    for _ in range(round(width / unit / 5)):  # flowers, stones, bushes
        x, low = stream.uniform(0, width), stream.uniform(horizon, height)
        r = stream.choice([2, 3, 5, 12, 22], p=[0.4, 0.25, 0.2, 0.1, 0.05]) * unit
        hue = stream.uniform(70, 130) if r > 4 * unit else stream.uniform(0, 360)
        fill = _hsv(hue, 45, stream.uniform(25, 95))
        draw.ellipse((x - r, low - 0.7 * r, x + r, low + 0.7 * r), fill=fill)
    for _ in range(round(width / unit * 1.2)):  # grass
        x, low = stream.uniform(0, width), stream.uniform(horizon, height)
        tip = (x + stream.uniform(-4, 4) * unit, low - stream.uniform(5, 16) * unit)
        fill = _hsv(stream.uniform(60, 110), 50, stream.uniform(25, 65))
        draw.line([(x, low), tip], fill=fill, width=max(1, round(1.5 * unit)))

    open_ = Image.new('L', (width, height), 255)
    bark = random_stream(filmed, _BARK)
    for x, w in trees.tolist():
        base = 0.93 * height
        outline = [(x - 0.45 * w, 0), (x + 0.45 * w, 0), (x + 0.5 * w, 0.85 * height)]
        outline += [(x + 0.8 * w, base), (x - 0.8 * w, base), (x - 0.5 * w, 0.85 * height)]
        draw.polygon(outline, fill=(86, 66, 50))
        ImageDraw.Draw(open_).polygon(outline, fill=0)
        for _ in range(40):
            across, top = x + bark.uniform(-0.42, 0.42) * w, bark.uniform(0, 0.8) * height
            shade = round(bark.uniform(45, 120))
            fill = (shade, round(0.8 * shade), round(0.65 * shade))
            draw.line([(across, top), (across + 2, top + 70 * unit)], fill=fill, width=2)
    return add_grain(image, stream), open_


def _hsv(hue: float, saturation: float, value: float) -> tuple[int, ...]:
    """Return RGB in [0, 255]; hue in degrees, the others in percent."""
    return ImageColor.getrgb(f'hsv({hue:.0f},{saturation:.0f}%,{value:.0f}%)')
