# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Augmentation of clips: occlusion, deformation, lighting, blur, noise and lost frames."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from functools import lru_cache
import math

import numpy as np
from PIL import Image

from gtr_ros.boxes import clip_boxes
from gtr_ros.training.clip import Clip
from gtr_ros.training.pasting import Deformation
from gtr_ros.training.pasting import draw_path
from gtr_ros.training.pasting import paste
from gtr_ros.training.pasting import PastedObject
from gtr_ros.training.pasting import recolour
from gtr_ros.training.pasting import soft_mask


@dataclass(frozen=True)
class Augmentation:
    """
    Augmentations of a clip, each with its strength; 0, the default, disables it.

    :param dropped: probability that a frame is lost; at least 2 are kept
    :param bend: strength of the objects' deformation from frame to frame, in units of their widths
    :param mirror: probability that an object is mirrored from some frame of the clip onwards
    :param look_alikes: mean number of recoloured copies of objects that move next to them
    :param occluders: mean number of unlabelled patches that pass in front of objects
    :param light: standard deviation of log brightness, drifting over the clip
    :param colour: standard deviation of the log gain of each colour channel, drifting over the
        clip
    :param blur: probability that a frame has motion blur of up to 9 pixels
    :param noise: maximum standard deviation of the pixel noise, for values 0 to 255
    """

    dropped: float = 0.0
    bend: float = 0.0
    mirror: float = 0.0
    look_alikes: float = 0.0
    occluders: float = 0.0
    light: float = 0.0
    colour: float = 0.0
    blur: float = 0.0
    noise: float = 0.0

    def __call__(self, clip: Clip, rng: np.random.Generator) -> Clip:
        """Return an augmented clip, which depends only on the clip and the random stream."""
        if self.dropped and len(clip) > 2:
            clip = drop_frames(clip, self.dropped, rng)
        if (self.bend or self.mirror) and len(clip) > 1:
            clip = bend_objects(clip, self.bend, self.mirror, rng)
        if self.look_alikes:
            clip = add_look_alikes(clip, int(rng.poisson(self.look_alikes)), rng)
        if self.occluders:
            clip = add_occluders(clip, int(rng.poisson(self.occluders)), rng)
        if self.light or self.colour or self.blur or self.noise:
            clip = replace(clip, images=tuple(self._expose(clip.images, rng)))
        return clip

    def _expose(
        self, images: tuple[np.ndarray, ...], rng: np.random.Generator
    ) -> list[np.ndarray]:
        """Return the images with drifting brightness and colour, motion blur and noise."""
        frames = len(images)
        drift = rng.normal(0, 1, (2, 4))
        progress = np.linspace(0, 1, max(frames, 2))[:frames, None]
        deviation = np.array([self.light, self.colour, self.colour, self.colour])
        logs = (drift[0] * (1 - progress) + drift[1] * progress) * deviation
        logs += rng.normal(0, 0.25, (frames, 4)) * deviation
        gains = np.exp(logs[:, :1] + logs[:, 1:])
        noise = rng.uniform(0, self.noise)
        exposed = []
        for image, gain in zip(images, gains):
            if rng.random() < self.blur:
                image = blur_motion(image, rng.uniform(2, 9), rng.uniform(0, math.pi))
            pixels = image * gain.astype(np.float32)
            if noise:
                # Shifting one noise image is as effective as drawing new ones, at a tenth of the
                # cost.
                pixels += np.roll(_noise(image.shape), int(rng.integers(1 << 20))) * noise
            exposed.append(pixels.clip(0, 255).astype(np.uint8))
        return exposed


