# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of zones and lines, and the file that defines them."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
import numpy as np
from paths import REPOSITORY
import pytest

from gtr_ros.tracking.zones import crossings
from gtr_ros.tracking.zones import distance_to
from gtr_ros.tracking.zones import is_inside
from gtr_ros.tracking.zones import read_zones
from gtr_ros.tracking.zones import ZonesError

#: a U, open above
U = np.array([[0, 0], [3, 0], [3, 3], [2, 3], [2, 1], [1, 1], [1, 3], [0, 3]], float)
LINE = np.array([[0.0, 0.0], [10.0, 0.0]])
GOOD = '{name: a, kind: area, corners: [[0, 0], [1, 0], [1, 1]]}'


@pytest.mark.parametrize(
    ('point', 'inside'),
    [((0.5, 2), True), ((1.5, 2), False), ((2.5, 2), True), ((1.5, 0.5), True), ((4, 1), False)],
)
def test_points_are_in_a_polygon_that_is_not_convex(point, inside):
    assert is_inside(U, np.array(point)) == inside
    assert is_inside(U[::-1], np.array(point)) == inside


def test_a_point_on_a_shared_edge_is_in_one_of_two_polygons():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    for y in (0.0, 0.3, 0.5):
        inside = [is_inside(square + np.array([shift, 0]), np.array([1.0, y])) for shift in (0, 1)]
        assert sum(inside) == 1


def test_the_distance_is_that_to_the_nearest_edge():
    assert distance_to(U, np.array([1.5, 2.0]), closed=True) == pytest.approx(0.5)
    assert distance_to(LINE, np.array([13.0, 4.0]), closed=False) == pytest.approx(5)
    assert distance_to(LINE, np.array([5.0, -2.0]), closed=False) == pytest.approx(2)


def step(start, end, line=LINE) -> int:
    return crossings(line, np.array(start, float), np.array(end, float))


def test_a_step_crosses_a_line_with_a_direction():
    assert step((5, -1), (5, 1)) == 1
    assert step((5, 1), (5, -1)) == -1
    assert step((5, 1), (6, 2)) == 0
    assert step((12, -1), (12, 1)) == 0, 'beyond its end'
    assert step((5, -1), (5, -1)) == 0


def test_steps_that_end_on_a_line_count_once():
    path = [(5, -1), (5, 0), (5, 1), (5, 0), (5, -1)]
    assert [step(a, b) for a, b in pairwise(path)] == [1, 0, 0, -1]


def test_a_path_through_a_corner_crosses_once():
    corner = np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]])
    assert step((5, -1), (5, 1), corner) == 1
    # There and back over the two sides of a V.
    v = np.array([[0.0, 4.0], [2.0, 0.0], [4.0, 4.0]])
    assert step((-1, 3), (5, 3), v) == 0
    assert step((-1, 3), (2, 3), v) == 1


def read(tmp_path, *entries):
    path = tmp_path / 'zones.yaml'
    path.write_text('zones:\n' + ''.join(f'  - {entry}\n' for entry in entries))
    return read_zones(path)


def test_the_example_is_valid():
    zones, faults = read_zones(REPOSITORY / 'config' / 'zones.yaml')
    assert not faults
    assert [(zone.name, zone.kind) for zone in zones] == [('doorway', 'area'), ('gate', 'line')]


def test_fractions_become_pixels(tmp_path):
    [zone], _ = read(tmp_path, '{name: a, kind: line, corners: [[0, 0.5], [1, 1]]}')
    assert zone.in_pixels((100, 200)).corners.tolist() == [[0, 50], [200, 100]]


@pytest.mark.parametrize(
    ('entry', 'fault'),
    [
        ('{name: b, kind: area, corners: [[0, 0], [1, 1]]}', '2 corners; expected 3'),
        ('{name: b, kind: line, corners: [[0, 0]]}', '1 corners; expected 2'),
        ('{name: b, kind: line, corners: [[0, 0], [0, 0]]}', 'are the same'),
        ('{name: b, kind: area, corners: [[0, 0], [.nan, 1], [1, 0]]}', 'finite'),
        ('{name: b, kind: area, corners: [[0, 0], [.inf, 1], [1, 0]]}', 'finite'),
        ('{name: b, kind: area, corners: [[0, 0], [0, 1, 2], [1, 0]]}', 'finite'),
        ('{name: b, kind: area, corners: [[0, 0], [0, x], [1, 0]]}', 'finite'),
        ('{name: b, kind: area, corners: [[0, 0], [300, 1], [1, 0]]}', 'set unit to pixel'),
        ('{name: b, kind: area, corners: [[0, 0], [0.5, 0.5], [1, 1]]}', 'on one line'),
        ('{name: b, kind: area, corners: 7}', '0 corners'),
        ('{name: b, kind: area}', '0 corners'),
        ('{name: b, kind: circle, corners: [[0, 0], [0, 1], [1, 0]]}', 'area, line'),
        ('{name: b, corners: [[0, 0], [0, 1], [1, 0]]}', 'area, line'),
        ('{name: b, kind: area, unit: feet, corners: [[0, 0], [0, 1], [1, 0]]}', 'metre'),
        ('{name: b, kind: area, margin: -1, corners: [[0, 0], [0, 1], [1, 0]]}', 'margin'),
        ('{name: b, kind: area, classes: person, corners: [[0, 0], [0, 1], [1, 0]]}', 'classes'),
        ('{name: b, kind: area, corner: [[0, 0], [0, 1], [1, 0]]}', "'corner'"),
        ('{name: 7, kind: area, corners: [[0, 0], [0, 1], [1, 0]]}', 'expected a text'),
        ('{kind: area, corners: [[0, 0], [0, 1], [1, 0]]}', 'expected a text'),
        (GOOD, 'another zone'),
        ('7', 'expected name'),
    ],
)
def test_a_zone_that_is_not_valid_is_named_and_left_out(tmp_path, entry, fault):
    zones, [line] = read(tmp_path, GOOD, entry)
    assert [zone.name for zone in zones] == ['a']
    assert fault in line
    assert str(tmp_path / 'zones.yaml') in line
    assert '\n' not in line


