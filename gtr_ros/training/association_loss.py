# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loss of the association: each query should find its object in every frame, or nothing."""

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
    Which proposal is which labelled object of a clip.

    :param targets: (K, T) int64, for each of the K objects and T frames the index of its proposal
        within the frame; N_t, the number of the frame's proposals, where it has none
    :param queries: (N,) int64, for each proposal the object that it is; -1: none
    """

    targets: Tensor
    queries: Tensor


@dataclass(frozen=True)
class AssociationLossOptions:
    """
    Where the paper and its public code differ. The defaults are the code's with its MOT model.

    :param min_overlap: a proposal can be an object's if their IoU is above; the paper's Eq. 2: 0.5
    :param background: whether proposals that are no object are queries too, which should find
        nothing in any frame (Eq. 4); the code's TAO model does without
    :param normalise: whether the sum is divided by the number of objects to be found
    """

    min_overlap: float = 0.0
    background: bool = True
    normalise: bool = True


#: what the paper says: Eq. 2 to 5
PAPER = AssociationLossOptions(min_overlap=0.5, normalise=False)
#: what the public code does for its TAO model
PUBLISHED_TAO = AssociationLossOptions(background=False)


def assign(
    proposals: Sequence[Tensor],
    boxes: Sequence[Tensor],
    ids: Sequence[Tensor],
    min_overlap: float = 0.0,
) -> Assignment:
    """
    Assign each labelled object of a clip the proposal of each frame that overlaps it most: Eq. 2.

    :param proposals: (N_t, 4) float of each frame, xyxy
    :param boxes: (G_t, 4) float of each frame, the labelled objects, xyxy in the same units
    :param ids: (G_t,) int64 of each frame, which object each is; not positive: unlabelled
    :param min_overlap: the IoU must be above
    :return: the assignment; objects in the order of their ids
    """
    device = proposals[0].device
    labelled = torch.cat([i[i > 0] for i in ids]).unique()
    counts = torch.tensor([len(p) for p in proposals], device=device)
    targets = counts.repeat(len(labelled), 1)  # KxT: nothing anywhere
    queries = torch.full((int(counts.sum()),), -1, device=device)
    starts = counts.cumsum(0) - counts
    for t, (found, truth, names) in enumerate(zip(proposals, boxes, ids, strict=True)):
        for k, name in enumerate(labelled):
            own = truth[names == name]
            if not len(own) or not len(found):
                continue
            overlap, best = box_iou(own[:1], found)[0].max(dim=0)
            if overlap > min_overlap:
                targets[k, t] = best
                # Two objects may want one proposal: the query is the later one's.
                queries[starts[t] + best] = k
    return Assignment(targets, queries)


def association_loss(
    logits: Sequence[Tensor],
    counts: Sequence[int],
    assignment: Assignment,
    rule: AssociationLossOptions = AssociationLossOptions(),
) -> Tensor:
    """
    Compute the loss of Eq. 3 to 5: negative log-likelihood of each frame's right answer.

    Every query chooses among a frame's N_t proposals and "none" (logit 0, Eq. 1). A query that is
    an object should choose that object's proposal (Eq. 3), one that is none should choose "none"
    in every frame (Eq. 4); the terms are summed over queries and frames (Eq. 5).

    :param logits: (N, N) float for each decoder layer, rows are queries; their losses are summed
    :param counts: N_t, proposals of each of the T frames, sum N
    :param assignment: of the proposals to the labelled objects
    :return: () float, 0 without a labelled object, with a gradient all the same
    """
    none = torch.tensor(counts, device=assignment.queries.device)  # T
    is_object = assignment.queries >= 0
    if not len(assignment.targets):
        return sum(layer.sum() for layer in logits) * 0
    # The last row serves the queries that are no object: index -1.
    table = torch.cat((assignment.targets, none[None]))
    rows = is_object | rule.background
    targets = table[assignment.queries[rows]]  # MxT
    total = sum(_layer_loss(layer[rows], counts, targets) for layer in logits)
    return total / ((targets != none).sum() + 1e-4) if rule.normalise else total


def clip_loss(
    association: AssociationTransformer,
    features: Tensor,
    counts: Sequence[int],
    assignment: Assignment,
    rule: AssociationLossOptions = AssociationLossOptions(),
    boxes: Tensor | None = None,
) -> Tensor:
    """
    Compute the loss of a clip, every proposal of which is a query.

    :param features: (N, D) float, of the proposals, oldest frame first
    :param boxes: (N, 4), relative to the image; only with a position embedding
    """
    logits = association.logits(features, counts, slice(None), boxes)
    return association_loss(logits, counts, assignment, rule)


def _layer_loss(logits: Tensor, counts: Sequence[int], targets: Tensor) -> Tensor:
    """Sum the cross-entropy of M queries (M, N) over the frames; targets (M, T)."""
    none = logits.new_zeros(len(logits), 1)
    return sum(
        F.cross_entropy(torch.cat((frame, none), dim=1), target, reduction='sum')
        for frame, target in zip(logits.split(list(counts), dim=1), targets.T, strict=True)
    )
