# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Give the tracks of all cameras of a node ids that the cameras share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import threading
from typing import TYPE_CHECKING

from gtr_ros.tracking.evidence_linker import EvidenceLinker
from gtr_ros.tracking.identities import Identities
from gtr_ros.tracking.identities import SharingOptions

if TYPE_CHECKING:
    import numpy as np

    from gtr_ros.node.tracker.parameters import NodeParameters
    from gtr_ros.structures import Tracks
    from gtr_ros.structures import Trajectory
    from gtr_ros.tracking import Tracker
    from gtr_ros.tracking.metric import Objects
    from gtr_ros.tracking.placement import Positions


class SharedIds:
    """
    The objects that all cameras know, by the ids that they share; calls may come from any thread.

    :param cameras: names of the cameras
    :param rule: when a track of one camera is an object that others know
    """

    def __init__(self, cameras: Sequence[str], rule: SharingOptions = SharingOptions()) -> None:
        self._index = {name: i for i, name in enumerate(cameras)}
        self._identities = Identities(len(cameras), rule)
        self._lock = threading.Lock()

    def clear(self) -> None:
        """Forget all objects, for example after the clock was reset. Their ids are not reused."""
        with self._lock:
            self._identities.clear()

    def joins(self, camera: str) -> int:
        """Return how many tracks of a camera got the id of an object that others know."""
        return self._identities.joins[self._index[camera]]

    def rename(self, camera: str, stamp: int, tracks: Tracks, tracker: Tracker) -> Tracks:
        """
        Return the tracks of an image with the ids that the cameras share.

        A track that may be an object of another camera is not confirmed yet.

        :param stamp: of the image, nanoseconds
        :param tracks: of the tracker, with features
        :param tracker: of the camera
        """
        linker = tracker.linker
        similarity = None
        if isinstance(linker, EvidenceLinker) and linker.cue != 'none':
            similarity = linker.appearance.cosines.statistics
        features = tracks.features.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0).numpy()
        with self._lock:
            ids, confirmed = self._identities.rename(
                self._index[camera],
                stamp,
                tracks.ids,
                tracks.labels,
                tracks.confirmed,
                features,
                linker.ids,
                similarity,
            )
        trajectories = _Trajectories(tracks.trajectories, ids, confirmed)
        return replace(tracks, ids=ids, confirmed=confirmed, trajectories=trajectories)

    def place(self, camera: str, stamp: int, objects: Objects, positions: Positions) -> None:
        """Take over where the tracks of an image are; see `Identities.place`."""
        with self._lock:
            self._identities.place(self._index[camera], stamp, objects, positions)


def sharing_of(parameters: NodeParameters) -> SharedIds | None:
    """Return the ids that the cameras of a node share; None: each camera has ids of its own."""
    if not parameters.share_ids:
        return None
    # A camera's tracker may re-identify what its gallery has, which must be known here as well.
    size = parameters.gallery_size * len(parameters.camera_names)
    return SharedIds(parameters.camera_names, SharingOptions(size, parameters.gallery_seconds))


class _Trajectories(Sequence):
    """
    Trajectories with other ids, each computed only when it is read.

    :param trajectories: one of each track
    :param ids: (N,) int64
    :param confirmed: (N,) bool
    """

    def __init__(
        self, trajectories: Sequence[Trajectory], ids: np.ndarray, confirmed: np.ndarray
    ) -> None:
        self._trajectories, self._ids, self._confirmed = trajectories, ids, confirmed

    def __len__(self) -> int:
        return len(self._trajectories)

    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        trajectory, confirmed = self._trajectories[index], bool(self._confirmed[index])
        return replace(trajectory, id=int(self._ids[index]), confirmed=confirmed)
