# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of `gtr_mobile` on clips."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from training_data import rectangles

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.build import gtr_mobile
from gtr_ros.model.build import make_transformer
from gtr_ros.model.mobile_centernet import MobileCenterNet
from gtr_ros.training.heatmap_loss import heatmap_losses
from gtr_ros.training.heatmap_loss import heatmap_targets
from gtr_ros.training.mobile import MobileObjective

NO_BOXES = torch.zeros(0, 4)


def targets(boxes, labels, crowds=NO_BOXES, shape=(3, 16, 24)):
    return heatmap_targets(
        [torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)],
        [torch.tensor(labels, dtype=torch.int64)],
        [crowds],
        shape,
        stride=4,
    )


def test_an_object_peaks_in_the_cell_of_its_centre_in_the_map_of_its_class():
    drawn = targets([[8, 12, 48, 36]], [1])
    assert drawn.cells.tolist() == [[0, 1, 6, 7]]
    assert drawn.heatmap[0, 1, 6, 7] == 1
    assert drawn.heatmap[0, [0, 2]].sum() == 0
    # The box's sides from the cell's corner, (28, 24).
    assert drawn.sides.tolist() == [[20, 12, 20, 12]]
    sigma = 40 / 4 / 18
    np.testing.assert_allclose(drawn.heatmap[0, 1, 6, 8], np.exp(-1 / (2 * sigma**2)), rtol=1e-5)


def test_an_object_with_its_centre_outside_the_image_is_ignored():
    assert len(targets([[-60, 0, 20, 40]], [0]).cells) == 0


def test_a_crowd_has_weight_zero_except_at_the_objects_in_it():
    drawn = targets([[8, 8, 24, 24]], [0], torch.tensor([[0.0, 0, 40, 40]]))
    assert drawn.weight[0, 0, 4, 4] == 1
    assert drawn.weight[0, 0, 2, 2] == 0
    assert drawn.weight[0, 0, 14, 20] == 1


def test_perfect_maps_have_a_small_loss_and_others_a_large_one():
    drawn = targets([[8, 12, 48, 36], [60, 20, 80, 60]], [1, 2])
    logits = torch.full((1, 3, 16, 24), -9.0)
    sides = torch.zeros(1, 4, 16, 24)
    for (image, label, row, column), side in zip(drawn.cells.tolist(), drawn.sides):
        logits[image, label, row, column] = 9
        sides[image, :, row, column] = side
    perfect = heatmap_losses(logits, sides, drawn, 4)
    assert perfect.count == 2
    assert perfect.heat < 1e-2
    assert perfect.boxes < 1e-5
    worse = heatmap_losses(-logits, sides + 8, drawn, 4)
    assert worse.heat > 100
    assert worse.boxes > 0.1


def objective(**options) -> MobileObjective:
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    return MobileObjective(model, **options).train()


def test_every_parameter_gets_a_gradient():
    learner = objective()
    # Residual branches start at zero, so layers before the last would get their first gradient in
    # the second step.
    with torch.no_grad():
        for name, parameter in learner.model.named_parameters():
            if 'out_proj' in name or 'linear2' in name or 'fc2' in name:
                parameter.add_(0.02 * torch.randn_like(parameter))
    losses = learner([rectangles(1, objects=3)])
    assert losses.keys() == {'heat', 'boxes', 'association'}
    sum(losses.values()).backward()
    for name, parameter in learner.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_the_detector_ignores_clips_that_are_not_labelled_completely():
    losses = objective()([replace(rectangles(1), complete=False)])
    assert losses['heat'] == 0
    assert losses['boxes'] == 0
    assert losses['association'] > 0


def test_a_loss_of_weight_zero_is_not_computed():
    assert objective(association_weight=0)([rectangles(1)]).keys() == {'heat', 'boxes'}
    assert objective(detector_weight=0)([rectangles(1)]).keys() == {'association'}


def test_a_clip_without_objects_has_finite_losses():
    losses = objective()([rectangles(1, objects=0)])
    total = sum(losses.values())
    total.backward()
    assert total.isfinite()
    assert losses['association'] == 0


def test_frames_of_a_clip_may_have_different_sizes():
    clip = rectangles(1, frames=2)
    images = (clip.images[0], clip.images[1][:50, :60])
    total = sum(objective()([replace(clip, images=images)]).values())
    assert total.isfinite()


def test_the_association_starts_as_the_cosine_of_the_untrained_features():
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer')
    plain = gtr_mobile(association='cosine')
    plain.detector.load_state_dict(model.detector.state_dict())
    pooled = torch.rand(7, 160, 4, 4)
    features = model.head(pooled)
    torch.testing.assert_close(features, plain.head(pooled), rtol=1e-4, atol=1e-5)
    (logits,) = model.association.logits(features, [3, 4], slice(0, 3))
    cosine = features[:3] @ features.T
    torch.testing.assert_close(logits, 12 * (cosine - 0.45), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('changes', [{'norm': True}, {'projection_layers': 2}])
def test_a_transformer_with_norms_or_projections_cannot_start_as_a_dot_product(changes):
    assert not make_transformer('mobile', **changes).can_start_as_dot_product
    assert isinstance(make_transformer('mobile', **changes), AssociationTransformer)


def test_classes_of_the_same_name_keep_their_weights():
    torch.manual_seed(0)
    old = MobileCenterNet(('person', 'cup', 'dog'))
    new = MobileCenterNet(('robot', 'dog', 'person'))
    state = dict(old.state_dict())
    fresh = new.state_dict()['heatmap.1.0.weight'][0].clone()
    new.adopt_classes(state, old.class_names)
    new.load_state_dict(state)
    assert torch.equal(new.heatmap[1][0].weight[1], old.heatmap[1][0].weight[2])
    assert torch.equal(new.heatmap[1][0].weight[2], old.heatmap[1][0].weight[0])
    assert torch.equal(new.heatmap[1][0].weight[0], fresh)
