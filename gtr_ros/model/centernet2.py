# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The detector of `gtr_tao`: CenterNet proposes boxes; a cascade refines and classifies them."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch import Tensor

from gtr_ros.model.cascade import Cascade
from gtr_ros.model.centernet import CenterNet
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import Resize


class CenterNet2(CenterNet):
    """
    CenterNet as the proposal network, followed by a cascade of three stages.

    :param backbone: (B, 3, H, W) images -> maps of strides 8, 16, 32
    :param pyramid: these maps -> five levels of the head's channels
    :param head: the levels -> heat maps and box sides
    :param cascade: P3 and the proposals -> boxes and probabilities of the classes
    :param resize: images of any size -> the network's input
    :param class_names: of the cascade's classes
    :param channels: of the levels
    :param nms_threshold: IoU above which the proposal with the lower score is removed
    :param post_nms: maximum number of proposals per image
    """

    # In fixed shapes, the cascade would refine 300 proposals of every image three times, however
    # few there are, and the scores of 1203 classes would be copied to the host for each.
    fixed = False

    def __init__(
        self,
        backbone: nn.Module,
        pyramid: nn.Module,
        head: nn.Module,
        cascade: Cascade,
        resize: Resize,
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
    ) -> list[RawDetections]:
        """
        Classify and refine the proposals that score above the threshold (0.4 as published).

        As published, the association's features are pooled from the proposals. The boxes are those
        of the last stage: they may extend beyond the image, and several may show the same object.
        The score of a class is the square root of its probability times the proposal's score; the
        best class is the label, and its score may be below the threshold.
        """
        proposals, p3 = self.propose(outputs), outputs[:1]
        likely = [scores > score_threshold for _, scores in proposals]
        regions = [p.boxes[keep] for p, keep in zip(proposals, likely, strict=True)]
        sizes = [
            (round(h * y), round(w * x))
            for (h, w), (x, y) in zip(batch.sizes, batch.scales.tolist(), strict=True)
        ]
        refined, probabilities = self.cascade(p3, regions, sizes)
        detections = []
        for region, boxes, probability, proposal, keep in zip(
            regions, refined, probabilities.split([len(r) for r in regions]), proposals, likely
        ):
            class_scores = (probability * proposal.scores[keep, None]).sqrt()
            scores, labels = class_scores.max(dim=1)
            best = scores.argsort(descending=True, stable=True)
            detections.append(
                RawDetections(
                    boxes[best], scores[best], labels[best], region[best], class_scores[best]
                )
            )
        return detections
