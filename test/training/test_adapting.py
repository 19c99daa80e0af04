# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Adaptation of an association to excerpts of a recording, with a small network."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.calibration import Calibration
from gtr_ros.model.gtr import GTR
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.training import adapting
from gtr_ros.training.adapting import adapt
from gtr_ros.training.adapting import AdaptOptions
from gtr_ros.training.adapting import split_excerpts
from gtr_ros.training.agreement import Agreement
from gtr_ros.training.agreement import gain_of
from gtr_ros.training.agreement import Samples
from gtr_ros.training.excerpts import Excerpt
from gtr_ros.training.excerpts import split_tracks
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.windows import related

pytestmark = pytest.mark.usefixtures('one_thread')

CODE, NUISANCE = 6, 6  # channels that say who, and those that say only when
OPTIONS = AdaptOptions(iterations=40, windows=6, learning_rate=2e-2)


@pytest.fixture
def model() -> GTR:
    torch.manual_seed(0)
    head = nn.Sequential(nn.Flatten(), nn.Linear(CODE + NUISANCE, 16))
    association = AssociationTransformer(features=16, heads=2, scale=4.0, causal=True)
    association.start_as_dot_product()
    association.calibration = Calibration(logit_slope=1.0)
    return GTR(nn.Linear(2, 2), head, association, 1, True, 0.4).eval()


def recording(objects: int = 4, seconds: float = 24, known: bool = True, seed: int = 0) -> Excerpt:
    """
    Return a recording at 5 Hz, in which each object is there for 8 s of every 12 s.

    :param known: whether the maps show which object it is
    """
    rng = np.random.default_rng(seed)
    codes = rng.normal(size=(objects, CODE))
    maps, tracklets, counts = [], [], []
    frames = int(5 * seconds)
    for t in range(frames):
        visits = [divmod(t / 5 + 3 * k, 12) for k in range(objects)]
        here = [k for k in range(objects) if visits[k][1] < 8]
        counts.append(len(here))
        for k in here:
            code = codes[k] if known else rng.normal(size=CODE)
            noise = np.sin(t / 7 + np.arange(NUISANCE) + k) * 3
            maps.append(np.concatenate([code, noise]))
            tracklets.append(1 + k + objects * int(visits[k][0]))
    return Excerpt(
        stamps=np.arange(frames) * NANOSECONDS // 5,
        counts=tuple(counts),
        maps=torch.tensor(np.array(maps)).half()[:, :, None, None],
        boxes=torch.rand(len(maps), 4, generator=torch.Generator().manual_seed(seed)),
        tracklets=torch.tensor(tracklets),
    )


def weights_of(model: GTR) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def test_what_tells_objects_apart_is_learnt_without_labels(model):
    before = weights_of(model)
    result = adapt(model, [recording(seconds=60, objects=5)], OPTIONS)
    assert result.kept, result.reason
    cosine = result.measures['cosine']
    assert cosine.after.probability > cosine.before.probability + 0.1
    assert cosine.after.hits.mean() > cosine.before.hits.mean()
    # The detector is bit-identical, and the model that was passed is not changed.
    after = result.model.state_dict()
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
        if name.startswith('detector.'):
            assert torch.equal(after[name], value)
    assert not torch.equal(after['head.1.weight'], before['head.1.weight'])


def test_boxes_that_show_nothing_in_common_are_not_learnt(model):
    result = adapt(model, [recording(seconds=60, objects=5, known=False)], OPTIONS)
    assert not result.kept
    assert 'held-out' in result.reason


def test_the_same_seed_gives_the_same_weights(model):
    options = replace(OPTIONS, iterations=3)
    first, again = (adapt(model, [recording()], options).model.state_dict() for _ in range(2))
    other = adapt(model, [recording()], replace(options, seed=1)).model.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_the_weights_are_half_way_between_the_original_and_the_trained_ones(model, monkeypatch):
    options = replace(OPTIONS, iterations=5)
    before = weights_of(model)
    half = adapt(model, [recording()], options).model.state_dict()
    monkeypatch.setattr(adapting, '_SHARE', 1.0)
    trained = adapt(model, [recording()], options).model.state_dict()
    assert not torch.equal(trained['head.1.weight'], before['head.1.weight'])
    for name in before:
        assert torch.allclose(half[name], (before[name] + trained[name]) / 2, atol=1e-6), name


def test_what_is_measured_and_calibrated_are_the_weights_that_are_returned(model):
    excerpts = [recording()]
    result = adapt(model, excerpts, replace(OPTIONS, iterations=5))
    train, held = map(Agreement, split_excerpts(excerpts))
    for cue, measure in result.measures.items():
        after = held.measure(result.model, cue, train.fit_scale(result.model, cue))
        assert measure.after.values == pytest.approx(after.values)
    calibration = held.recalibrate(model, result.model, model.association.calibration)
    assert result.calibration == calibration != model.association.calibration


