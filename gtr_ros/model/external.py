# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of a detector that replaces that of a model; the model computes the features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gtr_ros.structures import Detections


class ExternalDetector(Protocol):
    """Finds boxes for `gtr_ros.model.gtr.GTR`, which pools features in them."""

    #: names of the classes, in the order of `Detections.labels`
    class_names: tuple[str, ...]
    #: what it is, in a few words
    description: str

    def find(self, images: Sequence[np.ndarray], score_threshold: float) -> list[Detections]:
        """
        Find the objects in images.

        :param images: (H, W, 3) uint8 RGB, of any sizes and strides
        :param score_threshold: in [0, 1], minimum score
        :return: of each image, best first, clipped to it, without stamp; the features are (N, 0)
        :raises ValueError: if an image is not (H, W, 3) uint8, or the boxes have other units or
            labels than expected
        :raises ArithmeticError: if the output is not finite
        """
