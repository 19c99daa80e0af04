# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Rules by the names that users write, and what the likelihood rules compute by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scenes import frame
from scenes import looks
from scenes import make_tracker

from gtr_ros.model.association import CosineAssociation
from gtr_ros.tracking import EvidenceRule
from gtr_ros.tracking import LikelihoodRule
from gtr_ros.tracking import RULES
from gtr_ros.tracking.past import Past
from gtr_ros.tracking.rules import find_rule
from gtr_ros.tracking.rules import NAMES
from gtr_ros.tracking.rules import rule_name

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ('name', 'model', 'own', 'expected'),
    [
        ('', 'mobile', True, 'evidence'),
        (None, 'mot', True, 'mot'),
        ('', 'tao', True, 'tao'),
        (None, 'mot', False, 'evidence'),
        ('mobile', 'tao', True, 'evidence'),
        ('paper', 'mobile', False, 'paper'),
    ],
)
def test_names_of_users_are_resolved(name, model, own, expected):
    assert rule_name(name, model, own) == expected
    assert find_rule(name, model, own) == RULES[expected]


def test_without_more_the_boxes_are_the_models_own():
    assert rule_name('', 'mot') == 'mot'
    assert find_rule('', 'mot') == RULES['mot']


def test_an_unknown_name_is_answered_with_all_names():
    with pytest.raises(ValueError, match="rule 'hungarian'; expected one of evidence, mot, tao"):
        rule_name('hungarian', 'mobile')
    assert set(NAMES) == {*RULES, 'mobile'}


def test_the_gallery_of_a_user_changes_only_the_gallery():
    plain = EvidenceRule()
    assert find_rule('evidence', 'mobile') == plain
    found = find_rule('evidence', 'mobile', gallery_size=5)
    assert found == replace(plain, gallery=replace(plain.gallery, size=5))
    found = find_rule('evidence', 'mobile', gallery_seconds=7.0)
    assert found == replace(plain, gallery=replace(plain.gallery, seconds=7.0))
    assert find_rule('evidence', 'mobile', gallery_size=0).gallery.size == 0


def test_a_rule_without_a_gallery_takes_no_notice_of_it():
    assert find_rule('paper', 'mobile', gallery_size=5) == RULES['paper']