def test_the_training_ends_after_its_seconds(model):
    steps = []
    options = replace(OPTIONS, iterations=1000, seconds=1e-9)
    result = adapt(model, [recording()], options, lambda step, loss: steps.append(step))
    assert result.iterations == len(steps) < 5


@pytest.mark.parametrize(
    ('excerpt', 'problem'),
    [
        (recording(seconds=4), 'too short'),
        (replace(recording(1), tracklets=torch.zeros(0), counts=(0,) * 120), 'no object'),
        (recording(1), 'too little to tell apart'),
    ],
    ids=['short', 'empty', 'alone'],
)
def test_a_recording_without_anything_to_learn_is_refused(model, excerpt, problem):
    if problem == 'no object':
        excerpt = replace(excerpt, maps=excerpt.maps[:0], boxes=excerpt.boxes[:0])
    with pytest.raises(TrainingError, match=problem):
        adapt(model, [excerpt], OPTIONS)


def test_the_last_quarter_is_held_out_with_a_pause_before_it():
    excerpts = [recording(seconds=30), recording(seconds=10)]
    train, held = split_excerpts(excerpts)
    assert [len(excerpt) for excerpt in train] == [150]
    assert [len(excerpt) for excerpt in held] == [50]
    [train], [held] = split_excerpts(excerpts[:1])
    assert len(train) == 112
    assert held.stamps[0] - train.stamps[-1] >= NANOSECONDS
    assert len(held.maps) == len(held.boxes) == len(held.tracklets) == sum(held.counts)


def test_the_measure_is_low_for_an_association_that_finds_nothing(model):
    agreement = Agreement([recording()])
    nothing = agreement.measure(model, 'cosine', (1.0, 10.0))
    alike = agreement.measure(model, 'cosine', (0.0, 0.0))
    fitted = agreement.measure(model, 'cosine', agreement.fit_scale(model, 'cosine'))
    assert nothing.probability < 0.01
    assert nothing.probability < alike.probability < fitted.probability
    assert len(nothing) == agreement.pairs


def test_a_few_objects_prove_little_however_often_they_are_seen():
    def samples(objects: int) -> tuple[Samples, Samples]:
        rng = np.random.default_rng(0)
        names = np.arange(300) % objects
        gain = 0.3 + 0.2 * rng.normal(size=objects)
        before = Samples(np.zeros(300), np.zeros(300), names)
        return before, replace(before, values=gain[names])

    many, few = gain_of(*samples(30)), gain_of(*samples(2))
    assert many.mean > many.margin
    assert few.mean < few.margin
    assert gain_of(*samples(1)).margin == np.inf


def test_objects_are_different_only_if_they_are_seen_together():
    excerpt = recording()
    # Object 1 is away from 8 s to 12 s; then it has another tracklet.
    early, late = 35, 62
    same, different = related(excerpt, late, early)
    now, then = (excerpt.tracklets[excerpt.rows(t)] for t in (late, early))
    assert not (same & different).any()
    first, second = (then == 1).nonzero()[0, 0], (now == 5).nonzero()[0, 0]
    assert not same[second, first]
    row = (now[:, None] == then).any(dim=1).nonzero()[0, 0]
    assert same[row].sum() == 1 and different[row].sum() == len(then) - 1
    doubles = frozenset({(int(now[row]), int(other)) for other in then})
    assert not related(replace(excerpt, doubles=doubles), late, early)[1][row].any()


def test_a_calibration_moves_with_the_similarities(model):
    agreement = Agreement([recording()])
    calibration = model.association.calibration
    assert agreement.recalibrate(model, model, calibration) == calibration
    changed = deepcopy(model)
    with torch.no_grad():
        changed.association.bias += 1.5
        changed.head[1].weight[:, CODE:] *= 0.1  # less of what differs from frame to frame
    new = agreement.recalibrate(model, changed, calibration)
    assert new.same > calibration.same
    assert new.cue == calibration.cue and new.trust == calibration.trust
    with torch.no_grad():
        changed.head[1].weight[:, CODE:] *= 10
    only_level = agreement.recalibrate(model, changed, calibration)
    assert only_level.same == pytest.approx(calibration.same, abs=2e-3)
    assert only_level.logit_level == pytest.approx(calibration.logit_level + 1.5, abs=1e-2)
    assert only_level.logit_slope == pytest.approx(calibration.logit_slope, abs=1e-2)


def test_tracks_are_split_at_long_gaps_and_short_parts_are_dropped():
    stamps = np.arange(30) * NANOSECONDS // 10
    ids = [np.array([9] if t < 8 or t >= 20 else [], np.int64) for t in range(30)]
    ids[25] = np.array([9, 4])
    numbers = split_tracks(stamps, ids)
    seen = [row.tolist() for row in numbers]
    assert seen[0] == [1] and seen[7] == [1]
    assert seen[20] == [2] and seen[25] == [2, 0]
