# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of a window's past frames as arrays, and reductions over tracks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gtr_ros.boxes import box_centres
from gtr_ros.stamps import NANOSECONDS


@dataclass
class Past:
    """
    The P objects of a window's past frames, oldest first, and the K tracks they belong to.

    :param boxes: (P, 4) float32, xyxy, pixels of the image as received
    :param labels: (P,) int64
    :param class_scores: (P, C) float32, or None
    :param stamps: (P,) int64, nanoseconds
    :param age: (P,) int64, frames ago: 1 for the objects of the previous frame
    :param ids: (K,) int64, track ids, ascending
    :param track: (P,) int64, index of each object's track in `ids`
    """

    boxes: np.ndarray
    labels: np.ndarray
    class_scores: np.ndarray | None
    stamps: np.ndarray
    age: np.ndarray
    ids: np.ndarray
    track: np.ndarray

    # These are not matrix products, because numpy's threads would compete with torch's for the
    # cores, and both would wait many times longer than the sums take.

    @cached_property
    def _by_track(self) -> tuple[np.ndarray, np.ndarray]:
        """(P,) int64, the objects sorted by track; (K,) int64, where each track starts in them."""
        ends = np.cumsum(self.lengths)
        return np.argsort(self.track, kind='stable'), ends - self.lengths

    def sum_by_track(self, values: np.ndarray) -> np.ndarray:
        """Sum over the objects of each track: (M, P) float -> (M, K)."""
        order, begins = self._by_track
        return np.add.reduceat(values[:, order], begins, axis=1)

    def any_by_track(self, values: np.ndarray) -> np.ndarray:
        """Return whether the value is true for any object of each track: (M, P) bool -> (M, K)."""
        order, begins = self._by_track
        return np.logical_or.reduceat(values[:, order], begins, axis=1)

    @cached_property
    def lengths(self) -> np.ndarray:
        """(K,) int64: number of objects of each track."""
        return np.bincount(self.track, minlength=len(self.ids))

    @cached_property
    def last(self) -> np.ndarray:
        """(K,) int64: index of each track's newest object."""
        last = np.zeros(len(self.ids), np.int64)
        last[self.track] = np.arange(len(self.track))  # the newest is assigned last
        return last

    def velocities(self, frames: int = 8) -> np.ndarray:
        """
        Fit a line to the centres of each track in its newest frames.

        :param frames: number of frames before the track's newest object that are used
        :return: (K, 2) float64, pixels per second; 0 for a track with one object
        """
        recent = self.age <= self.age[self.last][self.track] + frames
        track, boxes = self.track[recent], self.boxes[recent].astype(np.float64)
        time = (self.stamps[recent] - self.stamps[self.last][track]) / NANOSECONDS

        def total(values: np.ndarray) -> np.ndarray:
            return np.bincount(track, values, minlength=len(self.ids))

        count, sum_t, sum_tt = total(np.ones_like(time)), total(time), total(time * time)
        spread = np.maximum(count * sum_tt - sum_t**2, 1e-12)
        slopes = [count * total(time * x) - sum_t * total(x) for x in box_centres(boxes).T]
        return np.stack(slopes, axis=1) / spread[:, None]
