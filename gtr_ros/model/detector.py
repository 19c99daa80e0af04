# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What every detector gives to the rest of the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.resize import Batch


class NetworkObjects(NamedTuple):
    """
    The objects of one image, best first, in pixels of the network's input.

    :param boxes: (N, 4) float32, xyxy
    :param scores: (N,) float32 in [0, 1]
    :param labels: (N,) int64
    :param regions: (N, 4) float32, xyxy, where the association's features are pooled; the boxes
        themselves, but for detectors that refine theirs afterwards
    :param class_scores: (N, C) float32, where the detector scores every class
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    regions: Tensor
    class_scores: Tensor | None = None


def to_host(found: Sequence[NetworkObjects]) -> list[NetworkObjects]:
    """Bring the objects of all images to the CPU, in one transfer; their regions stay behind."""
    if not found:
        return []
    columns = [  # labels are exact as float32: there are less than 2^24
        torch.cat((f.boxes, f.scores[:, None], f.labels[:, None].float()), dim=1) for f in found
    ]
    if found[0].class_scores is not None:
        columns = [torch.cat((c, f.class_scores), dim=1) for c, f in zip(columns, found)]
    counts = [len(f.boxes) for f in found]
    return [
        NetworkObjects(
            boxes=rows[:, :4].contiguous(),
            scores=rows[:, 4].contiguous(),
            labels=rows[:, 5].long(),
            regions=f.regions,
            class_scores=None if f.class_scores is None else rows[:, 6:].contiguous(),
        )
        for rows, f in zip(torch.cat(columns).cpu().split(counts), found, strict=True)
    ]


class Detector(nn.Module):
    """Images in, objects and the maps for their features out; its kinds say how."""

    #: names of the classes, in the order of their labels
    class_names: tuple[str, ...]
    #: input pixels for one cell of each of the maps
    strides: tuple[int, ...]
    #: channels of each of the maps
    channels: tuple[int, ...]
    #: layers, by name, whose outputs are lengths: they need float32 where others can do with less
    exact_layers: tuple[str, ...] = ()
    #: whether a CPU is faster with its 1x1 convolutions packed; with large networks it is slower
    pack_pointwise = False

    @property
    def kind(self) -> str:
        """Name of the architecture."""
        return type(self).__name__

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to what the network reads."""
        raise NotImplementedError

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Return the maps for features alone: the objects come from elsewhere."""
        raise NotImplementedError

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """
        Run all that is of a fixed number of operations: what another runtime can take over.

        :param pixels: (B, 3, H, W) float32, of a `Batch`
        :return: the maps for features, one for each of the strides, then what `decode` reads
        """
        raise NotImplementedError

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[NetworkObjects]:
        """
        Make objects of the network's outputs: those that score above the threshold.

        :param outputs: of `network`, all of them
        :return: the objects of each image
        """
        raise NotImplementedError

    def find(
        self, batch: Batch, score_threshold: float
    ) -> tuple[list[NetworkObjects], Sequence[Tensor]]:
        """
        Find the objects that score above the threshold.

        :return: the objects of each image; the maps for features, (B, C_l, H_l, W_l) for level l
        """
        outputs = self.network(batch.pixels)
        return self.decode(outputs, batch, score_threshold), outputs[: len(self.strides)]
