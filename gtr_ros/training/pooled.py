# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The proposals of a clip with their pooled maps, the input of head and transformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import torch
from torch import Tensor

from gtr_ros.model.gtr import GTR
from gtr_ros.model.roi import pool_boxes
from gtr_ros.training.association_loss import assign
from gtr_ros.training.association_loss import Assignment
from gtr_ros.training.clip import Clip


@dataclass(frozen=True)
class PooledClip:
    """
    The N proposals of a clip of T frames, oldest frame first.

    :param maps: (N, C, S, S) float, pooled from the detector's maps
    :param boxes: (N, 4) float32, xyxy, relative to the width and height of the frame
    :param counts: N_t, proposals of each frame, sum N
    :param assignment: of the proposals to the labelled objects
    :param ids: (N,) int64, id of each proposal's object; 0: none
    :param pool: see `Clip`
    :param source: origin of the clip, for messages
    """

    maps: Tensor
    boxes: Tensor
    counts: tuple[int, ...]
    assignment: Assignment
    ids: Tensor
    pool: str = ''
    source: str = ''

    def to(self, device: torch.device) -> PooledClip:
        """Return the clip on another device."""
        return replace(
            self,
            maps=self.maps.to(device),
            boxes=self.boxes.to(device),
            assignment=Assignment(*(tensor.to(device) for tensor in self.assignment)),
            ids=self.ids.to(device),
        )


def pool_clip(
    model: GTR, clip: Clip, maps: Sequence[Tensor], proposals: Sequence[Tensor], min_iou: float
) -> PooledClip:
    """
    Pool the proposals of a clip, and assign them to its objects.

    :param maps: features of the T frames, (T, C_l, H_l, W_l) float32 for each level l
    :param proposals: of each frame (N_t, 4) float32, xyxy, pixels of the frame
    :param min_iou: see `assign`
    """
    truth = [torch.as_tensor(b, dtype=torch.float32, device=model.device) for b in clip.boxes]
    ids = [torch.from_numpy(i).to(model.device) for i in clip.ids]
    assignment = assign(proposals, truth, ids, min_iou)
    sides = [b.new_tensor(i.shape[1::-1]).repeat(2) for b, i in zip(proposals, clip.images)]
    # The last entry is that of proposals without an object, of index -1.
    labelled = torch.cat(ids)
    known = torch.cat((labelled[labelled > 0].unique(), labelled.new_zeros(1)))
    return PooledClip(
        maps=pool_boxes(maps, model.detector.strides, proposals, model.pool_size),
        boxes=torch.cat([b / side for b, side in zip(proposals, sides)]),
        counts=tuple(len(b) for b in proposals),
        assignment=assignment,
        ids=known[assignment.queries],
        pool=clip.pool,
        source=clip.source,
    )
