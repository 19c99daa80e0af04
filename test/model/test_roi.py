# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pooled maps and the heads that compute features from them."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.checkpoint import load_checkpoint
from gtr_ros.model.checkpoint import save_checkpoint
from gtr_ros.model.registry import default_checkpoint
from gtr_ros.model.roi import Embedding
from gtr_ros.model.roi import pool_boxes
from gtr_ros.model.roi import Whitening


@pytest.fixture(scope='module')
def pooled() -> torch.Tensor:
    """Return the pooled maps of 200 boxes whose channels differ in mean and deviation."""
    generator = torch.Generator().manual_seed(3)
    scale = torch.rand(6, generator=generator)[:, None, None] * 4 + 0.5
    return torch.randn(200, 6, 16, 8, generator=generator) * scale + 2 * scale


def test_a_rectangular_map_has_its_rows_and_columns():
    ramp = torch.arange(64.0).repeat(64, 1)[None, None]  # the value is x in cells
    [pooled] = pool_boxes([ramp], [2], [torch.tensor([[16.0, 0.0, 48.0, 128.0]])], (16, 8))
    assert pooled.shape == (1, 16, 8)
    # Cells are 2 wide, from cell 8 on; cell k has its value at its middle, k + 0.5.
    expected = 8 + 2 * torch.arange(8.0) + 0.5
    torch.testing.assert_close(pooled[0], expected.repeat(16, 1))


def test_an_embedding_starts_as_the_whitening_of_the_coarse_map(pooled):
    whitening, head = Whitening(6, 4, 8), Embedding(6, 8)
    coarse = F.avg_pool2d(pooled, (4, 2))
    whitening.learn(coarse)
    head.start_as(whitening)
    torch.testing.assert_close(head(pooled), whitening(coarse), rtol=0, atol=1e-5)


def test_the_convolutions_get_channels_of_mean_0_and_deviation_1(pooled):
    whitening, head = Whitening(6, 4, 90), Embedding(6, 90)
    whitening.learn(F.avg_pool2d(pooled, (4, 2)))
    head.start_as(whitening)
    cells = head.cells
    coarse = F.avg_pool2d(pooled, (4, 2))
    x = (coarse - cells.mean[:, None, None]) / cells.deviation[:, None, None]
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(6), rtol=0, atol=0.05)
    torch.testing.assert_close(x.std((0, 2, 3)), torch.ones(6), rtol=0, atol=0.1)


def test_all_cells_get_a_gradient_after_the_first_step(pooled):
    head = Embedding(6, 8)
    head.cells.start_as_zero()
    optimiser = torch.optim.SGD(head.parameters(), 0.1)
    for _ in range(2):
        optimiser.zero_grad()
        maps = pooled[:4].clone().requires_grad_()
        head(maps)[:, 0].sum().backward()
        optimiser.step()
    assert (maps.grad.abs().amax((0, 1)) > 0).all()


def test_a_checkpoint_without_the_convolutions_keeps_its_features(tmp_path):
    state, metadata = load_checkpoint(default_checkpoint('mobile'))
    earlier = {k: v for k, v in state.items() if not k.startswith('head.cells.')}
    save_checkpoint(tmp_path / 'earlier.safetensors', earlier, metadata)
    head = gtr_mobile(tmp_path / 'earlier.safetensors').head
    maps = torch.randn(5, 160, 16, 8, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        x = F.normalize(head.embed(F.avg_pool2d(maps, (4, 2)).flatten(1)), dim=1)
        expected = F.normalize(x + head.fc2(F.relu(head.fc1(x))), dim=1)
        torch.testing.assert_close(head(maps), expected, rtol=0, atol=1e-6)
