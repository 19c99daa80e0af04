# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The upper body of a person is found by depth, whatever legs, arms and other people do."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.tracking.upper_body import upper_middles

SIZE = (240, 320)
#: of a person whose left leg is far behind: the middle of the box is 30 pixels from the body
BOX = np.array([[100.0, 40, 200, 220]])


def person(far: float = 6.0) -> np.ndarray:
    """Return a depth image: a body in columns 160 to 200, and a leg that reaches to 100."""
    depth = np.full(SIZE, far, np.float32)
    depth[40:130, 160:200] = 3.0
    depth[130:220, 100:200] = 3.0
    return depth


def middle(depth: np.ndarray, distance: float = 3.0, box: np.ndarray = BOX) -> float:
    [found] = upper_middles(depth, box, np.array([distance]), SIZE)
    return found


def test_the_middle_is_that_of_the_upper_body_and_not_of_the_box():
    assert middle(person()) == pytest.approx(180, abs=1)


def test_background_and_others_beside_are_not_the_body():
    depth = person(far=np.nan)
    depth[40:220, 100:140] = 3.5
    assert middle(depth) == pytest.approx(180, abs=1)


def test_an_arm_moves_the_middle_by_little():
    depth = person()
    depth[80:95, 120:160] = 2.9
    assert middle(depth) == pytest.approx(180, abs=4)


@pytest.mark.parametrize('factor', [0.5, 2])
def test_depth_may_have_another_resolution(factor):
    depth = person()
    depth = depth.repeat(2, 0).repeat(2, 1) if factor == 2 else depth[::2, ::2]
    assert middle(depth) == pytest.approx(180, abs=1.5)


def test_a_large_box_is_sampled():
    depth = np.full((2400, 3200), 6, np.float32)
    depth[400:1300, 1600:2000] = 3
    [found] = upper_middles(depth, BOX * 10, np.array([3.0]), (2400, 3200))
    assert found == pytest.approx(1800, abs=20)


@pytest.mark.parametrize(
    ('distance', 'box', 'why'),
    [
        (np.nan, [100, 40, 200, 220], 'its surface is not known'),
        (9.0, [100, 40, 200, 220], 'nothing is as far away'),
        (3.0, [-50, -90, -10, -20], 'it is outside the image'),
        (3.0, [160, 40, 163, 46], 'it has too few pixels'),
    ],
)
def test_without_a_body_the_middle_is_unknown(distance, box, why):
    assert np.isnan(middle(person(), distance, np.array([box], float))), why


def test_an_image_without_objects_is_no_special_case():
    assert upper_middles(person(), np.zeros((0, 4)), np.zeros(0), SIZE).shape == (0,)
