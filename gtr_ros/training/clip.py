# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What everything is trained on: a few frames of one camera, with what is in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field

import numpy as np


@dataclass(frozen=True)
class Clip:
    """
    T frames, oldest first, and their objects. A single image is a clip of one frame.

    :param images: of each frame (H, W, 3) uint8 RGB; sizes may differ
    :param boxes: of each frame (N_t, 4) float32, xyxy, pixels of that image; x1 < x2, y1 < y2;
        may reach beyond the image where the labels do (amodal boxes)
    :param labels: of each frame (N_t,) int64, index into the model's class names
    :param ids: of each frame (N_t,) int64, from 1 and unique in a frame; the same object has the
        same id in all frames; 0: not known who it is, learnt by the detector alone
    :param crowds: of each frame (R_t, 4) float32, xyxy: regions with objects that have no box
        each, where the detector is neither praised nor blamed; none, where it is left out
    :param complete: whether every object of the model's classes has a box or is in a crowd;
        otherwise the detector does not learn of the clip
    :param source: where it is from, for messages: a file's name, a sequence and its frames
    """

    images: tuple[np.ndarray, ...]
    boxes: tuple[np.ndarray, ...]
    labels: tuple[np.ndarray, ...]
    ids: tuple[np.ndarray, ...]
    crowds: tuple[np.ndarray, ...] = field(default=())
    complete: bool = True
    source: str = ''

    def __post_init__(self) -> None:
        if not self.crowds:
            none = np.zeros((0, 4), np.float32)
            object.__setattr__(self, 'crowds', (none,) * len(self.images))

    def __len__(self) -> int:
        return len(self.images)


#: makes a clip with the given random stream; whatever is random in it comes from there
ClipSource = Callable[[np.random.Generator], Clip]