@lru_cache(maxsize=8)
def _noise(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def drop_frames(clip: Clip, probability: float, rng: np.random.Generator) -> Clip:
    """Drop each frame with a probability, but keep at least two."""
    keep = np.flatnonzero(rng.random(len(clip)) >= probability)
    if len(keep) < 2:
        keep = np.sort(rng.choice(len(clip), 2, replace=False))
    parts = {
        name: tuple(getattr(clip, name)[t] for t in keep)
        for name in ('images', 'boxes', 'labels', 'ids', 'crowds')
    }
    return replace(clip, **parts)


def bend_objects(clip: Clip, strength: float, mirror: float, rng: np.random.Generator) -> Clip:
    """Deform objects within their boxes from frame to frame, and mirror some of them."""
    deformations = {}
    for identity in sorted({i for ids in clip.ids for i in ids.tolist() if i > 0}):
        mirrored_from = int(rng.integers(1, len(clip))) if rng.random() < mirror else None
        deformations[identity] = Deformation.draw(rng, strength * rng.random(), mirrored_from)
    images = []
    for t, image in enumerate(clip.images):
        frame = Image.fromarray(image)
        for box, identity in zip(clip.boxes[t], clip.ids[t].tolist()):
            x1, y1, x2, y2 = _pixel_box(box, image.shape)
            if identity in deformations and x2 - x1 >= 8 and y2 - y1 >= 8:
                picture = frame.crop((x1, y1, x2, y2))
                deformed = deformations[identity].apply(picture, t)
                frame.paste(deformed, (x1, y1), soft_mask(picture.size))
        images.append(np.array(frame))
    return replace(clip, images=tuple(images))


def add_look_alikes(clip: Clip, count: int, rng: np.random.Generator) -> Clip:
    """Paste slightly recoloured copies of objects that move next to them, with new ids."""
    pasted = []
    for _ in range(count):
        original = _pick_object(clip, rng)
        if original is None:
            break
        identity, label, picture = original
        boxes = _boxes_of(clip, identity)
        width = boxes[:, 2] - boxes[:, 0]
        side = rng.choice([-1, 1]) * rng.uniform(0.7, 2.0)
        boxes = boxes + (side * width)[:, None] * [1, 0, 1, 0]
        picture = recolour(picture, rng, 0.15)
        if rng.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pasted.append(PastedObject(picture, label, boxes, Deformation.draw(rng, 0.08)))
    return paste(clip, pasted)


def add_occluders(clip: Clip, count: int, rng: np.random.Generator) -> Clip:
    """Move patches of plain colour or scenery in front of objects; the patches get no boxes."""
    pasted = []
    for _ in range(count):
        height, width = clip.images[0].shape[:2]
        boxes = draw_path(len(clip), (height, width), rng.uniform(0.2, 1.2), rng, (40, height))
        pasted.append(PastedObject(_patch(clip, rng), -1, boxes, Deformation.draw(rng, 0.0)))
    occluded = paste(clip, pasted)
    kept = [labels >= 0 for labels in occluded.labels]
    return replace(
        occluded,
        boxes=tuple(b[k] for b, k in zip(occluded.boxes, kept)),
        labels=tuple(v[k] for v, k in zip(occluded.labels, kept)),
        ids=tuple(i[k] for i, k in zip(occluded.ids, kept)),
    )


def _patch(clip: Clip, rng: np.random.Generator) -> Image.Image:
    """Return the picture of an occluder: one colour, or a recoloured part of a frame."""
    image = clip.images[int(rng.integers(len(clip)))]
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        colour = image[int(rng.integers(height)), int(rng.integers(width))]
        return Image.new('RGB', (32, 32), tuple(colour.tolist()))
    h, w = (max(8, int(side * rng.uniform(0.1, 0.5))) for side in (height, width))
    y, x = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return recolour(Image.fromarray(image[y : y + h, x : x + w]), rng, 0.3)


def _pick_object(clip: Clip, rng: np.random.Generator) -> tuple[int, int, Image.Image] | None:
    """Pick an object; return its id, label and picture, or None if no object is large enough."""
    for t in rng.permutation(len(clip)).tolist():
        image = clip.images[t]
        for i in rng.permutation(len(clip.ids[t])).tolist():
            x1, y1, x2, y2 = _pixel_box(clip.boxes[t][i], image.shape)
            if clip.ids[t][i] > 0 and x2 - x1 >= 12 and y2 - y1 >= 12:
                picture = Image.fromarray(image[y1:y2, x1:x2])
                return int(clip.ids[t][i]), int(clip.labels[t][i]), picture
    return None


def _boxes_of(clip: Clip, identity: int) -> np.ndarray:
    """Return an object's boxes, (T, 4) float64, interpolated in frames where it has none."""
    found = [
        (t, clip.boxes[t][clip.ids[t] == identity][0])
        for t in range(len(clip))
        if (clip.ids[t] == identity).any()
    ]
    times, boxes = zip(*found)
    return np.stack([np.interp(range(len(clip)), times, side) for side in np.array(boxes).T], 1)


def _pixel_box(box: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Clip a box to an image and round it to whole pixels."""
    (clipped,) = clip_boxes(box[None], shape[:2])
    x1, y1, x2, y2 = clipped.round().astype(int).tolist()
    return x1, y1, x2, y2


def blur_motion(image: np.ndarray, length: float, angle: float) -> np.ndarray:
    """Blur an image along a line; length in pixels, angle in radians from the x axis."""
    steps = max(2, round(length))
    offsets = np.linspace(-length / 2, length / 2, steps)
    total = np.zeros(image.shape, np.uint16)
    for offset in offsets:
        dx, dy = round(offset * math.cos(angle)), round(offset * math.sin(angle))
        total += np.roll(image, (dy, dx), axis=(0, 1))
    return (total // steps).astype(np.uint8)