@pytest.mark.parametrize(
    'text', ['', '7', 'zones: 7', 'areas: []', 'zones: [', 'zones: !!python/x 1']
)
def test_a_file_without_zones_is_refused(tmp_path, text):
    path = tmp_path / 'zones.yaml'
    path.write_text(text)
    with pytest.raises(ZonesError, match=r'zones\.yaml'):
        read_zones(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path):
    with pytest.raises(ZonesError, match='No such file'):
        read_zones(tmp_path / 'none.yaml')
    (tmp_path / 'binary').write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ZonesError, match='binary'):
        read_zones(tmp_path / 'binary')


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_point_is_in_a_triangle_if_it_is_on_the_same_side_of_all_edges(seed):
    stream = np.random.default_rng(seed)
    triangle = stream.uniform(-5, 5, (3, 2))
    for point in stream.uniform(-5, 5, (20, 2)):
        along, way = np.roll(triangle, -1, axis=0) - triangle, point - triangle
        sides = along[:, 0] * way[:, 1] - along[:, 1] * way[:, 0]
        assert is_inside(triangle, point) == (len(set(sides > 0)) == 1)


def test_pixels_stay_pixels(tmp_path):
    [zone], _ = read(tmp_path, '{name: a, kind: line, corners: [[0, 0.5], [1, 1]]}')
    once = zone.in_pixels((100, 200))
    assert once.unit == 'pixel'
    assert once.in_pixels((100, 200)).corners.tolist() == once.corners.tolist()


@pytest.mark.parametrize('corners', ['[[0, 0], [0, 0], [1, 1]]', '[[0, 0], [1, 1], [1, 1]]'])
def test_a_line_that_stays_at_a_corner_is_left_out(tmp_path, corners):
    zones, [fault] = read(tmp_path, f'{{name: a, kind: line, corners: {corners}}}')
    assert not zones
    assert 'are the same' in fault


def test_the_corners_of_an_image_are_fractions_and_nothing_beyond(tmp_path):
    zones, faults = read(
        tmp_path,
        '{name: a, kind: area, corners: [[0, 0], [1, 0], [1, 1], [0, 1]]}',
        '{name: b, kind: area, corners: [[0, 0], [1, 0], [1, 1.01]]}',
        '{name: c, kind: area, corners: [[0, 0], [1, 0], [-0.01, 1]]}',
    )
    assert [zone.name for zone in zones] == ['a']
    assert '[1.0, 1.01]' in faults[0]
    assert '[-0.01, 1.0]' in faults[1]


def test_the_distance_to_a_line_of_several_parts_is_that_to_the_nearest_part():
    line = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 10.0], [20.0, 10.0]])
    for point, expected in (((5, 2), 2), ((12, 5), 2), ((15, 13), 3), ((5, 8), 5)):
        assert distance_to(line, np.array(point, float), closed=False) == pytest.approx(expected)


def test_a_thousand_zones_and_corners_are_the_most(tmp_path):
    lines = [f'{{name: z{i}, kind: line, corners: [[0, 0], [1, 1]]}}' for i in range(1001)]
    zones, faults = read(tmp_path, *lines[:-1])
    assert (len(zones), faults) == (1000, [])
    with pytest.raises(ZonesError, match='at most 1000 zones'):
        read(tmp_path, *lines)
    corners = [f'[{i}, {i % 2}]' for i in range(1001)]
    for count, valid in ((1000, True), (1001, False)):
        entry = f'{{name: a, kind: line, unit: metre, corners: [{", ".join(corners[:count])}]}}'
        zones, faults = read(tmp_path, entry)
        assert (len(zones) == 1, not faults) == (valid, valid)


def test_the_largest_and_the_least_numbers_are_accepted(tmp_path):
    entry = '{{name: a, kind: line, unit: metre, margin: {0}, corners: [[0, 0], [{0}, 1]]}}'
    zones, faults = read(tmp_path, entry.format('1000000'))
    assert (len(zones), faults) == (1, [])
    zones, _ = read(tmp_path, '{name: a, kind: line, margin: 0, corners: [[0, 0], [1, 1]]}')
    assert zones[0].margin == 0
    zones, faults = read(tmp_path, entry.format('1000001'))
    assert (len(zones), len(faults)) == (0, 1)


@pytest.mark.parametrize(('x', 'inside'), [(-2, False), (-0.5, True), (0.5, True), (2, False)])
def test_a_point_at_the_height_of_a_corner_is_inside_or_not_as_any_other(x, inside):
    diamond = np.array([[0, -1], [1, 0], [0, 1], [-1, 0]], float)
    for corners in (diamond, diamond[::-1]):
        assert is_inside(corners, np.array([x, 0.0])) == inside
    for y in (-1.0, 1.0):
        assert not is_inside(diamond, np.array([-3.0, y])), 'left of a corner at an end'
