# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The surface of an object is found in noisy, incomplete and cluttered depth images."""

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from gtr_ros.node.messages.depth import find_surface

NAN = np.nan


def test_the_extent_of_a_slanted_surface_is_nine_tenths_of_its_centre():
    depth = np.tile(np.linspace(2, 4, 400, dtype=np.float32), (300, 1))
    median, extent = find_surface(depth, np.array([0, 0, 400, 300], float))
    assert median == pytest.approx(3, abs=0.02)
    assert extent == pytest.approx(0.9, abs=0.03)  # the centre is from 2.5 to 3.5


@pytest.fixture
def scene() -> np.ndarray:
    """Return the depths in the box of an object at 2 m in front of a wall at 4 m, (80, 60)."""
    depth = np.full((80, 60), 4, np.float32)
    depth[5:75, 8:52] = 2
    return depth


WHOLE = np.array([0, 0, 60, 80], float)


def test_noise_changes_neither_position_nor_extent_of_a_surface(scene):
    scene *= np.random.default_rng(1).normal(1, 0.01, scene.shape)
    median, extent = find_surface(scene, WHOLE)
    assert median == pytest.approx(2, abs=0.005)
    assert extent == pytest.approx(3.29 * 0.02, abs=0.01)


def test_background_in_the_gaps_of_an_object_is_ignored(scene):
    holes = np.random.default_rng(2).random(scene.shape) < 0.7
    scene[holes] = 4
    assert find_surface(scene, WHOLE) == (2, pytest.approx(0.05))


def test_blurred_edges_do_not_join_the_background_to_the_object(scene):
    scene[:, 30:] = 4
    random = np.random.default_rng(7)
    blurred = random.random(scene.shape) < 0.12
    scene[blurred] = random.uniform(2, 4, blurred.sum())
    median, extent = find_surface(scene, WHOLE)
    assert median == pytest.approx(2, abs=0.01)
    assert extent < 0.2


@pytest.mark.parametrize('wide', [1, 2, 5])
def test_a_pole_in_front_of_the_object_is_ignored(scene, wide):
    scene[:, 28 : 28 + wide] = 1
    assert find_surface(scene, WHOLE) == (2, pytest.approx(0.05))


def test_specks_near_the_camera_are_ignored(scene):
    specks = np.random.default_rng(3).random(scene.shape)
    scene[specks < 0.1] = np.random.default_rng(4).uniform(0.2, 1.5, (specks < 0.1).sum())
    median, extent = find_surface(scene, WHOLE)
    assert (median, extent) == (2, pytest.approx(0.05))


def test_of_two_large_surfaces_the_nearer_is_the_object(scene):
    scene[:, :28] = 1.5  # hides 13 of the central 30 columns
    assert find_surface(scene, WHOLE)[0] == 1.5


def test_without_a_large_surface_the_largest_one_counts():
    depth = np.repeat(np.array([1, 2, 3, 4, 5, 6, 7, 7], np.float32), 8)[None].repeat(64, axis=0)
    # 16 columns of 7 m, in a box twice as wide as the image, whose centre is the whole image.
    assert find_surface(depth, np.array([-32, -32, 96, 96], float))[0] == 7
    depth = np.repeat(np.array([1, 2, 3, 4, 5, 6, 7, 8], np.float32), 8)[None].repeat(64, axis=0)
    depth[:, 8:18] = 2
    assert find_surface(depth, np.array([-32, -32, 96, 96], float))[0] == 2


def test_scattered_depths_neither_hide_a_surface_nor_form_one(scene):
    random = np.random.default_rng(8)
    scattered = np.geomspace(0.1, 100, scene.size, dtype=np.float32).reshape(scene.shape)
    random.shuffle(scattered.ravel())
    assert find_surface(scattered, WHOLE) is None
    scene[:, 30:] = scattered[:, 30:]
    median, extent = find_surface(scene, WHOLE)
    assert median == pytest.approx(2, abs=0.01)
    assert extent < 0.3


@pytest.mark.parametrize('shift', [-0.4, 0, 0.4])
@pytest.mark.parametrize('around', [NAN, 1])
def test_the_central_half_has_the_pixels_whose_centre_is_inside(shift, around):
    depth = np.full((4, 4), around, np.float32)
    depth[1:3, 1:3] = 2  # one pixel fewer is too few; with one more the nearer surface is large
    assert find_surface(depth, np.array([0, 0, 4, 4]) + shift) == (2, pytest.approx(0.05))


def test_an_eighth_of_valid_depths_is_enough(scene):
    missing = np.random.default_rng(5).random(scene.shape) < 0.875
    scene[missing] = NAN
    assert find_surface(scene, WHOLE) == (2, pytest.approx(0.05))


def test_too_few_depths_give_no_surface(scene):
    few = np.random.default_rng(6).random(scene.shape) < 0.05
    assert find_surface(np.where(few, scene, np.float32(NAN)), WHOLE) is None
    assert find_surface(np.full_like(scene, NAN), WHOLE) is None


@pytest.mark.parametrize(
    'box', [[70, 10, 90, 30], [-40, 10, -10, 30], [5, 90, 20, 120], [5, 5, 7, 7], [9, 9, 9, 9]]
)
def test_a_box_outside_the_depth_image_or_without_pixels_has_no_depth(scene, box):
    assert find_surface(scene, np.array(box, float)) is None


def test_the_first_rows_and_columns_count_if_the_box_begins_outside():
    depth = np.full((8, 8), NAN, np.float32)
    depth[:2, :2] = 2  # just as many pixels as are needed
    assert find_surface(depth, np.array([-4.0, -4, 4, 4])) == (2, pytest.approx(0.05))


@pytest.mark.parametrize('wide', [True, False])
def test_a_narrow_box_is_not_thinned_out_along_its_short_side(wide):
    depth = np.full((6, 1200), NAN, np.float32)
    depth[2:5] = 2  # rows 1 to 4 are the central half: the first of them has no depth
    box = np.array([0.0, 0, 1200, 6])
    if not wide:
        depth, box = depth.T, box[[1, 0, 3, 2]]
    assert find_surface(depth, box) == (2, pytest.approx(0.05))
