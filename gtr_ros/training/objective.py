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
from torch.nn import functional as F

from gtr_ros.model.gtr import GTR
from gtr_ros.training.association_loss import AssociationLossOptions
from gtr_ros.training.association_loss import clip_loss
from gtr_ros.training.clip import Clip
from gtr_ros.training.embedding_loss import embedding_loss
from gtr_ros.training.embedding_loss import Identities
from gtr_ros.training.pooled import pool_clip
from gtr_ros.training.pooled import PooledClip


class Objective(nn.Module):
    """
    The losses of a model; each model has its own subclass.

    The gradient averaged over processes equals that of a single process with the clips of all,
    except for the embedding loss, which compares the boxes of one process.

    :param model: to be trained
    :param association_weight: of the association loss; 0: it is not computed
    :param association_options: of the association loss
    :param embedding_weight: of the embedding loss; 0: it is not computed
    """

    #: whether the detector's losses have a separate weight, `detector_weight`
    has_detector_weight = False
    #: whether `pool` is implemented, for training with a frozen detector on stored clips
    can_store = False

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        association_options: AssociationLossOptions = AssociationLossOptions(),
        embedding_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.model = model
        self.association_weight = association_weight
        self.association_options = association_options
        self.embedding_weight = embedding_weight

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """
        Compute the losses of a batch, whose sum is minimised.

        :param clips: this process's part of the batch, at least one
        :return: () float32 by name; the names do not depend on the clips
        """
        raise NotImplementedError

    def pool(self, clips: Sequence[Clip]) -> list[PooledClip]:
        """Run the detector, without gradients, and pool its proposals for the association."""
        raise NotImplementedError

    @property
    def links(self) -> bool:
        """Whether head and transformer are trained, on the detector's proposals."""
        return self.association_weight > 0 or self.embedding_weight > 0

    def pool_proposals(
        self, clips: Sequence[Clip], maps: Sequence[Tensor], proposals: Sequence[Tensor]
    ) -> list[PooledClip]:
        """
        Pool the proposals of each clip.

        :param maps: features of all B frames of all clips, (B, C_l, H_l, W_l) for each level l
        :param proposals: of each of the B frames (N_b, 4) float32, xyxy, pixels of the frame
        """
        pooled, start = [], 0
        for clip in clips:
            frames = slice(start, start + len(clip))
            start += len(clip)
            clip_maps = [m[frames].float() for m in maps]
            least = self.association_options.min_iou
            pooled.append(pool_clip(self.model, clip, clip_maps, proposals[frames], least))
        return pooled

    def association_losses(self, clips: Sequence[PooledClip]) -> dict[str, Tensor]:
        """
        Compute the losses of head and transformer, those of weight 0 left out.

        :return: `association`: Eq. 5, where every proposal of a clip is a query, mean over the
            clips; `embedding`: see `embedding_loss`, over the proposals of all clips; () float32
        """
        features = self.model.head(torch.cat([clip.maps for clip in clips])).float()
        losses = {}
        if self.association_weight:
            parts = features.split([len(clip.ids) for clip in clips])
            # Features are not normalised, so their dot products can overflow in a lower precision.
            with torch.autocast(features.device.type, enabled=False):
                terms = [
                    clip_loss(
                        self.model.association,
                        part,
                        clip.counts,
                        clip.assignment,
                        self.association_options,
                        clip.boxes,
                    )
                    for part, clip in zip(parts, clips)
                ]
            losses['association'] = self.association_weight * sum(terms) / len(terms)
        if self.embedding_weight:
            identities = Identities.of([clip.ids for clip in clips], [clip.pool for clip in clips])
            with torch.autocast(features.device.type, enabled=False):
                loss = embedding_loss(F.normalize(features, dim=1), identities)
            losses['embedding'] = self.embedding_weight * loss
        return losses

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
