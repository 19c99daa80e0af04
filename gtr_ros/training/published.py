# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The objectives of `gtr_mot` and `gtr_tao`, as in the paper's public code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import box_iou
from torchvision.ops import clip_boxes_to_image

from gtr_ros.model.cascade import decode_deltas
from gtr_ros.model.centernet import decode
from gtr_ros.model.centernet import LEVEL_STRIDES
from gtr_ros.model.centernet import Proposals
from gtr_ros.model.gtr import GTR
from gtr_ros.model.lvis import image_counts
from gtr_ros.model.resize import normalise
from gtr_ros.model.roi import pool_boxes
from gtr_ros.training.association_loss import AssociationLossOptions
from gtr_ros.training.association_loss import PUBLISHED_TAO
from gtr_ros.training.cascade_loss import sample_classes
from gtr_ros.training.cascade_loss import stage_losses
from gtr_ros.training.centernet_loss import centernet_losses
from gtr_ros.training.centernet_loss import centernet_targets
from gtr_ros.training.centernet_loss import FocalLossOptions
from gtr_ros.training.clip import Clip
from gtr_ros.training.objective import mean_over_processes
from gtr_ros.training.objective import Objective

#: minimum IoU between a proposal and its object, for each stage of the cascade
STAGE_IOU = (0.6, 0.7, 0.8)

_PRE_NMS = 4000  # cells of a level that become proposals before suppression, in training
_POST_NMS = 2000  # proposals of an image after suppression, in training


class AssignedObjects(NamedTuple):
    """
    The objects assigned to the boxes of an image.

    :param objects: (N,) int64, index of the object with the highest IoU; 0 if the image has no
        objects
    :param foreground: (N,) bool, whether the IoU is high enough
    """

    objects: Tensor
    foreground: Tensor


def assign_objects(boxes: Tensor, truth: Tensor, min_iou: float) -> AssignedObjects:
    """
    Assign to each box the object with the highest IoU.

    :param boxes: (N, 4), xyxy
    :param truth: (G, 4), xyxy, the image's objects
    :param min_iou: minimum IoU of foreground
    """
    if not len(truth):
        zeros = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        return AssignedObjects(zeros, zeros.bool())
    iou, objects = box_iou(boxes, truth).max(dim=1)
    return AssignedObjects(objects, iou >= min_iou)


def sample_proposals(
    proposals: Proposals, truth: Tensor, count: int = 512, foreground: float = 0.25
) -> Proposals:
    """
    Draw a random sample of an image's proposals with a limited fraction of foreground.

    :param truth: (G, 4), the image's objects
    :param count: maximum number of proposals
    :param foreground: maximum fraction of `count` that has an IoU of at least 0.6 with an object
    """
    is_object = assign_objects(proposals.boxes, truth, STAGE_IOU[0]).foreground
    order = torch.randperm(len(is_object), device=is_object.device)
    objects = order[is_object[order]][: int(count * foreground)]
    background = order[~is_object[order]][: count - len(objects)]
    chosen = torch.cat((objects, background))
    return Proposals(proposals.boxes[chosen], proposals.scores[chosen])


class MOTObjective(Objective):
    """
    The losses of `gtr_mot`: CenterNet's and the association's.

    As in the public code, DLA's batch norms use the statistics of the batch, with torch's default
    momentum, and crowds are background.

    :param model: `gtr_mot`
    :param association_weight: of the association loss; 0: only the detector is trained
    :param association_options: of the association loss
    :param score_threshold: proposals for the association have higher scores than this
    :param embedding_weight: of the embedding loss; 0: it is not computed
    """

    multiple = 128
    focal = FocalLossOptions()
    nms_threshold = 0.7

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        association_options: AssociationLossOptions = AssociationLossOptions(),
        score_threshold: float = 0.3,
        embedding_weight: float = 0.0,
    ) -> None:
        super().__init__(model, association_weight, association_options, embedding_weight)
        self.score_threshold = score_threshold

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """Return `boxes`, `positive`, `negative`, and those of `association_losses`."""
        device = self.model.device
        images = [image for clip in clips for image in clip.images]
        truth = [self.to_boxes(boxes) for clip in clips for boxes in clip.boxes]
        labels = [torch.from_numpy(x).to(device) for clip in clips for x in clip.labels]
        tensors = [torch.from_numpy(np.ascontiguousarray(image)).to(device) for image in images]
        pixels = normalise([tensor.permute(2, 0, 1) for tensor in tensors], self.multiple)
        sizes = [image.shape[:2] for image in images]
        levels, logits, sides = self.model.detector(pixels)
        complete = [clip.complete for clip in clips for _ in clip.images]
        losses = self._detector_losses(logits, sides, truth, sizes, complete)
        if not self.needs_proposals:
            return losses
        with torch.no_grad():
            proposals = decode(
                [level.float() for level in logits],
                [level.float() for level in sides],
                LEVEL_STRIDES,
                _PRE_NMS,
                self.nms_threshold,
                _POST_NMS,
            )
            proposals = [sample_proposals(p, t) for p, t in zip(proposals, truth, strict=True)]
        maps = [levels[0].float()]
        kept = [
            p if is_complete else Proposals(p.boxes[:0], p.scores[:0])
            for p, is_complete in zip(proposals, complete, strict=True)
        ]
        losses |= self.second_stage_losses(maps, kept, truth, labels, sizes)
        if self.links:
            boxes = [p.boxes[p.scores > self.score_threshold] for p in proposals]
            losses |= self.association_losses(self.pool_proposals(clips, maps, boxes))
        return losses

    def _detector_losses(
        self,
        logits: Sequence[Tensor],
        sides: Sequence[Tensor],
        truth: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
        complete: Sequence[bool],
    ) -> dict[str, Tensor]:
        """Return CenterNet's losses on the completely labelled frames."""
        frames = [i for i, is_complete in enumerate(complete) if is_complete]
        if not frames:
            for _ in range(2):  # the other processes wait for this one's counts
                mean_over_processes(0)
            zero = sum(level.float().sum() for level in (*logits, *sides)) * 0
            return {'boxes': zero, 'positive': zero, 'negative': zero}
        shapes = [tuple(level.shape[2:]) for level in logits]
        targets = centernet_targets([truth[i] for i in frames], [sizes[i] for i in frames], shapes)
        return centernet_losses(
            [level[frames] for level in logits],
            [level[frames] for level in sides],
            targets,
            self.focal,
            mean_over_processes,
        )._asdict()

    @property
    def needs_proposals(self) -> bool:
        """Whether any loss uses the detector's proposals."""
        return self.links

    def second_stage_losses(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Proposals],
        truth: Sequence[Tensor],
        labels: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """
        Return the losses of the detector's second stage, which `gtr_mot` does not have.

        :param maps: (B, C_l, H_l, W_l) float32 for each level l that features are pooled from
        :param proposals: for each of the B frames; empty for frames that are not completely
            labelled
        :param truth: the objects of each frame, (G_b, 4) float32, xyxy, pixels
        :param labels: of each frame (G_b,) int64
        :param sizes: (height, width) of each frame, without padding
        :return: () float32 by name
        """
        return {}


