# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector whose network something else runs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import NetworkObjects
from gtr_ros.model.resize import Batch


class OtherNetwork(Detector):
    """
    A detector whose network something else runs; it resizes and decodes as the plain one does.

    :param plain: the detector
    :param run: pixels -> what the plain detector's `network` returns
    """

    def __init__(self, plain: Detector, run: Callable[[Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.plain = plain
        self.class_names, self.strides = plain.class_names, plain.strides
        self.channels = plain.channels
        self._run = run

    @property
    def kind(self) -> str:
        """Name of the plain detector's architecture."""
        return self.plain.kind

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to what the network reads."""
        return self.plain.prepare(images, device)

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the maps for features, and what is decoded."""
        return tuple(self._run(pixels))

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[NetworkObjects]:
        """Make objects of the network's outputs, as the plain detector does."""
        return self.plain.decode(outputs, batch, score_threshold)

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the maps for features; the whole network is run for them."""
        return self.network(batch.pixels)[: len(self.strides)]
