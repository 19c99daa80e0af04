# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A fake model, for tests of what is done with its boxes."""

from __future__ import annotations

import numpy as np
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections


class Scripted:
    """A fake model that finds one box, with a given score in each frame; 0: no box."""

    name = 'mobile'
    batches = False
    external = None
    class_names = ('person',)
    association = CosineAssociation()
    score_threshold = 0.5

    def __init__(self, *scores: float) -> None:
        self.scores = iter(scores)
        self.stamps = []

    def detect(self, images, stamps, score_threshold):
        scores = np.array([next(self.scores)], np.float32)
        self.stamps += stamps
        return [
            Detections(
                boxes=np.array([[20, 10, 40, 40]], np.float32),
                scores=scores,
                labels=np.zeros(1, np.int64),
                features=torch.ones(1, 4),
                image_size=images[0].shape[:2],
                stamp=stamps[0],
            ).select(scores >= max(score_threshold, 0.01))
        ]
