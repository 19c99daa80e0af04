# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A step of the streaming association in fixed shapes, so that it can be captured in a graph."""

from __future__ import annotations

import torch
from torch import Tensor

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import softmax_by_frame
from gtr_ros.tracking.online import StreamingAssociation


class FixedStreaming:
    """
    Associates a new frame like `StreamingAssociation`, with padded objects, rows and frames.

    :param association: in evaluation mode, on its device
    """

    def __init__(self, association: AssociationTransformer) -> None:
        self._online = StreamingAssociation(association)

    def __call__(
        self, window: Tensor, features: Tensor, boxes: Tensor, counts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """
        Associate the objects of a new frame with those in the window.

        :param window: (R, W), rows of the window's objects, oldest frame first; the others are
            padding, and must be finite
        :param features: (M, D), of the new objects; the others are padding, and must be finite
        :param boxes: (M, 4), xyxy, relative to the image's width and height; likewise
        :param counts: (T + 1,) int64, objects of each frame of the window, 0 for frames that it
            does not have, then of the new frame; on the host (of a GPU: in pinned memory) or the
            device
        :return: P_A, (M, R); rows of the new objects, (M, W); both also have padding
        """
        counts = counts.to(window.device, non_blocking=True)
        ends, frames = counts[:-1].cumsum(0), len(counts) - 1
        row = torch.arange(len(window), device=window.device)
        new = torch.arange(len(features), device=window.device)
        padding = torch.cat((row >= ends[-1], new >= counts[-1]))
        columns = iter(window.split(features.shape[1], dim=1))
        rows: list[Tensor] = []

        def extend(*values: Tensor) -> list[Tensor]:
            rows.extend(values)
            return [torch.cat((next(columns), value)) for value in values]

        logits = self._online.logits(features, boxes, extend, padding)
        # The frame of a row is the first that ends after it; padding is in a frame of its own.
        frame = torch.searchsorted(ends, row, right=True)
        return softmax_by_frame(logits, frame, frames + 1), torch.cat(rows, dim=1)
