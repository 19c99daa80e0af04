# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Objects are placed where they are, with the errors that depth, pixels and geometry have."""

from __future__ import annotations

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
import pytest

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
