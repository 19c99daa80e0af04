# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The association in padded shapes gives the P_A of the plain one, and never waits for a GPU."""

from __future__ import annotations

import numpy as np
from pretended_gpu import move_to_pretended_gpu
from pretended_gpu import Transfers
import pytest
from runtimes import needs_cuda
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import build
from gtr_ros.model.build import make_transformer
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.association_graphs import AssociationGraph
from gtr_ros.runtime.association_graphs import AssociationGraphs
from gtr_ros.runtime.association_graphs import fitting_size
from gtr_ros.runtime.association_graphs import FRAMES
from gtr_ros.runtime.association_graphs import OBJECTS
from gtr_ros.runtime.association_graphs import ROWS
from gtr_ros.runtime.loading import load_model
from gtr_ros.tracking.fixed_streaming import FixedStreaming
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import StreamingAssociation

pytestmark = pytest.mark.usefixtures('one_thread')


WIDTH = 32
VARIANTS = {
    'published layers': {},
    'positions': {'position_embedding': True},
    'attention between queries': {'decoder_self_attention': True, 'norm': True},
    'deeper': {'encoder_layers': 2, 'decoder_layers': 2, 'projection_layers': 2, 'scale': 5.0},
    'no decoder': {'decoder_layers': 0},
    'encoder without attention': {'encoder_self_attention': False},
}


def make(variant: str, seed: int = 0) -> AssociationTransformer:
    torch.manual_seed(seed)
    options = VARIANTS[variant]
    return AssociationTransformer(WIDTH, heads=4, dropout=0.0, causal=True, **options).eval()


def objects(count: int, chance: torch.Generator, width: int = WIDTH) -> tuple[torch.Tensor, ...]:
    features = torch.randn(count, width, generator=chance)
    return features / features.norm(dim=1, keepdim=True), torch.rand(count, 4, generator=chance)


def follow(
    plain: StreamingAssociation,
    graph: StreamingAssociation,
    step: AssociationGraphs,
    counts: list[int],
    width: int = WIDTH,
    most: int = 6,
) -> None:
    """Associate the same frames with and without graphs, and assert that the P_A are the same."""
    chance = torch.Generator().manual_seed(sum(counts))
    device = next(plain.association.parameters()).device
    for t, count in enumerate(counts):
        frame = [part.to(device) for part in objects(count, chance, width)]
        plain.association.step = None
        expected = plain.associate(*frame)
        plain.association.step = step
        found = graph.associate(*frame)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
        for online in (plain, graph):
            online.add()
            if t % 5 == 4:
                online.drop_newest()
            if len(online.counts) > most:
                online.drop_oldest()
    plain.association.step = None


@pytest.mark.parametrize('variant', VARIANTS)
def test_each_frame_of_a_stream_has_the_plain_association(variant):
    association = make(variant)
    step = AssociationGraphs(association)
    sides = StreamingAssociation(association), StreamingAssociation(association)
    # Up to 16 and more new objects, and frames without any.
    follow(*sides, step, [3, 0, 5, 16, 17, 1, 30, 64, 2, 0, 0, 40, 7, 20, 60, 64])
    assert step.frames >= 8


@pytest.mark.parametrize('variant', VARIANTS)
@pytest.mark.parametrize('seed', range(4))
def test_any_numbers_of_objects_give_the_plain_association(seed, variant):
    chance = np.random.default_rng(seed)
    counts = chance.integers(0, chance.choice([3, 20, 70]), 12).tolist()
    association = make(variant)
    sides = StreamingAssociation(association), StreamingAssociation(association)
    follow(*sides, AssociationGraphs(association), counts)


@pytest.mark.parametrize('name', ['mobile', 'mot'])
def test_the_models_transformers_give_the_plain_association(name):
    torch.manual_seed(2)
    association = make_transformer(name, causal=True).eval()
    step = AssociationGraphs(association)
    sides = StreamingAssociation(association), StreamingAssociation(association)
    follow(*sides, step, [10, 12, 12, 0, 11, 13], association.features)
    assert step.frames == 4


