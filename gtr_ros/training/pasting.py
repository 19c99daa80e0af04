# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Copy-paste augmentation: objects cut out of images move and deform in front of a clip."""

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

#: fraction of an object's box that must be visible; below this, the frame has no box for the
#: object
MIN_VISIBLE = 0.35

_LEVELS = 4  # heights at which an object is shifted and widened


@dataclass(frozen=True)
class Deformation:
    """
    Periodic deformation of an object: a shift and a widening at each of four heights.

    :param amplitude: (2, 4), in units of the object's width: shifts, widenings
    :param phase: (2, 4), radians
    :param frequency: radians per frame
    :param mirrored_from: frame from which on the object is mirrored; None: never
    """

    amplitude: np.ndarray
    phase: np.ndarray
    frequency: float
    mirrored_from: int | None

    @classmethod
    def draw(
        cls, rng: np.random.Generator, strength: float, mirrored_from: int | None = None
    ) -> Deformation:
        """
        Draw a deformation.

        :param strength: standard deviation of shifts and widenings, in units of the object's width
        """
        amplitude = rng.normal(0, strength, (2, _LEVELS))
        phase = rng.uniform(0, 2 * math.pi, (2, _LEVELS))
        return cls(amplitude, phase, rng.uniform(0.3, 1.5), mirrored_from)

    def apply(self, picture: Image.Image, t: int) -> Image.Image:
        """Return an object's picture as deformed in frame t."""
        if self.mirrored_from is not None and t >= self.mirrored_from:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        width, height = picture.size
        if not self.amplitude.any() or width < 8 or height < 8:
            return picture
        swing = self.amplitude * np.sin(self.phase + self.frequency * t)
        shift, widening = swing.clip(-0.25, 0.25)
        left = width * (shift - widening / 2)
        right = width * (1 + shift + widening / 2)
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
        # Pad with the picture's own border pixels instead of black.
        pixels = np.pad(np.asarray(picture), ((0, 0), (width, width), (0, 0)), mode='edge')
        padded = Image.fromarray(pixels)
        mesh = [(box, tuple(v + width * (k % 2 == 0) for k, v in enumerate(q))) for box, q in mesh]
        return padded.transform(
            (width, height), Image.Transform.MESH, mesh, Image.Resampling.BILINEAR
        )


@dataclass(frozen=True)
class PastedObject:
    """
    An object to be pasted into a clip.

    :param picture: RGB, of the object's box
    :param label: index into the model's class names
    :param boxes: (T, 4) float, xyxy, pixels of each frame
    :param deformation: of the picture over the frames
    """

    picture: Image.Image
    label: int
    boxes: np.ndarray
    deformation: Deformation


def paste(clip: Clip, objects: Sequence[PastedObject]) -> Clip:
    """
    Paste objects in front of those of a clip, ordered by depth: a lower bottom edge is nearer.

    An object of which less than `MIN_VISIBLE` remains visible has no box in that frame. Because it
    is then visible without a label, detectors must not learn from the result.
    """
    if not objects:
        return clip
    first = 1 + max((int(ids.max()) for ids in clip.ids if len(ids)), default=0)
    images, boxes, labels, ids = [], [], [], []
    for t, image in enumerate(clip.images):
        height, width = image.shape[:2]
        frame = Image.fromarray(image)
        for k in np.argsort([pasted.boxes[t, 3] for pasted in objects], kind='stable').tolist():
            _draw(frame, objects[k], t)
        before = len(clip.boxes[t])
        pasted_boxes = np.array([pasted.boxes[t] for pasted in objects])
        every_box = np.concatenate([clip.boxes[t], pasted_boxes])
        # Pasted objects are in front of all objects of the clip.
        nearness = np.concatenate([np.full(before, -np.inf), pasted_boxes[:, 3]])
        clipped = clip_boxes(every_box, (height, width))
        visible = visibility(every_box, nearness)
        # Objects of the clip were already selected by how much of each is in the frame.
        visible[before:] *= box_areas(clipped[before:]) / box_areas(pasted_boxes)
        keep = (visible >= MIN_VISIBLE) & (clipped[:, 2:] - clipped[:, :2] >= 4).all(axis=1)
        images.append(np.array(frame))
        boxes.append(clipped[keep].astype(np.float32))
        every_label = np.append(clip.labels[t], [pasted.label for pasted in objects])
        every_id = np.append(clip.ids[t], first + np.arange(len(objects)))
        labels.append(every_label[keep].astype(np.int64))
        ids.append(every_id[keep].astype(np.int64))
    return replace(
        clip,
        images=tuple(images),
        boxes=tuple(boxes),
        labels=tuple(labels),
        ids=tuple(ids),
        complete=False,
    )


def _draw(frame: Image.Image, pasted: PastedObject, t: int) -> None:
    x1, y1, x2, y2 = pasted.boxes[t].round().astype(int).tolist()
    if x2 <= 0 or y2 <= 0 or x1 >= frame.width or y1 >= frame.height or x2 - x1 < 2 or y2 - y1 < 2:
        return
    picture = pasted.picture.resize((x2 - x1, y2 - y1), Image.Resampling.BILINEAR)
    frame.paste(pasted.deformation.apply(picture, t), (x1, y1), soft_mask(picture.size))


def soft_mask(size: tuple[int, int]) -> Image.Image:
    """Return an opacity mask of a box of (width, height): transparent in the corners."""
    width, height = size
    x = np.abs((np.arange(width) + 0.5) / width * 2 - 1)[None]
    y = np.abs((np.arange(height) + 0.5) / height * 2 - 1)[:, None]
    radius = (x**4 + y**4) ** 0.25
    return Image.fromarray((255 * ((1.02 - radius) / 0.1).clip(0, 1)).astype(np.uint8))


def recolour(picture: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Change a picture's brightness, contrast and saturation, and slightly its colour balance."""
    for enhance in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        picture = enhance(picture).enhance(float(np.exp(rng.normal(0, strength))))
    gains = np.exp(rng.normal(0, strength / 2, 3))
    return Image.fromarray((np.asarray(picture) * gains).clip(0, 255).astype(np.uint8))


def draw_path(
    frames: int,
    size: tuple[int, int],
    aspect: float,
    rng: np.random.Generator,
    heights: tuple[float, float] = (48, 220),
) -> np.ndarray:
    """
    Draw an object's path through a clip: nearly straight, its size changing slowly.

    The path may leave the frame.

    :param size: (height, width) of the frames, pixels
    :param aspect: width / height of the object
    :param heights: range of the object's height, pixels
    :return: (frames, 4) float64, xyxy, pixels
    """
    # Wide objects are lower, so that areas are comparable.
    drawn_height = math.exp(rng.uniform(*np.log(heights))) * min(1.0, (0.5 / aspect) ** 0.5)
    growth = rng.normal(0, 0.03)
    time = np.arange(frames) - rng.uniform(0, frames)
    # Robots process between ten and less than one frame per second.
    velocity = drawn_height * rng.normal(0, 1, 2) * [0.25, 0.06] * rng.choice([0.3, 1, 2])
    wobble = rng.normal(0, 0.03 * drawn_height, (frames, 2)).cumsum(axis=0)
    centre = [rng.uniform(0.05, 0.95) * size[1], rng.uniform(0.2, 0.95) * size[0]]
    x, y = (np.array(centre) + time[:, None] * velocity + wobble).T
    height = drawn_height * np.exp(growth * time.clip(-20, 20))
    half = height * aspect / 2
    return np.stack([x - half, y - height / 2, x + half, y + height / 2], axis=1)
