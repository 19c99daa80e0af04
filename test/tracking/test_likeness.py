# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera believes of how alike objects look, and what it learns of it."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import frame
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.association import frame_softmax
from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.likeness import association_odds
from gtr_ros.tracking.likeness import best_logits
from gtr_ros.tracking.likeness import Likeness
from gtr_ros.tracking.window import Past
from gtr_ros.tracking.window import WindowView

BELIEF = Calibration(same=0.8, different=0.4, deviation=0.2, drop=0.1, trust=50.0)


def unit(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=1)


def seen(features: torch.Tensor, times: int, seconds: float = 0.1, memory: float = 30.0):
    """Show the same features a number of times after the tracks began."""
    likeness = Likeness(BELIEF, memory)
    likeness.begin(features)
    rows = np.arange(len(features))
    for _ in range(times):
        likeness.compare(features)
        likeness.update(rows, rows, features, seconds)
    return likeness


def test_before_anything_was_seen_the_calibration_is_believed():
    likeness = Likeness(BELIEF, 30.0)
    assert (likeness.same, likeness.different) == pytest.approx((0.8, 0.4))
    assert likeness.slope == pytest.approx((0.8 - 0.4) / 0.2**2)
    assert likeness.level == pytest.approx(0.6)


def test_means_are_of_what_was_believed_and_of_what_was_seen():
    # One frame of two tracks: two pairs of the same, with cosine 1, two of others, with 0.6.
    likeness = seen(unit((1, 0), (0.6, 0.8)), 1)
    assert likeness.same == pytest.approx((50 * 0.9 + 2 * 1.0) / 52 - 0.1)
    assert likeness.different == pytest.approx((50 * 0.4 + 2 * 0.6) / 52)
    assert likeness.level == pytest.approx((likeness.same + likeness.different) / 2)


def test_what_was_seen_long_ago_weighs_less():
    likeness = seen(unit((1, 0), (0.6, 0.8)), 2, seconds=30.0, memory=30.0)
    pairs = 2 * np.exp(-1) + 2
    assert likeness.different == pytest.approx((50 * 0.4 + pairs * 0.6) / (50 + pairs))


def test_where_different_objects_look_alike_looks_say_nothing():
    slopes = [seen(unit((1, 0), (1, 0.01), (1, -0.01)), n).slope for n in (0, 2, 5, 300)]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] == pytest.approx(10)
    assert slopes[-1] == 0


def test_where_different_objects_look_different_looks_say_more():
    likeness = seen(unit((1, 0), (0, 1)), 300)
    assert likeness.slope > Likeness(BELIEF, 30.0).slope
    assert likeness.level < 0.6


def test_one_object_alone_teaches_nothing_of_others():
    likeness = seen(unit((1, 0)), 100)
    assert likeness.different == pytest.approx(0.4)


def test_a_tracks_look_is_a_mean_while_it_is_young_and_then_fades():
    likeness = Likeness(BELIEF, 30.0)
    likeness.begin(unit((1, 0)))
    expected, news = np.array([1.0, 0.0]), unit((0, 1))
    for count in range(1, 15):
        likeness.compare(news)
        likeness.update(np.array([0]), np.array([0]), news, 0.1)
        share = 1 / (1 + min(count, 9))
        expected = (1 - share) * expected + share * np.array([0.0, 1.0])
        cosine = likeness.compare(unit((1, 0)))[0, 0]
        assert cosine == pytest.approx(expected[0] / np.linalg.norm(expected), abs=1e-5)


def test_each_track_is_compared_with_each_detection():
    likeness = Likeness(BELIEF, 30.0)
    likeness.begin(unit((1, 0), (0, 1)))
    likeness.begin(unit((-1, 0)))
    cosines = likeness.compare(unit((1, 0), (0.6, 0.8)))
    np.testing.assert_allclose(cosines, [[1, 0, -1], [0.6, 0.8, -0.6]], atol=1e-6)
    likeness.keep(np.array([1]))
    np.testing.assert_allclose(likeness.compare(unit((0.6, 0.8))), [[0.8]], atol=1e-6)


