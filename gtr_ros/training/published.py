# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What `gtr_mot` and `gtr_tao` are trained for, as the public code of the paper does."""

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

#: IoU from which on a proposal shows an object, for each stage of the cascade
STAGE_OVERLAPS = (0.6, 0.7, 0.8)

_PRE_NMS = 4000  # cells of a level that are looked at for proposals, in training
_POST_NMS = 2000  # proposals of an image, in training


class Matched(NamedTuple):
    """
    Boxes of one image, and what they show.

    :param objects: (N,) int64, index of the object that overlaps each most; 0 if there is none
    :param foreground: (N,) bool, whether it overlaps enough
    """

    objects: Tensor
    foreground: Tensor


def match_objects(boxes: Tensor, truth: Tensor, overlap: float) -> Matched:
    """Tell which object each of (N, 4) boxes shows; truth: (G, 4); both xyxy."""
    if not len(truth):
        none = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
        return Matched(none, none.bool())
    best, objects = box_iou(boxes, truth).max(dim=1)
    return Matched(objects, best >= overlap)


def sample_proposals(
    proposals: Proposals, truth: Tensor, count: int = 512, foreground: float = 0.25
) -> Proposals:
    """
    Draw proposals at random, at most a part of them of objects.

    :param truth: (G, 4), the image's objects
    :param count: at most
    :param foreground: part of the count that may overlap an object by 0.6
    """
    shows = match_objects(proposals.boxes, truth, STAGE_OVERLAPS[0]).foreground
    order = torch.randperm(len(shows), device=shows.device)
    objects = order[shows[order]][: int(count * foreground)]
    rest = order[~shows[order]][: count - len(objects)]
    chosen = torch.cat((objects, rest))
    return Proposals(proposals.boxes[chosen], proposals.scores[chosen])


class MOTObjective(Objective):
    """
    The losses of `gtr_mot`: CenterNet's and the association's.

    DLA's batch norms follow the batch, as in the public code; their momentum is torch's. Crowds
    are background, as there.

    :param model: `gtr_mot`
    :param association_weight: of the association loss; 0: the detector is trained alone
    :param association_rule: of that loss
    :param score_threshold: a proposal must score more to take part in the association
    """

    multiple = 128
    focal = FocalLossOptions()
    nms_threshold = 0.7

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        association_rule: AssociationLossOptions = AssociationLossOptions(),
        score_threshold: float = 0.3,
    ) -> None:
        super().__init__(model)
        self.association_weight = association_weight
        self.association_rule = association_rule
        self.score_threshold = score_threshold

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        """Return `boxes`, `positive`, `negative` and, unless its weight is 0, `association`."""
        device = self.model.device
        images = [image for clip in clips for image in clip.images]
        truth = [self.to_boxes(boxes) for clip in clips for boxes in clip.boxes]
        labels = [torch.from_numpy(x).to(device) for clip in clips for x in clip.labels]
        views = [torch.from_numpy(np.ascontiguousarray(image)).to(device) for image in images]
        pixels = normalise([view.permute(2, 0, 1) for view in views], self.multiple)
        sizes = [image.shape[:2] for image in images]
        levels, logits, sides = self.model.detector(pixels)
        whole = [clip.complete for clip in clips for _ in clip.images]
        losses = self._detector_losses(logits, sides, truth, sizes, whole)
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
        learnt = [
            p if complete else Proposals(p.boxes[:0], p.scores[:0])
            for p, complete in zip(proposals, whole, strict=True)
        ]
        losses |= self.more_losses(maps, learnt, truth, labels, sizes)
        if self.association_weight:
            likely = [p.boxes[p.scores > self.score_threshold] for p in proposals]
            loss = self.associate(clips, maps, likely, self.association_rule)
            losses['association'] = self.association_weight * loss
        return losses

    def _detector_losses(
        self,
        logits: Sequence[Tensor],
        sides: Sequence[Tensor],
        truth: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
        whole: Sequence[bool],
    ) -> dict[str, Tensor]:
        """Return CenterNet's losses of the frames that are wholly labelled."""
        frames = [i for i, complete in enumerate(whole) if complete]
        if not frames:
            for _ in range(2):  # the other processes wait for every process's counts
                mean_over_processes(0)
            none = sum(level.float().sum() for level in (*logits, *sides)) * 0
            return {'boxes': none, 'positive': none, 'negative': none}
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
        """Whether anything is learnt of the detector's boxes."""
        return self.association_weight > 0

    def more_losses(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Proposals],
        truth: Sequence[Tensor],
        labels: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """
        Return the losses of what is behind the proposals; here nothing is.

        :param maps: (B, C_l, H_l, W_l) float32 for each level l that is pooled from
        :param proposals: of each of the B frames; none of those that are not wholly labelled
        :param truth: the objects of each frame, (G_b, 4) float32, xyxy, pixels
        :param labels: of each frame (G_b,) int64
        :param sizes: (height, width) of each frame, without its padding
        :return: () float32 by name
        """
        return {}


