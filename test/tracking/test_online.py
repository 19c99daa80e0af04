# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The incremental association gives the likelihoods of the plain one for the whole window."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest
import torch
from torch import nn
from torch import Tensor

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.association import frame_softmax
from gtr_ros.model.calibration import Calibration
from gtr_ros.structures import Detections
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.online import CachingAssociation
from gtr_ros.tracking.online import make_online
from gtr_ros.tracking.online import OnlineAssociation
from gtr_ros.tracking.online import RecomputingAssociation
from gtr_ros.tracking.online import StreamingAssociation
from gtr_ros.tracking.row_buffer import RowBuffer

D = 64

#: the published models and every ablation
VARIANTS = [
    {},
    {'scale': 12.0},
    {'projection_layers': 2},
    {'norm': True},
    {'position_embedding': True},
    {'position_embedding': True, 'time_embedding': True},
    {'decoder_self_attention': True},
    {'encoder_self_attention': False},
    {'encoder_layers': 0},
    {'encoder_layers': 0, 'decoder_layers': 0},
    {'encoder_layers': 2, 'decoder_layers': 2, 'position_embedding': True, 'norm': True},
]


def transformer(**options) -> AssociationTransformer:
    torch.manual_seed(3)
    model = AssociationTransformer(features=D, **options).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, std=0.2)
    return model


def frames(count: int, seed: int = 0, most: int = 9) -> list[tuple[Tensor, Tensor]]:
    """Return features and boxes of frames with 0 to `most` objects."""
    chance = torch.Generator().manual_seed(seed)
    counts = torch.randint(0, most + 1, (count,), generator=chance).tolist()
    return [
        (torch.randn(n, D, generator=chance), torch.rand(n, 4, generator=chance)) for n in counts
    ]


def run(online: OnlineAssociation, scene: list, window: int = 6) -> list[Tensor]:
    """Associate every frame; every fifth time the newest frame is dropped, later the oldest."""
    answers, held = [], 0
    for t, (features, boxes) in enumerate(scene):
        answers.append(online.associate(features, boxes))
        if t % 5 == 3:
            online.drop_newest()
            held -= 1
        online.add()
        held += 1
        if held == window:
            online.drop_oldest()
            held -= 1
    return answers


@pytest.mark.parametrize('options', VARIANTS, ids=str)
def test_likelihoods_equal_the_plain_ones(options):
    model = transformer(**options)
    scene = frames(40)
    results = run(make_online(model), scene), run(RecomputingAssociation(model), scene)
    for fast, plain in zip(*results, strict=True):
        assert fast.shape == plain.shape
        torch.testing.assert_close(fast, plain, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('objects', [3, 40])  # few queries are projected, or many objects
def test_logits_equal_the_plain_ones_to_a_ten_thousandth(objects, monkeypatch):
    seen: list[Tensor] = []

    def keep(logits: Tensor, counts: list[int]) -> Tensor:
        seen.append(logits)
        return frame_softmax(logits, counts)

    monkeypatch.setattr('gtr_ros.tracking.online.frame_softmax', keep)
    model, online = transformer(), CachingAssociation(transformer())
    chance = torch.Generator().manual_seed(1)
    scene = [(torch.randn(objects, D, generator=chance), torch.rand(objects, 4)) for _ in range(9)]
    for features, boxes in scene:
        online.associate(features, boxes)
        online.add()
    features = torch.cat([f for f, _ in scene])
    queries = slice(8 * objects, 9 * objects)
    with torch.no_grad():
        [plain] = model.logits(features, [objects] * 9, queries)
    torch.testing.assert_close(seen[-1], plain[:, : 8 * objects], atol=1e-4, rtol=0)


def recall(model: AssociationTransformer, scene: list, window: int) -> list[Tensor]:
    """
    Compute the likelihoods of `StreamingAssociation` with the plain layers, frame by frame.

    The inputs of each layer are kept as they were when the frame arrived.
    """
    kept: list[tuple[list[Tensor], Tensor | None, int]] = []
    answers, position = [], None
    for t, (features, boxes) in enumerate(scene):
        if model.embedding is not None:
            position = model.embedding(boxes, torch.zeros(len(boxes)))
        inputs, x = [], features

        def placed(x: Tensor, position: Tensor | None) -> Tensor:
            return x if position is None else x + position

        for i, layer in enumerate(model.encoder):
            inputs.append(x)
            if layer.attention is not None:
                keys = [placed(past[i], p) for past, p, _ in kept] + [placed(x, position)]
                values = [past[i] for past, _, _ in kept] + [x]
                query = placed(x, position)
                x = layer.attention(x, query, torch.cat(keys), torch.cat(values))
            x = layer.feed_forward(x)
        inputs.append(x)
        frame = (inputs, position, len(features))
        memory = torch.cat([past[-1] for past, _, _ in [*kept, frame]])
        places = None if position is None else torch.cat([p for _, p, _ in [*kept, frame]])
        query = features
        for layer in model.decoder:
            query = layer(query, memory, places)
        counts = [count for _, _, count in kept]
        keys = model.key_projection(memory[: sum(counts)])
        logits = model.query_projection(model.decoder_norm(query)) @ keys.T
        if model.log_scale is not None:
            logits = model.log_scale.exp() * logits + model.bias
        answers.append(frame_softmax(logits, counts))
        if t % 5 == 3:
            kept.pop()
        kept.append(frame)
        if len(kept) == window:
            kept.pop(0)
    return answers


@pytest.mark.parametrize('options', [v for v in VARIANTS if not v.get('time_embedding')], ids=str)
def test_the_streaming_encoder_equals_its_plain_layers(options):
    model = transformer(causal=True, **options)
    scene = [frame for frame in frames(60, most=7) if len(frame[0])]
    online = make_online(model)
    assert isinstance(online, StreamingAssociation)
    with torch.no_grad():
        plain = recall(model, scene, 6)
    for fast, slow in zip(run(online, scene), plain, strict=True):
        torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-4)


