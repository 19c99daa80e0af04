# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The tracker node with a model that finds bright areas, and fails on marked images.

Run as a program, this is the node: `--ros-args -p model:=toy -p checkpoint:=random`. The mark is
the grey value of the pixel in the upper left corner, one of `faults.Mark`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import sys
from time import sleep

from faults import BUSY
from faults import Mark
import numpy as np
import torch
from torch import Tensor
import toy_model

from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import MODELS
from gtr_ros.model.resize import Batch
from gtr_ros.node.programs import end
from gtr_ros.node.tracker.diagnostics import BUSY_SECONDS

SLOW_SECONDS = 1.0


class FaultyDetector(toy_model.BlobDetector):
    """The toy model's detector; some images break it."""

    def __init__(self) -> None:
        super().__init__()
        self._marks: set[int] = set()

    def prepare(self, images: Sequence[np.ndarray], device: torch.device) -> Batch:
        self._marks = {int(image[0, 0, 0]) for image in images}
        if Mark.RAISES in self._marks:
            raise RuntimeError('the model has failed')
        if Mark.TOO_LARGE in self._marks or (Mark.CROWDED in self._marks and len(images) > 1):
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB.')
        if Mark.SLOW in self._marks:
            print(BUSY, flush=True)
            sleep(SLOW_SECONDS)
        if Mark.HANGS in self._marks:
            print(BUSY, flush=True)
            sleep(BUSY_SECONDS + 3)
        return super().prepare(images, device)

    def network(self, pixels: Tensor) -> tuple[Tensor, ...]:
        features, brightness = super().network(pixels)
        if Mark.ALIKE in self._marks:
            features = torch.ones_like(features)
        return features * (torch.nan if Mark.NAN in self._marks else 1.0), brightness


class BatchingGTR(GTR):
    """Detects in the images of all cameras in one batch, as on a GPU."""

    batches = True


def build(checkpoint: object = None, association: object = None) -> GTR:
    toy = toy_model.build_toy(checkpoint, association)
    model = BatchingGTR(FaultyDetector(), toy.head, toy.association, toy.pool_size, True, 0.4)
    return model.eval()


MODELS['toy'] = replace(MODELS['toy'], build=build)

if __name__ == '__main__':
    from gtr_ros.node.tracker.node import main

    torch.set_num_threads(1)
    end(main(sys.argv))
