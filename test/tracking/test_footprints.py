# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Points to avoid lie on the outlines of objects, and along the paths of those that move."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.footprints import moving
from gtr_ros.tracking.footprints import outlines
from gtr_ros.tracking.footprints import POINT
from gtr_ros.tracking.metric import MetricState


def objects(
    *velocities: tuple[float, float], size=(0.5, 1.8), errors=(0.1, 0.2), cross=0.0
) -> MetricState:
    """
    Return objects 10 m apart along x, 0.9 m above the ground, with ids from 7.

    :param errors: standard deviations of positions, metres, and velocities, m/s
    :param cross: covariance of position and velocity along each axis, m^2 / s
    """
    count = len(velocities)
    covariance = np.diag(np.repeat(np.square(errors), 3))
    covariance[:3, 3:] = covariance[3:, :3] = cross * np.eye(3)
    return MetricState(
        ids=np.arange(7, 7 + count),
        labels=np.zeros(count, np.int64),
        scores=np.ones(count, np.float32),
        positions=np.array([[10.0 * k, 0, 0.9] for k in range(count)]).reshape(-1, 3),
        velocities=np.array([[*v, 0.0] for v in velocities]).reshape(-1, 3),
        covariances=np.tile(covariance, (count, 1, 1)),
        sizes=np.tile(np.array(size, float), (count, 1)),
        unobserved=np.zeros(count),
        ages=np.full(count, 2.0),
    )


def radii(points: np.ndarray, x: float, y: float) -> np.ndarray:
    return np.hypot(points['x'] - x, points['y'] - y)


def test_a_still_object_is_a_circle_of_its_size_at_three_heights():
    points = outlines(objects((0, 0)), 2.0)
    assert points.dtype == POINT
    # 2 pi 0.25 m / 0.1 m = 15.7: 16 points at 3 heights.
    assert len(points) == 48
    np.testing.assert_allclose(radii(points, 0, 0), 0.25, rtol=1e-6)
    heights, counts = np.unique(points['z'], return_counts=True)
    np.testing.assert_allclose(heights, [0.45, 0.9, 1.35], rtol=1e-6)
    assert counts.tolist() == [16, 16, 16]
    assert set(points['id']) == {7}
    assert set(points['time']) == {0.0}


def test_points_of_a_circle_are_at_equal_distances_all_round():
    points = outlines(objects((9, 9), (0, 0)), 2.0)
    points = points[points['id'] == 8][::3]
    points['x'] -= 10
    angles = np.sort(np.arctan2(points['y'], points['x']))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    np.testing.assert_allclose(gaps, 2 * np.pi / 16, atol=1e-5)


@pytest.mark.parametrize(
    ('seconds', 'times'),
    [(0.0, [0]), (0.5, [0, 0.25, 0.5]), (0.6, [0, 0.2, 0.4, 0.6])],
)
def test_a_path_lasts_as_long_as_asked(seconds, times):
    points = outlines(objects((2, 0)), seconds)
    np.testing.assert_allclose(np.unique(points['time']), times, rtol=1e-6)


def test_a_path_goes_on_with_the_velocity_and_widens_with_the_covariance():
    points = outlines(objects((1.2, -1.6)), 2.0)
    for t in (0.25, 1.0, 2.0):
        ahead = points[points['time'] == np.float32(t)]
        radius = 0.25 + np.sqrt(0.1**2 + (0.2 * t) ** 2)
        np.testing.assert_allclose(radii(ahead, 1.2 * t, -1.6 * t), radius, rtol=1e-5)
        assert set(np.round(ahead['z'], 4)) == set(np.float32([0.45, 0.9, 1.35]))
    # 0.25 m + sqrt(0.17) m at 2 s: 41.6 points at 0.1 m.
    assert (points['time'] == 2).sum() == 3 * 42


def test_each_moving_object_has_a_path_of_its_own():
    points = outlines(objects((2, 0), (0, -3), (0, 0)), 0.5)
    for t in (0.25, 0.5):
        for track_id, x, y in ((7, 2 * t, 0), (8, 10, -3 * t)):
            ahead = points[(points['id'] == track_id) & (points['time'] == np.float32(t))]
            radius = 0.25 + np.sqrt(0.1**2 + (0.2 * t) ** 2)
            np.testing.assert_allclose(radii(ahead, x, y), radius, rtol=1e-5)
            assert len(ahead) == 3 * np.ceil(2 * np.pi * radius / 0.1)


def test_errors_of_position_and_velocity_that_belong_together_widen_a_path_more():
    points = outlines(objects((2, 0), cross=0.01), 1.0)
    last = points[points['time'] == 1]
    np.testing.assert_allclose(
        radii(last, 2, 0), 0.25 + np.sqrt(0.01 + 2 * 0.01 + 0.04), rtol=1e-5
    )


def test_the_largest_deviation_counts():
    state = objects((2, 0))
    state.covariances[0, 1, 1] = 0.3**2
    points = outlines(state, 1.0)
    last = points[points['time'] == 1]
    np.testing.assert_allclose(radii(last, 2, 0), 0.25 + np.sqrt(0.13), rtol=1e-5)


def test_only_objects_that_certainly_move_have_a_path():
    # The 95 % ellipse reaches to sqrt(5.99) = 2.447 standard deviations of 0.2 m/s.
    state = objects((0.48, 0), (0, 0.5), (0, 0))
    assert moving(state).tolist() == [False, True, False]
    points = outlines(state, 2.0)
    assert set(points['id'][points['time'] == 0]) == {7, 8, 9}
    assert set(points['id'][points['time'] > 0]) == {8}
    np.testing.assert_allclose(radii(points[points['id'] == 9], 20, 0), 0.25, rtol=1e-5)


def test_a_first_position_has_no_path():
    assert not moving(objects((1, 1), errors=(0.1, 1.0))).any()


def test_speed_along_the_sure_axis_is_judged_by_that_axis():
    state = objects((0.5, 0), (0, 0.5))
    state.covariances[:, 4, 4] = 1.0
    assert moving(state).tolist() == [True, False]


@pytest.mark.parametrize(
    ('size', 'radius', 'heights'),
    [((np.nan, np.nan), 0.3, [0.65, 0.9, 1.15]), ((0.5, np.nan), 0.25, [0.65, 0.9, 1.15])],
)
def test_an_unknown_size_is_replaced(size, radius, heights):
    points = outlines(objects((0, 0), size=size), 2.0)
    np.testing.assert_allclose(radii(points, 0, 0), radius, rtol=1e-6)
    np.testing.assert_allclose(np.unique(points['z']), heights, rtol=1e-6)


def test_a_small_object_has_a_circle_and_a_large_one_no_gaps():
    assert len(outlines(objects((0, 0), size=(0.02, 0.2)), 0.0)) == 3 * 8
    assert len(outlines(objects((0, 0), size=(4, 1.5)), 0.0)) == 3 * 126


def test_without_objects_there_are_no_points():
    points = outlines(objects(), 2.0)
    assert points.dtype == POINT
    assert len(points) == 0
