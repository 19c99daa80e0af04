# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects are placed where they are, with the errors that depth, pixels and geometry have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

from gtr_ros.tracking import placement
from gtr_ros.tracking.placement import kind_of
from gtr_ros.tracking.placement import OTHER
from gtr_ros.tracking.placement import PERSON
from gtr_ros.tracking.placement import Pinhole
from gtr_ros.tracking.placement import place_by_depth
from gtr_ros.tracking.placement import place_on_ground
from gtr_ros.tracking.placement import Positions

CAMERA = Pinhole(np.array([500.0, 500.0]), np.array([320.0, 240.0]), (480, 640))
HEIGHT = 1.2  # metres, of the camera above the ground
#: level, looking along x: the optical frame in the frame of the ground
LEVEL = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, HEIGHT], [0, 0, 0, 1]], float)


def box_of(distance: float, aside: float = 0.0, width: float = 0.5, height: float = 1.7):
    """Return the box of a flat person who stands on the ground, (1, 4)."""
    scale = 500 / distance
    left, right = (320 + scale * (-aside + s * width / 2) for s in (-1, 1))
    return np.array([[left, 240 + scale * (HEIGHT - height), right, 240 + scale * HEIGHT]])


def by_depth(boxes, depths, kinds=None, error=0.0) -> Positions:
    kinds = kinds or [PERSON] * len(boxes)
    return place_by_depth(boxes, np.array(depths, float), CAMERA, kinds, error)


def on_ground(boxes) -> Positions:
    return place_on_ground(boxes, CAMERA, [PERSON] * len(boxes), LEVEL)


@pytest.mark.parametrize(
    ('name', 'kind'), [('person', PERSON), ('Pedestrian', PERSON), ('car', OTHER)]
)
def test_people_are_known_by_the_names_that_detectors_give_them(name, kind):
    assert kind_of(name) is kind


@settings(max_examples=100, deadline=None)
@given(distance=st.floats(2.5, 12), aside=st.floats(-0.5, 0.5))
def test_depth_and_ground_agree_about_a_person_in_full_view(distance, aside):
    boxes = box_of(distance, aside)
    if not CAMERA.cuts(boxes)[0] and not CAMERA.cuts(boxes)[1]:
        seen = by_depth(boxes, [distance]).moved(LEVEL)
        stands = on_ground(boxes)
        # Both are behind what is seen, by less than the thickness of a person.
        for found in (seen, stands):
            assert 0.05 < found.points[0, 0] - distance < 0.15
            assert found.points[0, 1] == pytest.approx(aside, abs=0.02)
            assert found.points[0, 2] == pytest.approx(0.85, abs=0.05)
            np.testing.assert_allclose(found.sizes, [[0.5, 1.7]], rtol=1e-6)
            for covariance in (found.covariances[0], found.lasting[0]):
                assert np.linalg.eigvalsh(covariance).min() > 0
                np.testing.assert_allclose(covariance, covariance.T)


def test_the_error_along_the_ray_grows_with_the_square_of_the_distance():
    boxes = np.concatenate([box_of(d) for d in (2.5, 5, 10)])
    exact, stereo = (by_depth(boxes, [2.5, 5, 10], error=e) for e in (0.0, 0.01))
    along = stereo.covariances[:, 2, 2] - exact.covariances[:, 2, 2]
    np.testing.assert_allclose(np.sqrt(along), [0.0625, 0.25, 1.0], rtol=0.01)
    # Across, only the box counts.
    np.testing.assert_allclose(stereo.covariances[:, 0, 0], exact.covariances[:, 0, 0], rtol=0.02)


def test_a_pixel_on_the_ground_is_worth_more_the_farther_it_is():
    boxes = np.concatenate([box_of(3, 0.5), box_of(6, -0.5)])
    found = on_ground(boxes)
    near, far = (on_ground(boxes + np.array([0, 0, 0, s])).points[:, 0] for s in (0.01, -0.01))
    metres_per_pixel = (far - near) / 0.02
    np.testing.assert_allclose(metres_per_pixel, np.array([3, 6]) ** 2 / (500 * HEIGHT), rtol=0.01)
    # More than that of one pixel, but only as much as the jitter of boxes and the stride add.
    deviation = np.sqrt(found.covariances[:, 0, 0])
    assert (deviation > metres_per_pixel).all()
    assert (deviation < 5 * metres_per_pixel + 0.15).all()


