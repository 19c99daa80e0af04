# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objective of training: the losses of a model on clips."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import distributed
from torch import nn
from torch import Tensor

from gtr_ros.model.gtr import GTR
from gtr_ros.model.roi import pool_boxes
from gtr_ros.training.association_loss import assign
from gtr_ros.training.association_loss import AssociationLossOptions
from gtr_ros.training.association_loss import clip_loss
from gtr_ros.training.clip import Clip


class Objective(nn.Module):
    """
    The losses of a model; each model has its own subclass.

    The gradient averaged over processes equals that of a single process with the clips of all.

    :param model: to be trained
    """

    #: whether the detector's losses have a separate weight, `detector_weight`
    has_detector_weight = False

    def __init__(self, model: GTR) -> None:
        super().__init__()
        self.model = model

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """
        Compute the losses of a batch, whose sum is minimised.

        :param clips: this process's part of the batch, at least one
        :return: () float32 by name; the names do not depend on the clips
        """
        raise NotImplementedError

    def associate(
        self,
        clips: Sequence[Clip],
        maps: Sequence[Tensor],
        proposals: Sequence[Tensor],
        options: AssociationLossOptions,
    ) -> Tensor:
        """
        Compute the association loss, Eq. 5; every proposal of a clip is a query.

        :param maps: features of all B frames of all clips, (B, C_l, H_l, W_l) for each level l
        :param proposals: of each of the B frames (N_b, 4) float32, xyxy, pixels of the frame
        :param options: of the loss
        :return: () float32, mean over the clips
        """
        model, terms, start = self.model, [], 0
        for clip in clips:
            frames = slice(start, start + len(clip))
            start += len(clip)
            boxes = proposals[frames]
            truth = [self.to_boxes(b) for b in clip.boxes]
            ids = [torch.from_numpy(i).to(model.device) for i in clip.ids]
            assignment = assign(boxes, truth, ids, options.min_iou)
            clip_maps = [m[frames].float() for m in maps]
            pooled = pool_boxes(clip_maps, model.detector.strides, boxes, model.pool_size)
            features = model.head(pooled).float()
            sides = [b.new_tensor(i.shape[1::-1]).repeat(2) for b, i in zip(boxes, clip.images)]
            relative = torch.cat([b / side for b, side in zip(boxes, sides)])
            counts = [len(b) for b in boxes]
            # Features are not normalised, so their dot products can overflow in a lower precision.
            with torch.autocast(features.device.type, enabled=False):
                terms.append(
                    clip_loss(model.association, features, counts, assignment, options, relative)
                )
        return sum(terms) / len(terms)

    def to_boxes(self, boxes: np.ndarray) -> Tensor:
        """Return (N, 4) boxes of a clip as float32, on the model's device."""
        return torch.as_tensor(boxes, dtype=torch.float32, device=self.model.device)


def mean_over_processes(count: Tensor | float) -> float:
    """
    Average a count, by which a sum is divided, over all training processes.

    With this, the gradient averaged over processes equals that of a single process with all clips.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return float(count)
    device = 'cuda' if distributed.get_backend() == 'nccl' else 'cpu'
    total = torch.as_tensor(float(count), dtype=torch.float64, device=device)
    distributed.all_reduce(total)
    return total.item() / distributed.get_world_size()
