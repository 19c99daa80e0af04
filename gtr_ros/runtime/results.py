# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The tracks of a frame for other code: the confirmed ones, and those of `supervision`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.structures import Tracks
from gtr_ros.structures import Trajectory

if TYPE_CHECKING:
    import supervision


def confirmed_only(tracks: Tracks) -> Tracks:
    """Return the confirmed tracks of a frame; their trajectories are computed when read."""
    keep, features = tracks.confirmed, tracks.features
    if keep.all():
        return tracks
    rows = np.flatnonzero(keep)
    if features is not None:
        features = features[torch.from_numpy(rows).to(features.device)]
    return replace(
        tracks,
        ids=tracks.ids[keep],
        boxes=tracks.boxes[keep],
        scores=tracks.scores[keep],
        labels=tracks.labels[keep],
        confirmed=keep[keep],
        away=None if tracks.away is None else tracks.away[keep],
        trajectories=_Selection(tracks.trajectories, rows),
        features=features,
        returned=None if tracks.returned is None else tracks.returned[keep],
    )


def to_supervision(tracks: Tracks, class_names: Sequence[str]) -> supervision.Detections:
    """
    Convert tracks to the type that the annotators and zones of `supervision` take.

    Its `tracker_id` is the track id, `class_id` the label; `data` has the arrays `class_name` and
    `confirmed`.

    :param tracks: of one frame
    :param class_names: name of each label, such as `TrackingPipeline.class_names`
    :raises ImportError: if `supervision` is not installed
    """
    try:
        import supervision
    except ImportError as error:
        raise ImportError(
            f'to_supervision needs the package supervision ({error}); install it with '
            '`pip install supervision`'
        ) from error
    return supervision.Detections(
        xyxy=tracks.boxes.copy(),
        confidence=tracks.scores.copy(),
        class_id=tracks.labels.copy(),
        tracker_id=tracks.ids.copy(),
        data={
            'class_name': np.array([class_names[label] for label in tracks.labels], dtype=str),
            'confirmed': tracks.confirmed.copy(),
        },
    )


class _Selection(Sequence):
    """
    Some of the trajectories of a frame, each computed only when it is read.

    :param trajectories: of all tracks
    :param rows: (N,) int64, indices of the selected ones
    """

    def __init__(self, trajectories: Sequence[Trajectory], rows: np.ndarray) -> None:
        self._trajectories = trajectories
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int | slice) -> Trajectory | list[Trajectory]:
        if isinstance(index, slice):
            return [self._trajectories[row] for row in self._rows[index]]
        return self._trajectories[self._rows[index]]
