# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The trajectories of a frame's objects, each put together when somebody looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from gtr_ros.structures import Detections
from gtr_ros.structures import Trajectory
from gtr_ros.tracking.window import Past


class Trajectories(Sequence):
    """
    One `Trajectory` for each object of a frame, this frame's box the last.

    :param ids: (M,) int64, identities of the frame's objects
    :param confirmed: (M,) bool
    :param now: the frame's detections, with their stamp
    :param past: the window before it; None: there was none
    :param likelihoods: (M, P) float32, P_A with the window's P objects
    """

    def __init__(
        self,
        ids: np.ndarray,
        confirmed: np.ndarray,
        now: Detections,
        past: Past | None,
        likelihoods: np.ndarray,
    ) -> None:
        self._ids = ids
        self._confirmed = confirmed
        self._stamp = now.stamp
        self._boxes = now.boxes
        self._past = past
        self._likelihoods = likelihoods

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        identity, newest = self._ids[index], self._boxes[index][None]
        stamps, boxes, likelihoods = [self._stamp], newest, [1]
        own = self._objects_of(identity)
        if len(own):
            stamps = np.append(self._past.stamps[own], stamps)
            boxes = np.concatenate((self._past.boxes[own], newest))
            likelihoods = np.append(self._likelihoods[index, own], likelihoods)
        return Trajectory(
            id=int(identity),
            stamps=np.asarray(stamps, np.int64),
            boxes=boxes,
            likelihoods=np.asarray(likelihoods, np.float32),
            confirmed=bool(self._confirmed[index]),
        )

    @cached_property
    def _by_track(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the window's objects track by track, oldest first; where each track begins."""
        track = self._past.track
        order = np.argsort(track, kind='stable')
        return order, np.searchsorted(track[order], np.arange(len(self._past.ids) + 1))

    def _objects_of(self, identity: int) -> np.ndarray:
        """Return the indices of a track's objects in the window."""
        if self._past is None:
            return np.zeros(0, np.int64)
        track = np.searchsorted(self._past.ids, identity)
        if track == len(self._past.ids) or self._past.ids[track] != identity:
            return np.zeros(0, np.int64)
        order, starts = self._by_track
        return order[starts[track] : starts[track + 1]]
