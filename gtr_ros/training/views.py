# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips from single images, section 5.2 of the paper: two views, and the way between them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from gtr_ros.training.clip import Clip

# Images are averaged over whole pixels as long as this many times the view's remain; then resized.
_GAP = 1.5


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
        height, width = (max(1, min(int(side * first.scale), size)) for side in (height, width))
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


class Placed(NamedTuple):
    """
    Boxes in a view.

    :param boxes: (N, 4) float64, xyxy, pixels of the view
    :param inside: (N, 4) float64, that end at its border
    :param seen: (N,) bool, whether enough of each is in it
    """

    boxes: np.ndarray
    inside: np.ndarray
    seen: np.ndarray

    @classmethod
    def of(
        cls,
        boxes: np.ndarray,
        view: View,
        shape: tuple[int, ...],
        mirrored: bool,
        least_visible: float = 0.0,
    ) -> Placed:
        """
        Place boxes in a view.

        :param boxes: (N, 4) float, xyxy, pixels of the image
        :param shape: of the view's frame, height and width first
        :param mirrored: whether the frame was mirrored
        :param least_visible: more than this part of a box must be inside
        """
        height, width = shape[:2]
        placed = np.asarray(boxes, np.float64).reshape(-1, 4) * view.scale
        placed -= [view.x, view.y, view.x, view.y]
        if mirrored:
            placed = [width, 0, width, 0] + placed[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
        inside = placed.clip(0, [width, height, width, height])
        areas = [(b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (inside, placed)]
        sides = inside[:, 2:] - inside[:, :2]
        seen = (areas[0] > least_visible * areas[1]) & (sides >= 1).all(axis=1)
        return cls(placed, inside, seen)


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
        which anything is, and amodal ones even where nothing is
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
            placed = Placed.of(boxes, view, frame.shape, mirrored, self.least_visible)
            own = placed.inside if self.clip_boxes else placed.boxes
            regions = Placed.of(crowds, view, frame.shape, mirrored)
            frames.append(
                (
                    frame,
                    own[placed.seen].astype(np.float32),
                    labels[placed.seen],
                    everybody[placed.seen],
                    regions.inside[regions.seen].astype(np.float32),
                )
            )
        images, owns, classes, ids, regions = zip(*frames)
        return Clip(images, owns, classes, ids, regions, source=source)


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
    return np.array(
        picture.resize((width, height), Image.Resampling.BILINEAR, region, reducing_gap=_GAP)
    )
