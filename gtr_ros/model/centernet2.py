# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The detector of `gtr_tao`: CenterNet proposes boxes, a cascade refines and classifies them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.cascade import Cascade
from gtr_ros.model.centernet import CenterNet
from gtr_ros.model.detector import NetworkObjects
from gtr_ros.model.resize import Batch


class CenterNet2(CenterNet):
    """
    CenterNet whose boxes are proposals: three stages say what each is and where it ends.

    :param backbone: (B, 3, H, W) images -> maps of strides 8, 16, 32
    :param pyramid: these maps -> five levels of the head's channels
    :param head: the levels -> heat maps and box sides
    :param cascade: P3 and the proposals -> boxes and probabilities of the classes
    :param resize: images of any size -> the network's input
    :param class_names: of the cascade's classes
    :param channels: of the levels
    :param nms_threshold: IoU above which the weaker of two proposals is dropped
    :param post_nms: proposals kept of an image
    """

    def __init__(
        self,
        backbone: nn.Module,
        pyramid: nn.Module,
        head: nn.Module,
        cascade: Cascade,
        resize: Callable[[Sequence[np.ndarray], torch.device], Batch],
        class_names: tuple[str, ...],
        channels: int,
        nms_threshold: float = 0.7,
        post_nms: int = 300,
    ) -> None:
        super().__init__(
            backbone,
            pyramid,
            head,
            resize,
            class_names,
            channels,
            nms_threshold=nms_threshold,
            post_nms=post_nms,
        )
        self.cascade = cascade

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[NetworkObjects]:
        """
        Classify and refine the proposals that score more than the threshold: 0.4 as published.

        What is pooled for the association is the proposal, as published; the boxes are the last
        stage's, of which several may show one object, and which may reach beyond the image. A
        class scores the root of its probability times the proposal's score; the best class is the
        object's label and score, which may be less than the threshold.
        """
        proposals, p3 = self.propose(outputs), outputs[:1]
        likely = [scores > score_threshold for _, scores in proposals]
        regions = [p.boxes[keep] for p, keep in zip(proposals, likely, strict=True)]
        sizes = [
            (round(h * y), round(w * x))
            for (h, w), (x, y) in zip(batch.sizes, batch.scales.tolist(), strict=True)
        ]
        refined, probabilities = self.cascade(p3, regions, sizes)
        found = []
        for region, boxes, probability, proposal, keep in zip(
            regions, refined, probabilities.split([len(r) for r in regions]), proposals, likely
        ):
            class_scores = (probability * proposal.scores[keep, None]).sqrt()
            scores, labels = class_scores.max(dim=1)
            best = scores.argsort(descending=True, stable=True)
            found.append(
                NetworkObjects(
                    boxes[best], scores[best], labels[best], region[best], class_scores[best]
                )
            )
        return found
