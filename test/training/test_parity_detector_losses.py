# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The detectors' targets and losses are those of the published system and of the formulas."""

from __future__ import annotations

import math

import numpy as np
from paths import FIXTURES
from paths import SHARED
import pytest
import torch
from torch import Tensor

from gtr_ros.model.cascade import decode_deltas
from gtr_ros.model.cascade import DELTA_WEIGHTS
from gtr_ros.model.lvis import image_counts
from gtr_ros.training.cascade_loss import box_loss
from gtr_ros.training.cascade_loss import encode_deltas
from gtr_ros.training.cascade_loss import federated_loss
from gtr_ros.training.cascade_loss import sample_classes
from gtr_ros.training.cascade_loss import stage_losses
from gtr_ros.training.centernet_loss import assign_levels
from gtr_ros.training.centernet_loss import centernet_losses
from gtr_ros.training.centernet_loss import centernet_targets
from gtr_ros.training.centernet_loss import CenterNetTargets
from gtr_ros.training.centernet_loss import flatten_levels
from gtr_ros.training.centernet_loss import focal_losses
from gtr_ros.training.centernet_loss import FocalLossOptions
from gtr_ros.training.centernet_loss import giou_losses

ROI_FIXTURE = SHARED / 'reference' / 'fixtures' / 'c_roi_loss_tao.npz'

#: the shapes of the five levels of an image of 32 x 32
SMALL = [(4, 4), (2, 2), (1, 1), (1, 1), (1, 1)]
#: tolerance of comparisons
CLOSE = {'rtol': 1e-4, 'atol': 1e-6}


@pytest.fixture(scope='module')
def centernet() -> dict[str, Tensor]:
    """Return the published targets and losses of two images."""
    arrays = np.load(FIXTURES / 'c_centernet_loss.npz')
    return {key: torch.from_numpy(np.asarray(array)) for key, array in arrays.items()}


@pytest.fixture(scope='module')
def cascade() -> dict[str, Tensor]:
    """Return the published losses of six proposals."""
    if not ROI_FIXTURE.exists():
        pytest.skip(f'{ROI_FIXTURE.name} is not in the reference folder next to the repository')
    arrays = np.load(ROI_FIXTURE)
    return {key: torch.from_numpy(np.asarray(array)) for key, array in arrays.items()}


