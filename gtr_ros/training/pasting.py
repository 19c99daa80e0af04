# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects cut out of images, that move, bend and pass in front of others in a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
import math

import numpy as np
from PIL import Image
from PIL import ImageEnhance

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import clip_boxes
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.training.clip import Clip

#: of an object's box this part must be seen for it to be a box of the frame
LEAST_VISIBLE = 0.35

_LEVELS = 4  # heights at which a bending object is shifted and widened


@dataclass(frozen=True)
class Gait:
    """
    How an object's shape swings: a shift and a widening at each of some heights, over time.

    :param amplitude: (2, levels), in widths of the object: shifts, widenings
    :param phase: (2, levels), radians
    :param pace: radians from one frame to the next
    :param mirrored: frame from which on it is seen the other way round; None: never
    """

    amplitude: np.ndarray
    phase: np.ndarray
    pace: float
    mirrored: int | None

    @classmethod
    def draw(cls, rng: np.random.Generator, strength: float, mirrored: int | None = None) -> Gait:
        """Draw one; strength: standard deviation of the shifts, in widths of the object."""
        amplitude = rng.normal(0, strength, (2, _LEVELS))
        phase = rng.uniform(0, 2 * math.pi, (2, _LEVELS))
        return cls(amplitude, phase, rng.uniform(0.3, 1.5), mirrored)

    def bend(self, picture: Image.Image, t: int) -> Image.Image:
        """Return a picture of the object as its shape is in frame t."""
        if self.mirrored is not None and t >= self.mirrored:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        width, height = picture.size
        if not self.amplitude.any() or width < 8 or height < 8:
            return picture
        shift, wider = (self.amplitude * np.sin(self.phase + self.pace * t)).clip(-0.25, 0.25)
        left = width * (shift - wider / 2)
        right = width * (1 + shift + wider / 2)
        levels = np.linspace(0, height, _LEVELS).round().astype(int)
        mesh = [
            (
                (0, int(levels[i]), width, int(levels[i + 1])),
                # The source's corners: north-west, south-west, south-east, north-east.
                (
                    *(left[i], levels[i]),
                    *(left[i + 1], levels[i + 1]),
                    *(right[i + 1], levels[i + 1]),
                    *(right[i], levels[i]),
                ),
            )
            for i in range(_LEVELS - 1)
        ]
        # Beyond the picture its own edge goes on, not blackness.
        edge = np.pad(np.asarray(picture), ((0, 0), (width, width), (0, 0)), mode='edge')
        padded = Image.fromarray(edge)
        mesh = [(box, tuple(v + width * (k % 2 == 0) for k, v in enumerate(q))) for box, q in mesh]
        return padded.transform(
            (width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR
        )


@dataclass(frozen=True)
class Walker:
    """
    An object to be pasted.

    :param picture: RGB, of the object's box
    :param label: its class
    :param boxes: (T, 4) float, xyxy, pixels of each frame
    :param gait: how its shape changes
    """

    picture: Image.Image
    label: int
    boxes: np.ndarray
    gait: Gait


def paste(clip: Clip, walkers: Sequence[Walker]) -> Clip:
    """
    Let walkers pass in front of a clip's objects, those with their feet lower in front.

    Objects that can hardly be seen any more have no box in that frame. Not every object of the
    result is labelled truly, so it is no clip for a detector.
    """
    if not walkers:
        return clip
    first = 1 + max((int(ids.max()) for ids in clip.ids if len(ids)), default=0)
    images, boxes, labels, ids = [], [], [], []
    for t, image in enumerate(clip.images):
        height, width = image.shape[:2]
        frame = Image.fromarray(image)
        for k in np.argsort([walker.boxes[t, 3] for walker in walkers], kind='stable').tolist():
            _draw(frame, walkers[k], t)
        own = np.array([walker.boxes[t] for walker in walkers])
        everybody = np.concatenate([clip.boxes[t], own])
        # Whatever is pasted is in front of everything that was there.
        nearness = np.concatenate([np.full(len(clip.boxes[t]), -np.inf), own[:, 3]])
        clipped = clip_boxes(everybody, (height, width))
        seen = visibility(everybody, nearness)
        # How much of the others must be inside was decided when the clip was made.
        seen[len(clip.boxes[t]) :] *= box_areas(clipped[len(clip.boxes[t]) :]) / box_areas(own)
        keep = (seen >= LEAST_VISIBLE) & (clipped[:, 2:] - clipped[:, :2] >= 4).all(axis=1)
        images.append(np.array(frame))
        boxes.append(clipped[keep].astype(np.float32))
        labels.append(np.append(clip.labels[t], [w.label for w in walkers])[keep].astype(np.int64))
        names = np.append(clip.ids[t], first + np.arange(len(walkers)))
        ids.append(names[keep].astype(np.int64))
    return replace(
        clip,
        images=tuple(images),
        boxes=tuple(boxes),
        labels=tuple(labels),
        ids=tuple(ids),
        complete=False,
    )


def _draw(frame: Image.Image, walker: Walker, t: int) -> None:
    x1, y1, x2, y2 = walker.boxes[t].round().astype(int).tolist()
    if x2 <= 0 or y2 <= 0 or x1 >= frame.width or y1 >= frame.height or x2 - x1 < 2 or y2 - y1 < 2:
        return
    picture = walker.picture.resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR)
    frame.paste(walker.gait.bend(picture, t), (x1, y1), soft_mask(picture.size))


def soft_mask(size: tuple[int, int]) -> Image.Image:
    """Return the opacity of an object in its box, (width, height): corners are background."""
    width, height = size
    x = np.abs((np.arange(width) + 0.5) / width * 2 - 1)[None]
    y = np.abs((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
    radius = (x**4 + y**4) ** 0.25
    return Image.fromarray((255 * ((1.02 - radius) / 0.1).clip(0, 1)).astype(np.uint8))


def recolour(picture: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change a picture's brightness, contrast and saturation, and its hues a little."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(float(np.exp(rng.normal(0, strength))))
    gains = np.exp(rng.normal(0, strength / 2, 3))
    return Image.fromarray((np.asarray(picture) * gains).clip(0, 255).astype(np.uint8))


def walk(
    frames: int,
    size: tuple[int, int],
    aspect: float,
    rng: np.random.Generator,
    heights: tuple[float, float] = (48, 220),
) -> np.ndarray:
    """
    Draw a way through a clip: nearly straight, the size changing slowly, past the borders too.

    :param size: (height, width) of the frames, pixels
    :param aspect: of the object, width in heights
    :param heights: of the object, least and most, pixels
    :return: (frames, 4) float64, xyxy, pixels
    """
    # Wide objects are low: it is the area that is drawn.
    tall = math.exp(rng.uniform(*np.log(heights))) * min(1.0, (0.5 / aspect) ** 0.5)
    growth = rng.normal(0, 0.03)
    time = np.arange(frames) - rng.uniform(0, frames)
    # Robots see from ten to less than one frame a second.
    step = tall * rng.normal(0, 1, 2) * [0.25, 0.06] * rng.choice([0.3, 1, 2])
    wobble = rng.normal(0, 0.03 * tall, (frames, 2)).cumsum(axis=0)
    centre = [rng.uniform(0.05, 0.95) * size[1], rng.uniform(0.2, 0.95) * size[0]]
    x, y = (np.array(centre) + time[:, None] * step + wobble).T
    height = tall * np.exp(growth * time.clip(-20, 20))
    half = height * aspect / 2
    return np.stack([x - half, y - height / 2, x + half, y + height / 2], axis=1)