class TAOObjective(MOTObjective):
    """
    The losses of `gtr_tao`: those of `gtr_mot`, and those of each stage of the cascade.

    The classes of the federated loss are drawn separately for each stage and process, so that they
    include the classes of the objects assigned to the stage's boxes. The model's norms are frozen.

    :param model: `gtr_tao`
    :param association_weight: of the association loss; 0: only the detector is trained
    :param association_options: of the association loss
    :param score_threshold: proposals for the association have higher scores than this
    :param embedding_weight: of the embedding loss; 0: it is not computed
    """

    multiple = 32
    focal = FocalLossOptions(ignore_high_fp=0.85)
    nms_threshold = 0.9

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        association_options: AssociationLossOptions = PUBLISHED_TAO,
        score_threshold: float = 0.1,
        embedding_weight: float = 0.0,
    ) -> None:
        super().__init__(
            model, association_weight, association_options, score_threshold, embedding_weight
        )
        self.register_buffer('image_counts', torch.tensor(image_counts()), persistent=False)

    @property
    def needs_proposals(self) -> bool:
        """Whether any loss uses the detector's proposals: the cascade's losses always do."""
        return True

    def second_stage_losses(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Proposals],
        truth: Sequence[Tensor],
        labels: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Return `classes_1`, `sides_1` and so on, the losses of the cascade's stages."""
        cascade = self.model.detector.cascade
        background = len(self.model.class_names)
        # Together, the stages have the gradient of a single one with respect to the maps.
        maps = [_scale_gradient(m, 1 / len(cascade.stages)) for m in maps]
        boxes = [p.boxes for p in proposals]
        losses = {}
        for number, (stage, min_iou) in enumerate(zip(cascade.stages, STAGE_IOU), 1):
            if number > 1:
                boxes = [_drop_empty(clip_boxes_to_image(b, s)) for b, s in zip(boxes, sizes)]
            assigned = [assign_objects(b, t, min_iou) for b, t in zip(boxes, truth)]
            box_labels = torch.cat(
                [
                    torch.where(a.foreground, frame_labels[a.objects], background)
                    if len(frame_labels)
                    else torch.full_like(a.objects, background)
                    for a, frame_labels in zip(assigned, labels)
                ]
            )
            targets = torch.cat(
                [t[a.objects] if len(t) else b for a, t, b in zip(assigned, truth, boxes)]
            )
            subset = sample_classes(box_labels, self.image_counts)
            logits, deltas = stage(pool_boxes(maps, cascade.strides, boxes))
            flat = torch.cat(boxes)
            both = stage_losses(
                logits,
                deltas,
                flat,
                targets,
                box_labels,
                subset,
                stage.weights,
                count=mean_over_processes,
            )
            losses |= {f'classes_{number}': both.classes, f'sides_{number}': both.boxes}
            refined = decode_deltas(deltas.detach().float(), flat, stage.weights)
            boxes = list(refined.split([len(b) for b in boxes]))
        return losses


def _drop_empty(boxes: Tensor) -> Tensor:
    """Return the boxes that are not empty."""
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]


def _scale_gradient(values: Tensor, scale: float) -> Tensor:
    """Return the values unchanged, with their gradient scaled."""
    return values * scale + (values * (1 - scale)).detach()