def maps_of(fixture: dict[str, Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """Return logits and sides of the five levels."""
    return tuple([fixture[f'{kind}_p{i}'] for i in range(3, 8)] for kind in ('hm', 'reg'))


def targets_of(fixture: dict[str, Tensor]) -> CenterNetTargets:
    """Return our targets of the fixture's images."""
    logits, _ = maps_of(fixture)
    boxes = fixture['gt_boxes'].split(fixture['gt_nt'].tolist())
    size = tuple(fixture['image_hw'].tolist())
    return centernet_targets(boxes, [size] * len(boxes), [tuple(m.shape[2:]) for m in logits])


def box(*corners: float) -> Tensor:
    return torch.tensor([corners], dtype=torch.float32)


NOTHING = torch.zeros(0, 4)


def test_the_targets_are_the_published_ones(centernet):
    targets = targets_of(centernet)
    assert targets.positives.tolist() == centernet['pos_inds'].tolist()
    torch.testing.assert_close(targets.heatmap[:, None], centernet['heatmap_target'], **CLOSE)
    assert targets.regressed.tolist() == centernet['reg_target_inds'].tolist()
    torch.testing.assert_close(targets.sides, centernet['reg_target'], **CLOSE)


def test_the_losses_are_the_published_ones(centernet):
    losses = centernet_losses(*maps_of(centernet), targets_of(centernet))
    expected = {'boxes': 'loc', 'positive': 'agn_pos', 'negative': 'agn_neg'}
    for ours, theirs in expected.items():
        torch.testing.assert_close(
            getattr(losses, ours), centernet[f'loss_centernet_{theirs}'], **CLOSE, msg=ours
        )


def test_one_object_is_drawn_as_the_formulas_say():
    # 20 x 20: half the diagonal is 14.1, P3 alone; r^2 = max(2 / 81 * 400, 16) = 16
    targets = centernet_targets([box(10, 6, 30, 26)], [(32, 32)], SMALL)
    assert targets.positives.tolist() == [2 * 4 + 2]  # the centre is (20, 16)
    # points 12, 20, 28 are inside 10..30, of them 12 and 20 inside 6..26
    assert targets.regressed.tolist() == [5, 6, 7, 9, 10, 11]
    assert targets.sides[4].tolist() == [10 / 8, 14 / 8, 10 / 8, 6 / 8]  # from point (20, 20)
    assert targets.sides[0].tolist() == [2 / 8, 6 / 8, 18 / 8, 14 / 8]  # from point (12, 12)
    one, five, nine = (math.exp(-d2 / 16) for d2 in (16, 80, 144))  # all that is above 1e-4
    p3 = [0, 0, nine, 0, 0, five, one, five, 0, five, 1, five, 0, 0, nine, 0]
    p4 = [0, five, 0, 1]  # P4's points are 8 and 24
    expected = torch.tensor([*p3, *p4, 1, 1, 1])
    torch.testing.assert_close(targets.heatmap, expected, rtol=1e-5, atol=1e-7)


def test_an_object_in_two_size_ranges_is_assigned_to_two_levels():
    # 84 x 112: half the diagonal is 70
    middle = box(20, 8, 104, 120)
    assert assign_levels(middle).tolist() == [[True, True, False, False, False]]
    shapes = [(16, 16), (8, 8), (4, 4), (2, 2), (1, 1)]
    targets = centernet_targets([NOTHING, middle], [(128, 128)] * 2, shapes)
    # the centre is (62, 64); the second image's cells follow the first's in each level
    assert targets.positives.tolist() == [256 + 8 * 16 + 7, 2 * 256 + 64 + 4 * 8 + 3]
    rows = [(256 + row * 16, (6, 7, 8)) for row in (7, 8, 9)]
    rows += [(2 * 256 + 64 + row * 8, (2, 3, 4)) for row in (3, 4, 5)]
    expected = [start + column for start, columns in rows for column in columns]
    assert targets.regressed.tolist() == expected
    assert targets.sides[4].tolist() == [40 / 8, 60 / 8, 44 / 8, 52 / 8]  # from (60, 68)
    assert targets.sides[13].tolist() == [36 / 16, 64 / 16, 48 / 16, 48 / 16]  # from (56, 72)


@pytest.mark.parametrize('edge', [64, 80, 128, 160, 256, 320, 512, 640])
def test_both_ends_of_a_levels_sizes_belong_to_it(edge):
    # half the diagonal of a line is half its length
    lengths = 2 * torch.tensor([edge - 0.1, edge, edge + 0.1])
    lines = torch.stack([torch.zeros(3), torch.zeros(3), lengths, torch.zeros(3)], dim=1)
    levels = assign_levels(lines).sum(dim=1).tolist()
    assert levels == ([1, 2, 2] if edge in {64, 128, 256, 512} else [2, 2, 1])


def test_a_centre_outside_the_image_is_positive_at_its_border():
    # the centre is (-4, 60), the image ends at 40
    targets = centernet_targets([box(-18, 30, 10, 90)], [(40, 40)], [(8, 8), *SMALL[1:]])
    assert targets.positives.tolist() == [4 * 8 + 0]
    # the centre is (60, -2): the last pixel is 39
    targets = centernet_targets([box(40, -20, 80, 16)], [(40, 40)], [(8, 8), *SMALL[1:]])
    assert targets.positives.tolist() == [0 * 8 + 4]


def test_a_cell_of_two_objects_learns_the_nearer_one_and_is_positive_twice():
    first, second = box(0, 0, 40, 40), box(14, 14, 29, 29)
    targets = centernet_targets([torch.cat((first, second))], [(40, 40)], [(5, 5), *SMALL[1:]])
    # centres (20, 20) and (21.5, 21.5) share cell (2, 2); there d = 0 for both
    assert targets.positives.tolist() == [12, 12]
    sides = dict(zip(targets.regressed.tolist(), targets.sides.tolist(), strict=True))
    # the point of cell (1, 1) is (12, 12): outside the second
    assert sides[6] == [12 / 8, 12 / 8, 28 / 8, 28 / 8]
    # the point of cell (3, 2) is (28, 20): d^2 = 64 / 39.5 of the first, 44.5 / 16 of the second
    assert sides[13] == [28 / 8, 20 / 8, 12 / 8, 20 / 8]


def test_of_two_objects_the_one_nearer_for_its_size_is_learnt():
    large, small = box(0, 0, 40, 40), box(14, 2, 38, 26)
    targets = centernet_targets([torch.cat((large, small))], [(40, 40)], [(5, 5), *SMALL[1:]])
    sides = dict(zip(targets.regressed.tolist(), targets.sides.tolist(), strict=True))
    # (20, 12): 64 / 39.5 of the large one, 40 / 16 of the small one
    assert sides[7] == [20 / 8, 12 / 8, 20 / 8, 28 / 8]
    # (28, 12): 128 / 39.5 of the large one, 0 of the small one, whose centre is (26, 14)
    assert sides[8] == [14 / 8, 10 / 8, 10 / 8, 14 / 8]


def test_without_objects_only_the_negatives_count_and_gradients_are_zero_not_missing():
    targets = centernet_targets([NOTHING, NOTHING], [(32, 32)] * 2, SMALL)
    assert [len(part) for part in targets] == [0, 46, 0, 0]
    assert not targets.heatmap.any()
    logits = [torch.zeros(2, 1, *shape, requires_grad=True) for shape in SMALL]
    sides = [torch.ones(2, 4, *shape, requires_grad=True) for shape in SMALL]
    losses = centernet_losses(logits, sides, targets)
    assert losses.boxes == 0
    assert losses.positive == 0
    assert losses.negative.item() == pytest.approx(46 * 0.5 * 0.75 * 0.25 * math.log(2))
    sum(losses).backward()
    assert all(not side.grad.any() for side in sides)
    assert all((logit.grad > 0).all() for logit in logits)


def test_the_focal_terms_are_those_of_the_formula():
    p = torch.tensor([0.5, 0.2, 0.9])
    target = torch.tensor([1.0, 0.5, 0.0])
    positive, negative = focal_losses(p.logit(), torch.tensor([0, 0]), target, FocalLossOptions())
    assert positive.item() == pytest.approx(0.5 * 0.25 * 0.5**2 * math.log(2))
    by_hand = 0.2**2 * 0.5**4 * -math.log(0.8) + 0.9**2 * -math.log(0.1)
    assert negative.item() == pytest.approx(0.5 * 0.75 * by_hand / 2, rel=1e-5)


def test_negatives_that_look_like_objects_can_be_ignored():
    logits = torch.tensor([0.8499, 0.8501, 0.3]).logit().requires_grad_()
    none = torch.zeros(0, dtype=torch.long)
    _, negative = focal_losses(logits, none, torch.zeros(3), FocalLossOptions(ignore_high_fp=0.85))
    by_hand = 0.8499**2 * -math.log(0.1501) + 0.3**2 * -math.log(0.7)
    assert negative.item() == pytest.approx(0.5 * 0.75 * by_hand, rel=1e-4)
    negative.backward()
    assert (logits.grad != 0).tolist() == [True, False, True]


def test_ignoring_high_false_positives_does_not_change_the_positives():
    logits = torch.tensor([0.95]).logit()
    kept, _ = focal_losses(
        logits, torch.tensor([0]), torch.ones(1), FocalLossOptions(ignore_high_fp=0.85)
    )
    assert kept.item() == pytest.approx(0.5 * 0.25 * 0.05**2 * -math.log(0.95), rel=1e-3)


def test_extreme_logits_give_finite_losses():
    logits = torch.tensor([-200.0, 200.0])
    positive, negative = focal_losses(
        logits, torch.tensor([0]), torch.zeros(2), FocalLossOptions()
    )
    scale = 0.5 * 0.9999**2 * -math.log(1e-4)
    assert positive.item() == pytest.approx(0.25 * scale, rel=1e-3)
    assert negative.item() == pytest.approx(0.75 * scale, rel=1e-3)


@pytest.mark.parametrize(
    ('sides', 'target', 'loss'),
    [
        ((2, 2, 2, 2), (2, 2, 2, 2), 0),
        ((1, 1, 1, 1), (2, 2, 2, 2), 1 - 5 / 17),  # one inside the other
        ((0, 0, 2, 2), (1, 1, 1, 1), 1 - (2 / 8 - 2 / 9)),  # they meet in a square of side 1
        ((0, 0, 0, 0), (1, 1, 1, 1), 1 - 1 / 5),
    ],
)
def test_the_giou_loss_is_that_of_the_areas(sides, target, loss):
    loss_by_code = giou_losses(box(*sides), box(*target))
    torch.testing.assert_close(loss_by_code, torch.tensor([loss], dtype=torch.float32))


def test_cells_are_counted_level_by_level_and_image_by_image():
    maps = [torch.arange(8.0).reshape(2, 2, 1, 2), torch.arange(8.0, 12).reshape(2, 2, 1, 1)]
    expected = [[0, 2], [1, 3], [4, 6], [5, 7], [8, 9], [10, 11]]
    assert flatten_levels(maps).tolist() == expected


def test_targets_of_other_shapes_are_refused():
    targets = centernet_targets([NOTHING], [(32, 32)], SMALL)
    maps = [torch.zeros(2, 4, *shape) for shape in SMALL]
    with pytest.raises(ValueError, match='46 cells, the targets 23'):
        centernet_losses([m[:, :1] for m in maps], maps, targets)


def test_the_cascades_losses_are_the_published_ones(cascade):
    losses = stage_losses(
        cascade['logits'],
        cascade['deltas'],
        cascade['prop_boxes'],
        cascade['gt_boxes'],
        cascade['gt_classes'],
        cascade['appeared'],
        cascade['stage0_weights'].tolist(),
    )
    torch.testing.assert_close(losses.classes, cascade['loss_cls'], **CLOSE)
    torch.testing.assert_close(losses.boxes, cascade['loss_box_reg'], **CLOSE)


def test_boxes_are_decoded_as_the_published_system_does(cascade):
    weights = cascade['stage0_weights'].tolist()
    assert weights == list(DELTA_WEIGHTS[0])
    decoded = decode_deltas(cascade['deltas'], cascade['prop_boxes'], weights)
    torch.testing.assert_close(decoded, cascade['decoded'], **CLOSE)


def test_classes_are_weighted_by_the_published_numbers(cascade):
    ours = torch.tensor(image_counts()).sqrt()
    torch.testing.assert_close(ours, cascade['freq_weight'], **CLOSE)


@pytest.mark.parametrize('weights', DELTA_WEIGHTS)
def test_what_is_encoded_decodes_to_the_same_box(weights):
    boxes = torch.tensor([[10.0, 20, 60, 120], [-5, 0, 3, 7]])
    targets = torch.tensor([[12.0, 5, 300, 80], [0, 1, 2, 90]])
    decoded = decode_deltas(encode_deltas(boxes, targets, weights), boxes, weights)
    torch.testing.assert_close(decoded, targets, rtol=1e-4, atol=1e-4)


def test_deltas_are_shifts_in_sides_and_logarithms_of_growth():
    deltas = encode_deltas(box(0, 0, 10, 20), box(5, 0, 25, 20), (10, 10, 5, 5))
    torch.testing.assert_close(deltas, box(10.0, 0, 5 * math.log(2), 0))


def test_an_empty_box_cannot_be_encoded():
    boxes = torch.tensor([[0.0, 0, 10, 10], [5, 5, 5, 9]])
    with pytest.raises(ValueError, match=r'targets\[1\] has the sides \[0.0, 4.0\]'):
        encode_deltas(boxes[:1].expand(2, 4), boxes, DELTA_WEIGHTS[0])


def test_classes_outside_the_subset_get_no_gradient():
    logits = torch.zeros(3, 6, requires_grad=True)
    labels = torch.tensor([1, 4, 5])  # 5 is the background
    loss = federated_loss(logits, labels, torch.tensor([1, 3, 5]))
    assert loss.item() == pytest.approx(3 * 2 * math.log(2) / 3)
    loss.backward()
    half = 0.5 / 3
    expected = torch.zeros(3, 6)
    expected[:, [1, 3]] = half
    expected[0, 1] = -half
    torch.testing.assert_close(logits.grad, expected)


def test_the_background_has_target_zero_for_all_classes_and_no_box():
    logits, deltas = torch.zeros(2, 4, requires_grad=True), torch.ones(2, 4, requires_grad=True)
    boxes = box(0, 0, 10, 10).expand(2, 4)
    targets = torch.cat((box(0, 0, 10, 10), NOTHING.new_zeros(1, 4)))
    losses = stage_losses(
        logits, deltas, boxes, targets, torch.tensor([0, 3]), torch.tensor([0, 3]), (10, 10, 5, 5)
    )
    assert losses.classes.item() == pytest.approx(math.log(2))
    assert losses.boxes.item() == pytest.approx(4 / 2)
    sum(losses).backward()
    assert (logits.grad[:, 0].sign()).tolist() == [-1, 1]
    assert not logits.grad[:, 1:].any()
    assert deltas.grad.tolist() == [[0.5] * 4, [0.0] * 4]


def test_below_beta_the_box_loss_is_quadratic():
    deltas = torch.tensor([[0.5, 0, 0, 3]])
    same, foreground = box(0, 0, 10, 10), torch.tensor([True])
    loss = box_loss(deltas, same, same, foreground, (1, 1, 1, 1), beta=1.0)
    assert loss.item() == pytest.approx(0.5 * 0.5**2 + 3 - 0.5)


def test_without_proposals_the_losses_are_zero():
    logits = torch.zeros(0, 4, requires_grad=True)
    labels = torch.zeros(0, dtype=torch.long)
    losses = stage_losses(logits, NOTHING, NOTHING, NOTHING, labels, labels, (10, 10, 5, 5))
    assert [loss.item() for loss in losses] == [0, 0]
    losses.classes.backward()


def test_the_classes_of_a_batch_are_always_sampled_and_all_are_unique():
    labels = torch.tensor([3, 77, 1203, 1203, 500, 3])
    counts = torch.tensor(image_counts())
    for seed in range(20):
        generator = torch.Generator().manual_seed(seed)
        subset = sample_classes(labels, counts, generator=generator)
        assert subset[:4].tolist() == [3, 77, 500, 1203]
        assert len(subset) == len(subset.unique()) == 50
        assert subset.max() <= 1203


def test_a_seed_repeats_the_sample():
    counts, labels = torch.tensor(image_counts()), torch.tensor([5])
    first, again, other = (
        sample_classes(labels, counts, generator=torch.Generator().manual_seed(seed)).tolist()
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_classes_are_sampled_in_proportion_to_the_root_of_their_image_count():
    counts = torch.tensor([0, 1, 4, 9, 16])
    generator = torch.Generator().manual_seed(0)
    drawn = [int(sample_classes(torch.tensor([4]), counts, 2, generator)[1]) for _ in range(6000)]
    share = torch.bincount(torch.tensor(drawn), minlength=5) / len(drawn)
    torch.testing.assert_close(share, torch.tensor([0, 1, 2, 3, 0]) / 6, rtol=0, atol=0.03)


def test_the_background_is_included_only_if_it_occurs_and_never_drawn():
    counts = torch.ones(6)
    for labels, expected in (([2], [0, 1, 2, 3, 4, 5]), ([2, 6], [0, 1, 2, 3, 4, 5, 6])):
        assert sample_classes(torch.tensor(labels), counts, 50).sort()[0].tolist() == expected


def test_all_classes_of_a_batch_are_kept_even_if_more_than_the_count():
    assert sample_classes(torch.arange(6), torch.ones(10), 4).tolist() == list(range(6))


@pytest.mark.parametrize('label', [-1, 11])
def test_labels_out_of_range_are_refused(label):
    with pytest.raises(ValueError, match='do not fit 10 classes'):
        sample_classes(torch.tensor([label]), torch.ones(10))