@pytest.mark.parametrize(
    ('box', 'why'),
    [
        ([300, 200, 340, 479.5], 'cut off by the lower edge'),
        ([300, 100, 340, 240], 'at the horizon'),
        ([300, 100, 340, 200], 'above the horizon'),
        ([300, 100, 340, 246], 'so close to the horizon that it could be anywhere'),
    ],
)
def test_where_nothing_meets_the_ground_the_place_is_unknown(box, why):
    found = on_ground(np.array([box], float))
    assert not found.known.any(), why


def test_feet_behind_another_object_are_unknown():
    front, behind = box_of(3), box_of(6, 0.1)
    found = on_ground(np.concatenate([front, behind]))
    assert found.known.tolist() == [True, False]


def test_the_surface_of_an_object_in_front_is_not_that_of_the_one_behind():
    front, behind = box_of(3), box_of(6, 0.2)
    boxes = np.concatenate([behind, front])
    assert by_depth(boxes, [3.05, 3.0]).known.tolist() == [False, True]
    # With a depth of its own it is seen beside the other.
    assert by_depth(boxes, [6.0, 3.0]).known.tolist() == [True, True]


def test_people_beside_each_other_keep_their_depths():
    boxes = np.concatenate([box_of(4), box_of(4.1, 0.45)])
    assert by_depth(boxes, [4.0, 4.1]).known.all()


def test_a_person_is_where_the_upper_body_is_and_a_thing_where_its_box_is():
    boxes, kinds = np.concatenate([box_of(4)] * 3), [PERSON, PERSON, OTHER]
    middles = np.array([350.0, np.nan, 350.0])
    found = place_by_depth(boxes, np.full(3, 4.0), CAMERA, kinds, 0.0, middles)
    plain = by_depth(boxes, [4.0] * 3, kinds)
    for name in ('points', 'covariances', 'lasting', 'sizes'):
        np.testing.assert_array_equal(getattr(found, name)[1:], getattr(plain, name)[1:])
    # 30 pixels to the right; the half thickness is along the ray.
    assert found.points[0, 0] == pytest.approx(30 / 500 * 4.085, abs=0.001)
    assert found.points[0, 1] == pytest.approx(plain.points[0, 1], abs=0.001)
    # It sways less than the box, but no less upwards.
    across = found.covariances[0, 0, 0], plain.covariances[0, 0, 0]
    assert across[0] < across[1] / 3
    np.testing.assert_allclose(found.covariances[0, 1, 1], plain.covariances[0, 1, 1], rtol=0.01)


def test_no_depth_is_no_position():
    found = by_depth(np.concatenate([box_of(3), box_of(3, 1)]), [np.nan, 3])
    assert found.known.tolist() == [False, True]
    stands = on_ground(np.concatenate([box_of(3), box_of(3, 1)]))
    both = found.moved(LEVEL).completed(stands)
    assert both.known.all()
    np.testing.assert_array_equal(both.points[0], stands.points[0])
    np.testing.assert_array_equal(both.points[1], found.moved(LEVEL).points[1])


def test_a_box_that_the_image_cuts_off_has_no_size_and_a_larger_error_there():
    whole, low = box_of(3), box_of(1.5)
    assert low[0, 3] > 480
    low = low.clip(0, [640, 480, 640, 480])
    found = by_depth(np.concatenate([whole, low]), [3, 1.5])
    assert np.isfinite(found.sizes[0]).all()
    assert np.isfinite(found.sizes[1]).tolist() == [True, False]
    assert found.lasting[1, 1, 1] > 10 * found.lasting[0, 1, 1]
    assert found.lasting[1, 0, 0] == pytest.approx(found.lasting[0, 0, 0], rel=0.1)


def test_the_thickness_of_things_is_a_share_of_their_size_and_unsure():
    [thing] = by_depth(box_of(4, width=1.6), [4], [OTHER]).points
    assert thing[2] == pytest.approx(4.4, abs=0.01)
    lasting = by_depth(box_of(4, width=1.6), [4], [OTHER]).lasting[0, 2, 2]
    assert np.sqrt(lasting) == pytest.approx(0.2, abs=0.01)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_moving_to_another_frame_turns_points_and_covariances(seed):
    stream = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3] = np.linalg.qr(stream.normal(size=(3, 3)))[0]
    pose[:3, 3] = stream.normal(size=3)
    before = by_depth(box_of(4), [4], error=0.02)
    after = before.moved(pose)
    np.testing.assert_allclose(after.points[0], pose[:3, :3] @ before.points[0] + pose[:3, 3])
    # The length of an error in units of its spread does not depend on the frame.
    error = stream.normal(size=3)
    lengths = [
        e @ np.linalg.solve(c, e)
        for e, c in ((error, before.covariances[0]), (pose[:3, :3] @ error, after.covariances[0]))
    ]
    assert lengths[0] == pytest.approx(lengths[1])


