# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Filters in metres: positions, velocities and covariances of objects whose ways are known."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gtr_ros.stamps import NANOSECONDS
from gtr_ros.tracking.metric import HIDDEN
from gtr_ros.tracking.metric import MetricState
from gtr_ros.tracking.metric import MetricTracks
from gtr_ros.tracking.metric import Objects
from gtr_ros.tracking.placement import Kind
from gtr_ros.tracking.placement import PERSON
from gtr_ros.tracking.placement import Positions

NOISE = 0.05  # metres
START = 1_700_000_000 * NANOSECONDS
NOWHERE = (np.nan, np.nan, np.nan)


def objects(*ids: int, kind: Kind = PERSON, score: float = 0.8) -> Objects:
    count = len(ids)
    return Objects(
        np.array(ids, np.int64),
        np.zeros(count, np.int64),
        np.full(count, score, np.float32),
        [kind] * count,
    )


def at(*points, noise: float = NOISE, lasting: float = 0.0, size=(0.5, 1.7)) -> Positions:
    count = len(points)
    return Positions(
        np.array(points, float).reshape(-1, 3),
        np.tile(noise**2 * np.eye(3), (count, 1, 1)),
        np.tile(lasting**2 * np.eye(3), (count, 1, 1)),
        np.tile(np.array(size, float), (count, 1)),
    )


