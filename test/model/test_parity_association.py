# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The association transformer gives the results of the published system."""

from __future__ import annotations

import numpy as np
from parity import with_formula_weights
from paths import FIXTURES
import pytest
import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import frame_softmax


def queries_of(frame: int, counts: list[int]) -> slice:
    """Return the objects of a frame; for -1 of all frames."""
    start = sum(counts[:frame])
    return slice(start, start + counts[frame]) if frame >= 0 else slice(0, sum(counts))


@pytest.fixture(scope='module')
def full_model() -> AssociationTransformer:
    return with_formula_weights(AssociationTransformer(), 'association.')


@pytest.mark.parametrize('case', range(6))
@torch.inference_mode()
def test_the_mot_association_gives_the_published_logits_and_probabilities(full_model, case):
    data = np.load(FIXTURES / 'a_assoc_full.npz')
    features = torch.from_numpy(data[f'c{case}_F'])
    counts = data[f'c{case}_nt'].tolist()
    queries = queries_of(int(data[f'c{case}_k']), counts)

    logits = full_model.logits(features, counts, queries)[-1]
    torch.testing.assert_close(logits, torch.from_numpy(data[f'c{case}_G']), rtol=1e-4, atol=1e-4)
    probabilities = frame_softmax(logits, counts)
    expected = torch.from_numpy(data[f'c{case}_P'])
    torch.testing.assert_close(probabilities, expected, rtol=1e-4, atol=1e-4)


VARIANTS = {
    'base': {},
    'weight_layers2': {'projection_layers': 2},
    'dec_self_att': {'decoder_self_attention': True},
    'no_enc_self_att': {'encoder_self_attention': False},
    'enc2': {'encoder_layers': 2},
    'dec2': {'decoder_layers': 2},
    'dec0': {'decoder_layers': 0},
    'layernorm': {'norm': True},
    'pos_emb': {'position_embedding': True},
    'pos_temp_emb': {'position_embedding': True, 'time_embedding': True},
}


@pytest.mark.parametrize('variant', VARIANTS)
@torch.inference_mode()
def test_each_ablation_of_table_4_gives_the_published_logits(variant):
    data = np.load(FIXTURES / 'a_assoc_variants_d64.npz')
    model = AssociationTransformer(features=64, **VARIANTS[variant])
    with_formula_weights(model, 'association.')
    counts = data['nt'].tolist()
    height, width = data['image_hw'].tolist()
    boxes = torch.from_numpy(data['boxes']) / torch.tensor([width, height, width, height])

    layers = model.logits(
        torch.from_numpy(data['F']), counts, queries_of(int(data['k']), counts), boxes
    )
    expected = torch.from_numpy(data[f'G_{variant}'])
    torch.testing.assert_close(torch.stack(layers), expected, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_without_objects_the_result_is_empty(full_model):
    empty = torch.zeros(0, 1024)
    assert full_model(empty, [0, 0, 0], 2, torch.zeros(0, 4)).shape == (0, 0)


@torch.inference_mode()
def test_the_probabilities_of_a_frame_sum_to_at_most_one(full_model):
    features = torch.rand(9, 1024, generator=torch.Generator().manual_seed(0))
    probabilities = full_model(features, [4, 0, 5], 2, torch.zeros(9, 4))
    assert probabilities.shape == (5, 9)
    for frame in probabilities.split([4, 0, 5], dim=1):
        assert (frame.sum(dim=1) <= 1 + 1e-6).all()
