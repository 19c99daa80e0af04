# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The interface of all detectors."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import Resize


class RawDetections(NamedTuple):
    """
    The detections of one image, best first, in pixels of the network's input, on its device.

    :param boxes: (N, 4) float32, xyxy
    :param scores: (N,) float32 in [0, 1]
    :param labels: (N,) int64
    :param regions: (N, 4) float32, xyxy, where the association's features are pooled; the boxes
        themselves, except for detectors that refine their boxes afterwards
    :param class_scores: (N, C) float32, if the detector scores every class
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    regions: Tensor
    class_scores: Tensor | None = None


class Candidates(NamedTuple):
    """
    The detections of a batch of images in a fixed number of rows, on the device.

    The detections come first in each image, best first; the other rows have a score of 0 and an
    empty box.

    :param boxes: (B, K, 4) float32, xyxy, pixels of the network's input
    :param scores: (B, K) float32 in [0, 1]
    :param labels: (B, K) int64
    :param valid: (B, K) bool, whether a row is a detection
    :param exact: (B,) bool, whether these are the detections of `Detector.decode`; otherwise K
        rows or the iterations of the suppression were too few
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    valid: Tensor
    exact: Tensor


def candidates(
    rows: Tensor, kept: Tensor, boxes: Tensor, scores: Tensor, labels: Tensor, exact: Tensor
) -> Candidates:
    """
    Select the rows of candidates, of N decoded ones.

    :param rows: (B, K) int64, which of the N; those that are kept come first
    :param kept: (B, N) bool
    :param boxes: (B, N, 4) float32
    :param scores: (B, N) float32
    :param labels: (B, N) int64
    :param exact: (B,) bool
    """
    valid = kept.gather(1, rows)
    boxes = boxes.gather(1, rows[..., None].expand(-1, -1, 4))
    return Candidates(
        boxes.where(valid[..., None], 0.0),
        scores.gather(1, rows).where(valid, 0.0),
        labels.gather(1, rows),
        valid,
        exact,
    )


def to_host(images: Sequence[RawDetections]) -> list[RawDetections]:
    """Copy the detections of all images to the CPU in one transfer, without their regions."""
    if not images:
        return []
    columns = [  # labels are exact in float32 below 2^24
        torch.cat((image.boxes, image.scores[:, None], image.labels[:, None].float()), dim=1)
        for image in images
    ]
    if images[0].class_scores is not None:
        columns = [torch.cat((c, image.class_scores), dim=1) for c, image in zip(columns, images)]
    counts = [len(image.boxes) for image in images]
    return [
        RawDetections(
            boxes=rows[:, :4].contiguous(),
            scores=rows[:, 4].contiguous(),
            labels=rows[:, 5].long(),
            regions=image.regions,
            class_scores=None if image.class_scores is None else rows[:, 6:].contiguous(),
        )
        for rows, image in zip(torch.cat(columns).cpu().split(counts), images, strict=True)
    ]


class Detector(nn.Module):
    """Base class of detectors, which compute detections and the feature maps to pool from."""

    #: names of the classes, in the order of their labels
    class_names: tuple[str, ...]
    #: stride of each map, input pixels per cell
    strides: tuple[int, ...]
    #: channels of each map
    channels: tuple[int, ...]
    #: names of the layers whose outputs are lengths, which need float32 at any precision
    exact_layers: tuple[str, ...] = ()
    #: whether packed 1x1 convolutions are faster on a CPU; for large networks they are slower
    pack_pointwise = False
    #: whether `candidates` is implemented, so that a whole frame can be one graph
    fixed = False
    #: images of any size -> the network's input
    resize: Resize

    @property
    def kind(self) -> str:
        """Name of the architecture."""
        return type(self).__name__

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        """Resize images, (H, W, 3) uint8 RGB, to the input of the network."""
        raise NotImplementedError

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        """Compute only the maps to pool features from, for boxes from another detector."""
        raise NotImplementedError

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """
        Run the network without decoding: the part that other runtimes can execute.

        :param pixels: (B, 3, H, W) float32, from a `Batch`
        :return: the maps to pool features from, one for each stride, then the inputs of `decode`
        """
        raise NotImplementedError

    def network_for(self, size: tuple[int, ...]) -> Callable[[Tensor], Sequence[Tensor]]:
        """
        Return what computes `network` for an input size, to be captured in a graph.

        It is another function as soon as a faster form is ready: a graph of the former one then
        still gives the same results. A detector that prepares faster forms in the background may
        begin to, for this size.

        :param size: (B, 3, H, W)
        """
        return self.network

    def candidates(self, outputs: Sequence[Tensor], score_threshold: Tensor) -> Candidates:
        """
        Decode as `decode` does, in tensors of fixed shapes and without waiting for the device.

        :param outputs: all outputs of `network`
        :param score_threshold: () float32, on the device
        """
        raise NotImplementedError

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[RawDetections]:
        """
        Decode the outputs of the network into the detections that score above the threshold.

        :param outputs: all outputs of `network`
        :return: the detections of each image
        """
        raise NotImplementedError

    def find(
        self, batch: Batch, score_threshold: float
    ) -> tuple[list[RawDetections], Sequence[Tensor]]:
        """
        Find the objects that score above the threshold.

        :return: the detections of each image; the maps, (B, C_l, H_l, W_l) for level l
        """
        outputs = self.network(batch.pixels)
        return self.decode(outputs, batch, score_threshold), outputs[: len(self.strides)]
