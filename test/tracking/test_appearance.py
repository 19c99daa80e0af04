# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The similarity statistics of a camera: their prior, and what is learnt online."""

from __future__ import annotations

import numpy as np
import pytest
from scenes import frame
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.model.association import frame_softmax
from gtr_ros.model.calibration import Calibration
from gtr_ros.tracking.appearance import AppearanceModel
from gtr_ros.tracking.appearance import association_odds
from gtr_ros.tracking.appearance import mean_logits
from gtr_ros.tracking.past import Past
from gtr_ros.tracking.window import WindowView

PRIOR = Calibration(same=0.8, different=0.4, deviation=0.2, drop=0.1, trust=50.0)


#: seconds after which an object looks as after an absence
LONG = np.array([1e6])


def unit(*rows: tuple[float, ...]) -> torch.Tensor:
    return torch.nn.functional.normalize(torch.tensor(rows, dtype=torch.float32), dim=1)


def updated(features: torch.Tensor, times: int, seconds: float = 0.1, memory: float = 30.0):
    """Update with the same features a number of times after the tracks began."""
    model = AppearanceModel(PRIOR, memory, drift=2.0)
    model.begin(features)
    rows = np.arange(len(features))
    for _ in range(times):
        model.compare(features)
        model.update(rows, rows, features, seconds)
    return model


def test_the_calibration_is_the_prior():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    assert (model.cosines.same, model.cosines.different) == pytest.approx((0.8, 0.4))
    slope, level = model.cosines.scale(LONG)
    assert slope == pytest.approx((0.8 - 0.4) / 0.2**2)
    assert level == pytest.approx(0.6)


def test_means_combine_prior_and_samples():
    # One frame of two tracks: two pairs of the same object, cosine 1, two of different ones, 0.6.
    model = updated(unit((1, 0), (0.6, 0.8)), 1)
    assert model.cosines.same == pytest.approx((50 * 0.9 + 2 * 1.0) / 52 - 0.1)
    assert model.cosines.different == pytest.approx((50 * 0.4 + 2 * 0.6) / 52)
    assert model.cosines.scale(LONG)[1] == pytest.approx(
        (model.cosines.same + model.cosines.different) / 2
    )


def test_older_samples_weigh_less():
    model = updated(unit((1, 0), (0.6, 0.8)), 2, seconds=30.0, memory=30.0)
    pairs = 2 * np.exp(-1) + 2
    assert model.cosines.different == pytest.approx((50 * 0.4 + pairs * 0.6) / (50 + pairs))


def test_the_similarity_of_an_object_out_of_sight_falls_with_time():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    slope, level = model.cosines.scale(np.array([0.0, 2.0, 1e6]))
    same = 0.8 + 0.1 * np.array([1, np.exp(-1), 0])
    assert level == pytest.approx((same + 0.4) / 2)
    assert slope == pytest.approx((same - 0.4) / 0.2**2)


def test_the_deviation_combines_prior_and_samples():
    # Two pairs of the same object, cosine 1, and two of different ones, cosine 0.6.
    model = updated(unit((1, 0), (0.6, 0.8)), 1)

    def variance(prior: float, cosine: float) -> float:
        squares = 50 * (prior**2 + 0.2**2) + 2 * cosine**2
        return squares / 52 - ((50 * prior + 2 * cosine) / 52) ** 2

    mean = (variance(0.9, 1.0) + variance(0.4, 0.6)) / 2
    assert model.cosines.deviation == pytest.approx(np.sqrt(mean))


def test_cosines_that_spread_little_are_stronger_evidence():
    steady = updated(unit((1, 0), (0.6, 0.8)), 2000)
    assert steady.cosines.deviation < 0.1 < PRIOR.deviation
    shared = (steady.cosines.same - steady.cosines.different) / PRIOR.deviation**2
    assert steady.cosines.scale(LONG)[0] > 4 * shared


def test_the_deviation_never_vanishes():
    model = updated(unit((1, 0), (1, 0)), 100000, memory=1e9)
    assert model.cosines.deviation == pytest.approx(0.05)