def test_an_image_without_objects_is_no_special_case():
    assert len(by_depth(np.zeros((0, 4)), []).points) == 0
    assert len(on_ground(np.zeros((0, 4))).points) == 0


def test_each_edge_of_the_image_cuts_on_its_own_side():
    boxes = np.array(
        [
            [1, 100, 60, 200],
            [600, 100, 639, 200],
            [100, 1, 160, 200],
            [100, 100, 160, 479],
            [4, 4, 636, 476],
            [3, 100, 60, 477],
            [500, 100, 600, 470],
        ],
        float,
    )
    sides, ends = CAMERA.cuts(boxes)
    assert sides.tolist() == [True, True, False, False, False, True, False]
    assert ends.tolist() == [False, False, True, True, False, True, False]


def test_what_is_unknown_is_taken_from_elsewhere():
    known = by_depth(np.concatenate([box_of(3), box_of(4)]), [3, 4])
    nothing = Positions.unknown(2)
    assert not nothing.known.any()
    for found in (nothing.completed(known), known.completed(nothing)):
        for name in ('points', 'covariances', 'lasting', 'sizes'):
            np.testing.assert_array_equal(getattr(found, name), getattr(known, name))
    assert not nothing.moved(LEVEL).known.any()
    for name in ('points', 'covariances', 'lasting', 'sizes'):
        assert getattr(nothing, name).shape == getattr(known, name).shape


def test_the_errors_of_an_object_straight_ahead_are_along_the_axes():
    """Across and upwards differ, because the image cuts the object off below."""
    box = np.array([[270.0, 1.0, 370.0, 479.0]])
    for found in (by_depth(box, [3], [OTHER], error=0.01), by_depth(box, [3])):
        for matrix in (found.covariances[0], found.lasting[0]):
            np.testing.assert_allclose(matrix, np.diag(np.diag(matrix)), atol=1e-12)
        along, up = found.lasting[0, 0, 0], found.lasting[0, 1, 1]
        assert up > 10 * along, 'its height is not known'


def test_the_errors_on_the_ground_straight_ahead_are_along_the_axes():
    found = on_ground(box_of(4))
    for matrix in (found.covariances[0], found.lasting[0]):
        np.testing.assert_allclose(matrix, np.diag(np.diag(matrix)), atol=1e-12)
    # The stride, the middle of the box, and the height: 0.1, 0.05 and 0.04 m or more.
    assert (np.sqrt(np.diag(found.lasting[0])) > [0.1, 0.027, 0.03999]).all()
    assert np.sqrt(found.lasting[0, 2, 2]) == pytest.approx(0.04)


def test_a_person_turned_about_the_camera_has_the_same_errors_turned():
    """The same object seen by a camera that is turned by 30 degrees about the vertical."""
    turn = np.eye(4)
    c, s = np.cos(np.pi / 6), np.sin(np.pi / 6)
    turn[:2, :2] = [[c, -s], [s, c]]
    box = box_of(4)
    plain = place_on_ground(box, CAMERA, [PERSON], LEVEL)
    turned = place_on_ground(box, CAMERA, [PERSON], turn @ LEVEL)
    expected = plain.moved(turn)
    for name in ('points', 'covariances', 'lasting'):
        np.testing.assert_allclose(
            getattr(turned, name), getattr(expected, name), atol=1e-12, err_msg=name
        )


@pytest.mark.parametrize('aside', [-200.0, 200.0])
def test_the_errors_of_an_object_at_the_level_of_the_camera_are_level_or_upright(aside):
    box = np.array([[300.0 + aside, 1.0, 340.0 + aside, 479.0]])
    found = by_depth(box, [3], error=0.05)
    for matrix in (found.covariances[0], found.lasting[0]):
        assert matrix[0, 1] == pytest.approx(0, abs=1e-12)
        assert matrix[1, 2] == pytest.approx(0, abs=1e-12)
        assert abs(matrix[0, 2]) > 1e-6, 'along the ray, which is not an axis'