def test_features_of_another_network_are_refused():
    likeness = Likeness(BELIEF, 30.0)
    with pytest.raises(ValueError, match='2 numbers wide, those before 0'):
        likeness.compare(unit((1, 0)))
    likeness.begin(unit((1, 0)))
    with pytest.raises(ValueError, match=r'3 numbers wide, those before 2.*of one network'):
        likeness.compare(unit((1, 0, 0)))


def test_when_nobody_is_left_others_may_come():
    likeness = Likeness(BELIEF, 30.0)
    likeness.keep(np.zeros(0, np.int64))
    likeness.begin(unit((1, 0)))
    likeness.keep(np.zeros(0, np.int64))
    assert len(likeness) == 0
    likeness.begin(unit((0, 1)))
    np.testing.assert_allclose(likeness.compare(unit((0, 1))), [[1]])


def test_what_is_not_finite_is_like_nobody():
    features = Likeness(BELIEF, 30.0).unit(torch.tensor([[float('nan')] * 2, [3.0, 4.0]]))
    np.testing.assert_allclose(features, [[0, 0], [0.6, 0.8]])


def test_cosines_in_fishers_z_are_weighed_as_the_others_are():
    likeness = seen(unit((1, 0), (0.6, 0.8)), 1)
    same, different, deviation = likeness.in_z
    one, apart = np.arctanh(0.99), np.arctanh(0.6)  # a cosine of 1 counts as 0.99
    assert same == pytest.approx((50 * np.arctanh(0.9) + 2 * one) / 52, rel=1e-5)
    mean = (50 * np.arctanh(0.4) + 2 * apart) / 52
    assert different == pytest.approx(mean, rel=1e-5)
    squares = (50 * (np.arctanh(0.4) ** 2 + 0.3**2) + 2 * apart**2) / 52
    assert deviation == pytest.approx(np.sqrt(squares - mean**2), rel=1e-5)


def past_of(counts: list[int], ids: list[int]) -> Past:
    """Make the past of frames with so many boxes, which are of these identities."""
    total = sum(counts)
    known, track = np.unique(np.array(ids), return_inverse=True)
    return Past(
        boxes=np.zeros((total, 4)),
        labels=np.zeros(total, np.int64),
        class_scores=None,
        stamps=np.zeros(total, np.int64),
        age=np.repeat(np.arange(len(counts), 0, -1), counts),
        ids=known,
        track=track,
    )


@pytest.mark.parametrize('counts', [[3], [2, 3, 1], [0, 2, 0, 3, 0]])
def test_logits_are_those_that_likelihoods_were_made_of(counts):
    chance = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(5, sum(counts), generator=chance)
    likelihoods = frame_softmax(logits, counts).numpy()
    found = np.log(association_odds(likelihoods, past_of(counts, list(range(sum(counts))))))
    np.testing.assert_allclose(found, logits, atol=1e-3)


def test_logits_beyond_float32_stay_finite():
    found = np.log(association_odds(np.array([[1.0, 0.0]], np.float32), past_of([2], [1, 2])))
    np.testing.assert_allclose(found, [[-np.log(1e-7), np.log(1e-7) - np.log(1e-7)]])


def test_the_best_box_of_a_track_speaks_for_it_and_who_has_none_has_no_evidence():
    # Tracks 2, 5 and 7; 2 was seen in both frames, 7 has left the window.
    counts, ids = [2, 2], [[2, 5], [9, 2]]
    logits = torch.tensor([[1.0, -2.0, 0.5, 3.0], [-1.0, 2.0, -3.0, -4.0]])
    frames = [
        (frame([(0, 0), (9, 9)], t), np.array(who)) for t, who in zip((0, 1), ids, strict=True)
    ]
    now = frame([(0, 0), (9, 9)], 2)
    view = WindowView(now, frames, CosineAssociation(), frame_softmax(logits, counts).numpy())
    best = best_logits(view, np.array([5, 2, 7, 100]))
    np.testing.assert_allclose(best, [[-2, 3, 0, 0], [2, -1, 0, 0]], atol=1e-4)


def test_an_empty_window_has_no_evidence():
    view = WindowView(frame([(0, 0)], 1), [], CosineAssociation())
    assert best_logits(view, np.array([1, 2])).tolist() == [[0, 0]]
    view = WindowView(frame([(0, 0)], 1), [(frame([], 0), np.zeros(0, int))], CosineAssociation())
    assert best_logits(view, np.array([1, 2])).tolist() == [[0, 0]]
