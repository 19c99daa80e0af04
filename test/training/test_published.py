# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The losses of the paper's two models on clips."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from training_data import rectangles

from gtr_ros.model.build import gtr_mot
from gtr_ros.model.build import gtr_tao
from gtr_ros.model.centernet import CenterNetHead
from gtr_ros.model.centernet import Proposals
from gtr_ros.training import published
from gtr_ros.training.published import assign_objects
from gtr_ros.training.published import MOTObjective
from gtr_ros.training.published import sample_proposals
from gtr_ros.training.published import TAOObjective

DETECTOR = {'boxes', 'positive', 'negative'}
STAGES = {f'{part}_{number}' for part in ('classes', 'sides') for number in (1, 2, 3)}


@pytest.fixture(scope='module')
def mot() -> MOTObjective:
    torch.manual_seed(0)
    model = gtr_mot()
    # With the initial bias no score is high enough for the association.
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    return MOTObjective(model).train()


@pytest.fixture(scope='module')
def tao() -> TAOObjective:
    torch.manual_seed(0)
    model = gtr_tao()
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    return TAOObjective(model).train()


def clip(seed: int = 1, **options):
    return rectangles(seed, size=128, labels=1, **options)


def small(**options):
    return rectangles(1, size=96, labels=1, frames=1, **options)


def without_gradient(model: torch.nn.Module) -> list[str]:
    return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_every_parameter_of_the_mot_model_learns(mot):
    mot.zero_grad(set_to_none=True)
    losses = mot([clip()])
    assert losses.keys() == DETECTOR | {'association'}
    total = sum(losses.values())
    total.backward()
    assert total.isfinite()
    assert losses['association'] > 0
    assert without_gradient(mot.model) == []


def test_every_parameter_of_the_tao_model_learns(tao):
    tao.zero_grad(set_to_none=True)
    losses = tao([small()])
    assert losses.keys() == DETECTOR | STAGES | {'association'}
    sum(losses.values()).backward()
    assert without_gradient(tao.model) == []


def test_a_clip_without_objects_has_only_a_loss_of_negatives(mot):
    losses = mot([clip(objects=0)])
    sum(losses.values()).backward()
    assert losses.keys() == DETECTOR | {'association'}
    assert losses['association'] == losses['boxes'] == losses['positive'] == 0
    assert losses['negative'] > 0


def test_the_detector_alone_is_trained_without_proposals(mot, monkeypatch):
    monkeypatch.setattr(published, 'decode', lambda *_: pytest.fail('proposals are not needed'))
    alone = MOTObjective(mot.model, association_weight=0)
    assert alone([clip(frames=1)]).keys() == DETECTOR


def test_the_detector_ignores_clips_that_are_not_labelled_completely(mot):
    losses = mot([replace(clip(), complete=False)])
    assert losses['negative'] == losses['positive'] == losses['boxes'] == 0
    assert losses['association'] > 0
    both = MOTObjective(mot.model, association_weight=0)
    mixed = both([clip(1), replace(clip(2), complete=False)])
    assert mixed['negative'] > 0


def test_the_cascade_ignores_clips_that_are_not_labelled_completely(tao):
    tao.zero_grad(set_to_none=True)
    losses = tao([replace(small(), complete=False)])
    assert losses.keys() == DETECTOR | STAGES | {'association'}
    assert all(losses[name] == 0 for name in DETECTOR | STAGES)
    sum(losses.values()).backward()
    assert not any(p.grad.any() for p in tao.model.detector.cascade.parameters())
    assert any(p.grad.any() for p in tao.model.detector.pyramid.parameters())


def test_the_detector_of_tao_is_trained_without_the_association(tao):
    alone = TAOObjective(tao.model, association_weight=0)
    assert alone([small()]).keys() == DETECTOR | STAGES


def test_in_a_clip_without_objects_all_boxes_of_the_cascade_are_background(tao):
    losses = tao([small(objects=0)])
    assert losses.keys() == DETECTOR | STAGES | {'association'}
    assert losses['association'] == 0
    assert all(losses[name] == 0 for name in STAGES if 'sides' in name)
    assert all(losses[name] > 0 for name in STAGES if 'classes' in name)


