# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The best picture of each track so far."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import box_intersection
from gtr_ros.stamps import CLOCK_JUMP
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks

#: factor by which a picture must be better than the one before
IMPROVEMENT = 1.1

_AROUND = 0.1  # of the box's sides, added on each side
_ENOUGH = 128.0  # pixels, geometric mean of the sides, above which size hardly counts
_EDGE = 2.0  # pixels from the edge of the image, within which a box is cut off
_CUT = 0.3  # quality of a box that is cut off, relative to a whole one
_MIDDLE = 128  # pixels of each side in the middle of a box, in which sharpness is measured
_SHARP = 0.1  # sharpness at which half the quality is reached
_FORGET = 30 * NANOSECONDS  # without a box


@dataclass(frozen=True, eq=False)
class View:
    """
    A picture of a track.

    :param quality: in [0, 1]
    :param box: (4,) float32, xyxy, pixels of the image
    :param crop: (h, w, 3) uint8 RGB, of the box and a tenth around it
    :param stamp: of the image, nanoseconds
    """

    id: int
    label: int
    score: float
    quality: float
    box: np.ndarray
    crop: np.ndarray
    stamp: int


@dataclass
class _Best:
    """The best view of a track; due: that it has not been returned yet."""

    view: View
    due: bool
    seen: int
    returned: int | None = None  # stamp of the newest image in which one was
    quality: float = 0.0  # of that


class BestViews:
    """
    Keeps the best picture of each confirmed track.

    :param rate: pictures of each track per second, at most
    """

    def __init__(self, rate: float) -> None:
        self._interval = round(NANOSECONDS / rate)
        self._tracks: dict[int, _Best] = {}
        self._newest: int | None = None

    def clear(self) -> None:
        """Forget all pictures."""
        self._tracks.clear()
        self._newest = None

    def update(self, stamp: int, tracks: Tracks, image: np.ndarray) -> list[View]:
        """
        Return the pictures that became better by `IMPROVEMENT` or more, and the first of a track.

        :param stamp: nanoseconds
        :param image: (H, W, 3) uint8 RGB
        """
        if self._newest is not None and stamp < self._newest - CLOCK_JUMP:
            self.clear()
        now = self._newest = stamp if self._newest is None else max(stamp, self._newest)
        wanted = np.flatnonzero(tracks.confirmed)
        shape = placed_quality(tracks.boxes, tracks.scores, image.shape[:2])
        for row in wanted.tolist():
            track_id = int(tracks.ids[row])
            best = self._tracks.get(track_id)
            if best is not None:
                best.seen = now
                # Sharpness cannot make up for the rest: then it need not be measured.
                if shape[row] <= best.view.quality:
                    continue
            quality = float(shape[row]) * sharpness_factor(_cut_out(image, tracks.boxes[row], 0))
            if best is not None and quality <= best.view.quality:
                continue
            crop = _cut_out(image, tracks.boxes[row], _AROUND)
            if not crop.size:
                continue
            view = View(
                track_id,
                int(tracks.labels[row]),
                float(tracks.scores[row]),
                quality,
                tracks.boxes[row],
                np.ascontiguousarray(crop),
                now,
            )
            if best is None:
                self._tracks[track_id] = _Best(view, True, now)
            else:
                best.view = view
                best.due |= quality >= IMPROVEMENT * best.quality
        return self._due(now)

    def _due(self, now: int) -> list[View]:
        views = []
        for best in self._tracks.values():
            waits = best.returned is not None and now - best.returned < self._interval
            if best.due and not waits:
                best.due, best.returned, best.quality = False, now, best.view.quality
                views.append(best.view)
        self._tracks = {i: b for i, b in self._tracks.items() if now - b.seen <= _FORGET}
        return views


def placed_quality(
    boxes: np.ndarray, scores: np.ndarray, image_size: tuple[int, int]
) -> np.ndarray:
    """
    Return the quality of boxes without sharpness, (N,) in [0, 1].

    :param boxes: (N, 4), xyxy, pixels
    :param scores: (N,) in [0, 1]
    :param image_size: (height, width), pixels
    """
    boxes = boxes.astype(np.float64)
    areas = np.maximum(box_areas(boxes), 0)
    side = np.sqrt(areas)
    height, width = image_size
    cut = (boxes[:, :2] < _EDGE).any(axis=1) | (
        boxes[:, 2:] > [width - _EDGE, height - _EDGE]
    ).any(axis=1)
    shared = box_intersection(boxes, boxes)
    np.fill_diagonal(shared, 0)
    covered = (shared.max(axis=1, initial=0) / np.maximum(areas, 1e-9)).clip(0, 1)
    return side / (side + _ENOUGH) * scores * np.where(cut, _CUT, 1.0) * (1 - covered)


def sharpness_factor(crop: np.ndarray) -> float:
    """
    Return how sharp a picture is, in [0, 1): the fine detail in it, relative to its contrast.

    :param crop: (h, w, 3) uint8 RGB
    """
    top, left = (max(0, (side - _MIDDLE) // 2) for side in crop.shape[:2])
    # Every pixel of it: a sample of them would be as sharp where the picture is blurred.
    grey = crop[top : top + _MIDDLE, left : left + _MIDDLE].astype(np.float64).mean(axis=2)
    if min(grey.shape, default=0) < 3:
        return 0.0
    detail = 4 * grey[1:-1, 1:-1] - grey[:-2, 1:-1] - grey[2:, 1:-1]
    detail = detail - grey[1:-1, :-2] - grey[1:-1, 2:]
    # Not the mean of its absolute values, which is the same for a sharp and a blurred edge.
    detail = np.sqrt((detail * detail).mean())
    sharpness = detail / (4 * grey.std() + 4)
    return float(sharpness / (sharpness + _SHARP))


def _cut_out(image: np.ndarray, box: np.ndarray, around: float) -> np.ndarray:
    """Return a view of the pixels of a box and some more of its sides around it."""
    height, width = image.shape[:2]
    x1, y1, x2, y2 = box.astype(np.float64)
    more_x, more_y = around * (x2 - x1), around * (y2 - y1)
    left, top = max(int(x1 - more_x), 0), max(int(y1 - more_y), 0)
    right, bottom = min(int(x2 + more_x) + 1, width), min(int(y2 + more_y) + 1, height)
    return image[top:bottom, left:right]
