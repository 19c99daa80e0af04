# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Each cue of linking by evidence, against values computed by hand."""

from __future__ import annotations

from math import exp
from math import log
from math import pi

import numpy as np
import pytest

from gtr_ros.tracking.evidence import appearance_evidence
from gtr_ros.tracking.evidence import class_evidence
from gtr_ros.tracking.evidence import motion_evidence
from gtr_ros.tracking.evidence import ratio_evidence
from gtr_ros.tracking.evidence import size_evidence
from gtr_ros.tracking.motion import MotionFilters
from gtr_ros.tracking.motion import MotionModel

E = 0.02


def test_a_ratio_of_one_is_no_evidence():
    assert ratio_evidence(np.array(1.0), E) == pytest.approx(0)


@pytest.mark.parametrize('outlier', [0.01, 0.2])
def test_evidence_is_never_below_the_logarithm_of_the_tail(outlier):
    assert ratio_evidence(np.array(0.0), outlier) == pytest.approx(log(outlier))
    assert motion_evidence(np.zeros((1, 1)), 3e5, outlier)[0, 0] == pytest.approx(log(outlier))
    huge = size_evidence(np.log([1e4]), np.log([10.0]), np.array([0.02]), 1.0, outlier)
    assert huge[0, 0] == pytest.approx(log(outlier))


def test_motion_with_one_hypothesis_compares_a_normal_density_with_the_image():
    filters = MotionFilters((MotionModel(0.1, 0.05, 1.0, 1.0),), memory=1.0)
    filters.begin(np.array([[100.0, 50.0]]))
    filters.predict(0.5)
    height, area = 80.0, 640.0 * 480.0
    variance = (0.05**2 + 1.0 * 0.5**2 + 0.1 * 0.5**3 / 3 + 0.05**2) * height**2
    centre = np.array([[110.0, 45.0]])
    normal = exp(-(10**2 + 5**2) / (2 * variance)) / (2 * pi * variance)
    evidence = motion_evidence(filters.density(centre, np.array([height]), 3.0), area, E)
    assert evidence.shape == (1, 1)
    assert evidence[0, 0] == pytest.approx(log((1 - E) * area * normal + E), rel=1e-12)


def test_motion_weighs_each_hypothesis_by_its_probability():
    models = MotionModel(0.1, 0.05, 1.0, 0.9), MotionModel(3.0, 0.2, 2.0, 0.1)
    filters = MotionFilters(models, memory=1.0)
    filters.begin(np.array([[100.0, 50.0]]))
    height, places = 80.0, np.array([[104.0, 50.0], [100.0, 80.0]])
    expected = np.zeros(2)
    for weight, r in ((0.9, 0.05), (0.1, 0.2)):
        variance = 2 * r**2 * height**2  # of the last box, and of the next one
        squares = ((places - [100.0, 50.0]) ** 2).sum(axis=1)
        expected += weight * np.exp(-squares / (2 * variance)) / (2 * pi * variance)
    density = filters.density(places, np.array([height]), limit=3.0)
    np.testing.assert_allclose(density[:, 0], expected)
    evidence = motion_evidence(density, 1e5, E)[:, 0]
    np.testing.assert_allclose(evidence, np.log((1 - E) * 1e5 * expected + E))


def test_size_compares_a_narrow_normal_with_a_wide_one():
    variance, spread = 0.04, 0.5
    offset = log(60 / 50)
    narrow = exp(-(offset**2) / (2 * variance)) / variance**0.5
    wide = exp(-(offset**2) / (2 * spread**2)) / spread
    evidence = size_evidence(np.log([60.0]), np.log([50.0]), np.array([variance]), spread, E)
    assert evidence[0, 0] == pytest.approx(log((1 - E) * narrow / wide + E))


def test_twice_the_height_is_the_same_evidence_as_half_the_height():
    expected, variance = np.log([50.0]), np.array([0.02])
    taller, lower = size_evidence(np.log([100.0, 25.0]), expected, variance, 1.0, E)[:, 0]
    assert taller == pytest.approx(lower)
    assert taller < 0 < size_evidence(expected, expected, variance, 1.0, E)[0, 0]


def test_every_detection_is_compared_with_every_track():
    heights, tracks = np.log([50.0, 100.0, 20.0]), np.log([50.0, 100.0])
    evidence = size_evidence(heights, tracks, np.array([0.02, 0.02]), 1.0, E)
    assert evidence.shape == (3, 2)
    assert evidence[0, 0] == pytest.approx(evidence[1, 1]) == evidence.max()


def test_appearance_is_linear_between_two_limits():
    similarity = np.array([[0.5, 0.6, 0.45, 1.0, -1.0]])
    evidence = appearance_evidence(similarity, slope=20.0, level=0.5, limit=6.0)
    np.testing.assert_allclose(evidence, [[0, 2, -1, 6, -6]])


def test_the_only_label_in_a_camera_is_no_evidence():
    boxes = np.array([1.0, 3.0, 50.0])
    evidence = class_evidence(np.stack([boxes, boxes]), boxes, np.ones(2), 1.0, 0.1)
    np.testing.assert_allclose(evidence, 0, atol=1e-12)


def test_a_new_label_is_stronger_evidence_against_a_track_with_more_boxes():
    votes, boxes = np.zeros((1, 3)), np.array([1.0, 4.0, 1e9])
    evidence = class_evidence(votes, boxes, np.array([0.25]), prior=2.0, error=0.1)
    expected = [log(0.9 * 2 / 3 + 0.1), log(0.9 * 2 / 6 + 0.1), log(0.1)]
    np.testing.assert_allclose(evidence[0], expected, rtol=1e-6)
    assert evidence.max() < 0


def test_a_rare_label_is_more_evidence_than_a_frequent_one():
    votes, boxes = np.full((2, 1), 10.0), np.array([10.0])
    [[rare], [frequent]] = class_evidence(votes, boxes, np.array([0.01, 0.9]), 1.0, 0.1)
    assert rare == pytest.approx(log(0.9 * (1000 + 1) / 11 + 0.1))
    assert 0 < frequent < 0.2


def test_a_track_with_both_labels_is_more_likely_than_one_with_the_other_label():
    votes = np.array([[5.0, 0.0, 10.0]])
    [[both, other, always]] = class_evidence(votes, np.full(3, 10.0), np.array([0.5]), 1.0, 0.1)
    assert other < both < always
    assert both == pytest.approx(log(0.9 * 11 / 11 + 0.1))


def test_without_detections_or_tracks_there_is_no_evidence():
    none = np.zeros(0)
    assert size_evidence(none, np.zeros(3), np.ones(3), 1.0, E).shape == (0, 3)
    assert size_evidence(np.zeros(2), none, none, 1.0, E).shape == (2, 0)
    assert class_evidence(np.zeros((0, 3)), np.ones(3), none, 1.0, 0.1).shape == (0, 3)
    assert motion_evidence(np.zeros((2, 0)), 1.0, E).shape == (2, 0)
