# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is kept of lost tracks, and how new tracks are compared with them."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.gallery import fisher_z
from gtr_ros.tracking.gallery import Gallery
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import most_likely
from gtr_ros.tracking.gallery import Prototypes
from gtr_ros.tracking.gallery import SimilarityStatistics


def unit(*angles: float) -> np.ndarray:
    """Return 2D features at angles in degrees."""
    radians = np.radians(angles)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def gallery_of(*angles: float, last_seen: list[float] | None = None, **rule) -> Gallery:
    """Add lost tracks 1, 2, ... with these features, each with 11 equal boxes."""
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
        np.zeros(len(angles)) if last_seen is None else np.array(last_seen),
    )
    return gallery


def test_fishers_z_is_the_inverse_hyperbolic_tangent_up_to_a_limit():
    np.testing.assert_allclose(
        fisher_z(np.array([0.0, 0.5, -0.5, 1.0, -1.0])),
        [0, np.log(3) / 2, -np.log(3) / 2, np.log(199) / 2, -np.log(199) / 2],
    )


def test_a_similar_box_is_averaged_into_its_prototype():
    tracks = Prototypes(4)
    tracks.begin(unit(0))
    tracks.update(np.array([0]), unit(20))
    assert tracks.counts.tolist() == [[2, 0, 0, 0]]
    np.testing.assert_allclose(tracks.features[0, 0], unit(10)[0], atol=1e-6)


def test_each_side_of_an_object_has_a_prototype():
    tracks = Prototypes(4)
    tracks.begin(unit(0))
    for angle in (90, 180, 93, 270, 87, 0):
        tracks.update(np.array([0]), unit(angle))
    assert tracks.counts.tolist() == [[2, 3, 1, 1]]
    cosines = tracks.compare(unit(0, 90, 180, 270, 45))
    np.testing.assert_allclose(cosines[:4, 0], 1, atol=1e-3)
    assert cosines[4, 0] == pytest.approx(np.cos(np.pi / 4), abs=1e-2)


def test_without_a_free_prototype_the_nearest_is_updated():
    tracks = Prototypes(2)
    tracks.begin(unit(0))
    tracks.update(np.array([0]), unit(120))
    tracks.update(np.array([0]), unit(180))
    assert tracks.counts.tolist() == [[1, 2]]
    np.testing.assert_allclose(tracks.features[0, 1], unit(150)[0], atol=1e-6)


def test_prototypes_keep_unit_length_and_their_number_however_long_a_track_lasts():
    rng = np.random.default_rng(0)
    tracks = Prototypes(3)
    tracks.begin(unit(0, 90))
    for _ in range(500):
        tracks.update(np.array([0, 1]), unit(*rng.uniform(0, 360, 2)))
    assert tracks.features.shape == (2, 3, 2)
    np.testing.assert_allclose(np.linalg.norm(tracks.features, axis=2), 1, atol=1e-5)
    assert tracks.boxes.tolist() == [500, 500]


def test_the_similarity_of_a_track_to_itself_is_a_mean_over_its_boxes():
    tracks = Prototypes(1)
    tracks.begin(unit(0))
    tracks.update(np.array([0]), unit(60))  # 60 degrees from the prototype at 0
    tracks.update(np.array([0]), unit(90))  # 60 degrees from the prototype at 30
    assert tracks.self_similarity[0] == pytest.approx(fisher_z(np.cos(np.pi / 3)), abs=1e-5)


def test_unused_prototypes_are_not_compared():
    tracks = Prototypes(4)
    tracks.begin(unit(0))
    assert tracks.compare(unit(180))[0, 0] == pytest.approx(-1)
    # The zeros of unused prototypes are not nearer.
    assert tracks.compare(unit(90))[0, 0] == pytest.approx(0, abs=1e-6)


def test_evidence_follows_the_closed_form():
    gallery = gallery_of(0, prototypes=4, drop=0.3, deviation=0.25)
    # 10 boxes with z at its limit, and the mean of all tracks with the weight of 4 prototypes.
    own = (10 * fisher_z(1.0) + 4 * 1.5) / 14 - 0.3
    z, mean, deviation = fisher_z(np.cos(np.radians(30))), 0.2, 0.5
    similarity = SimilarityStatistics(1.5, mean, deviation)
    expected = (own - mean) / deviation**2 * (z - (own + mean) / 2)
    labels = np.array([0])
    [[found]] = gallery.evidence(unit(30), labels, similarity, 0.1)
    assert found == pytest.approx(expected, rel=1e-4)
    [[other]] = gallery.evidence(unit(30), labels + 1, similarity, 0.1)
    assert other == pytest.approx(expected + np.log(0.1), rel=1e-4)


def test_the_deviation_has_a_lower_limit():
    gallery = gallery_of(0, deviation=0.5)
    narrow, limit = (
        gallery.evidence(unit(30), np.array([0]), SimilarityStatistics(1.5, 0.2, deviation), 0.1)
        for deviation in (0.01, 0.5)
    )
    np.testing.assert_allclose(narrow, limit)


def test_there_is_no_evidence_where_others_are_as_similar():
    gallery = gallery_of(0)
    [[found]] = gallery.evidence(unit(5), np.array([0]), SimilarityStatistics(1.0, 3.0, 0.3), 0.1)
    assert found == 0


def test_two_equally_likely_tracks_have_at_most_half_the_probability():
    best, probability = most_likely(
        np.array([[10.0, 10.0, -5.0], [10.0, 1.0, -5.0]]), threshold=2.0
    )
    assert probability[0] == pytest.approx(1 / (2 + np.exp(-8) + np.exp(-15)))
    assert best[1] == 0
    assert probability[1] == pytest.approx(1 / (1 + np.exp(-9) + np.exp(-15) + np.exp(-8)))


def test_at_the_threshold_a_new_object_is_equally_likely():
    assert most_likely(np.array([[2.0]]), threshold=2.0)[1][0] == pytest.approx(0.5)
    assert most_likely(np.array([[-1000.0]]), threshold=2.0)[1][0] == pytest.approx(0)
    assert most_likely(np.array([[1000.0]]), threshold=2.0)[1][0] == pytest.approx(1)


def test_the_track_lost_longest_ago_is_removed_first():
    gallery = gallery_of(0, 30, 60, 90, last_seen=[4.0, 1.0, 3.0, 2.0], size=2)
    assert gallery.ids.tolist() == [1, 3]
    assert len(gallery.prototypes) == len(gallery.labels) == 2
    np.testing.assert_allclose(gallery.prototypes.compare(unit(60))[0, 1], 1, atol=1e-6)


def test_a_track_is_removed_after_the_time_of_the_gallery():
    gallery = gallery_of(0, 30, last_seen=[100.0, 200.0], seconds=50.0)
    gallery.remove_expired(150.0)
    assert gallery.ids.tolist() == [1, 2]
    gallery.remove_expired(150.1)
    assert gallery.ids.tolist() == [2]
    gallery.remove_expired(1e9)
    assert len(gallery) == 0


def test_a_track_can_be_removed():
    gallery = gallery_of(0, 30, 60)
    gallery.remove(1)
    assert gallery.ids.tolist() == [1, 3]
    np.testing.assert_allclose(gallery.prototypes.compare(unit(60))[0, 1], 1, atol=1e-6)


def test_a_gallery_of_size_zero_keeps_nothing():
    assert len(gallery_of(0, 30, size=0)) == 0
