# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The cost of a model: parameters and operations of each part, and peak memory."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from math import prod
import multiprocessing
import resource
from typing import NamedTuple

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d  # noqa: F401  (registers the operator that is counted)

from gtr_ros.model.gtr import GTR
from gtr_ros.model.registry import model_builder

#: size of the counted association: objects per frame, and frames
OBJECTS, WINDOW = 20, 16


class PartCost(NamedTuple):
    """
    The cost of one part of a model for one image.

    :param name: of the part, or 'all'
    :param parameters: number of weights
    :param flop: operations; a multiply-add counts as two
    :param peak_megabytes: memory of a process that runs the whole model on the CPU; None for parts
    """

    name: str
    parameters: int
    flop: int
    peak_megabytes: float | None = None


def model_cost(name: str, image_size: tuple[int, int]) -> list[PartCost]:
    """
    Measure an untrained model on the CPU, in a separate process.

    :param name: of a model in `gtr_ros.model.registry`
    :param image_size: (height, width) of the image, pixels
    :return: cost of each part (the association with 20 objects in each of 16 frames), then of the
        whole model
    """
    # In a new interpreter, because otherwise the peak memory of this process would count.
    with ProcessPoolExecutor(1, multiprocessing.get_context('spawn')) as process:
        return process.submit(_measure, name, image_size).result()


@torch.no_grad()
def _measure(name: str, image_size: tuple[int, int]) -> list[PartCost]:
    model = model_builder(name)()
    parts = {
        **{f'detector.{key}': module for key, module in model.detector.named_children()},
        'head': model.head,
        'association': model.association,
    }
    mapping = {torch.ops.torchvision.deform_conv2d: deformable_flop}
    flop = dict.fromkeys(parts, 0)
    with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        for key, module in parts.items():
            _count(module, key, counter, flop)
        _run(model, image_size)
    rows = [
        PartCost(key, sum(p.numel() for p in module.parameters()), flop[key])
        for key, module in parts.items()
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = PartCost('all', sum(r.parameters for r in rows), sum(r.flop for r in rows), peak)
    return [*rows, total]


def _count(module: nn.Module, key: str, counter: FlopCounterMode, flop: dict[str, int]) -> None:
    """Add to flop[key] the operations counted while the module runs."""

    def begin(*_) -> None:
        flop[key] -= counter.get_total_flops()

    def end(*_) -> None:
        flop[key] += counter.get_total_flops()

    # A ModuleList itself is never called.
    for called in module if isinstance(module, nn.ModuleList) else [module]:
        called.register_forward_pre_hook(begin)
        called.register_forward_hook(end)


def _run(model: GTR, image_size: tuple[int, int]) -> None:
    """Run the model on one image, and the association on the assumed number of objects."""
    image = np.random.default_rng(0).integers(0, 255, (*image_size, 3), np.uint8)
    batch = model.detector.prepare([image], model.device)
    # With a threshold of 0, every proposal is refined, which is the highest cost.
    _, maps = model.detector.find(batch, 0.0)
    channels = sum(m.shape[1] for m in maps)
    features = model.head(torch.rand(OBJECTS, channels, model.pool_size, model.pool_size))
    window = features.repeat(WINDOW, 1)
    model.association(window, [OBJECTS] * WINDOW, WINDOW - 1, torch.rand(len(window), 4))


def deformable_flop(_, weight: torch.Size, *__, out_shape: torch.Size, **___) -> int:
    """Count a deformable convolution's operations as those of a plain one of the same size."""
    return 2 * prod(out_shape) * prod(weight[1:])
