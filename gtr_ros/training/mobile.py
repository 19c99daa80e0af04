# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objective of `gtr_mobile`."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.ops import batched_nms
from torchvision.ops import box_iou

from gtr_ros.model.gtr import GTR
from gtr_ros.model.mobile_centernet import STRIDE
from gtr_ros.model.resize import pad_to_largest
from gtr_ros.training.association_loss import AssociationLossOptions
from gtr_ros.training.clip import Clip
from gtr_ros.training.heatmap_loss import heatmap_losses
from gtr_ros.training.heatmap_loss import heatmap_targets
from gtr_ros.training.objective import mean_over_processes
from gtr_ros.training.objective import Objective
from gtr_ros.training.pooled import PooledClip


class MobileObjective(Objective):
    """
    The losses of `gtr_mobile`: heat maps and boxes of its detector, and the association.

    The proposals of the association are the detector's boxes and, for objects that it misses, the
    labelled boxes with random noise that imitates a detector's.

    :param model: `gtr_mobile`, with a transformer unless the association weight is 0
    :param association_weight: of the association loss; 0: only the detector is trained
    :param detector_weight: of the detector's losses; 0: they are not computed
    :param association_options: of the association loss
    :param score_threshold: minimum score at which the detector's boxes become proposals
    :param jitter: standard deviation of the noise added to a labelled box, in units of its width
        and height
    :param missed: in [0, 1], probability that an object missed by the detector gets no proposal
    :param embedding_weight: of the embedding loss; 0: it is not computed
    """

    has_detector_weight = True
    can_store = True

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        detector_weight: float = 1.0,
        association_options: AssociationLossOptions = AssociationLossOptions(min_iou=0.5),
        score_threshold: float = 0.3,
        jitter: float = 0.04,
        missed: float = 0.1,
        embedding_weight: float = 0.0,
    ) -> None:
        super().__init__(model, association_weight, association_options, embedding_weight)
        self.detector_weight = detector_weight
        self.score_threshold = score_threshold
        self.jitter = jitter
        self.missed = missed

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """Return `heat`, `boxes`, `association` and `embedding`, without those of weight 0."""
        logits, sides, features = self.model.detector(self._pixels(clips))
        losses = {}
        if self.detector_weight:
            losses = self._detector_losses(clips, logits, sides)
        if self.links:
            proposals = self._all_proposals(clips, logits, sides)
            pooled = self.pool_proposals(clips, features.appearance, proposals)
            losses |= self.association_losses(pooled)
        return losses

    @torch.no_grad()
    def pool(self, clips: Sequence[Clip]) -> list[PooledClip]:
        """Run the detector, without gradients, and pool its proposals for the association."""
        logits, sides, features = self.model.detector(self._pixels(clips))
        proposals = self._all_proposals(clips, logits, sides)
        return self.pool_proposals(clips, features.appearance, proposals)

    def _pixels(self, clips: Sequence[Clip]) -> Tensor:
        """Return all frames of all clips as input of the detector, (B, 3, H, W) float32."""
        device = self.model.device
        images = [image for clip in clips for image in clip.images]
        pixels = [torch.from_numpy(i).to(device).permute(2, 0, 1)[None].float() for i in images]
        return pad_to_largest(pixels, 32).contiguous(memory_format=torch.channels_last)

    def _all_proposals(self, clips: Sequence[Clip], logits: Tensor, sides: Tensor) -> list[Tensor]:
        """Return the proposals of each frame of all clips, (N_b, 4)."""
        proposals, start = [], 0
        for clip in clips:
            frames = slice(start, start + len(clip))
            proposals += self._proposals(clip, logits[frames], sides[frames])
            start += len(clip)
        return proposals

    def _detector_losses(
        self, clips: Sequence[Clip], logits: Tensor, sides: Tensor
    ) -> dict[str, Tensor]:
        """Return the detector's losses on the completely labelled clips."""
        frames, boxes, labels, crowds, start = [], [], [], [], 0
        for clip in clips:
            if clip.complete:
                frames += range(start, start + len(clip))
                boxes += map(self.to_boxes, clip.boxes)
                labels += map(torch.from_numpy, clip.labels)
                crowds += map(self.to_boxes, clip.crowds)
            start += len(clip)
        if not frames:
            mean_over_processes(0)  # the other processes wait for this one's count
            zero = (logits.sum() + sides.sum()) * 0
            return {'heat': zero, 'boxes': zero}
        targets = heatmap_targets(boxes, labels, crowds, tuple(logits.shape[1:]), STRIDE)
        sums = heatmap_losses(logits[frames], sides[frames], targets, STRIDE)
        count = max(mean_over_processes(sums.count), 1)
        scale = self.detector_weight / count
        return {'heat': sums.heat * scale, 'boxes': sums.boxes * scale}

    @torch.no_grad()
    def _proposals(self, clip: Clip, logits: Tensor, sides: Tensor) -> list[Tensor]:
        """Return the proposals of each frame for the association, (N_t, 4)."""
        found = self.model.detector.peaks(logits.float(), sides.float())
        proposals = []
        for boxes, scores, labels, truth, image in zip(*found, clip.boxes, clip.images):
            keep = (scores >= self.score_threshold) & (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
            boxes, scores, labels = boxes[keep], scores[keep], labels[keep]
            keep = batched_nms(boxes, scores, labels, self.model.detector.nms_threshold)
            boxes, truth = boxes[keep], self.to_boxes(truth)
            if len(truth):
                missed = torch.ones(len(truth), dtype=torch.bool, device=truth.device)
                if len(boxes):
                    iou = box_iou(truth, boxes).amax(dim=1)
                    missed = iou <= self.association_options.min_iou
                missed &= torch.rand(len(truth), device=truth.device) >= self.missed
                noisy = truth[missed]
                size = (noisy[:, 2:] - noisy[:, :2]).repeat(1, 2)
                noisy = noisy + self.jitter * size * torch.randn_like(noisy)
                boxes = torch.cat((boxes, noisy[(noisy[:, 2:] > noisy[:, :2] + 1).all(dim=1)]))
            height, width = image.shape[:2]
            limits = boxes.new_tensor([width, height, width, height])
            boxes = torch.minimum(boxes.clamp(min=0), limits)
            proposals.append(boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)])
        return proposals