def test_appearance_is_no_evidence_where_different_objects_look_alike():
    slopes = [
        updated(unit((1, 0), (1, 0.01), (1, -0.01)), n).cosines.scale(LONG)[0]
        for n in (0, 2, 5, 300)
    ]
    assert slopes == sorted(slopes, reverse=True)
    assert slopes[0] == pytest.approx(10)
    assert slopes[-1] == 0


def test_appearance_is_more_evidence_where_different_objects_look_different():
    model = updated(unit((1, 0), (0, 1)), 300)
    slope, level = model.cosines.scale(LONG)
    assert slope > (0.8 - 0.4) / 0.2**2
    assert level < 0.6


def test_one_object_alone_does_not_change_the_statistics_of_different_ones():
    model = updated(unit((1, 0)), 100)
    assert model.cosines.different == pytest.approx(0.4)


def test_the_feature_of_a_track_is_a_mean_at_first_and_then_decays():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    model.begin(unit((1, 0)))
    expected, new = np.array([1.0, 0.0]), unit((0, 1))
    for count in range(1, 15):
        model.compare(new)
        model.update(np.array([0]), np.array([0]), new, 0.1)
        weight = 1 / (1 + min(count, 9))
        expected = (1 - weight) * expected + weight * np.array([0.0, 1.0])
        cosine = model.compare(unit((1, 0)))[0, 0]
        assert cosine == pytest.approx(expected[0] / np.linalg.norm(expected), abs=1e-5)


def test_each_track_is_compared_with_each_detection():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    model.begin(unit((1, 0), (0, 1)))
    model.begin(unit((-1, 0)))
    cosines = model.compare(unit((1, 0), (0.6, 0.8)))
    np.testing.assert_allclose(cosines, [[1, 0, -1], [0.6, 0.8, -0.6]], atol=1e-6)
    model.keep(np.array([1]))
    np.testing.assert_allclose(model.compare(unit((0.6, 0.8))), [[0.8]], atol=1e-6)


def test_features_of_another_length_are_rejected():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    with pytest.raises(ValueError, match='length 2, the previous ones 0'):
        model.compare(unit((1, 0)))
    model.begin(unit((1, 0)))
    with pytest.raises(ValueError, match=r'length 3, the previous ones 2;.*from one network'):
        model.compare(unit((1, 0, 0)))


def test_tracks_can_begin_after_all_were_removed():
    model = AppearanceModel(PRIOR, 30.0, drift=2.0)
    model.keep(np.zeros(0, np.int64))
    model.begin(unit((1, 0)))
    model.keep(np.zeros(0, np.int64))
    assert len(model) == 0
    model.begin(unit((0, 1)))
    np.testing.assert_allclose(model.compare(unit((0, 1))), [[1]])


def test_features_that_are_not_finite_become_zero():
    features = AppearanceModel(PRIOR, 30.0, drift=2.0).unit(
        torch.tensor([[float('nan')] * 2, [3.0, 4.0]])
    )
    np.testing.assert_allclose(features, [[0, 0], [0.6, 0.8]])


def test_statistics_in_fishers_z_have_the_same_weights():
    model = updated(unit((1, 0), (0.6, 0.8)), 1)
    same, different, deviation = model.cosines.statistics
    one, apart = np.arctanh(0.99), np.arctanh(0.6)  # a cosine of 1 counts as 0.99
    assert same == pytest.approx((50 * np.arctanh(0.9) + 2 * one) / 52, rel=1e-5)
    mean = (50 * np.arctanh(0.4) + 2 * apart) / 52
    assert different == pytest.approx(mean, rel=1e-5)
    squares = (50 * (np.arctanh(0.4) ** 2 + 0.3**2) + 2 * apart**2) / 52
    assert deviation == pytest.approx(np.sqrt(squares - mean**2), rel=1e-5)


