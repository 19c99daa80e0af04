# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A detector whose network runs in another runtime."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gtr_ros.model.detector import Candidates
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import Resize


class RuntimeDetector(Detector):
    """
    A detector whose network runs in another runtime; the plain one resizes and decodes.

    :param plain: the detector
    :param run: pixels -> the same outputs as `plain.network`
    """

    def __init__(self, plain: Detector, run: Callable[[Tensor], Sequence[Tensor]]) -> None:
        super().__init__()
        self.plain = plain
        self.class_names, self.strides = plain.class_names, plain.strides
        self.channels = plain.channels
        self.fixed = plain.fixed
        self._run = run

    @property
    def kind(self) -> str:
        """Name of the plain detector's architecture."""
        return self.plain.kind

    @property
    def resize(self) -> Resize:
        """The plain detector's rule for the size of the network's input."""
        return self.plain.resize

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to the input of the network."""
        return self.plain.prepare(images, device)

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Return the feature maps and the outputs to decode."""
        return tuple(self._run(pixels))

    def network_for(self, size: tuple[int, ...]) -> Callable[[Tensor], Sequence[Tensor]]:
        """Return what computes `network` for an input size, without a graph of its own."""
        for_size = getattr(self._run, 'for_size', None)
        return self._run if for_size is None else for_size(size)

    def candidates(self, outputs: Sequence[Tensor], score_threshold: Tensor) -> Candidates:
        """Decode the outputs of the network in fixed shapes, as the plain detector does."""
        return self.plain.candidates(outputs, score_threshold)

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[RawDetections]:
        """Decode the outputs of the network into objects, as the plain detector does."""
        return self.plain.decode(outputs, batch, score_threshold)

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the feature maps; this runs the whole network."""
        return self.network(batch.pixels)[: len(self.strides)]