def test_without_proposals_the_association_loss_is_zero(mot):
    blind = MOTObjective(mot.model, score_threshold=1.0)
    blind.zero_grad(set_to_none=True)
    losses = blind([clip()])
    assert losses['association'] == 0
    sum(losses.values()).backward()
    assert all(p.grad.isfinite().all() for p in blind.parameters() if p.grad is not None)


@pytest.mark.parametrize('kind', ['mot', 'tao'])
def test_an_image_of_one_pixel_has_finite_losses(kind, request):
    objective = request.getfixturevalue(kind)
    whole = clip()
    pixel = replace(whole, images=tuple(image[:1, :1] for image in whole.images))
    assert sum(objective([pixel]).values()).isfinite()


def test_the_norms_of_tao_are_frozen(tao):
    before = {name: buffer.clone() for name, buffer in tao.named_buffers()}
    tao.train()([rectangles(1, size=32, labels=1, frames=1)])
    assert all(torch.equal(buffer, before[name]) for name, buffer in tao.named_buffers())


def test_losses_are_float32_under_autocast():
    torch.manual_seed(0)
    model = gtr_mot()
    # torchvision has no deformable convolution of lower precision on a CPU.
    model.detector.head = CenterNetHead(160, deformable=False)
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    objective = MOTObjective(model).train()
    for clips in ([clip(frames=1)], [replace(clip(frames=1, objects=0), complete=False)]):
        with torch.autocast('cpu', torch.bfloat16):
            losses = objective(clips)
        assert {loss.dtype for loss in losses.values()} == {torch.float32}
        assert sum(losses.values()).isfinite()


def test_steps_against_the_gradient_lower_the_loss():
    torch.manual_seed(0)
    model = gtr_mot()
    torch.nn.init.constant_(model.detector.head.heatmap.bias, -1.0)
    objective = MOTObjective(model).train()
    objective.model.association.eval()  # no dropout
    optimiser = torch.optim.SGD(objective.parameters(), lr=0.03)
    totals = []
    for _ in range(6):
        torch.manual_seed(0)  # draws the same proposals
        losses = objective([clip()])
        total = sum(losses.values())
        totals.append((total.item(), (total - losses['association']).item()))
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(objective.parameters(), 1.0)
        optimiser.step()
    assert all(last < first for first, last in zip(totals[0], totals[-1], strict=True))


def gradients_of_two_processes(
    monkeypatch: pytest.MonkeyPatch,
    losses: Sequence[Callable[[], dict[str, Tensor]]],
    weights: Sequence[Tensor],
) -> list[list[Tensor]]:
    """Return the gradients of each process, with counts averaged over all processes."""
    counts: list[list[float]] = []
    for process in losses:
        own: list[float] = []
        monkeypatch.setattr(
            published, 'mean_over_processes', lambda n, own=own: own.append(n) or n
        )
        process()
        counts.append(own)
    means = [sum(same) / len(losses) for same in zip(*counts, strict=True)]
    gradients = []
    for process in losses:
        given = iter(means)
        monkeypatch.setattr(published, 'mean_over_processes', lambda n, given=given: next(given))
        gradients.append(list(torch.autograd.grad(sum(process().values()), weights)))
    return gradients


def test_two_halves_of_a_batch_have_the_gradient_of_the_batch(mot, monkeypatch):
    detector = MOTObjective(mot.model, association_weight=0)
    detector.eval()  # norms use their running statistics
    clips = [clip(1, objects=1), clip(2, objects=3)]
    head = detector.model.detector.head
    weights = [head.sides.weight, head.heatmap.weight]
    whole = torch.autograd.grad(sum(detector(clips).values()), weights)
    shares = gradients_of_two_processes(
        monkeypatch, [lambda c=c: detector([c]) for c in clips], weights
    )
    for first, second, both in zip(*shares, whole, strict=True):
        torch.testing.assert_close((first + second) / 2, both, rtol=1e-3, atol=1e-6)
        assert not torch.allclose(first, second)
    mot.train()


def frames_for_the_cascade() -> list[tuple[Tensor, ...]]:
    """Return P3, proposals, objects and labels of two frames of 96 x 96, of 3 and of 7 boxes."""
    torch.manual_seed(0)
    truth = [torch.tensor([[8.0, 8, 40, 40]]), torch.tensor([[30.0, 20, 80, 90], [4, 4, 30, 50]])]
    labels = [torch.tensor([3]), torch.tensor([7, 3])]
    return [
        (torch.randn(1, 256, 12, 12), t[torch.arange(n) % len(t)] + torch.rand(n, 4), t, own)
        for n, t, own in zip((3, 7), truth, labels)
    ]