class TAOObjective(MOTObjective):
    """
    The losses of `gtr_tao`: those of `gtr_mot`, and each stage's of the cascade.

    The classes that a stage is judged by are drawn for each stage, in each process for itself, so
    that those of the objects its boxes show are among them. The model's norms are frozen ones.

    :param model: `gtr_tao`
    :param association_weight: of the association loss; 0: the detector is trained alone
    :param association_rule: of that loss
    :param score_threshold: a proposal must score more to take part in the association
    """

    multiple = 32
    focal = FocalLossOptions(ignore_high_fp=0.85)
    nms_threshold = 0.9

    def __init__(
        self,
        model: GTR,
        association_weight: float = 1.0,
        association_rule: AssociationLossOptions = PUBLISHED_TAO,
        score_threshold: float = 0.1,
    ) -> None:
        super().__init__(model, association_weight, association_rule, score_threshold)
        self.register_buffer('image_counts', torch.tensor(image_counts()), persistent=False)

    @property
    def needs_proposals(self) -> bool:
        """Whether anything is learnt of the detector's boxes: the cascade always is."""
        return True

    def more_losses(
        self,
        maps: Sequence[Tensor],
        proposals: Sequence[Proposals],
        truth: Sequence[Tensor],
        labels: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> dict[str, Tensor]:
        """Return `classes_1`, `sides_1` and so on, of the cascade's stages."""
        cascade = self.model.detector.cascade
        background = len(self.model.class_names)
        # The three stages pull at the maps together as one would.
        maps = [_scale_gradient(m, 1 / len(cascade.stages)) for m in maps]
        boxes = [p.boxes for p in proposals]
        losses = {}
        for number, (stage, overlap) in enumerate(zip(cascade.stages, STAGE_OVERLAPS), 1):
            if number > 1:
                boxes = [_with_area(clip_boxes_to_image(b, s)) for b, s in zip(boxes, sizes)]
            matched = [match_objects(b, t, overlap) for b, t in zip(boxes, truth)]
            shown = torch.cat(
                [
                    torch.where(m.foreground, own[m.objects], background)
                    if len(own)
                    else torch.full_like(m.objects, background)
                    for m, own in zip(matched, labels)
                ]
            )
            towards = torch.cat(
                [t[m.objects] if len(t) else b for m, t, b in zip(matched, truth, boxes)]
            )
            subset = sample_classes(shown, self.image_counts)
            logits, deltas = stage(pool_boxes(maps, cascade.strides, boxes))
            flat = torch.cat(boxes)
            terms = stage_losses(
                logits,
                deltas,
                flat,
                towards,
                shown,
                subset,
                stage.weights,
                count=mean_over_processes,
            )
            losses |= {f'classes_{number}': terms.classes, f'sides_{number}': terms.boxes}
            refined = decode_deltas(deltas.detach().float(), flat, stage.weights)
            boxes = list(refined.split([len(b) for b in boxes]))
        return losses


def _with_area(boxes: Tensor) -> Tensor:
    """Drop boxes of which clipping left nothing."""
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(dim=1)]


def _scale_gradient(values: Tensor, scale: float) -> Tensor:
    """Return the values; their gradient is scaled."""
    return values * scale + (values * (1 - scale)).detach()
