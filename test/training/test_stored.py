# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Training of head and transformer on clips that were pooled once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file
import torch
from training_data import rectangles
from training_data import write_coco
from training_data import write_config

from gtr_ros.model.build import gtr_mobile
from gtr_ros.training.config import ConfigError
from gtr_ros.training.config import read_config
from gtr_ros.training.mobile import MobileObjective
from gtr_ros.training.optimisation import TrainingError
from gtr_ros.training.run import train
from gtr_ros.training.stored import read_clip
from gtr_ros.training.stored import store_clips
from gtr_ros.training.stored import StoredObjective

FROZEN = {
    'losses': {'detector': 0, 'embedding': 0.5},
    'schedule': {'iterations': 4, 'batch': 2, 'warmup': 1, 'rates': {'detector': 0}},
}


@pytest.fixture
def objective() -> MobileObjective:
    torch.manual_seed(0)
    model = gtr_mobile(association='transformer')
    return MobileObjective(model, detector_weight=0, embedding_weight=0.3)


def source(rng: np.random.Generator):
    return rectangles(int(rng.integers(1000)), frames=3, objects=2)


def store(objective, folder: Path, count: int = 3, **options):
    return store_clips(objective, source, seed=5, count=count, folder=folder, **options)


def test_stored_clips_have_the_losses_of_the_clips(objective, tmp_path):
    objective.model.eval()
    [clip] = [source(np.random.default_rng([5, 0]))]
    torch.manual_seed(int(np.random.SeedSequence([5, 0]).generate_state(1)[0]))
    expected = objective([clip])
    store(objective, tmp_path, 1)
    stored = StoredObjective(objective).eval()([read_clip(tmp_path / '000000.safetensors')])
    assert stored.keys() == expected.keys() == {'association', 'embedding'}
    for name, value in expected.items():  # maps are stored as float16
        torch.testing.assert_close(stored[name], value, rtol=5e-3, atol=5e-3)


def test_the_identity_of_a_proposal_is_that_of_its_object(objective, tmp_path):
    store(objective, tmp_path, 1)
    clip = read_clip(tmp_path / '000000.safetensors')
    starts = np.cumsum([0, *clip.counts])
    for identity, proposals in zip((1, 2), clip.assignment.targets.tolist(), strict=True):
        for start, count, index in zip(starts, clip.counts, proposals):
            assert index == count or clip.ids[start + index] == identity
    assert clip.ids.max() == 2


def test_only_missing_clips_are_made(objective, tmp_path):
    made = []
    store(objective, tmp_path, 3)
    times = {f.name: f.stat().st_mtime_ns for f in tmp_path.glob('*.safetensors')}
    store(objective, tmp_path, 5, on_store=lambda done, total: made.append((done, total)))
    assert made == [(3, 5), (4, 5), (5, 5)]
    assert all((tmp_path / name).stat().st_mtime_ns == time for name, time in times.items())


def test_worker_processes_make_the_same_clips(objective, tmp_path):
    store(objective, tmp_path / 'a', 2)
    store(objective, tmp_path / 'b', 2, workers=2)
    for name in ('000000.safetensors', '000001.safetensors'):
        a, b = (load_file(tmp_path / folder / name) for folder in 'ab')
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_clips_of_another_detector_are_refused(objective, tmp_path):
    store(objective, tmp_path, 1)
    with torch.no_grad():
        next(objective.model.detector.parameters()).add_(1)
    with pytest.raises(TrainingError, match='another detector or seed'):
        store(objective, tmp_path, 1)


def test_a_damaged_clip_is_named(objective, tmp_path):
    store(objective, tmp_path, 1)
    file = tmp_path / '000000.safetensors'
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(ValueError, match=r'000000\.safetensors is not a stored clip'):
        read_clip(file)


def test_a_run_trains_head_and_transformer_and_leaves_the_detector(tmp_path):
    write_coco(tmp_path)
    config = write_config(tmp_path / 'c.yaml', stored={'clips': 3}, **FROZEN)
    stored = []
    torch.manual_seed(0)
    weights = train(
        read_config(config), tmp_path / 'run', tmp_path, torch.device('cpu'), callbacks=_on(stored)
    )
    assert stored[-1] == (3, 3)
    assert len(list((tmp_path / 'run' / 'stored').glob('*.safetensors'))) == 3
    again = train(
        read_config(config, ('schedule.iterations=8',)),
        tmp_path / 'run',
        tmp_path,
        torch.device('cpu'),
        resume=True,
    )
    assert again == weights


def _on(stored: list):
    from gtr_ros.training.run import Callbacks

    return Callbacks(on_store=lambda done, total: stored.append((done, total)))


def test_a_detector_that_is_trained_cannot_have_stored_clips(tmp_path):
    file = write_config(tmp_path / 'c.yaml', stored={'clips': 3})
    with pytest.raises(ConfigError, match='stored needs a frozen detector'):
        read_config(file)
