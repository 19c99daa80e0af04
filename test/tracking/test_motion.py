# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The motion filters are Kalman filters in box heights and seconds; the true hypothesis wins."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.motion import MotionFilters
from gtr_ros.tracking.motion import MotionModel

CALM = MotionModel(0.1, 0.05, velocity=1.0, prior=0.4)
CARRIED = MotionModel(0.1, 0.05, velocity=1.0, prior=0.4, with_background=True)
ERRATIC = MotionModel(3.0, 0.15, velocity=1.0, prior=0.2)
MODELS = (CALM, CARRIED, ERRATIC)
HEIGHT = np.array([80.0])
ROW = np.array([0])
LIMIT = 3.0


class Textbook:
    """The Kalman filter of one axis as matrices, in box heights and seconds."""

    def __init__(self, model: MotionModel, position: float) -> None:
        self.q, self.r = model.acceleration, model.measurement**2
        self.x = np.array([position, 0.0])
        self.p = np.diag([self.r, model.velocity**2])

    def predict(self, t: float) -> None:
        f = np.array([[1, t], [0, 1]])
        q = self.q * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        self.x, self.p = f @ self.x, f @ self.p @ f.T + q

    def update(self, z: float) -> None:
        h = np.array([[1.0, 0.0]])
        gain = self.p @ h.T @ np.linalg.inv(h @ self.p @ h.T + self.r)
        self.x = self.x + gain[:, 0] * (z - self.x[0])
        self.p = (np.eye(2) - gain @ h) @ self.p


def walked(filters: MotionFilters, steps, scale: float = 1.0) -> MotionFilters:
    """Update one track with steps (seconds, position in heights or None)."""
    for seconds, place in steps:
        filters.predict(seconds)
        if place is not None:
            filters.update(ROW, np.array([place]) * HEIGHT * scale, HEIGHT * scale, LIMIT)
    return filters


def random_steps(seed: int, count: int = 40) -> list:
    rng = np.random.default_rng(seed)
    return [
        (float(rng.choice([0.008, 0.033, 0.1, 0.5, 2.0])), rng.normal(size=2).cumsum() * 0.3)
        if rng.random() < 0.8
        else (0.1, None)
        for _ in range(count)
    ]


def started(models=MODELS, place=(0.0, 0.0), scale: float = 1.0) -> MotionFilters:
    filters = MotionFilters(models, memory=1.0)
    filters.begin(np.array([place]) * HEIGHT * scale)
    return filters


@pytest.mark.parametrize('model', [CALM, ERRATIC], ids=['calm', 'erratic'])
@pytest.mark.parametrize('seed', range(5))
def test_the_filter_equals_the_textbook_filter(model, seed):
    steps = random_steps(seed)
    filters = started((model,), (1.0, 2.0))
    books = [Textbook(model, 1.0), Textbook(model, 2.0)]
    for seconds, place in steps:
        walked(filters, [(seconds, place)])
        for book, z in zip(books, (None, None) if place is None else place):
            book.predict(seconds)
            if z is not None:
                book.update(z)
        expected = np.array([book.x for book in books])
        np.testing.assert_allclose(filters.position[0, 0] / HEIGHT, expected[:, 0], rtol=1e-9)
        np.testing.assert_allclose(
            filters.velocity[0, 0] / HEIGHT, expected[:, 1], rtol=1e-9, atol=1e-9
        )
        p = books[0].p
        np.testing.assert_allclose(filters.covariance[0, 0], [p[0, 0], p[0, 1], p[1, 1]])


@pytest.mark.parametrize('parts', [(0.2, 0.3), (0.1,) * 5, (0.49, 0.01), (0.0, 0.5)])
def test_a_gap_can_be_predicted_in_any_number_of_parts(parts):
    whole, split = (walked(started(), random_steps(9, 6)) for _ in range(2))
    camera = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])  # the camera stands still
    whole.predict(0.5, camera)
    for part in parts:
        split.predict(part, camera)
    for name in ('position', 'velocity', 'covariance', 'weight'):
        np.testing.assert_allclose(getattr(split, name), getattr(whole, name), rtol=1e-9)


