# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of zones and lines, and the file that defines them."""

from __future__ import annotations

from itertools import pairwise

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