def cascade_losses(tao: TAOObjective, frames: Sequence[tuple[Tensor, ...]]) -> dict[str, Tensor]:
    maps, boxes, truth, labels = zip(*frames)
    proposals = [Proposals(b, torch.ones(len(b))) for b in boxes]
    sizes = [(96, 96)] * len(frames)
    return tao.second_stage_losses([torch.cat(maps)], proposals, truth, labels, sizes)


def test_two_halves_of_a_batch_have_the_gradient_of_the_cascade(tao, monkeypatch):
    every = torch.arange(len(tao.model.class_names))
    # Otherwise each process draws its own classes.
    monkeypatch.setattr(published, 'sample_classes', lambda *_: every)
    frames = frames_for_the_cascade()
    stages = tao.model.detector.cascade.stages
    weights = [w for s in stages for w in (s.classify.weight, s.regress.weight)]
    whole = torch.autograd.grad(sum(cascade_losses(tao, frames).values()), weights)
    shares = gradients_of_two_processes(
        monkeypatch, [lambda f=f: cascade_losses(tao, [f]) for f in frames], weights
    )
    for first, second, both in zip(*shares, whole, strict=True):
        torch.testing.assert_close((first + second) / 2, both, rtol=1e-3, atol=1e-6)
        assert not torch.allclose(first, second)


def test_the_classes_of_a_stage_include_those_of_its_own_boxes(tao, monkeypatch):
    maps, _, truth, labels = frames_for_the_cascade()[1]
    monkeypatch.setattr(published, 'decode_deltas', lambda *_: truth[1:].clone())
    seen = []
    stage_losses = published.stage_losses

    def record(*arguments, **options):
        seen.append((set(arguments[4].tolist()), set(arguments[5].tolist())))
        return stage_losses(*arguments, **options)

    monkeypatch.setattr(published, 'stage_losses', record)
    cascade_losses(tao, [(maps, truth[:1].clone(), truth, labels)])
    assert [shown for shown, _ in seen] == [{7}, {3}, {3}]
    assert all(shown <= subset for shown, subset in seen)


def test_later_stages_get_boxes_clipped_to_the_image(tao, monkeypatch):
    seen = []
    stage_losses = published.stage_losses

    def record(logits, deltas, boxes, *rest, **options):
        seen.append(boxes)
        return stage_losses(logits, deltas, boxes, *rest, **options)

    monkeypatch.setattr(published, 'stage_losses', record)
    maps, _, truth, labels = frames_for_the_cascade()[0]
    beyond = torch.tensor([[-20.0, 8, 40, 120], [200, 200, 240, 240]])
    cascade_losses(tao, [(maps, beyond, truth, labels)])
    assert seen[0].tolist() == beyond.tolist()
    assert [len(boxes) for boxes in seen] == [2, 1, 1]  # the second one is outside the image
    assert all(boxes.min() >= 0 and boxes.max() <= 96 for boxes in seen[1:])


def test_a_box_is_assigned_the_object_of_highest_iou():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]])
    truth = torch.tensor([[0.0, 0, 10, 10], [0, 0, 9, 5]])
    objects, foreground = assign_objects(boxes, truth, 0.6)
    assert objects[:2].tolist() == [0, 1]
    assert foreground.tolist() == [True, True, False]
    assert not assign_objects(boxes, truth[:0], 0.6).foreground.any()


def test_at_most_a_quarter_of_the_sampled_proposals_is_foreground():
    truth = torch.tensor([[0.0, 0, 10, 10]])
    boxes = torch.cat((truth.repeat(100, 1), truth.repeat(100, 1) + 50))
    torch.manual_seed(0)
    sampled = sample_proposals(Proposals(boxes, torch.rand(200)), truth, count=40)
    assert len(sampled.boxes) == len(sampled.scores) == 40
    assert int((sampled.boxes[:, 0] == 0).sum()) == 10
    few = sample_proposals(Proposals(boxes[95:105], torch.rand(10)), truth, count=40)
    assert len(few.boxes) == 10
