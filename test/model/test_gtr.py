# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the images of cameras are divided into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
import torch

from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.model.gtr import MOST_BATCHED
from gtr_ros.model.gtr import powers_of_two


@given(st.integers(0, 200))
def test_batches_have_few_sizes_and_hold_every_image_once(count):
    batches = list(powers_of_two(range(count)))
    assert [i for batch in batches for i in batch] == list(range(count))
    sizes = [len(batch) for batch in batches]
    assert sizes == sorted(sizes, reverse=True)
    assert set(sizes) <= {1 << i for i in range(MOST_BATCHED.bit_length())}
    assert all(sizes.count(size) == 1 for size in sizes if size < MOST_BATCHED)


@pytest.mark.parametrize(('batched', 'sizes'), [(True, [1, 2, 4]), (False, [1] * 7)])
def test_images_of_one_size_are_detected_in_batches_on_a_gpu_only(batched, sizes, monkeypatch):
    torch.manual_seed(0)
    model = build('mobile', 'random')
    seen = []
    network = model.detector.network

    def watch(pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        seen.append(len(pixels))
        return network(pixels)

    monkeypatch.setattr(GTR, 'batches', batched)
    model.detector.network = watch
    chance = np.random.default_rng(0)
    shapes = [(48, 64, 3), (64, 48, 3), *[(48, 64, 3)] * 5]
    images = [chance.integers(0, 255, shape, np.uint8) for shape in shapes]
    found = model.detect(images, list(range(7)), 1.0)
    assert sorted(seen) == sizes
    assert [each.stamp for each in found] == list(range(7))
    assert [each.image_size for each in found] == [shape[:2] for shape in shapes]