def test_the_logits_prior_has_the_calibrated_slope_and_level():
    calibration = Calibration(
        logit_slope=0.8, logit_level=-1.0, logit_deviation=1.5, logit_drop=2.0
    )
    model = AppearanceModel(calibration, 30.0, drift=2.0)
    slope, level = model.logits.scale(LONG)
    np.testing.assert_allclose(slope, 0.8)
    np.testing.assert_allclose(level, -1.0)
    # In sight, half of the drop.
    np.testing.assert_allclose(model.logits.scale(np.zeros(1))[1], 0.0)


def test_logits_are_learnt_where_they_are_the_cue():
    model = AppearanceModel(Calibration(logit_slope=0.8, trust=2.0), 30.0, drift=2.0)
    model.begin(unit((1, 0), (0, 1)))
    features, ids = unit((1, 0), (0, 1)), np.array([1, 2])
    logits = torch.tensor([[3.0, -2.0], [-2.0, 3.0]])
    frames = [(frame([(0, 0), (9, 9)], 0), ids)]
    now = frame([(0, 0), (9, 9)], 1)
    view = WindowView(now, frames, CosineAssociation(), frame_softmax(logits, [2]).numpy())
    model.compare(features)
    before = model.logits.same, model.logits.different
    np.testing.assert_allclose(model.compare_logits(view, ids), logits, atol=1e-5)
    model.update(np.arange(2), np.arange(2), features, 0.0)
    # Two pairs of each kind weigh as much as the prior.
    assert model.logits.same == pytest.approx((before[0] + 3) / 2, abs=1e-5)
    assert model.logits.different == pytest.approx((before[1] - 2) / 2, abs=1e-5)
    model.compare(features)  # a frame without logits, such as one without a window
    model.update(np.arange(2), np.arange(2), features, 0.0)
    assert model.logits.same == pytest.approx((before[0] + 3) / 2, abs=1e-5)


def past_of(counts: list[int], ids: list[int]) -> Past:
    """Make the past from the number of boxes in each frame, and their track ids."""
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
def test_logits_are_recovered_from_likelihoods(counts):
    chance = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(5, sum(counts), generator=chance)
    likelihoods = frame_softmax(logits, counts).numpy()
    found = np.log(association_odds(likelihoods, past_of(counts, list(range(sum(counts))))))
    np.testing.assert_allclose(found, logits, atol=1e-3)


def test_logits_beyond_float32_stay_finite():
    found = np.log(association_odds(np.array([[1.0, 0.0]], np.float32), past_of([2], [1, 2])))
    np.testing.assert_allclose(found, [[-np.log(1e-7), np.log(1e-7) - np.log(1e-7)]])


def test_the_mean_of_a_tracks_boxes_counts_and_is_0_for_tracks_without_boxes():
    # Tracks 2, 5 and 9 are in the window, 2 in both frames; 7 has left it.
    counts, ids = [2, 2], [[2, 5], [9, 2]]
    # The last logit is below -4, the least that a box counts.
    logits = torch.tensor([[1.0, -2.0, 0.5, 3.0], [-1.0, 2.0, -3.0, -6.0]])
    frames = [
        (frame([(0, 0), (9, 9)], t), np.array(own)) for t, own in zip((0, 1), ids, strict=True)
    ]
    now = frame([(0, 0), (9, 9)], 2)
    view = WindowView(now, frames, CosineAssociation(), frame_softmax(logits, counts).numpy())
    means = mean_logits(view, np.array([5, 2, 7, 100]))
    np.testing.assert_allclose(means, [[-2, 2, 0, 0], [2, -2.5, 0, 0]], atol=1e-4)


def test_an_empty_window_has_no_evidence():
    view = WindowView(frame([(0, 0)], 1), [], CosineAssociation())
    assert mean_logits(view, np.array([1, 2])).tolist() == [[0, 0]]
    view = WindowView(frame([(0, 0)], 1), [(frame([], 0), np.zeros(0, int))], CosineAssociation())
    assert mean_logits(view, np.array([1, 2])).tolist() == [[0, 0]]
