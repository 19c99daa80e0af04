# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of identities that were lost, and how a track is weighed against them."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.gallery import fisher
from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.gallery import who


def unit(*angles: float) -> np.ndarray:
    """Return features of two numbers, at angles in degrees."""
    turned = np.radians(angles)
    return np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)


def gallery_of(*angles: float, seen: list[float] | None = None, **rule) -> Gallery:
    """Remember identities 1, 2, ... that look like this, each of 10 boxes that are the same."""
    gallery = Gallery(GalleryOptions(**rule))
    tracks = Prototypes(gallery.rule.prototypes)
    tracks.begin(unit(*angles))
    every = np.arange(len(angles))
    for _ in range(10):
        tracks.update(every, unit(*angles))
    gallery.add(
        every + 1,
        tracks.select(every),
        np.zeros(len(angles), np.int64),
        np.zeros(len(angles)) if seen is None else np.array(seen),
    )
    return gallery


def test_z_is_the_area_tangent_of_a_cosine_up_to_a_limit():
    np.testing.assert_allclose(
        fisher(np.array([0.0, 0.5, -0.5, 1.0, -1.0])),
        [0, np.log(3) / 2, -np.log(3) / 2, np.log(199) / 2, -np.log(199) / 2],
    )


def test_a_box_that_looks_alike_is_averaged_in():
    kept = Prototypes(4)
    kept.begin(unit(0))
    kept.update(np.array([0]), unit(20))
    assert kept.counts.tolist() == [[2, 0, 0, 0]]
    np.testing.assert_allclose(kept.features[0, 0], unit(10)[0], atol=1e-6)


def test_each_side_that_was_shown_has_a_prototype():
    kept = Prototypes(4)
    kept.begin(unit(0))
    for angle in (90, 180, 93, 270, 87, 0):
        kept.update(np.array([0]), unit(angle))
    assert kept.counts.tolist() == [[2, 3, 1, 1]]
    cosines = kept.compare(unit(0, 90, 180, 270, 45))
    np.testing.assert_allclose(cosines[:4, 0], 1, atol=1e-3)
    assert cosines[4, 0] == pytest.approx(np.cos(np.pi / 4), abs=1e-2)


def test_one_side_too_many_is_averaged_into_the_nearest():
    kept = Prototypes(2)
    kept.begin(unit(0))
    kept.update(np.array([0]), unit(120))
    kept.update(np.array([0]), unit(180))
    assert kept.counts.tolist() == [[1, 2]]
    np.testing.assert_allclose(kept.features[0, 1], unit(150)[0], atol=1e-6)


def test_prototypes_keep_unit_length_and_their_size_however_long_a_track_lasts():
    rng = np.random.default_rng(0)
    kept = Prototypes(3)
    kept.begin(unit(0, 90))
    for _ in range(500):
        kept.update(np.array([0, 1]), unit(*rng.uniform(0, 360, 2)))
    assert kept.features.shape == (2, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(kept.features, axis=2), 1, atol=1e-5)
    assert kept.boxes.tolist() == [500, 500]


def test_how_steady_an_identity_looks_is_a_mean_of_its_boxes():
    kept = Prototypes(1)
    kept.begin(unit(0))
    kept.update(np.array([0]), unit(60))  # beside a prototype at 0
    kept.update(np.array([0]), unit(90))  # beside one at 30
    assert kept.own[0] == pytest.approx(fisher(np.cos(np.pi / 3)), abs=1e-5)


def test_a_place_without_a_prototype_is_like_nobody():
    kept = Prototypes(4)
    kept.begin(unit(0))
    assert kept.compare(unit(180))[0, 0] == pytest.approx(-1)
    assert kept.compare(unit(90))[0, 0] == pytest.approx(0, abs=1e-6)  # a zero is not nearer


def test_evidence_is_that_of_the_closed_form():
    gallery = gallery_of(0, prototypes=4, drop=0.3, deviation=0.25)
    # 10 boxes of z at its limit, and as many as there are prototypes of what is usual.
    own = (10 * fisher(1.0) + 4 * 1.5) / 14 - 0.3
    z, mean, deviation = fisher(np.cos(np.radians(30))), 0.2, 0.5
    expected = (own - mean) / deviation**2 * (z - (own + mean) / 2)
    labels = np.array([0])
    [[found]] = gallery.evidence(unit(30), labels, 1.5, (mean, deviation), 0.1)
    assert found == pytest.approx(expected, rel=1e-4)
    [[other]] = gallery.evidence(unit(30), labels + 1, 1.5, (mean, deviation), 0.1)
    assert other == pytest.approx(expected + np.log(0.1), rel=1e-4)


def test_a_deviation_has_a_least_value():
    gallery = gallery_of(0, deviation=0.5)
    arguments = (unit(30), np.array([0]), 1.5)
    narrow = gallery.evidence(*arguments, (0.2, 0.01), 0.1)
    np.testing.assert_allclose(narrow, gallery.evidence(*arguments, (0.2, 0.5), 0.1))


def test_where_others_look_as_alike_as_oneself_there_is_no_evidence():
    gallery = gallery_of(0)
    [[found]] = gallery.evidence(unit(5), np.array([0]), 1.0, (3.0, 0.3), 0.1)
    assert found == 0


def test_nobody_is_sure_of_one_among_two_that_fit():
    best, certainty = who(np.array([[10.0, 10.0, -5.0], [10.0, 1.0, -5.0]]), threshold=2.0)
    assert certainty[0] == pytest.approx(1 / (2 + np.exp(-8) + np.exp(-15)))
    assert best[1] == 0
    assert certainty[1] == pytest.approx(1 / (1 + np.exp(-9) + np.exp(-15) + np.exp(-8)))


def test_evidence_at_the_threshold_is_as_likely_of_somebody_new():
    assert who(np.array([[2.0]]), threshold=2.0)[1][0] == pytest.approx(0.5)
    assert who(np.array([[-1000.0]]), threshold=2.0)[1][0] == pytest.approx(0)
    assert who(np.array([[1000.0]]), threshold=2.0)[1][0] == pytest.approx(1)


def test_who_was_lost_longest_ago_goes_first():
    gallery = gallery_of(0, 30, 60, 90, seen=[4.0, 1.0, 3.0, 2.0], size=2)
    assert gallery.ids.tolist() == [1, 3]
    assert len(gallery.prototypes) == len(gallery.labels) == 2
    np.testing.assert_allclose(gallery.prototypes.compare(unit(60))[0, 1], 1, atol=1e-6)


def test_an_identity_is_remembered_for_so_many_seconds():
    gallery = gallery_of(0, 30, seen=[100.0, 200.0], seconds=50.0)
    gallery.forget(150.0)
    assert gallery.ids.tolist() == [1, 2]
    gallery.forget(150.1)
    assert gallery.ids.tolist() == [2]
    gallery.forget(1e9)
    assert len(gallery) == 0


def test_who_came_back_leaves():
    gallery = gallery_of(0, 30, 60)
    gallery.remove(1)
    assert gallery.ids.tolist() == [1, 3]
    np.testing.assert_allclose(gallery.prototypes.compare(unit(60))[0, 1], 1, atol=1e-6)


def test_a_gallery_of_size_zero_remembers_nobody():
    assert len(gallery_of(0, 30, size=0)) == 0
