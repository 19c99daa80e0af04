# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The training loop: iterations, checkpoints, resuming, several processes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import multiprocessing
from training_data import rectangles
from training_processes import exact_objective
from training_processes import gradients_of
from training_processes import train_half_of_a_batch

from gtr_ros.model.build import gtr_mobile
from gtr_ros.training.loop import Trainer
from gtr_ros.training.mobile import MobileObjective
from gtr_ros.training.optimisation import make_optimiser
from gtr_ros.training.optimisation import Schedule
from gtr_ros.training.optimisation import TrainingError

SCHEDULE = Schedule(iterations=4, batch=2, learning_rate=1e-3, warmup=1, ema=0.9)

pytestmark = pytest.mark.usefixtures('one_thread')


def source(rng: np.random.Generator):
    return rectangles(int(rng.integers(1000)))


def trainer(schedule: Schedule = SCHEDULE, clips=source, seed: int = 3, **options) -> Trainer:
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    return Trainer(MobileObjective(model, **options), clips, schedule, seed)


def weights(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_a_resumed_training_is_bit_identical_to_an_uninterrupted_one(tmp_path):
    whole = trainer()
    steps = list(whole.steps())
    first = trainer()
    for step in first.steps():
        if step.iteration == 2:
            first.save(tmp_path / 'last.pt')
            break
    second = trainer()
    second.load(tmp_path / 'last.pt')
    rest = list(second.steps())
    assert [s.iteration for s in rest] == [3, 4]
    assert [s.losses for s in rest] == [s.losses for s in steps[2:]]
    for kind in ('model', 'averaged'):
        expected, got = (weights(getattr(t, kind)) for t in (whole, second))
        assert all(torch.equal(expected[name], got[name]) for name in expected)
    # Check that the test can fail: the average differs from the model.
    assert any(
        not torch.equal(a, b)
        for a, b in zip(whole.model.parameters(), whole.averaged.parameters())
    )


def test_training_lowers_the_loss():
    schedule = replace(SCHEDULE, iterations=24, batch=1, ema=0)
    totals = [sum(s.losses.values()) for s in trainer(schedule, lambda rng: rectangles(1)).steps()]
    assert np.mean(totals[-4:]) < 0.85 * np.mean(totals[:4])


def test_two_processes_have_the_gradient_of_one_with_the_same_batch(tmp_path):
    objective = exact_objective()
    clips = [rectangles(1, objects=1), rectangles(2, objects=3)]
    sum(objective(clips).values()).backward()
    expected = gradients_of(objective)
    multiprocessing.spawn(train_half_of_a_batch, (tmp_path,), nprocs=2)
    got = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    assert got.keys() >= expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            got[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-7
        )


def test_the_longest_prefix_gives_the_rate_and_zero_freezes():
    model = gtr_mobile(association='transformer')
    rates = {'detector': 0.1, 'detector.backbone': 0.0}
    optimiser = make_optimiser(model, replace(SCHEDULE, rates=rates))
    rate_of = {id(p): g['lr'] for g in optimiser.param_groups for p in g['params']}
    for name, parameter in model.named_parameters():
        if name.startswith('detector.backbone'):
            assert not parameter.requires_grad
            assert id(parameter) not in rate_of
        else:
            expected = 1e-4 if name.startswith('detector') else 1e-3
            assert rate_of[id(parameter)] == pytest.approx(expected)


def test_norms_and_biases_have_their_own_weight_decay():
    model = gtr_mobile(association='transformer')
    groups = make_optimiser(
        model, replace(SCHEDULE, weight_decay=0.5, norm_weight_decay=0.25)
    ).param_groups
    decay_of = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    for name, parameter in model.named_parameters():
        assert decay_of[id(parameter)] == (0.25 if name.endswith('.bias') else 0.5), name


def test_a_prefix_of_no_parameter_is_refused():
    with pytest.raises(TrainingError, match="'backbone'"):
        make_optimiser(gtr_mobile(), replace(SCHEDULE, rates={'backbone': 0.1}))


def test_the_rate_rises_linearly_and_decays_as_a_cosine():
    schedule = Schedule(iterations=1000, warmup=100, warmup_start=0.01)
    assert schedule.rate_at(0) == pytest.approx(0.01)
    middle = (1 + np.cos(np.pi * 0.05)) / 2
    assert schedule.rate_at(50) == pytest.approx(middle * 0.505)
    assert schedule.rate_at(500) == pytest.approx(0.5)
    assert schedule.rate_at(1000) == pytest.approx(0, abs=1e-9)


def test_the_norm_of_the_gradient_is_limited():
    plain = trainer(replace(SCHEDULE, optimiser='sgd', gradient_norm=None, ema=0))
    limited = trainer(replace(SCHEDULE, optimiser='sgd', gradient_norm=1e-3, ema=0))
    before = weights(plain.model)
    moved = []
    for learner in (plain, limited):
        step = next(learner.steps())
        change = sum(
            float((v - before[n]).square().sum()) for n, v in learner.model.state_dict().items()
        )
        moved.append((step.gradient, change**0.5))
    assert moved[0][0] == pytest.approx(moved[1][0], rel=1e-4)
    assert moved[1][1] < 0.1 * moved[0][1]


def test_a_loss_that_is_not_finite_stops_the_training_and_names_the_clips():
    learner = trainer(clips=lambda rng: replace(rectangles(7), source='broken.jpg'))
    with torch.no_grad():
        learner.model.detector.sides[1][0].bias.fill_(float('nan'))
    before = weights(learner.model)
    with pytest.raises(TrainingError, match=r'iteration 1: .*broken\.jpg.*--resume'):
        next(learner.steps())
    after = weights(learner.model)
    assert all(torch.equal(before[n].nan_to_num(), after[n].nan_to_num()) for n in before)


def test_a_checkpoint_that_cannot_be_written_leaves_the_previous_one(tmp_path, monkeypatch):
    learner = trainer()
    learner.save(tmp_path / 'last.pt')
    good = (tmp_path / 'last.pt').read_bytes()

    def fail(state, path):
        Path(path).write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', fail)
    with pytest.raises(TrainingError, match='No space left on device'):
        learner.save(tmp_path / 'last.pt')
    assert (tmp_path / 'last.pt').read_bytes() == good
    assert [f.name for f in tmp_path.iterdir()] == ['last.pt']


@pytest.mark.parametrize('content', [b'', b'nonsense', b'PK\x03\x04 cut'])
def test_the_error_names_a_damaged_checkpoint(tmp_path, content):
    (tmp_path / 'last.pt').write_bytes(content)
    with pytest.raises(TrainingError, match=r'cannot resume from .*last\.pt'):
        trainer().load(tmp_path / 'last.pt')


def test_a_checkpoint_with_another_seed_is_refused(tmp_path):
    trainer(seed=1).save(tmp_path / 'last.pt')
    with pytest.raises(TrainingError, match='has seed 1, not 2'):
        trainer(seed=2).load(tmp_path / 'last.pt')


@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_lower_precision_has_nearly_the_same_losses(precision):
    if precision == 'float16' and not torch.cuda.is_available():
        pytest.skip('float16 is for GPUs')
    step = next(trainer(replace(SCHEDULE, precision=precision)).steps())
    full = next(trainer().steps())
    assert step.losses['heat'] == pytest.approx(full.losses['heat'], rel=0.05)
