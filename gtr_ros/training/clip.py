# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips, the training samples: a few frames of one camera with their ground truth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

import numpy as np


@dataclass(frozen=True)
class Clip:
    """
    T frames, oldest first, and their objects. A single image is a clip of one frame.

    :param images: (H, W, 3) uint8 RGB for each frame; sizes may differ
    :param boxes: of each frame (N_t, 4) float32, xyxy, pixels of that image; x1 < x2, y1 < y2;
        may reach beyond the image if the labels do (amodal boxes)
    :param labels: of each frame (N_t,) int64, index into the model's class names
    :param ids: of each frame (N_t,) int64, from 1 and unique in a frame; an object has the same id
        in all frames; 0: unknown identity, which is used only for the detector
    :param crowds: of each frame (R_t, 4) float32, xyxy: regions with objects that are not
        labelled individually, where the detector's loss is ignored; default: no regions
    :param complete: whether every object of the model's classes has a box or is in a crowd; if
        not, the detector does not learn from the clip
    :param source: origin of the clip, for messages: a file name, or a sequence and its frames
    :param pool: name of a set of objects whose ids are the same in all clips of the pool; '': ids
        hold only in this clip
    """

    images: tuple[np.ndarray, ...]
    boxes: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    ids: tuple[np.ndarray, ...]
    crowds: tuple[np.ndarray, ...] = field(default=())
    complete: bool = True
    source: str = ''
    pool: str = ''

    def __post_init__(self) -> None:
        if not self.crowds:
            none = np.zeros((0, 4), np.float32)
            object.__setattr__(self, 'crowds', (none,) * len(self.images))

    def __len__(self) -> int:
        return len(self.images)


#: creates a clip with the given random generator, which is the only source of randomness
ClipSource = Callable[[np.random.Generator], Clip]
