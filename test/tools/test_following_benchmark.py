# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of following knows whom a box shows, counts right, and reports hand-overs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
import re
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest
import torch

from benchmarks.crossing_scenes import crossing_scene
from benchmarks.crossing_scenes import observe_rendered
from benchmarks.followed_people import BY
from benchmarks.followed_people import follow_everybody
from benchmarks.followed_people import table_rows
from benchmarks.following import measure
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.people import Frame
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation.following import follow
from gtr_ros.evaluation.following import HANDED_OVER
from gtr_ros.evaluation.following import observe_frame
from gtr_ros.evaluation.following import observe_truth
from gtr_ros.evaluation.following import Observed
from gtr_ros.model.options import ModelOptions
from gtr_ros.runtime.loading import load_model
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks

BOXES = np.array([[100, 100, 150, 250], [110, 95, 165, 260], [400, 100, 450, 250]], float)


def tracks_of(boxes: np.ndarray, ids=None) -> Tracks:
    count = len(boxes)
    return Tracks(
        ids=np.arange(1, count + 1) if ids is None else np.array(ids),
        boxes=boxes.astype(np.float32),
        scores=np.full(count, 0.9, np.float32),
        labels=np.zeros(count, np.int64),
        confirmed=np.ones(count, bool),
        features=torch.eye(8)[:count],
    )


def frame_of(visibility, boxes: np.ndarray = BOXES) -> Frame:
    nothing = np.zeros((480, 640))
    return Frame(
        image=None,
        depth=nothing,
        owners=nothing,
        ids=np.array([70, 50, 60]),
        boxes=boxes,
        full_boxes=boxes,
        visibility=np.array(visibility, float),
        distance=np.full(3, 5.0),
        camera=np.eye(4),
        intrinsics=np.eye(3),
    )


def test_a_box_shows_whoever_is_seen_best_in_it():
    identities = [50, 60, 70]
    tracks = tracks_of(np.array([BOXES[0], BOXES[2], BOXES[2] + 200]))
    seen = observe_frame(5, tracks, frame_of([0.2, 1, 1]), identities)
    assert seen.people.tolist() == [0, 1, -1]
    assert (seen.stamp, seen.visible, seen.apart) == (5, True, False)
    seen = observe_frame(5, tracks, frame_of([1, 0.2, 1]), identities)
    assert seen.people.tolist() == [2, 1, -1]
    assert not seen.visible
    away = BOXES - np.outer([1, 0, 0], [90, 0, 90, 0])
    assert observe_frame(5, tracks, frame_of([1, 1, 1], away), identities).apart


def test_each_person_of_a_labelled_frame_in_turn():
    truth = Truth.of([70, 50, 60, 80], [*BOXES, [600, 0, 620, 40]], roles=[0, 0, 0, 2])
    tracks = tracks_of(np.array([BOXES[1], BOXES[2] + 5, BOXES[2] + 200]))
    seen = {i: observe_truth(5, tracks, truth, i, None) for i in (50, 60, 70, 80, 90)}
    assert {i: frame.people.tolist() for i, frame in seen.items()} == {
        50: [0, 1, -1],
        60: [1, 0, -1],
        **{i: [1, 1, -1] for i in (70, 80, 90)},
    }
    assert [i for i, frame in seen.items() if frame.visible] == [50, 60], '70 is behind 50'
    assert [i for i, frame in seen.items() if frame.apart] == [60]


@needs_opengl
def test_everybody_of_a_rendered_scene_is_followed_in_turn():
    source = 'people:objects=3,duration=3,camera=wall,light=day,occluders=0,seed=3'
    (opened,) = open_sequences(source)
    model = load_model(ModelOptions(device='cpu', runtime='torch'))
    results = follow_everybody(opened.sequence, model)
    assert len(results['follower']) == len(results['id alone']) > 1
    for counts in results.values():
        assert sum(c.followed for c in counts) > 10
        assert sum(c.wrong for c in counts) == 0
    rows = list(table_rows('scene', results))
    assert [row[:4] for row in rows] == [['scene', rows[0][1], by, '0'] for by in BY]


def exchanged(frames: int, nobody: int = 0) -> Iterator[Observed]:
    """Person 0 has id 1 for 2 s, then person 1 has it; the features do not tell, either."""
    for t in range(20 + frames):
        swapped = t >= 20
        people = [1, 0] if swapped else [0, 1]
        if swapped and t < 20 + nobody:
            people = [-1, 0]
        tracks = tracks_of(BOXES[[0, 2]], [1, 2])
        stamp = t * NANOSECONDS // 10
        yield Observed(stamp, tracks, np.array(people), visible=True, apart=t >= 3)


def test_half_a_second_on_another_person_is_a_hand_over():
    short, long = (follow(exchanged(HANDED_OVER + more)) for more in (-1, 0))
    assert (short.hand_overs, short.wrong, short.scenes) == (0, HANDED_OVER - 1, 1)
    assert (long.hand_overs, long.wrong) == (1, HANDED_OVER)
    assert long.followed == 20 - 3 - 4


def test_a_box_that_shows_nobody_is_no_other_person_and_ends_no_run():
    counts = follow(exchanged(HANDED_OVER + 1, nobody=1))
    assert (counts.hand_overs, counts.wrong) == (1, HANDED_OVER)


def test_a_scene_whose_person_is_never_apart_is_replaced_by_the_next_one():
    seeds = []

    def source(kind: str, seed: int):
        seeds.append(seed)
        late = [frame for frame in exchanged(3) if seed != 8 or not frame.apart]
        return iter(late)

    sums = measure(source, 'crossing', 7, 3, latest=2.0)
    assert seeds == [7, 8, 9, 10]
    assert [counts.scenes for counts in sums.values()] == [3, 3]


@needs_opengl
def test_a_rendered_crossing_is_detected_tracked_and_compared_with_the_truth():
    scene = replace(crossing_scene('crossing', 4), objects=2, light='day', duration=1.6)
    frames = list(observe_rendered(scene, load_model(ModelOptions(device='cpu', runtime='torch'))))
    assert len(frames) == 16
    assert all(frame.visible for frame in frames)
    shown = [frame.people[frame.tracks.confirmed] for frame in frames[6:]]
    assert sum(0 in people for people in shown) >= 8
    assert follow(frames).wrong == 0


@pytest.mark.slow
@needs_opengl
def test_nobody_else_is_followed_after_a_rendered_crossing():
    command = [sys.executable, '-m', 'benchmarks.following', '--rendered', '--kind', 'crossing']
    command += ['--scenes', '1', '--first', '4']
    run = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    rows = re.findall(r'1 crossing\W+(follower|id alone)\W+(\d+)', run.stdout)
    assert rows[0] == ('follower', '0')
    assert rows[1][0] == 'id alone'


def test_the_scenes_of_a_seed_are_of_all_cameras():
    assert {crossing_scene('wall', seed).camera for seed in range(3)} == {'wall', 'stand', 'shake'}
