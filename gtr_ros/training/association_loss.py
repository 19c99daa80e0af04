# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The association loss: each query should find its object in every frame, or nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torchvision.ops import box_iou

from gtr_ros.model.association import AssociationTransformer


class Assignment(NamedTuple):
    """
    The assignment of proposals to the labelled objects of a clip.

    :param targets: (K, T) int64, for each of the K objects and T frames, the index of the object's
        proposal within the frame; N_t, the number of the frame's proposals, if it has none
    :param queries: (N,) int64, for each proposal, the index of its object; -1: none
    """

    targets: Tensor
    queries: Tensor


@dataclass(frozen=True)
class AssociationLossOptions:
    """
    Options in which the paper and its public code differ.

    The defaults are those of the code's MOT model.

    :param min_iou: a proposal is assigned to an object only if their IoU is above this; 0.5 in Eq.
        2
    :param background: whether proposals without an object are also queries, which should find
        nothing in any frame (Eq. 4); False in the code's TAO model
    :param normalise: whether the sum is divided by the number of objects to be found
    """

    min_iou: float = 0.0
    background: bool = True
    normalise: bool = True


#: the paper's loss, Eq. 2 to 5
PAPER = AssociationLossOptions(min_iou=0.5, normalise=False)
#: the loss of the public code's TAO model
PUBLISHED_TAO = AssociationLossOptions(background=False)


def assign(
    proposals: Sequence[Tensor],
    boxes: Sequence[Tensor],
    ids: Sequence[Tensor],
    min_iou: float = 0.0,
) -> Assignment:
    """
    Assign the proposal with the highest IoU in each frame to each labelled object: Eq. 2.

    :param proposals: (N_t, 4) float of each frame, xyxy
    :param boxes: (G_t, 4) float of each frame, the labelled objects, xyxy in the same units
    :param ids: (G_t,) int64 of each frame, the ids of these objects; not positive: unlabelled
    :param min_iou: the IoU must be above this
    :return: the assignment; objects in the order of their ids
    """
    device = proposals[0].device
    labelled = torch.cat([i[i > 0] for i in ids]).unique()
    counts = torch.tensor([len(p) for p in proposals], device=device)
    targets = counts.repeat(len(labelled), 1)  # KxT: no proposal in any frame
    queries = torch.full((int(counts.sum()),), -1, device=device)
    starts = counts.cumsum(0) - counts
    for t, (found, truth, truth_ids) in enumerate(zip(proposals, boxes, ids, strict=True)):
        for k, identity in enumerate(labelled):
            box = truth[truth_ids == identity]
            if not len(box) or not len(found):
                continue
            iou, best = box_iou(box[:1], found)[0].max(dim=0)
            if iou > min_iou:
                targets[k, t] = best
                # If two objects have the same proposal, its query is the later object's.
                queries[starts[t] + best] = k
    return Assignment(targets, queries)


def association_loss(
    logits: Sequence[Tensor],
    counts: Sequence[int],
    assignment: Assignment,
    options: AssociationLossOptions = AssociationLossOptions(),
) -> Tensor:
    """
    Compute the loss of Eq. 3 to 5: negative log-likelihood of each frame's correct choice.

    Every query chooses among a frame's N_t proposals and "none" (logit 0, Eq. 1). A query with an
    object should choose that object's proposal (Eq. 3); a query without an object should choose
    "none" in every frame (Eq. 4). The terms are summed over queries and frames (Eq. 5).

    :param logits: (N, N) float for each decoder layer, rows are queries; their losses are summed
    :param counts: N_t, proposals of each of the T frames, sum N
    :param assignment: of the proposals to the labelled objects
    :param options: of the loss
    :return: () float; if there is no labelled object, 0, with a gradient of zeros
    """
    none = torch.tensor(counts, device=assignment.queries.device)  # T
    is_object = assignment.queries >= 0
    if not len(assignment.targets):
        return sum(layer.sum() for layer in logits) * 0
    # The last row is for queries without an object, of index -1.
    table = torch.cat((assignment.targets, none[None]))
    rows = is_object | options.background
    targets = table[assignment.queries[rows]]  # MxT
    total = sum(_layer_loss(layer[rows], counts, targets) for layer in logits)
    return total / ((targets != none).sum() + 1e-4) if options.normalise else total


def clip_loss(
    association: AssociationTransformer,
    features: Tensor,
    counts: Sequence[int],
    assignment: Assignment,
    options: AssociationLossOptions = AssociationLossOptions(),
    boxes: Tensor | None = None,
) -> Tensor:
    """
    Compute the loss of a clip in which every proposal is a query.

    :param features: (N, D) float, of the proposals, oldest frame first
    :param counts: N_t, proposals of each of the T frames, sum N
    :param assignment: of the proposals to the labelled objects
    :param options: of the loss
    :param boxes: (N, 4), relative to the image size; only with a position embedding
    :return: () float
    """
    logits = association.logits(features, counts, slice(None), boxes)
    return association_loss(logits, counts, assignment, options)


def _layer_loss(logits: Tensor, counts: Sequence[int], targets: Tensor) -> Tensor:
    """Sum the cross-entropy of M queries (M, N) over the frames; targets (M, T)."""
    none = logits.new_zeros(len(logits), 1)
    return sum(
        F.cross_entropy(torch.cat((frame, none), dim=1), target, reduction='sum')
        for frame, target in zip(logits.split(list(counts), dim=1), targets.T, strict=True)
    )