@pytest.mark.parametrize('scale', [3.0, 0.02, 500.0])
def test_box_heights_are_the_unit(scale):
    # The last step is an outlier that no hypothesis explains well.
    steps = [*random_steps(4), (0.1, (9.0, 9.0))]
    small, large = (walked(started(scale=s), steps, s) for s in (1.0, scale))
    np.testing.assert_allclose(large.position, small.position * scale, rtol=1e-9)
    np.testing.assert_allclose(large.velocity, small.velocity * scale, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(large.covariance, small.covariance, rtol=1e-9)
    np.testing.assert_allclose(large.weight, small.weight, rtol=1e-6)
    centre = np.array([[10.0, 20.0]])
    density = small.density(centre, HEIGHT, LIMIT)
    scaled = large.density(centre * scale, HEIGHT * scale, LIMIT)
    np.testing.assert_allclose(scaled * scale**2, density, rtol=1e-6)


def test_the_position_uncertainty_of_a_lost_track_has_a_limit():
    filters = started()
    filters.predict(1000.0)
    np.testing.assert_allclose(filters.spread(LIMIT), LIMIT)
    filters.position[:] = filters.position[:, :1]
    peak = filters.density(filters.position[:, 0], HEIGHT, LIMIT)
    np.testing.assert_allclose(peak, 1 / (2 * np.pi * (LIMIT * HEIGHT[0]) ** 2))


def test_the_hypotheses_of_a_new_track_have_their_prior():
    np.testing.assert_allclose(started().weight[0], [0.4, 0.4, 0.2])


def test_the_probability_of_a_hypothesis_follows_bayes_rule():
    filters = started()
    filters.predict(0.1)
    place = np.array([[30.0, 10.0]])
    first, parts = filters.weight.copy(), []
    for one in np.eye(3):
        filters.weight = one[None]
        parts.append(filters.density(place, HEIGHT, LIMIT)[0, 0])
    filters.weight = first
    expected = first[0] * parts / (first[0] @ parts)
    filters.update(ROW, place, HEIGHT, LIMIT)
    np.testing.assert_allclose(filters.weight[0], expected)


def test_an_object_that_keeps_turning_is_erratic_and_one_that_walks_on_is_not():
    turning = [(0.25, (x, 0.0)) for x in (0.5, 1.0, 1.5, 1.0, 0.5, 0.0) * 4]
    walking = [(0.2, (0.2 * t, 0.0)) for t in range(1, 12)]
    erratic = walked(started(), turning).weight[0, 2]
    assert erratic > 0.9
    assert walked(started(), walking).weight[0, 2] < 0.2


@pytest.mark.parametrize(('follows', 'winner'), [(False, 1), (True, 0)])
def test_objects_on_the_background_are_distinguished_from_one_the_camera_follows(follows, winner):
    rng = np.random.default_rng(0)
    filters, place = started(), np.zeros(2)
    for _ in range(20):
        shift = rng.normal(size=2) * 0.5 * HEIGHT  # a camera that shakes
        filters.predict(0.1, np.column_stack([np.eye(2), shift]))
        place = place if follows else place + shift
        filters.update(ROW, place[None], HEIGHT, LIMIT)
    assert filters.weight[0].argmax() == winner
    assert filters.weight[0, winner] > 0.6


def test_camera_motion_is_compensated_only_for_hypotheses_with_background():
    filters = walked(started(), [(0.1, (0.1, 0.0)), (0.1, (0.2, 0.0))])
    still, moved = (walked(started(), [(0.1, (0.1, 0.0)), (0.1, (0.2, 0.0))]) for _ in range(2))
    turn = np.array([[0.0, -2.0, 5.0], [2.0, 0.0, 7.0]])  # a quarter turn, and a zoom of 2
    still.predict(0.1)
    moved.predict(0.1, turn)
    for j in (0, 2):
        np.testing.assert_array_equal(moved.position[:, j], still.position[:, j])
        np.testing.assert_array_equal(moved.velocity[:, j], still.velocity[:, j])
    expected = filters.position[0, 1] + 0.1 * filters.velocity[0, 1]
    np.testing.assert_allclose(moved.position[0, 1], turn[:, :2] @ expected + turn[:, 2])
    np.testing.assert_allclose(moved.velocity[0, 1], turn[:, :2] @ filters.velocity[0, 1])


def test_a_camera_motion_that_is_not_finite_is_ignored():
    known, unknown = started(), started()
    known.predict(0.1, np.full((2, 3), np.nan))
    unknown.predict(0.1)
    np.testing.assert_array_equal(known.position, unknown.position)


def test_probabilities_return_to_the_prior():
    filters = walked(started(), [(0.25, (x, 0.0)) for x in (0.5, 1.0, 1.5, 1.0, 0.5, 0.0)])
    before, first = filters.weight.copy(), np.array([0.4, 0.4, 0.2])
    filters.predict(0.7)
    np.testing.assert_allclose(filters.weight, first + (before - first) * np.exp(-0.7))
    filters.predict(100.0)
    np.testing.assert_allclose(filters.weight[0], first)


def test_a_box_that_no_hypothesis_explains_changes_no_probability():
    filters = walked(started(), [(0.1, (0.1, 0.0)), (0.1, (0.2, 0.0))])
    filters.predict(0.1)
    before = filters.weight.copy()
    filters.update(ROW, np.array([[1e5, 1e5]]), HEIGHT, LIMIT)
    np.testing.assert_array_equal(filters.weight, before)


def test_tracks_are_kept_and_updated_independently():
    both = started()
    both.begin(np.array([[400.0, 300.0]]))
    both.predict(0.1)
    both.update(np.array([1]), np.array([[410.0, 300.0]]), HEIGHT, LIMIT)
    alone = started(place=(5.0, 3.75))
    alone.predict(0.1)
    alone.update(ROW, np.array([[410.0, 300.0]]), HEIGHT, LIMIT)
    both.keep(np.array([1]))
    assert len(both) == 1
    for name in ('position', 'velocity', 'covariance', 'weight'):
        np.testing.assert_allclose(getattr(both, name), getattr(alone, name))
    both.keep(np.zeros(0, np.int64))
    both.predict(1.0)
    assert both.density(np.zeros((2, 2)), np.zeros(0), LIMIT).shape == (2, 0)


def test_a_box_changes_the_probabilities_from_a_density_of_1e_8_on():
    """The density is that of `density`, per squared box height."""
    outcomes = set()
    for place in np.arange(0.0, 1.5, 0.002):
        filters = started()
        filters.predict(0.1)
        centre = np.array([[place, 0.0]]) * HEIGHT
        density = filters.density(centre, HEIGHT, LIMIT)[0, 0] * HEIGHT[0] ** 2
        before = filters.weight.copy()
        filters.update(ROW, centre, HEIGHT, LIMIT)
        explained = not np.array_equal(filters.weight, before)
        assert explained == (density > 1e-8), (place, density)
        outcomes.add(explained)
    assert outcomes == {True, False}