def test_cameras_share_the_graphs_and_see_only_their_own_window():
    association = make('published layers')
    step = AssociationGraphs(association)
    chance = torch.Generator().manual_seed(0)
    cameras = [StreamingAssociation(association) for _ in range(2)]
    alone = [StreamingAssociation(association) for _ in range(2)]
    for t in range(6):
        for i, (camera, expected) in enumerate(zip(cameras, alone, strict=True)):
            frame = objects(6 + 7 * i - t, chance)
            association.step = None
            right = expected.associate(*frame)
            association.step = step
            torch.testing.assert_close(camera.associate(*frame), right, atol=1e-5, rtol=1e-4)
            camera.add()
            expected.add()
    assert step.frames == 11


def test_a_window_of_another_camera_that_is_not_finite_changes_nothing():
    association = make('published layers')
    graph = AssociationGraph(association, 16, 128)
    chance = torch.Generator().manual_seed(0)
    width = StreamingAssociation(association).row_width(WIDTH)
    features, boxes = objects(4, chance)
    graph(torch.full((104, width), torch.nan), [50, 50], features, boxes)
    online = StreamingAssociation(association)
    online.associate(*objects(6, chance))
    online.add()
    expected = online.associate(features, boxes)
    rows = torch.cat((online.rows.stage(4, width, features)[:6], torch.empty(4, width)))
    torch.testing.assert_close(graph(rows, [6], features, boxes), expected, atol=1e-5, rtol=1e-4)
    assert rows.isfinite().all()


def test_the_smallest_size_is_used_and_beyond_the_largest_none():
    assert fitting_size(1, 0, 1) == (16, 128)
    assert fitting_size(16, 128, 5) == (16, 128)
    assert fitting_size(17, 129, FRAMES) == (64, 512)
    assert fitting_size(OBJECTS[-1], ROWS[-1], 5) == (64, 2048)
    assert fitting_size(OBJECTS[-1] + 1, 5, 5) is None
    assert fitting_size(5, ROWS[-1] + 1, 5) is None
    assert fitting_size(5, 5, FRAMES + 1) is None


@pytest.mark.parametrize('variant', VARIANTS)
def test_on_a_gpu_only_the_counts_are_copied_and_nothing_depends_on_values(variant):
    association = make(variant)
    with FakeTensorMode(), torch.no_grad():
        move_to_pretended_gpu(association)
        step = FixedStreaming(association)
        width = StreamingAssociation(association).row_width(WIDTH)
        window = torch.zeros(128, width, device='cuda')
        features, boxes = (torch.zeros(16, n, device='cuda') for n in (WIDTH, 4))
        with Transfers() as transfers:
            likelihoods, rows = step(window, features, boxes, torch.zeros(9, dtype=torch.long))
    assert likelihoods.is_cuda
    assert (likelihoods.shape, rows.shape) == ((16, 128), (16, width))
    assert transfers.uploads == [(9,)]
    assert transfers.downloads == []


@needs_cuda
def test_cuda_graphs_give_the_plain_association():
    torch.manual_seed(2)
    association = make_transformer('mobile', causal=True).eval().cuda()
    step = AssociationGraphs(association)
    sides = StreamingAssociation(association), StreamingAssociation(association)
    follow(*sides, step, [10, 12, 12, 0, 11, 40, 50, 3, 20, 60, 64, 64], association.features)
    assert step.frames >= 6


@needs_cuda
def test_a_model_on_cuda_associates_in_graphs():
    on_gpu, on_cpu = load_model(ModelOptions(device='cuda')), build('mobile')
    online = [make_online(model.association) for model in (on_gpu, on_cpu)]
    chance = torch.Generator().manual_seed(0)
    for _ in range(5):
        frame = objects(10, chance, on_cpu.association.features)
        found, expected = (
            each.associate(*(part.to(model.device) for part in frame)).cpu().numpy()
            for each, model in zip(online, (on_gpu, on_cpu), strict=True)
        )
        np.testing.assert_allclose(found, expected, atol=1e-3)
        for each in online:
            each.add()
    assert on_gpu.association.step.frames == 4
