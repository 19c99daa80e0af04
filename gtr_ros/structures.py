# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The types shared by all parts of the package: detections, tracks and trajectories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import numpy as np
import torch


@dataclass
class Detections:
    """
    The detections of one image; geometry is on the host, features are on the model's device.

    :param boxes: (N, 4) float32, xyxy, pixels of the image as received; x1 < x2, y1 < y2
    :param scores: (N,) float32 in [0, 1]
    :param labels: (N,) int64, index into the model's class names
    :param features: (N, D) float32, appearance of each box; any device
    :param image_size: (height, width) of the image as received, pixels
    :param stamp: time of the image in nanoseconds of the camera's clock; None if there is no
        clock: frames are then assumed to be 0.1 s apart
    :param class_scores: (N, C) float32 in [0, 1], if the detector scores every class
    :param camera: (2, 3) float64, camera motion since the previous frame: maps pixels (x, y, 1) of
        the background in that frame to pixels of this one; None if unknown, or if the camera did
        not move
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    features: torch.Tensor
    image_size: tuple[int, int]
    stamp: int | None = None
    class_scores: np.ndarray | None = None
    camera: np.ndarray | None = None

    def __post_init__(self) -> None:
        count = len(self.boxes)
        if self.boxes.shape != (count, 4):
            raise ValueError(f'boxes have shape {self.boxes.shape}; expected (N, 4), xyxy')
        for name in ('scores', 'labels', 'features', 'class_scores'):
            values = getattr(self, name)
            if values is not None and len(values) != count:
                raise ValueError(f'{len(values)} {name} for {count} boxes; expected one for each')

    def __len__(self) -> int:
        return len(self.boxes)

    def select(self, keep: np.ndarray) -> Detections:
        """Return some of the detections; keep is (N,) bool."""
        if keep.all():
            return self
        rows = np.flatnonzero(keep)
        scores = self.class_scores
        return replace(
            self,
            boxes=self.boxes[rows],
            scores=self.scores[rows],
            labels=self.labels[rows],
            features=self.features[torch.from_numpy(rows).to(self.features.device)],
            class_scores=None if scores is None else scores[rows],
        )


@dataclass
class Trajectory:
    """
    One track in the tracker's window: its boxes, oldest first; the newest is of this frame.

    :param id: track id, from 1, never reused by the tracker
    :param stamps: (K,) int64, nanoseconds, ascending
    :param boxes: (K, 4) float32, xyxy, pixels of the image as received
    :param likelihoods: (K,) float32, P_A of the paper's Eq. 1: probability that the box shows the
        same object as the box of this frame; 1 for the box of this frame itself
    :param confirmed: whether the track is confirmed
    :param away: seconds for which it was lost before its last re-identification; 0: none
    """

    id: int
    stamps: np.ndarray
    boxes: np.ndarray
    likelihoods: np.ndarray
    confirmed: bool
    away: float = 0.0


@dataclass
class Tracks:
    """
    The tracks in one frame, in the order of its detections.

    Weak detections, which may not start a track, are included only if they continue one.

    :param ids: (N,) int64, track ids from 1
    :param boxes: (N, 4) float32, xyxy, pixels of the image as received
    :param scores: (N,) float32 in [0, 1]
    :param labels: (N,) int64, index into the model's class names
    :param confirmed: (N,) bool, whether the track is confirmed
    :param away: (N,) float64, seconds for which the track was lost before its last
        re-identification; 0: none. None if the tracker does not re-identify
    :param trajectories: one for each track, in the same order
    :param features: (N, D) float32, appearance of each box; any device. None: unknown
    :param returned: (N,) float64, probability of the re-identification in this frame; 0: there was
        none. None if the tracker does not re-identify
    """

    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    confirmed: np.ndarray
    away: np.ndarray | None = None
    trajectories: Sequence[Trajectory] = ()
    features: torch.Tensor | None = None
    returned: np.ndarray | None = None

    def __post_init__(self) -> None:
        for name in ('boxes', 'scores', 'labels', 'confirmed', 'away', 'features', 'returned'):
            values = getattr(self, name)
            if values is not None and len(values) != len(self.ids):
                raise ValueError(
                    f'{len(values)} {name} for {len(self.ids)} tracks; expected one for each'
                )

    def __len__(self) -> int:
        return len(self.ids)
