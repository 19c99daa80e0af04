# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips from single images, section 4.4 of the paper: two views, and the way between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from gtr_ros.training.clip import Clip


class View(NamedTuple):
    """
    A window on a scaled image.

    :param scale: pixels of the view for one of the image
    :param y: of the window's top, pixels of the scaled image
    :param x: of its left
    """

    scale: float
    y: int
    x: int


def draw_view(
    height: int,
    width: int,
    size: int,
    scale: tuple[float, float],
    uniform: Callable[[float, float], float],
) -> View:
    """
    Scale an image to fit a square, times a random factor, and put the square on it at random.

    :param height: of the image, pixels
    :param width: likewise
    :param size: side of the square, pixels
    :param scale: least and most of the factor
    :param uniform: draws a number between two; called for the factor, for y, and for x
    """
    factor = size * uniform(*scale)
    ratio = min(factor / height, factor / width)
    rest = [max(0, int(side * ratio) - size) for side in (height, width)]
    y, x = (int(pixels * uniform(0.0, 1.0)) for pixels in rest)
    return View(ratio, y, x)


def draw_views(
    height: int,
    width: int,
    frames: int,
    size: int,
    scale: tuple[float, float],
    uniform: Callable[[float, float], float],
    drawn_from_start: bool = False,
) -> list[View]:
    """
    Draw the first and the last view, and go from one to the other linearly.

    :param drawn_from_start: as the public code does: the last view is drawn for the first one, as
        if that were the image, and then is a view of the image all the same
    """
    first = draw_view(height, width, size, scale, uniform)
    if frames == 1:
        return [first]
    if drawn_from_start:
        height, width = (min(int(side * first.scale), size) for side in (height, width))
    last = draw_view(height, width, size, scale, uniform)
    steps = frames - 1
    return [
        View(
            first.scale + (last.scale - first.scale) * t / steps,
            first.y + (last.y - first.y) * t // steps,
            first.x + (last.x - first.x) * t // steps,
        )
        for t in range(frames)
    ]


@dataclass(frozen=True)
class Views:
    """
    Makes clips of images. A frame is as large as the square, or as the scaled image if smaller.

    :param frames: T; 1: a single view, for detectors
    :param size: side of the square, pixels
    :param scale: least and most factor by which an image is larger than what fits into the square
    :param flip: probability that the clip is mirrored
    :param drawn_from_start: see `draw_views`
    :param clip_boxes: whether boxes end at the frame's border
    :param least_visible: part of a box that must be in a frame; the public code keeps every box of
        which anything is
    """

    frames: int = 8
    size: int = 896
    scale: tuple[float, float] = (0.8, 1.2)
    flip: float = 0.0
    drawn_from_start: bool = False
    clip_boxes: bool = True
    least_visible: float = 0.25

    def __call__(
        self,
        image: np.ndarray,
        boxes: np.ndarray,
        labels: np.ndarray,
        crowds: np.ndarray,
        rng: np.random.Generator,
        source: str = '',
    ) -> Clip:
        """
        Make a clip; each box is an object of its own.

        :param image: (H, W, 3) uint8 RGB
        :param boxes: (N, 4) float, xyxy, pixels of the image
        :param labels: (N,) int64
        :param crowds: (R, 4) float, xyxy
        :param rng: draws the views
        """
        height, width = image.shape[:2]
        views = draw_views(
            height, width, self.frames, self.size, self.scale, rng.uniform, self.drawn_from_start
        )
        mirrored = rng.random() < self.flip
        picture = Image.fromarray(image)
        everybody = np.arange(1, len(boxes) + 1)
        frames = []
        for view in views:
            frame = look(picture, view, self.size)
            if mirrored:
                frame = np.ascontiguousarray(frame[:, ::-1])
            own, kept = self._place(boxes, view, frame.shape, mirrored)
            regions, _ = self._place(crowds, view, frame.shape, mirrored)
            frames.append((frame, own, labels[kept], everybody[kept], regions))
        images, placed, classes, ids, regions = zip(*frames)
        return Clip(images, placed, classes, ids, regions, source=source)

    def _place(
        self, boxes: np.ndarray, view: View, shape: tuple[int, ...], mirrored: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return boxes in a view's pixels, those that can be seen in it; and which, (N,) bool."""
        height, width = shape[:2]
        placed = np.asarray(boxes, np.float64).reshape(-1, 4) * view.scale
        placed -= [view.x, view.y, view.x, view.y]
        if mirrored:
            placed = np.stack(
                [width - placed[:, 2], placed[:, 1], width - placed[:, 0], placed[:, 3]], axis=1
            )
        inside = placed.clip(0, [width, height, width, height])
        areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (inside, placed)]
        sides = inside[:, 2:] - inside[:, :2]
        kept = (areas[0] > self.least_visible * areas[1]) & (sides >= 1).all(axis=1)
        return (inside if self.clip_boxes else placed)[kept].astype(np.float32), kept


def look(picture: Image.Image, view: View, size: int) -> np.ndarray:
    """Return what is in a view of a picture: (H, W, 3) uint8, H and W at most `size`."""
    scaled = [max(1, int(side * view.scale)) for side in picture.size]
    left, top = min(view.x, scaled[0] - 1), min(view.y, scaled[1] - 1)
    width, height = min(size, scaled[0] - left), min(size, scaled[1] - top)
    # Only what is in the window is resized: of pixels of the picture, with fractions.
    ratio = [whole / own for whole, own in zip(picture.size, scaled)]
    region = (
        left * ratio[0],
        top * ratio[1],
        (left + width) * ratio[0],
        (top + height) * ratio[1],
    )
    return np.array(picture.resize((width, height), Image.Resampling.BILINEAR, box=region))
