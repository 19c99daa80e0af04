# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips from stills, section 5.2 of the paper: a crop moves linearly between two positions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import clip_boxes
from gtr_ros.training.clip import Clip

# Pillow first averages whole pixels, down to this many times the crop's resolution, then resizes.
_REDUCING_GAP = 1.5


class Crop(NamedTuple):
    """
    The position of a square crop on a scaled image.

    :param scale: pixels of the crop per pixel of the image
    :param y: top of the crop, pixels of the scaled image
    :param x: left of the crop, pixels of the scaled image
    """

    scale: float
    y: int
    x: int


def draw_crop(
    height: int,
    width: int,
    size: int,
    scale: tuple[float, float],
    uniform: Callable[[float, float], float],
) -> Crop:
    """
    Scale an image to fit a square, times a random factor, and place the square on it at random.

    :param height: of the image, pixels
    :param width: of the image, pixels
    :param size: side of the square, pixels
    :param scale: range of the factor
    :param uniform: draws a number from a range; called for the factor, for y, and for x
    """
    factor = size * uniform(*scale)
    ratio = min(factor / height, factor / width)
    margins = [max(0, int(side * ratio) - size) for side in (height, width)]
    y, x = (int(margin * uniform(0.0, 1.0)) for margin in margins)
    return Crop(ratio, y, x)


def draw_crops(
    height: int,
    width: int,
    frames: int,
    size: int,
    scale: tuple[float, float],
    uniform: Callable[[float, float], float],
    drawn_from_start: bool = False,
) -> list[Crop]:
    """
    Draw the first and the last crop, and interpolate between them linearly.

    :param drawn_from_start: as the public code does: draw the last crop as if the first one were
        the whole image, but apply it to the full image
    """
    first = draw_crop(height, width, size, scale, uniform)
    if frames == 1:
        return [first]
    if drawn_from_start:
        height, width = (max(1, min(int(side * first.scale), size)) for side in (height, width))
    last = draw_crop(height, width, size, scale, uniform)
    intervals = frames - 1
    return [
        Crop(
            first.scale + (last.scale - first.scale) * t / intervals,
            first.y + (last.y - first.y) * t // intervals,
            first.x + (last.x - first.x) * t // intervals,
        )
        for t in range(frames)
    ]


def crop_image(image: Image.Image, crop: Crop, size: int) -> np.ndarray:
    """Return a crop of an image: (H, W, 3) uint8, H and W at most `size`."""
    scaled = [max(1, int(side * crop.scale)) for side in image.size]
    left, top = min(crop.x, scaled[0] - 1), min(crop.y, scaled[1] - 1)
    width, height = min(size, scaled[0] - left), min(size, scaled[1] - top)
    # Only the region of the crop is resized; its borders may be at fractions of the image's
    # pixels.
    ratio = [full / small for full, small in zip(image.size, scaled)]
    region = (
        left * ratio[0],
        top * ratio[1],
        (left + width) * ratio[0],
        (top + height) * ratio[1],
    )
    return np.array(
        image.resize(
            (width, height), Image.Resampling.BILINEAR, region, reducing_gap=_REDUCING_GAP
        )
    )


class CroppedBoxes(NamedTuple):
    """
    Boxes in a crop.

    :param boxes: (N, 4) float64, xyxy, pixels of the crop; may reach beyond it
    :param clipped: (N, 4) float64, xyxy, the same boxes, clipped to the crop
    :param visible: (N,) bool, whether a large enough part of each box is in the crop
    """

    boxes: np.ndarray
    clipped: np.ndarray
    visible: np.ndarray

    @classmethod
    def of(
        cls,
        boxes: np.ndarray,
        crop: Crop,
        shape: tuple[int, ...],
        mirrored: bool,
        min_visible: float = 0.0,
    ) -> CroppedBoxes:
        """
        Transform boxes of an image to a crop of it.

        :param boxes: (N, 4) float, xyxy, pixels of the image
        :param shape: of the cropped image, height and width first
        :param mirrored: whether the cropped image was mirrored
        :param min_visible: a box is visible if more than this fraction of its area is in the crop
        """
        height, width = shape[:2]
        moved = np.asarray(boxes, np.float64).reshape(-1, 4) * crop.scale
        moved -= [crop.x, crop.y, crop.x, crop.y]
        if mirrored:
            moved = [width, 0, width, 0] + moved[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
        clipped = clip_boxes(moved, (height, width))
        sides = clipped[:, 2:] - clipped[:, :2]
        visible = (box_areas(clipped) > min_visible * box_areas(moved)) & (sides >= 1).all(axis=1)
        return cls(moved, clipped, visible)


@dataclass(frozen=True)
class MovingCrop:
    """
    Creates a clip from a still by moving a crop over it.

    A frame has the size of the square, or of the scaled image if that is smaller.

    :param frames: T; 1: a single crop, for detectors
    :param size: side of the square, pixels
    :param scale: range of the factor by which the image is larger than the square
    :param flip: probability that the clip is mirrored
    :param drawn_from_start: see `draw_crops`
    :param clip_boxes: whether boxes are clipped to the frame
    :param min_visible: fraction of a box's area that must be in a frame; the public code keeps
        every box that is partly visible, and amodal boxes even if they are outside the frame
    """

    frames: int = 8
    size: int = 896
    scale: tuple[float, float] = (0.8, 1.2)
    flip: float = 0.0
    drawn_from_start: bool = False
    clip_boxes: bool = True
    min_visible: float = 0.25

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
        Create a clip in which each box is a separate object.

        :param image: (H, W, 3) uint8 RGB
        :param boxes: (N, 4) float, xyxy, pixels of the image
        :param labels: (N,) int64
        :param crowds: (R, 4) float, xyxy, pixels of the image
        :param rng: draws the crops
        :param source: of the clip, see `Clip`
        """
        height, width = image.shape[:2]
        crops = draw_crops(
            height, width, self.frames, self.size, self.scale, rng.uniform, self.drawn_from_start
        )
        mirrored = rng.random() < self.flip
        picture = Image.fromarray(image)
        ids = np.arange(1, len(boxes) + 1)
        frames = []
        for crop in crops:
            frame = crop_image(picture, crop, self.size)
            if mirrored:
                frame = np.ascontiguousarray(frame[:, ::-1])
            cropped = CroppedBoxes.of(boxes, crop, frame.shape, mirrored, self.min_visible)
            kept = cropped.clipped if self.clip_boxes else cropped.boxes
            regions = CroppedBoxes.of(crowds, crop, frame.shape, mirrored)
            frames.append(
                (
                    frame,
                    kept[cropped.visible].astype(np.float32),
                    labels[cropped.visible],
                    ids[cropped.visible],
                    regions.clipped[regions.visible].astype(np.float32),
                )
            )
        return Clip(*zip(*frames), source=source)
