# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A whole model in one file: detector, training losses, registry entry.

Importing it registers the model `toy`; nothing else in the package knows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage
import torch
from torch import nn
from torch import Tensor
from torch.nn import functional as F

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.checkpoint import fit
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.detector import Detector
from gtr_ros.model.detector import RawDetections
from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import MODELS
from gtr_ros.model.registry import ModelSpec
from gtr_ros.model.resize import Batch
from gtr_ros.model.resize import pad_to_largest
from gtr_ros.training.clip import Clip
from gtr_ros.training.objective import Objective

CELL, CHANNELS, FEATURES, POOL = 4, 6, 16, 2


class BlobDetector(Detector):
    """Finds bright areas on dark ground."""

    class_names = ('person',)
    strides = (CELL,)
    channels = (CHANNELS,)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, CHANNELS, CELL, stride=CELL)

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        pixels = [torch.from_numpy(np.array(i)).to(device).permute(2, 0, 1) for i in images]
        height, width = (-(-side // CELL) * CELL for side in images[0].shape[:2])
        padded = [
            F.pad(p.float(), (0, width - p.shape[2], 0, height - p.shape[1])) for p in pixels
        ]
        scales = torch.ones(len(images), 2, device=device)
        return Batch(torch.stack(padded), scales, [i.shape[:2] for i in images])

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        brightness = F.avg_pool2d(pixels.mean(dim=1, keepdim=True), CELL)
        return self.stem(pixels / 255), brightness

    def maps(self, batch: Batch) -> Sequence[Tensor]:
        return self.network(batch.pixels)[:1]

    def decode(
        self, outputs: Sequence[Tensor], batch: Batch, score_threshold: float
    ) -> list[RawDetections]:
        found = []
        for brightness in outputs[1][:, 0].cpu().numpy():
            areas, _ = ndimage.label(brightness > 128)
            places = ndimage.find_objects(areas)
            boxes = torch.tensor(
                [[x.start, y.start, x.stop, y.stop] for y, x in places], dtype=torch.float32
            )
            boxes = (boxes.reshape(-1, 4) * CELL).to(outputs[0].device)
            scores = boxes.new_full((len(boxes),), 0.9)
            labels = torch.zeros(len(boxes), dtype=torch.long, device=boxes.device)
            found.append(RawDetections(boxes, scores, labels, boxes))
        return found


def build_toy(
    checkpoint: Path | None = None, association: AssociationTransformer | str | None = None
) -> GTR:
    if association in (None, 'transformer'):
        association = AssociationTransformer(**MODELS['toy'].transformer)
    head = nn.Sequential(nn.Flatten(), nn.Linear(CHANNELS * POOL**2, FEATURES))
    model = GTR(BlobDetector(), head, association, POOL, clip=True, score_threshold=0.4)
    if checkpoint:
        fit(model, load_checkpoint(Path(checkpoint))[0], checkpoint)
    return model.eval()


class ToyObjective(Objective):
    """Trains the association on the labelled boxes; there is no detector to train."""

    def forward(self, clips: Sequence[Clip]) -> dict[str, Tensor]:
        device = self.model.device
        images = [torch.from_numpy(np.array(i)) for clip in clips for i in clip.images]
        pixels = [i.permute(2, 0, 1)[None].float().to(device) for i in images]
        pixels = pad_to_largest(pixels, CELL)
        proposals = [self.to_boxes(boxes) for clip in clips for boxes in clip.boxes]
        maps = self.model.detector.network(pixels)[:1]
        return self.association_losses(self.pool_proposals(clips, maps, proposals))


MODELS['toy'] = ModelSpec(
    description='a toy model of the tests',
    build=build_toy,
    rule='evidence',
    weights='train it: see test/test_new_model.py',
    transformer={'features': FEATURES, 'heads': 2},
    objective=ToyObjective,
    on_cluster=False,
)