def test_the_streaming_encoder_equals_the_causal_one_until_a_frame_is_dropped():
    model, scene = transformer(causal=True), frames(12, seed=5)
    online, plain = StreamingAssociation(model), RecomputingAssociation(model)
    for features, boxes in scene:
        torch.testing.assert_close(
            online.associate(features, boxes), plain.associate(features, boxes)
        )
        online.add()
        plain.add()


def test_a_causal_encoder_does_not_see_later_frames():
    model = transformer(causal=True)
    features = torch.randn(12, D)
    other = features.clone()
    other[8:] = torch.randn(4, D)
    with torch.no_grad():
        [first] = model.logits(features, [4, 4, 4], slice(0, 4))
        [second] = model.logits(other, [4, 4, 4], slice(0, 4))
        alone = model.encoder[0](features[:8], None, None)
        later = model.encoder[0](
            features, None, torch.arange(12) // 4 > (torch.arange(12) // 4)[:, None]
        )
    torch.testing.assert_close(alone[4:8], later[4:8])
    assert not torch.allclose(first, second)  # but the decoder attends to all frames


@pytest.mark.parametrize(
    ('association', 'kind'),
    [
        (CosineAssociation(), RecomputingAssociation),
        (transformer(), CachingAssociation),
        (transformer(causal=True), StreamingAssociation),
        (transformer(encoder_layers=0), StreamingAssociation),
        (transformer(position_embedding=True, time_embedding=True), RecomputingAssociation),
        (
            transformer(causal=True, position_embedding=True, time_embedding=True),
            RecomputingAssociation,
        ),
    ],
)
def test_each_association_is_computed_with_the_least_repetition(association, kind):
    assert type(make_online(association)) is kind


@pytest.mark.parametrize('rule', RULES)
@pytest.mark.parametrize('causal', [False, True])
def test_a_tracker_gives_the_ids_of_the_plain_association(rule, causal, monkeypatch):
    # Frames are dropped: old ones, those too close in time, and all of them after a jump.
    rng = np.random.default_rng(4)
    model = transformer(causal=causal, scale=3.0)
    people = torch.nn.functional.normalize(torch.randn(6, D), dim=1)
    # Once a frame was dropped, the plain causal encoder cannot reproduce earlier encodings.
    length, steps = (9, [400]) if causal else (80, [20, 70, 300])
    stamp, scene = 0, []
    for t in range(length):
        stamp = 0 if t == 60 else stamp + int(rng.choice(steps)) * 1_000_000
        here = np.flatnonzero(rng.random(6) < 0.8)
        centre = 60 + 70 * here + rng.normal(0, 2, len(here))
        boxes = np.stack((centre - 20, centre - 30, centre + 20, centre + 30), axis=1)
        scene.append(
            Detections(
                boxes=boxes.astype(np.float32),
                scores=np.full(len(here), 0.9, np.float32),
                labels=np.zeros(len(here), np.int64),
                features=people[here] + 0.05 * torch.randn(len(here), D),
                image_size=(480, 640),
                stamp=stamp,
                class_scores=np.full((len(here), 1), 0.9, np.float32),
            )
        )
    linking = RULES[rule]
    if isinstance(linking, EvidenceRule):  # which needs P_A only if the transformer is its cue
        linking = replace(linking, appearance='transformer', memory=4.0)  # no frame is left out
        model.calibration = Calibration(logit_slope=1.0)
    fast = Tracker(model, linking, window=12)
    monkeypatch.setattr('gtr_ros.tracking.window.make_online', RecomputingAssociation)
    plain = Tracker(model, linking, window=12)
    assert type(fast.online_association) is not type(plain.online_association)
    for detections in scene:
        a, b = fast.update(detections), plain.update(detections)
        assert a.ids.tolist() == b.ids.tolist()
        for one, other in zip(a.trajectories, b.trajectories, strict=True):
            np.testing.assert_allclose(one.likelihoods, other.likelihoods, atol=1e-4)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 3), st.booleans()), max_size=60))