def test_the_error_by_depth_is_that_of_the_surface_the_box_and_what_is_cut_off():
    """Straight ahead at 3 m; the image cuts off feet and sides."""
    side, end = 638.0, 478.0  # pixels
    box = np.array([[1.0, 1.0, 639.0, 479.0]])
    found = by_depth(box, [3], error=0.02)
    jitter = np.hypot(1.0, placement._EDGE * end) / 500 * 3 / np.sqrt(2)  # of a middle
    deviations = np.sqrt(np.diag(found.covariances[0]))
    across = np.hypot(placement._ACROSS, jitter)
    expected = [across, across, np.hypot(placement._ALONG, 0.02 * 9)]
    np.testing.assert_allclose(deviations, expected)
    cut = placement._CUT_ERROR * np.array([side, end]) / 500 * 3
    expected = np.hypot([placement._ACROSS_LASTING, placement._UP_LASTING], cut)
    deviations = np.sqrt(np.diag(found.lasting[0]))
    np.testing.assert_allclose(deviations, [*expected, placement._ALONG_LASTING])


def test_the_error_on_the_ground_is_that_of_the_edges_and_the_stride():
    """Straight ahead at 3 m; the image cuts off the sides."""
    side, end = 638.0, 340.0  # pixels
    found = on_ground(np.array([[1.0, 100.0, 639.0, 440.0]]))
    pixels = np.hypot(1.0, placement._EDGE * end)
    ahead, aside = pixels * 3**2 / (500 * HEIGHT), pixels / np.sqrt(2) * 3 / 500
    deviations = np.sqrt(np.diag(found.covariances[0]))
    expected = [np.hypot(placement._STRIDE, ahead), np.hypot(placement._ACROSS, aside)]
    np.testing.assert_allclose(deviations, [*expected, placement._ACROSS])
    ahead, aside = placement._EDGE_LASTING * ahead, placement._EDGE_LASTING * aside
    cut = np.hypot(placement._ACROSS_LASTING, placement._CUT_ERROR * side / 500 * 3)
    deviations = np.sqrt(np.diag(found.lasting[0]))
    expected = [np.hypot(placement._STRIDE_LASTING, ahead), np.hypot(cut, aside)]
    np.testing.assert_allclose(deviations, [*expected, placement._UPRIGHT])


def test_a_camera_on_the_ground_sees_no_place():
    low = LEVEL.copy()
    low[2, 3] = 0
    assert not place_on_ground(box_of(3), CAMERA, [PERSON], low).known.any()


@settings(max_examples=50, deadline=None)
@given(x=st.floats(10, 600), y=st.floats(10, 400))
def test_the_size_of_the_errors_does_not_depend_on_the_direction(x, y):
    [found] = by_depth(np.array([[x, y, x + 30, y + 70]]), [2]).covariances
    jitter = np.hypot(1.0, placement._EDGE * 70) / 500 * 2 / np.sqrt(2)
    across = np.hypot(placement._ACROSS, jitter) ** 2
    expected = sorted([placement._ALONG**2, across, across])
    np.testing.assert_allclose(np.linalg.eigvalsh(found), expected)


def test_objects_that_do_not_overlap_do_not_affect_each_other():
    boxes = np.concatenate([box_of(d, a) for d, a in ((3, 0.9), (5, -0.9), (8, 0.1))])
    boxes = np.concatenate([boxes, [[20, 100, 90, 200], [560, 30, 620, 90]]])
    depths, kinds = [3.0, 5.0, 8.0, 4.0, 6.0], [PERSON, OTHER, OTHER, PERSON, OTHER]
    ways = (
        lambda rows: by_depth(boxes[rows], np.take(depths, rows), [kinds[i] for i in rows], 0.02),
        lambda rows: place_on_ground(boxes[rows], CAMERA, [kinds[i] for i in rows], LEVEL),
    )
    for place in ways:
        together = place(list(range(5)))
        assert together.known[:3].all()
        for i in range(5):
            alone = place([i])
            for name in ('points', 'covariances', 'lasting', 'sizes'):
                expected, found = getattr(alone, name)[0], getattr(together, name)[i]
                np.testing.assert_allclose(found, expected, err_msg=name)


@pytest.mark.parametrize(
    ('front', 'hides'),
    [
        ([132, 110, 172, 310], False),
        ([125, 110, 165, 310], True),
        ([70, 110, 108, 310], False),
        ([90, 260, 150, 310], False),
        ([90, 230, 150, 310], True),
    ],
)
def test_an_object_in_front_counts_if_it_reaches_into_the_middle_of_the_box(front, hides):
    boxes = np.array([[100, 100, 140, 300], front], float)
    assert by_depth(boxes, [3.0, 3.0]).known.tolist() == [not hides, True]
