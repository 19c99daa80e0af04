# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The embedding loss: features of one identity are similar, those of others are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Identities(NamedTuple):
    """
    Which of N boxes show the same object, and which show different ones that are compared.

    :param ids: (N,) int64, unique in the box's pool if it has one, else in its clip; not positive:
        unlabelled
    :param clips: (N,) int64, the clip of each box
    :param pools: (N,) int64, the pool of each box's clip; -1: none
    """

    ids: Tensor
    clips: Tensor
    pools: Tensor

    @classmethod
    def of(cls, ids: Sequence[Tensor], pools: Sequence[str]) -> Identities:
        """
        Assign numbers to the clips of a batch.

        :param ids: of each clip (N_c,) int64
        :param pools: name of each clip's pool; '': none
        """
        names = sorted({name for name in pools if name})
        numbers = [names.index(name) if name else -1 for name in pools]
        device = ids[0].device
        counts = torch.tensor([len(i) for i in ids], device=device)
        return cls(
            torch.cat(list(ids)),
            torch.arange(len(ids), device=device).repeat_interleave(counts),
            torch.tensor(numbers, device=device).repeat_interleave(counts),
        )

    def pairs(self) -> tuple[Tensor, Tensor]:
        """
        Return the pairs of the same object, and of different objects; both (N, N) bool.

        Boxes of different clips are compared only if these have the same pool. Clips without a
        pool may show the same object, such as two crops of one image. And sources of clips are
        easily told apart: if rendered boxes were compared with photographed ones, all
        photographed ones would become similar.
        """
        same_clip = self.clips[:, None] == self.clips
        pooled = self.pools >= 0
        same_pool = (self.pools[:, None] == self.pools) & pooled[:, None]
        labelled = self.ids > 0
        labelled = labelled[:, None] & labelled
        same_id = self.ids[:, None] == self.ids
        itself = torch.eye(len(self.ids), dtype=torch.bool, device=self.ids.device)
        same = labelled & same_id & (same_clip | same_pool) & ~itself
        return same, labelled & (same_clip | same_pool) & ~same & ~itself


def embedding_loss(features: Tensor, identities: Identities, temperature: float = 0.1) -> Tensor:
    """
    Compute the supervised contrastive loss (Khosla et al., NeurIPS 2020, L_out).

    For a box i and the set P(i) of other boxes of its object, with unit features f:
    -1 / |P(i)| sum_p log [ exp(f_i f_p / t) / sum_a exp(f_i f_a / t) ], where a runs over P(i) and
    the boxes of different objects.

    :param features: (N, D) float, unit length
    :param identities: of the N boxes
    :param temperature: t, the scale of cosines
    :return: () float, mean over the boxes with another box of their object and one of a different
        object; 0, with a gradient of zeros, if there are none
    """
    same, different = identities.pairs()
    anchors = same.any(dim=1) & different.any(dim=1)
    if not anchors.any():
        return features.sum() * 0
    same, compared = same[anchors], (same | different)[anchors]
    cosines = features[anchors] @ features.T / temperature
    cosines = cosines.masked_fill(~compared, -torch.inf)
    log_shares = cosines - cosines.logsumexp(dim=1, keepdim=True)
    # Where nothing is compared, -inf times 0 would not be a number.
    sums = torch.where(same, log_shares, 0).sum(dim=1)
    return -(sums / same.sum(dim=1)).mean()
