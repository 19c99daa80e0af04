# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Draw tracks onto images: boxes, ids and trajectories."""

from __future__ import annotations

from collections.abc import Sequence
import colorsys
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

if TYPE_CHECKING:
    # Imports torch, which drawing does not need: the viewer starts without it.
    from gtr_ros.structures import Tracks
    from gtr_ros.structures import Trajectory

_GOLDEN = (5**0.5 - 1) / 2

Colour = tuple[int, int, int]


def colour_of(identity: int) -> Colour:
    """Return the colour of a track id, RGB 0..255; neighbouring ids have different colours."""
    hue = identity * _GOLDEN % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)


def annotate(image: np.ndarray, tracks: Tracks, class_names: Sequence[str]) -> np.ndarray:
    """
    Draw tracks onto a copy of an image.

    Confirmed tracks have a thick box and a trail, tentative ones a thin box only.

    :param image: (H, W, 3) uint8, RGB; not changed
    :param tracks: in pixels of the image
    :param class_names: name of each label
    :return: (H, W, 3) uint8, RGB, contiguous
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    draw = ImageDraw.Draw(picture)
    short = min(picture.size)
    width = max(1, round(short / 300))
    font = _font(max(10, round(short / 38)))
    for trajectory, confirmed in zip(tracks.trajectories, tracks.confirmed):
        if confirmed:
            _draw_trail(draw, trajectory, width)
    for identity, box, score, label, confirmed in zip(
        tracks.ids.tolist(), tracks.boxes, tracks.scores, tracks.labels, tracks.confirmed
    ):
        colour = colour_of(identity)
        corners = [float(value) for value in box]
        draw.rectangle(corners, outline=colour, width=2 * width if confirmed else width)
        text = f'{identity} {class_names[label]} {score:.2f}'
        _draw_label(draw, text, corners, colour, font, picture.size)
    return np.array(picture)


def _draw_trail(draw: ImageDraw.ImageDraw, trajectory: Trajectory, width: int) -> None:
    """Connect the bottom centres of the boxes; older parts are darker."""
    boxes = trajectory.boxes
    feet = [(float(x1 + x2) / 2, float(y2)) for x1, _, x2, y2 in boxes]
    colour = np.array(colour_of(trajectory.id))
    for i in range(1, len(feet)):
        shade = tuple((colour * (0.3 + 0.7 * i / len(feet))).astype(int).tolist())
        draw.line((feet[i - 1], feet[i]), fill=shade, width=width)


def _draw_label(
    draw: ImageDraw.ImageDraw,
    text: str,
    corners: Sequence[float],
    colour: Colour,
    font: ImageFont.FreeTypeFont,
    size: tuple[int, int],
) -> None:
    """Write above the box, or inside it at the border of the image."""
    length, height = draw.textlength(text, font=font), font.size + 2
    left = min(max(corners[0], 0), max(size[0] - length - 4, 0))
    top = corners[1] - height if corners[1] >= height else max(corners[1], 0)
    top = min(top, size[1] - height)
    draw.rectangle((left, top, left + length + 4, top + height), fill=colour)
    dark = 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2] < 110
    draw.text((left + 2, top), text, fill=(255, 255, 255) if dark else (0, 0, 0), font=font)


@lru_cache(maxsize=8)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
