# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trajectories of a frame's objects, each computed only when it is read."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from gtr_ros.structures import Trajectory
from gtr_ros.tracking.window import WindowView


class Trajectories(Sequence):
    """
    One `Trajectory` for each object of a frame; its last box is that of this frame.

    :param ids: (M,) int64, track ids of the frame's objects
    :param confirmed: (M,) bool
    :param away: (M,) float, seconds lost before the last re-identification; 0: none
    :param view: the frame's M detections, and the window before it
    """

    def __init__(
        self, ids: np.ndarray, confirmed: np.ndarray, away: np.ndarray, view: WindowView
    ) -> None:
        self._ids = ids
        self._confirmed = confirmed
        self._away = away
        self._view = view

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        now = self._view.now
        identity, newest = self._ids[index], now.boxes[index][None]
        stamps, boxes, likelihoods = [now.stamp], newest, [1]
        rows = self._past_boxes(identity)
        if len(rows):
            past = self._view.past
            stamps = np.append(past.stamps[rows], stamps)
            boxes = np.concatenate((past.boxes[rows], newest))
            likelihoods = np.append(self._view.likelihoods[index, rows], likelihoods)
        return Trajectory(
            id=int(identity),
            stamps=np.asarray(stamps, np.int64),
            boxes=boxes,
            likelihoods=np.asarray(likelihoods, np.float32),
            confirmed=bool(self._confirmed[index]),
            away=float(self._away[index]),
        )

    @cached_property
    def _by_track(self) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the past boxes by track, oldest first; (K + 1,) where each track starts."""
        past = self._view.past
        order = np.argsort(past.track, kind='stable')
        return order, np.searchsorted(past.track[order], np.arange(len(past.ids) + 1))

    def _past_boxes(self, identity: int) -> np.ndarray:
        """Return the indices of a track's boxes in the window."""
        if not len(self._view):
            return np.zeros(0, np.int64)
        ids = self._view.past.ids
        track = np.searchsorted(ids, identity)
        if track == len(ids) or ids[track] != identity:
            return np.zeros(0, np.int64)
        order, starts = self._by_track
        return order[starts[track] : starts[track + 1]]