def test_rows_are_those_that_were_added_and_not_dropped(steps):
    rows, expected, number = RowBuffer(), [], 0
    like = torch.zeros(1)
    for count, dropped, drop_newest in steps:
        view = rows.stage(count, 2, like)
        assert view[: len(view) - count, 0].tolist() == [v for part in expected for v in part]
        new = list(range(number, number + count))
        number += count
        view[len(view) - count :] = torch.tensor(new, dtype=torch.float)[:, None]
        if drop_newest and expected:
            rows.drop_last(len(expected.pop()))
        rows.commit()
        expected.append(new)
        for _ in range(min(dropped, len(expected))):
            rows.drop_first(len(expected.pop(0)))
        assert len(rows) == sum(map(len, expected))
        assert rows.stage(0, 2, like)[:, 1].tolist() == [v for part in expected for v in part]


def test_a_long_run_keeps_only_the_window():
    online = StreamingAssociation(transformer(causal=True))
    for features, boxes in frames(1000, most=12):
        online.associate(features, boxes)
        online.add()
        if len(online.counts) > 8:
            online.drop_oldest()
        # Rows beyond the end were never written to, and use no memory.
        assert online.rows.end <= 9 * 12 + 256
    assert online.rows.capacity <= 4096


def test_features_of_another_length_are_rejected_and_the_window_continues():
    online, plain = (
        kind(transformer(causal=True)) for kind in (StreamingAssociation, RecomputingAssociation)
    )
    first, second = frames(2, seed=1)
    for kept in (online, plain):
        kept.associate(*first)
        kept.add()
        with pytest.raises(ValueError, match='from one network'):
            kept.associate(torch.rand(2, D // 2), torch.rand(2, 4))
    torch.testing.assert_close(online.associate(*second), plain.associate(*second))


@pytest.mark.parametrize('causal', [False, True])
def test_likelihoods_equal_the_plain_ones_from_when_they_are_read(causal):
    rng = np.random.default_rng(7)
    model = transformer(causal=causal, scale=3.0)
    people = torch.nn.functional.normalize(torch.randn(5, D), dim=1)
    trackers = [
        Tracker(model, EvidenceRule(memory=120.0), window=80, begin_score=0.5) for _ in '12'
    ]
    readers = set(range(6, 12)) | set(range(30, 33))
    for t in range(34):
        here = np.flatnonzero(rng.random(5) < 0.7)
        centre = 60 + 70 * here + rng.normal(0, 2, len(here))
        frame = Detections(
            boxes=np.stack((centre - 20, centre, centre + 20, centre + 60), 1).astype(np.float32),
            # Weak boxes begin no track, and are not added to the window.
            scores=rng.choice([0.4, 0.9], len(here)).astype(np.float32),
            labels=np.zeros(len(here), np.int64),
            features=people[here] + 0.05 * torch.randn(len(here), D),
            image_size=(480, 640),
            stamp=t * 2_000_000_000,
        )
        kept, plain = (tracker.update(frame) for tracker in trackers)
        # Reading a copy does not count, so that the second tracker computes P_A from scratch.
        plain = deepcopy(plain)
        assert kept.ids.tolist() == plain.ids.tolist()
        if t in readers:
            for one, other in zip(kept.trajectories, plain.trajectories, strict=True):
                np.testing.assert_allclose(one.likelihoods, other.likelihoods, atol=1e-4)
        assert trackers[1].online_association is None
        assert (trackers[0].online_association is not None) == (t >= 7)


def test_the_online_association_is_dropped_when_likelihoods_are_not_read():
    model = transformer(causal=True)
    tracker = Tracker(model, window=8)
    for t in range(40):
        tracks = tracker.update(
            Detections(
                boxes=np.array([[10, 10, 50, 90]], np.float32),
                scores=np.array([0.9], np.float32),
                labels=np.zeros(1, np.int64),
                features=torch.ones(1, D),
                image_size=(480, 640),
                stamp=t * 100_000_000,
            )
        )
        if 5 <= t < 10:
            assert len(tracks.trajectories[0].likelihoods)
        assert (tracker.online_association is not None) == (6 <= t < 18)
