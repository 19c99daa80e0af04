# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The table of costs counts the parameters and operations of a model."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.ops import deform_conv2d

from gtr_ros.evaluation.cost import deformable_flop
from gtr_ros.evaluation.cost import model_cost
from gtr_ros.model.build import gtr_mobile


def test_a_deformable_convolution_counts_as_the_plain_one_of_its_size():
    image, weight = torch.zeros(2, 4, 8, 6), torch.zeros(5, 4, 3, 3)
    mapping = {torch.ops.torchvision.deform_conv2d: deformable_flop}
    with FlopCounterMode(display=False, custom_mapping=mapping) as deformable:
        deform_conv2d(image, torch.zeros(2, 18, 8, 6), weight, padding=1)
    with FlopCounterMode(display=False) as plain:
        nn.functional.conv2d(image, weight, padding=1)
    assert deformable.get_total_flops() == plain.get_total_flops() > 0


def test_the_parts_of_a_model_make_up_all_of_it():
    *parts, total = model_cost('mobile', (240, 320))
    assert total.parameters == sum(p.numel() for p in gtr_mobile().parameters())
    assert total.flop == sum(part.flop for part in parts)
    assert {part.name for part in parts if part.flop > 0} >= {
        'detector.backbone',
        'detector.laterals',
        'detector.upsamples',
        'detector.heatmap',
    }
    assert total.peak_megabytes > 100


@pytest.mark.slow
def test_the_mot_model_costs_what_the_reference_says():
    """181.8 GFLOP of the backbone at 896 x 1664, the size that 1920 x 1080 is padded to."""
    parts = {part.name: part for part in model_cost('mot', (1080, 1920))}
    assert parts['detector.backbone'].flop / 1e9 == pytest.approx(181.8, rel=0.01)
    assert parts['association'].parameters / 1e6 == pytest.approx(12.6, rel=0.01)
