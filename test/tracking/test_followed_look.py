# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The look of the followed object: what is learnt, and what counts as evidence."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import LOOKS

from gtr_ros.tracking.followed_look import _MOST_OTHERS
from gtr_ros.tracking.followed_look import _Normal
from gtr_ros.tracking.followed_look import FollowedLook
from gtr_ros.tracking.followed_look import TrackLook


def look_of(feature: np.ndarray, boxes: int = 20) -> FollowedLook:
    """Return what is known after an object was seen beside track 2."""
    look = FollowedLook()
    for _ in range(boxes):
        look.learn(feature, [2], LOOKS[1:2].astype(np.float32), sure=True)
    return look


def between(share: float) -> np.ndarray:
    """Return a look of unit length between person 0, at 0, and person 1, at 1."""
    look = (1 - share) * LOOKS[0] + share * LOOKS[1]
    return (look / np.linalg.norm(look)).astype(np.float32)


def test_a_running_mean_begins_at_its_prior_and_follows_what_is_added():
    normal = _Normal(0.5, 0.3)
    assert (normal.mean, normal.deviation) == pytest.approx((0.5, 0.3))
    stream = np.random.default_rng(4)
    for _ in range(200):
        normal.add(stream.normal(2.0, 0.1, 50))
    assert normal.mean == pytest.approx(2.0, abs=0.02)
    assert normal.deviation == pytest.approx(0.1, abs=0.02)
    for _ in range(200):
        normal.add(stream.normal(-1.0, 0.1, 50))
    assert normal.mean == pytest.approx(-1.0, abs=0.02), 'what was long ago counts no more'


def test_nothing_is_known_before_some_boxes():
    look = FollowedLook()
    assert (look.begun, look.known) == (False, False)
    assert look.resembles(LOOKS[1]), 'it may be the object'
    first = look_of(between(0), 1)
    assert (first.begun, first.known) == (True, False)
    assert look_of(between(0), 5).known


def test_a_box_that_is_less_like_the_object_than_usual_is_not_learnt():
    look = look_of(between(0))
    boxes = float(look._prototypes.boxes[0])
    shares = np.linspace(0, 1, 41)
    resemble = [look.resembles(between(share)) for share in shares]
    learnt = []
    for share in shares:
        before = float(look._prototypes.boxes[0])
        trial = look_of(between(0))
        trial.learn(between(share), [], LOOKS[:0], sure=False)
        learnt.append(float(trial._prototypes.boxes[0]) > before)
    assert float(look._prototypes.boxes[0]) == boxes
    assert learnt[0]
    assert not learnt[-1]
    assert 0 < sum(learnt) < sum(resemble) < len(shares), 'some resemble it, but are not learnt'


def test_who_was_chosen_is_learnt_until_the_look_is_known():
    look = look_of(between(0), 3)
    boxes = float(look._prototypes.boxes[0])
    look.learn(between(0.9), [], LOOKS[:0], sure=False)
    assert float(look._prototypes.boxes[0]) == boxes
    look.learn(between(0.9), [], LOOKS[:0], sure=True)
    assert float(look._prototypes.boxes[0]) == boxes + 1


def test_evidence_grows_with_boxes_and_allows_more_change_after_being_hidden():
    look = look_of(between(0))
    one, many = (TrackLook(between(0.35), 0, boxes) for boxes in (1, 20))
    other = TrackLook(between(1.0), 0, 20)
    assert 0 < look.evidence(one, hidden=False) < look.evidence(many, hidden=False)
    assert look.evidence(one, hidden=True) > look.evidence(one, hidden=False)
    assert look.evidence(other, hidden=False) < 0


@pytest.mark.parametrize(('present', 'another'), [([], True), ([2], False)])
def test_a_track_that_looks_like_somebody_who_is_gone_is_another(present, another):
    look = look_of(between(0))
    assert list(look.others) == [2]
    assert look.is_another(TrackLook(between(0.9), 0, 5), present) is another
    assert not look.is_another(TrackLook(between(0.0), 0, 5), present)
    look.no_other(2)
    assert not look.is_another(TrackLook(between(0.9), 0, 5), present)


def test_each_of_several_who_are_gone_is_compared_alone():
    look = look_of(between(0))
    others = LOOKS[2:7].astype(np.float32)
    look.learn(between(0), list(range(3, 3 + len(others))), others, sure=True)
    assert look.is_another(TrackLook(between(0.6), 0, 5), [])
    assert not look.is_another(TrackLook(between(0.6), 0, 5), [2])


def test_only_those_in_view_are_remembered_of_a_thousand_others():
    look = look_of(between(0))
    crowd = LOOKS[1:2].repeat(_MOST_OTHERS - 1, axis=0).astype(np.float32)
    look.learn(between(0), list(range(10, 10 + len(crowd))), crowd, sure=False)
    assert len(look.others) == _MOST_OTHERS
    look.learn(between(0), [5, 6], LOOKS[1:3].astype(np.float32), sure=False)
    assert set(look.others) == {5, 6}


def test_the_mean_of_a_track_forgets_what_was_seconds_ago():
    track = TrackLook(LOOKS[0], 0)
    for _ in range(30):
        track.add(LOOKS[0], 0.1)
    for _ in range(30):
        track.add(LOOKS[1], 0.1)
    np.testing.assert_allclose(track.mean, LOOKS[1], atol=0.01)
    assert track.boxes == 60


def test_features_of_another_model_are_told_by_their_length():
    look = look_of(between(0))
    assert look.is_of(np.zeros((3, LOOKS.shape[1])))
    assert not look.is_of(np.zeros((3, LOOKS.shape[1] + 1)))
    assert FollowedLook().is_of(np.zeros((3, 7)))