PAST = Past(
    boxes=np.array([[0, 0, 10, 20], [100, 0, 110, 20], [4, 0, 14, 20]], np.float32),
    labels=np.array([0, 1, 0]),
    class_scores=np.array([[0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], np.float32),
    stamps=np.array([0, SECOND, SECOND]),
    age=np.array([2, 1, 1]),
    ids=np.array([3, 8]),
    track=np.array([0, 1, 0]),
)
P_A = np.array([[0.2, 0.1, 0.6]])
PLAIN = LikelihoodRule(motion=0.0, same_label=False, threshold=0.25, gated=False)


def now(x: float = 5.0, label: int = 0):
    made = frame([(x + 5, 10)], 2.0, height=20.0, labels=[label])
    return replace(made, class_scores=np.array([[0.5, 0.0]], np.float32))


def scores(rule: LikelihoodRule, **changes) -> list[float]:
    return rule.scores(P_A, PAST, now(**changes))[0][0].tolist()


def test_a_score_is_the_mean_or_the_sum_over_a_tracks_boxes():
    assert scores(PLAIN) == pytest.approx([0.4, 0.1])
    assert scores(replace(PLAIN, average=False)) == pytest.approx([0.8, 0.1])
    assert scores(replace(PLAIN, average=False, decay=0.5)) == pytest.approx([0.7, 0.1])


def test_boxes_of_improbable_classes_do_not_count():
    # The products of the class scores are 0.45 and 0.1.
    for gate, expected in ((0.05, [0.4, 0.1]), (0.2, [0.4, 0]), (0.46, [0, 0])):
        assert scores(replace(PLAIN, class_gate=gate)) == pytest.approx(expected)


def test_a_rule_by_class_scores_says_if_there_are_none():
    rule = replace(PLAIN, class_gate=0.1)
    with pytest.raises(ValueError, match='compares the scores of all classes'):
        rule.scores(P_A, PAST, replace(now(), class_scores=None))
    with pytest.raises(ValueError, match='compares the scores of all classes'):
        rule.scores(P_A, replace(PAST, class_scores=None), now())


def test_an_empty_frame_needs_no_class_scores():
    tracker = make_tracker(rule=RULES['tao'])
    person = replace(
        frame([(50, 50)], 1.0, looks([0])), class_scores=np.array([[0.9]], np.float32)
    )
    first = tracker.update(person).ids.tolist()
    tracker.update(frame([], 1.1, looks([])))
    assert tracker.update(replace(person, stamp=person.stamp + SECOND)).ids.tolist() == first


def test_thresholds_may_grow_with_the_number_of_boxes():
    assert PLAIN.scores(P_A, PAST, now())[1].tolist() == [0.25, 0.25]
    longer = replace(PLAIN, threshold_by_length=True)
    assert longer.scores(P_A, PAST, now())[1].tolist() == [0.5, 0.25]


def test_a_gated_score_is_0_up_to_the_threshold():
    assert scores(replace(PLAIN, gated=True)) == pytest.approx([0.4, 0])
    assert scores(replace(PLAIN, gated=True, threshold=0.45)) == [0, 0]


def test_labels_and_overlap_count_if_the_rule_has_them():
    assert scores(replace(PLAIN, same_label=True)) == pytest.approx([0.4, 0])
    assert scores(replace(PLAIN, same_label=True), label=1) == pytest.approx([0, 0.1])
    # The newest box of track 3 is shifted by one of its ten pixels.
    assert scores(replace(PLAIN, overlap=True)) == pytest.approx([9 / 11, 0.1])


def test_boxes_far_away_do_not_count_with_a_gate():
    # The distance of the centres is one pixel, the square of the diagonal 500.
    size = np.array([640, 480])
    near = (1 / size[0]) ** 2 / ((10 / size[0]) ** 2 + (20 / size[1]) ** 2)
    assert scores(replace(PLAIN, centre_gate=1.01 * near)) == pytest.approx([0.4, 0])
    assert scores(replace(PLAIN, centre_gate=0.99 * near)) == [0, 0]


def test_motion_predicts_with_the_tracks_velocity():
    # Track 3 moves by 4 pixels a second and is expected at 8, half a pixel beside the box.
    rule = replace(PLAIN, motion=1.0, motion_sigma=0.5, motion_growth=0.25, motion_certain=None)
    distance, sigma = 0.5 / 20, 0.5 + 0.25
    expected = np.exp(-((distance / sigma) ** 2) / 2)
    assert scores(rule, x=8.5)[0] == pytest.approx(expected)
    certain = replace(rule, motion_certain=0.3)
    assert scores(certain, x=8.5)[0] == pytest.approx(0.3 / sigma * expected)
    mixed = replace(rule, motion=0.25)
    assert scores(mixed, x=8.5)[0] == pytest.approx(0.75 * 0.4 + 0.25 * expected)


@pytest.mark.parametrize('name', ['mot', 'tao', 'paper'])
def test_the_rules_of_the_paper_and_of_its_code_use_no_motion(name):
    assert RULES[name].motion == 0
    assert RULES['gaussian'].motion > 0


def test_velocities_are_fitted_to_the_newest_boxes():
    seconds = np.arange(12.0)
    centres = np.where(seconds[:, None] < 3, 900.0, np.outer(seconds, [3.0, -2.0]))
    boxes = np.hstack([centres - 5, centres + 5])
    past = replace(
        PAST,
        boxes=np.concatenate([boxes, [[0, 0, 5, 5]]]).astype(np.float32),
        stamps=np.append(seconds * SECOND, 11 * SECOND).astype(np.int64),
        age=np.append(np.arange(12, 0, -1), 1),
        ids=np.array([1, 2]),
        track=np.append(np.zeros(12, int), 1),
    )
    np.testing.assert_allclose(past.velocities(8), [[3, -2], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(past.velocities(2), [[3, -2], [0, 0]], atol=1e-6)
    assert abs(past.velocities(9)[0, 0] - 3) > 1  # with the first of the other places
    np.testing.assert_allclose(past.velocities(), past.velocities(8))


def test_reductions_are_over_the_boxes_of_each_track():
    values = np.array([[1.0, 2, 4], [8, 16, 32]])
    assert PAST.sum_by_track(values).tolist() == [[5, 2], [40, 16]]
    assert PAST.any_by_track(values == 4).tolist() == [[True, False], [False, False]]
    assert PAST.lengths.tolist() == [2, 1]
    assert PAST.last.tolist() == [2, 1]


def test_a_rule_is_described_by_its_terms():
    association = CosineAssociation()
    start = f'{association.description}; '
    assert PLAIN.describe(association) == f'{start}mean likelihood'
    summed = replace(PLAIN, average=False, overlap=True)
    assert summed.describe(association) == f'{start}summed likelihood, overlap with the last box'
    moving = replace(PLAIN, motion=0.5)
    assert moving.describe(association) == f'{start}mean likelihood, constant-velocity motion'