def walk(tracks: MetricTracks, seconds, velocity, noise: float = 0.0, seed: int = 0, rate=10):
    """Update with one object on a straight way from the origin; return the last state."""
    stream = np.random.default_rng(seed)
    for k in range(round(seconds * rate) + 1):
        point = np.multiply(velocity, k / rate) + noise * stream.standard_normal(3)
        state = tracks.update(START + k * NANOSECONDS // rate, objects(7), at(point))
    return state


@pytest.mark.parametrize('rate', [5, 10, 30])
def test_the_velocity_of_a_straight_way_is_found_at_any_frame_rate(rate):
    state = walk(MetricTracks(1.0), 2, (1.2, -0.5, 0), rate=rate)
    np.testing.assert_allclose(state.velocities, [[1.2, -0.5, 0]], atol=0.08)
    np.testing.assert_allclose(state.positions, [[2.4, -1.0, 0]], atol=0.03)
    assert state.ages == pytest.approx([2])
    assert state.unobserved == pytest.approx([0])


def test_the_covariance_is_that_of_the_errors():
    """With errors as in the model, 95 % of the truth is in the ellipse of 95 %."""
    kind, rate, inside, samples = Kind(0.1, 1.0, 0.4), 10, 0, 0
    for seed in range(60):
        stream = np.random.default_rng(seed)
        tracks, truth, velocity = MetricTracks(1.0), np.zeros(3), stream.normal(0, [1, 1, 0.3])
        for k in range(30):
            if k:
                push = stream.normal(0, np.sqrt(np.array([0.4, 0.4, 0.02]) / rate))
                truth, velocity = truth + (velocity + push / 2) / rate, velocity + push
            measured = at(truth + stream.normal(0, NOISE, 3))
            state = tracks.update(START + k * NANOSECONDS // rate, objects(1, kind=kind), measured)
        error = np.concatenate([state.positions[0] - truth, state.velocities[0] - velocity])
        for own, limit in ((slice(0, 3), 7.815), (slice(3, 6), 7.815)):
            covariance = state.covariances[0][own, own]
            inside += error[own] @ np.linalg.solve(covariance, error[own]) < limit
            samples += 1
    assert 0.9 < inside / samples < 0.99


def test_lasting_errors_are_added_and_not_averaged_out():
    plain, lasting = MetricTracks(1.0), MetricTracks(1.0)
    for k in range(30):
        stamp = START + k * NANOSECONDS // 10
        a = plain.update(stamp, objects(1), at((0, 0, 0)))
        b = lasting.update(stamp, objects(1), at((0, 0, 0), lasting=0.3))
    np.testing.assert_allclose(b.positions, a.positions)
    np.testing.assert_allclose(
        b.covariances[0, :3, :3] - a.covariances[0, :3, :3], 0.09 * np.eye(3), atol=1e-12
    )


def test_one_wrong_depth_moves_nothing_and_is_no_observation():
    tracks = MetricTracks(1.0)
    before = walk(tracks, 2, (1, 0, 0))
    state = tracks.update(START + 2_100_000_000, objects(7), at((6, 3, 0)))
    expected = before.positions + np.array([0.1, 0, 0])
    np.testing.assert_allclose(state.positions, expected, atol=0.02)
    assert state.unobserved == pytest.approx([0.1])
    assert np.trace(state.covariances[0]) > np.trace(before.covariances[0])


def test_an_object_that_stays_elsewhere_is_there():
    """The first depth was that of something else."""
    tracks = MetricTracks(5.0)
    tracks.update(START, objects(7), at((0, 0, 0)))
    for k in range(1, 30):
        state = tracks.update(START + k * NANOSECONDS // 10, objects(7), at((8, 0, 0)))
    np.testing.assert_allclose(state.positions, [[8, 0, 0]], atol=0.05)
    np.testing.assert_allclose(state.velocities, 0, atol=0.1)
    assert state.ages == pytest.approx([2.7])


def test_a_track_is_coasted_with_growing_covariance_and_then_ends():
    tracks = MetricTracks(1.0)
    before = walk(tracks, 2, (1, 0, 0))
    spread = np.trace(before.covariances[0])
    for k in range(1, 11):
        state = tracks.update(START + (20 + k) * NANOSECONDS // 10, objects(), at())
        assert state.ids.tolist() == [7]
        assert state.unobserved == pytest.approx([k / 10])
        np.testing.assert_allclose(state.positions, [[2 + k / 10, 0, 0]], atol=0.1)
        assert np.trace(state.covariances[0]) > spread
        spread = np.trace(state.covariances[0])
    assert len(tracks.update(START + 3_100_000_000, objects(), at()).ids) == 0


def test_an_object_without_a_position_is_coasted_and_keeps_its_newest_score():
    tracks = MetricTracks(1.0)
    walk(tracks, 1, (1, 0, 0))
    state = tracks.update(START + 1_100_000_000, objects(7, 8, score=0.3), at(NOWHERE, NOWHERE))
    assert state.ids.tolist() == [7]
    assert state.unobserved == pytest.approx([0.1])
    assert state.scores == pytest.approx([0.3])


def test_without_coasting_a_track_is_there_only_while_it_is_measured():
    tracks = MetricTracks(0.0)
    assert walk(tracks, 1, (1, 0, 0)).ids.tolist() == [7]
    assert len(tracks.update(START + 1_100_000_000, objects(7), at(NOWHERE)).ids) == 0
    assert tracks.update(START + 1_200_000_000, objects(7), at((1, 0, 0))).ids.tolist() == [7]


def test_objects_do_not_affect_each_other():
    alone, together = MetricTracks(1.0), MetricTracks(1.0)
    stream = np.random.default_rng(2)
    for k in range(20):
        stamp, own, other = START + k * NANOSECONDS // 10, stream.normal(size=3), (k, 0, 0)
        a = alone.update(stamp, objects(3), at(own, noise=1))
        order = [(9, other), (3, own)] if k % 2 else [(3, own), (9, other)]
        ids, points = zip(*order)
        b = together.update(stamp, objects(*ids), at(*points, noise=1))
    row = b.ids.tolist().index(3)
    np.testing.assert_allclose(b.positions[row], a.positions[0])
    np.testing.assert_allclose(b.covariances[row], a.covariances[0])


def test_the_size_is_a_mean_of_what_was_seen_whole():
    tracks, sizes = MetricTracks(1.0), [(0.4, 1.6), (np.nan, 1.8), (0.6, np.nan)]
    for k, size in enumerate(sizes):
        state = tracks.update(START + k * NANOSECONDS // 10, objects(1), at((0, 0, 0), size=size))
    np.testing.assert_allclose(state.sizes, [[0.5, 1.7]])
    hidden = MetricTracks(1.0).update(START, objects(1), at((0, 0, 0), size=(np.nan, 1)))
    assert np.isnan(hidden.sizes[0, 0])


def test_a_repeated_or_earlier_stamp_is_the_same_time():
    tracks = MetricTracks(1.0)
    before = walk(tracks, 1, (1, 0, 0))
    state = tracks.update(START + 900_000_000, objects(7), at((1, 0, 0)))
    assert state.ages == pytest.approx(before.ages)
    np.testing.assert_allclose(state.positions, before.positions, atol=0.02)


def test_a_reset_of_the_clock_ends_all_tracks():
    tracks = MetricTracks(1.0)
    walk(tracks, 3, (1, 0, 0))
    state = tracks.update(START, objects(8), at((4, 0, 0)))
    assert state.ids.tolist() == [8]
    assert state.ages == pytest.approx([0])


def consistent(state: MetricState) -> bool:
    shapes = {len(values) for values in vars(state).values()}
    return len(shapes) == 1 and all(
        np.linalg.eigvalsh(c).min() > 0 and np.allclose(c, c.T) for c in state.covariances
    )


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_seen_ids_are_unique_and_covariances_positive_definite(data):
    stream = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    tracks, stamp = MetricTracks(float(stream.choice([0, 0.5, 3]))), START
    for _ in range(25):
        stamp += int(stream.choice([-1, 0, 10, 100, 700])) * NANOSECONDS // 1000
        ids = stream.choice(6, int(stream.integers(0, 6)), replace=False) + 1
        points = stream.normal(0, float(stream.choice([0.1, 100])), (len(ids), 3))
        points[stream.random(len(ids)) < 0.3] = np.nan
        noise = float(stream.choice([1e-3, 1.0, 1e3]))
        state = tracks.update(
            stamp, objects(*ids.tolist()), at(*points, noise=noise, lasting=0.01)
        )
        assert len(set(state.ids.tolist())) == len(state.ids)
        assert consistent(state)
        assert np.isfinite(state.positions).all() and np.isfinite(state.velocities).all()


THING = Kind(None, speed=5.0, acceleration=2.0)


def test_a_new_track_is_as_sure_as_its_position_and_its_kind():
    state = MetricTracks(1.0).update(START, objects(1, kind=THING), at((1, 2, 3)))
    expected = np.diag([NOISE**2] * 3 + [25.0, 25.0, 0.09])
    np.testing.assert_allclose(state.covariances[0], expected)


def test_the_covariance_of_a_coasted_track_is_that_of_the_model():
    """
    White-noise acceleration, spectral density q: t^3 / 3, t^2 / 2 and t times q.

    On the ground, q is that of objects that are not measured.
    """
    tracks, t = MetricTracks(5.0), 1.5
    before = tracks.update(START, objects(1, kind=THING), at((1, 2, 3))).covariances[0]
    after = tracks.update(START + round(t * NANOSECONDS), objects(), at()).covariances[0]
    for axis, q in enumerate((2.0 * HIDDEN, 2.0 * HIDDEN, 0.02)):
        own = np.ix_([axis, axis + 3], [axis, axis + 3])
        f = np.array([[1, t], [0, 1]])
        noise = q * np.array([[t**3 / 3, t**2 / 2], [t**2 / 2, t]])
        np.testing.assert_allclose(after[own], f @ before[own] @ f.T + noise)


@pytest.mark.parametrize(
    ('squared', 'lasting', 'used'),
    [(11.0, 0.0, True), (12.0, 0.0, False), (11.0, 0.3, True), (12.0, 0.3, False)],
)
def test_one_position_in_a_hundred_is_outside_the_gate(squared, lasting, used):
    """Lasting errors count: two images of one object may have different ones."""
    tracks = MetricTracks(1.0)
    tracks.update(START, objects(1), at((0, 0, 0)))
    aside = np.sqrt(squared * (2 * NOISE**2 + lasting**2))
    state = tracks.update(START, objects(1), at((aside, 0, 0), lasting=lasting))
    assert (state.positions[0, 0] > 0) == used


def test_after_a_second_of_contradiction_the_filter_begins_again():
    """Also if no two of the positions agree with each other."""
    tracks = MetricTracks(5.0)
    tracks.update(START, objects(7), at((0, 0, 0)))
    for k in range(1, 11):
        state = tracks.update(START + k * NANOSECONDS // 10, objects(7), at((40 * k, 0, 0)))
        assert (state.positions[0, 0] > 20) == (k == 10)
    assert state.ages == pytest.approx([0])
    np.testing.assert_allclose(state.velocities, 0)


def test_a_wrong_first_position_lasts_until_two_others_agree():
    """The first depth was that of what is in front of a person who walks."""
    tracks = MetricTracks(1.0)
    tracks.update(START, objects(7), at((0, 0, 0)))
    for k in range(1, 13):
        point = (2, k / 10, 0)
        state = tracks.update(START + k * NANOSECONDS // 10, objects(7), at(point))
        assert (state.positions[0, 0] > 1) == (k >= 2)
        assert abs(state.velocities[0, 0]) < 0.1, 'it never was where the first position is'
    np.testing.assert_allclose(state.positions, [point], atol=0.05)
    np.testing.assert_allclose(state.velocities, [[0, 1, 0]], atol=0.1)


@pytest.mark.parametrize('rate', [10, 30])
def test_what_was_seen_for_long_is_given_up_when_the_others_outnumber_it(rate):
    tracks = MetricTracks(5.0)
    walk(tracks, 3, (1, 0, 0), rate=rate)
    for k in range(1, rate):
        stamp = START + (3 * rate + k) * NANOSECONDS // rate
        state = tracks.update(stamp, objects(7), at((3 + k / rate, -4, 0)))
        if state.ages[0] == 0:
            break
    assert 0.5 < k / rate < 0.7
    np.testing.assert_allclose(state.positions, [[3 + k / rate, -4, 0]])


def test_a_position_that_is_used_again_ends_the_contradiction():
    """Somebody passes in front of a person twice."""
    tracks = MetricTracks(1.0)
    walk(tracks, 3, (1, 0, 0))
    for k in range(31, 70):
        point = (k / 10, 0, 0) if k % 3 == 0 else (k / 10, -4, 0)
        state = tracks.update(START + k * NANOSECONDS // 10, objects(7), at(point))
        np.testing.assert_allclose(state.positions, [[k / 10, 0, 0]], atol=0.1)
    assert state.ages == pytest.approx([6.9])


def test_what_was_refused_stays_refused_while_the_ellipse_grows():
    """The depth of a pillar, before a person is hidden by it and before being seen again."""
    tracks, pillar = MetricTracks(2.0), (2.1, -0.8, 0)
    walk(tracks, 2, (1, 0, 0))
    for k in range(21, 30):
        found = (7,) if k in (21, 29) else ()
        state = tracks.update(
            START + k * NANOSECONDS // 10, objects(*found), at(*[pillar] * len(found))
        )
    assert state.unobserved == pytest.approx([0.9])
    np.testing.assert_allclose(state.velocities, [[1, 0, 0]], atol=0.02)
    # A new place that is as far from the prediction is that of the person.
    state = tracks.update(START + 3 * NANOSECONDS, objects(7), at((2.2, 0.8, 0)))
    assert state.unobserved == pytest.approx([0])
    assert state.velocities[0, 1] > 0.5


def test_the_ellipse_of_a_person_who_turns_while_hidden_has_the_truth():
    """By 90 degrees within half a second, at 1.2 m/s."""
    tracks, truth = MetricTracks(1.0), np.array([3.6, 0.0])
    walk(tracks, 3, (1.2, 0, 0))
    for k in range(1, 11):
        angle = np.pi / 2 * min(1, k / 5)
        truth = truth + 0.12 * np.array([np.cos(angle), np.sin(angle)])
        state = tracks.update(START + (30 + k) * NANOSECONDS // 10, objects(), at())
        error = state.positions[0, :2] - truth
        assert error @ np.linalg.solve(state.covariances[0, :2, :2], error) < 5.991


def test_an_old_size_fades_and_a_new_one_counts_a_tenth():
    tracks = MetricTracks(1.0)
    for k in range(30):
        state = tracks.update(START + k * NANOSECONDS // 10, objects(1), at((0, 0, 0)))
    np.testing.assert_allclose(state.sizes, [[0.5, 1.7]])
    state = tracks.update(START + 3 * NANOSECONDS, objects(1), at((0, 0, 0), size=(1.5, 0.7)))
    np.testing.assert_allclose(state.sizes, [[0.6, 1.6]])


def test_a_stamp_just_a_second_back_is_no_reset():
    tracks = MetricTracks(5.0)
    walk(tracks, 2, (1, 0, 0))
    state = tracks.update(START + NANOSECONDS, objects(8), at((4, 0, 0)))
    assert state.ids.tolist() == [7, 8]
