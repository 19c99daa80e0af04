# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""With the published rules the tracker gives the ids and scores of the published system."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from parity import with_formula_weights
from paths import FIXTURES
import pytest
import torch

from gtr_ros.model.association import AssociationTransformer
from gtr_ros.structures import Detections
from gtr_ros.tracking import LikelihoodRule
from gtr_ros.tracking import Tracker
from gtr_ros.tracking.likelihood_rule import PUBLISHED_MOT
from gtr_ros.tracking.likelihood_rule import PUBLISHED_TAO

#: the public code's defaults: its TAO rule without the class gate
DEFAULT = replace(PUBLISHED_TAO, class_gate=None)

RUNS = {
    'mot_T32': (PUBLISHED_MOT, 32),
    'mot_T8': (PUBLISHED_MOT, 8),
    'mot_T2': (PUBLISHED_MOT, 2),
    'mot_noiou_T32': (replace(PUBLISHED_MOT, overlap=False), 32),
    'mot_rule_T32': (PUBLISHED_MOT, 32),
    'default_T16': (DEFAULT, 16),
}


def association(zeroed: bool) -> AssociationTransformer:
    """Return the fixtures' transformer; if zeroed, its logits are dot products of the features."""
    model = with_formula_weights(AssociationTransformer(features=64), 'association.')
    if zeroed:
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if 'out_proj' in name or 'linear2' in name:
                    parameter.zero_()
    return model


def frames_of(data) -> list[Detections]:
    """Return the fixture's frames."""
    splits = np.cumsum(data['nt'])[:-1]
    return [
        Detections(
            boxes=boxes,
            scores=np.ones(len(boxes), np.float32),
            labels=np.zeros(len(boxes), np.int64),
            features=torch.from_numpy(features),
            image_size=tuple(data['image_hw'].tolist()),
        )
        for boxes, features in zip(
            np.split(data['boxes'], splits), np.split(data['feats'], splits)
        )
    ]


class RecordingRule(LikelihoodRule):
    """A rule that records its scores."""

    def scores(self, likelihoods, past, now):
        scores, thresholds = super().scores(likelihoods, past, now)
        self.__dict__.setdefault('recorded', []).append(scores)
        return scores, thresholds


@pytest.mark.parametrize('sequence', ['s1', 's2', 's4'])
@pytest.mark.parametrize('run', RUNS)
def test_a_published_rule_gives_the_published_ids(sequence, run):
    data = np.load(FIXTURES / f'b_tracker_{sequence}.npz')
    rule, window = RUNS[run]
    rule = RecordingRule(**vars(rule))
    tracker = Tracker(association(zeroed=run != 'mot_rule_T32'), rule, window)

    ids = np.concatenate([tracker.update(frame).ids for frame in frames_of(data)])
    np.testing.assert_array_equal(ids, data[f'ids_{run}'])

    if f'score_{run}' in data:
        recorded = np.concatenate([s.ravel() for s in rule.recorded])
        np.testing.assert_allclose(recorded, data[f'score_{run}'], rtol=1e-4, atol=1e-4)


def test_the_tao_rule_gives_the_published_ids():
    data = np.load(FIXTURES / 'b_tracker_tao.npz')
    splits = np.cumsum(data['nt'])[:-1]
    scores = np.split(data['cls_scores'][:, :-1], splits)  # the last column is the background
    tracker = Tracker(association(zeroed=True), PUBLISHED_TAO, 16)
    ids = [
        tracker.update(replace(frame, class_scores=s)).ids
        for frame, s in zip(frames_of(data), scores)
    ]
    np.testing.assert_array_equal(np.concatenate(ids), data['ids_raw'])


def test_the_class_gate_separates_objects_of_different_classes():
    def frame(*class_scores: float) -> Detections:
        return Detections(
            boxes=np.array([[10, 10, 30, 50]], np.float32),
            scores=np.ones(1, np.float32),
            labels=np.zeros(1, np.int64),
            features=torch.ones(1, 64),
            image_size=(100, 100),
            class_scores=np.array([class_scores], np.float32),
        )

    tracker = Tracker(association(zeroed=True), PUBLISHED_TAO, 16)
    assert tracker.update(frame(0.9, 0.0)).ids.tolist() == [1]
    assert tracker.update(frame(0.2, 0.9)).ids.tolist() == [1]
    assert tracker.update(frame(0.0, 0.001)).ids.tolist() == [3]  # id 2 is skipped
