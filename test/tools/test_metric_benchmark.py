# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of tracks in metres compares each track with its person, and counts right."""

from __future__ import annotations

from dataclasses import replace
import re
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from benchmarks.metric import Error
from benchmarks.metric import figures_of
from benchmarks.metric import measure
from benchmarks.metric import table_of
from benchmarks.metric_scenes import match
from benchmarks.metric_scenes import Record
from gtr_ros.structures import Tracks

FOCAL, SIZE, HEIGHT = 500.0, (480, 640), 1.0
#: level, looking along x
POSE = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, HEIGHT], [0, 0, 0, 1]], float)
THICKNESS = 0.085


def record_of(t: int, people, shown=None, surface=None) -> Record:
    """Return a frame; people: (x, y) on the ground; shown: whose box each track has."""
    people = np.array(people, float).reshape(-1, 2)
    x, y = people.T
    left, right = (320 - FOCAL * (y + s) / x for s in (0.25, -0.25))
    boxes = np.column_stack([left, 240 - FOCAL * 0.7 / x, right, 240 + FOCAL * HEIGHT / x])
    shown = np.arange(len(people)) if shown is None else np.array(shown)
    depths = x[shown] - THICKNESS if surface is None else np.array(surface, float)
    middles = (left + right)[shown] / 2
    count = len(shown)
    return Record(
        stamp=t * 100_000_000,
        camera=POSE,
        focal=FOCAL,
        size=SIZE,
        tracks=Tracks(
            ids=np.arange(count) + 1,
            boxes=boxes[shown].astype(np.float32),
            scores=np.full(count, 0.9, np.float32),
            labels=np.zeros(count, np.int64),
            confirmed=np.ones(count, bool),
        ),
        surfaces={'depth': np.column_stack([depths, np.full(count, 0.1), middles])},
        people=np.arange(len(people)) + 100,
        boxes=boxes,
        visibility=np.ones(len(people)),
        positions=np.column_stack([people, np.full(len(people), 0.85)]),
        velocities=np.tile([0.0, 1.0], (len(people), 1)),
        upright=np.ones(len(people), bool),
    )


def walk(frames: int = 30, **options) -> list[Record]:
    """Two people walk to the left, 1 m/s, at 4 and 6 m."""
    return [record_of(t, [(4, t / 10 - 1.5), (6, t / 10 - 0.5)], **options) for t in range(frames)]


def test_exact_boxes_and_depths_have_no_errors():
    figures = figures_of(measure(walk(), 'depth', 0.0))
    assert figures.count == 60
    assert figures.rms < 0.02
    assert figures.walking == 2 * 20
    assert figures.speed < 0.05
    assert figures.ground == figures.space == 1


def test_positions_that_are_wrong_are_outside_the_ellipse():
    figures = figures_of(measure(walk(surface=[4.5, 6.5]), 'depth', 0.0))
    assert figures.median == pytest.approx(0.585, abs=0.03)
    assert figures.ground == 0
    # What is farther away and moves over the same pixels is faster.
    assert figures.speed == pytest.approx(0.12, abs=0.03)


def test_a_track_is_compared_with_whom_its_box_shows_and_while_it_is_coasted_showed():
    records = walk(25)
    records += [record_of(t, [(4, t / 10 - 1.5), (6, t / 10 - 0.5)], shown=[0]) for t in (25, 26)]
    errors = measure(records, 'depth', 0.0)
    assert [e.coasted for e in errors[-4:]] == [False, True, False, True]
    assert all(np.abs(e.position).max() < 0.1 for e in errors[-4:])


def test_of_two_people_behind_each_other_the_visible_one_is_shown():
    record = record_of(0, [(4, 0), (4.2, 0)], shown=[1])
    assert match(record).tolist() == [1]
    assert match(replace(record, visibility=np.array([1.0, 0.3]))).tolist() == [0]
    assert match(replace(record, boxes=record.boxes + 300)).tolist() == [-1]


def error_of(**fields) -> Error:
    values = {
        'distance': 4.0,
        'speed': 1.0,
        'age': 2.0,
        'coasted': False,
        'change': 0.0,
        'position': np.array([0.3, 0.4, 0.0]),
        'velocity': np.zeros(2),
        'faster': 0.1,
        'ground': 1.0,
        'space': 1.0,
        'moving': 1.0,
    }
    return Error(**{**values, **fields})


def test_only_what_is_asked_for_counts():
    errors = [
        error_of(),
        error_of(faster=-0.5, change=0.5, ground=6.0),
        error_of(age=0.5, faster=9.0),
        error_of(speed=0.0, faster=9.0, space=8.0),
        error_of(coasted=True, ground=7.0, position=np.array([9.0, 9, 9])),
        error_of(distance=1.9, ground=99.0),
        error_of(distance=8.1, ground=99.0),
    ]
    figures = figures_of(errors)
    assert (figures.count, figures.walking) == (4, 2)
    assert figures.median == figures.rms == pytest.approx(0.5)
    assert (figures.ground, figures.space, figures.coasted) == (0.75, 0.75, 0)
    assert figures.speed == pytest.approx(np.sqrt((0.01 + 0.25) / 2))
    assert figures.steady == pytest.approx(0.1)


def test_without_people_the_table_says_so():
    assert table_of({('stand', 'depth'): figures_of([])}).row_count == 1


def bench(scene: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'benchmarks.metric', '--scenes', scene]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300)


@needs_opengl
def test_a_scene_is_rendered_tracked_and_measured():
    run = bench('people:objects=3,camera=drive,rate=5,duration=1,size=240x320,seed=3')
    assert run.returncode == 0, run.stderr
    rows = re.findall(r'drive\W+(depth|stereo|ground)\W+(\d+)', run.stdout)
    assert [kind for kind, _ in rows] == ['depth', 'stereo', 'ground']
    assert int(rows[0][1]) > 0


def test_a_scene_that_is_none_is_refused():
    run = bench('people:camera=submarine')
    assert run.returncode == 2
    assert "camera is 'submarine'" in run.stderr
