# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The loop: what an iteration does, and that a run goes on as if it had not been stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed
from torch import multiprocessing
from training_data import rectangles

from gtr_ros.model.build import gtr_mobile
from gtr_ros.training.loop import make_optimiser
from gtr_ros.training.loop import Schedule
from gtr_ros.training.loop import Trainer
from gtr_ros.training.loop import TrainingError
from gtr_ros.training.mobile import MobileObjective

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


def test_a_run_that_was_stopped_goes_on_bit_for_bit(tmp_path):
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
    # The test can fail: the average is not the model, and training changes both.
    assert any(
        not torch.equal(a, b)
        for a, b in zip(whole.model.parameters(), whole.averaged.parameters())
    )


def test_training_lowers_the_loss():
    schedule = replace(SCHEDULE, iterations=24, batch=1, ema=0)
    totals = [sum(s.losses.values()) for s in trainer(schedule, lambda rng: rectangles(1)).steps()]
    assert np.mean(totals[-4:]) < 0.85 * np.mean(totals[:4])


def gradients_of(objective: MobileObjective) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in objective.model.named_parameters() if p.grad is not None}


def exact_objective() -> MobileObjective:
    """Return one in which nothing is drawn at random."""
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer', class_names=('person', 'crate'))
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0
    return MobileObjective(model, jitter=0.0, missed=0.0).train()


def half_of_a_batch(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/meet', rank=rank, world_size=2
    )
    objective = exact_objective()
    parallel = torch.nn.parallel.DistributedDataParallel(objective, find_unused_parameters=True)
    # The halves have different numbers of objects: normalisers must be those of the whole.
    clips = [rectangles(1, objects=1)] if rank == 0 else [rectangles(2, objects=3)]
    sum(parallel(clips).values()).backward()
    if rank == 0:
        torch.save(gradients_of(objective), folder / 'gradients.pt')
    distributed.destroy_process_group()


def test_two_processes_have_the_gradient_of_one_with_the_same_batch(tmp_path):
    objective = exact_objective()
    clips = [rectangles(1, objects=1), rectangles(2, objects=3)]
    sum(objective(clips).values()).backward()
    expected = gradients_of(objective)
    multiprocessing.spawn(half_of_a_batch, (tmp_path,), nprocs=2)
    got = torch.load(tmp_path / 'gradients.pt', weights_only=True)
    assert got.keys() >= expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(
            got[name], gradient, rtol=1e-3, atol=1e-5 * float(gradient.abs().max()) + 1e-7
        )


def test_rates_are_by_the_longest_name_and_zero_freezes():
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


def test_a_rate_for_parameters_that_do_not_exist_is_refused():
    with pytest.raises(TrainingError, match="'backbone'"):
        make_optimiser(gtr_mobile(), replace(SCHEDULE, rates={'backbone': 0.1}))


def test_the_rate_rises_linearly_and_falls_as_a_cosine():
    schedule = Schedule(iterations=1000, warmup=100, warmup_start=0.01)
    assert schedule.rate_at(0) == pytest.approx(0.01)
    middle = (1 + np.cos(np.pi * 0.05)) / 2
    assert schedule.rate_at(50) == pytest.approx(middle * 0.505)
    assert schedule.rate_at(500) == pytest.approx(0.5)
    assert schedule.rate_at(1000) == pytest.approx(0, abs=1e-9)


def test_a_gradient_is_scaled_to_its_limit():
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


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_clips():
    learner = trainer(clips=lambda rng: replace(rectangles(7), source='broken.jpg'))
    with torch.no_grad():
        learner.model.detector.sides[1][0].bias.fill_(float('nan'))
    before = weights(learner.model)
    with pytest.raises(TrainingError, match=r'iteration 1: .*broken\.jpg.*--resume'):
        next(learner.steps())
    after = weights(learner.model)
    assert all(torch.equal(before[n].nan_to_num(), after[n].nan_to_num()) for n in before)


def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(tmp_path, monkeypatch):
    learner = trainer()
    learner.save(tmp_path / 'last.pt')
    good = (tmp_path / 'last.pt').read_bytes()

    def no_room(state, path):
        Path(path).write_bytes(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', no_room)
    with pytest.raises(TrainingError, match='No space left on device'):
        learner.save(tmp_path / 'last.pt')
    assert (tmp_path / 'last.pt').read_bytes() == good
    assert [f.name for f in tmp_path.iterdir()] == ['last.pt']


@pytest.mark.parametrize('content', [b'', b'nonsense', b'PK\x03\x04 cut'])
def test_a_damaged_checkpoint_is_named(tmp_path, content):
    (tmp_path / 'last.pt').write_bytes(content)
    with pytest.raises(TrainingError, match=r'last\.pt cannot be resumed from'):
        trainer().load(tmp_path / 'last.pt')


def test_a_checkpoint_of_another_seed_is_refused(tmp_path):
    trainer(seed=1).save(tmp_path / 'last.pt')
    with pytest.raises(TrainingError, match='seed 1, not 2'):
        trainer(seed=2).load(tmp_path / 'last.pt')


@pytest.mark.parametrize('precision', ['bfloat16', 'float16'])
def test_lower_precision_trains_to_finite_losses(precision):
    if precision == 'float16' and not torch.cuda.is_available():
        pytest.skip('float16 is for GPUs')
    step = next(trainer(replace(SCHEDULE, precision=precision)).steps())
    full = next(trainer().steps())
    assert step.losses['heat'] == pytest.approx(full.losses['heat'], rel=0.05)
