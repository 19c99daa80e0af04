# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of several cameras counts splits and false joins, and measures a small scene."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
from opengl import needs_opengl
from paths import REPOSITORY
import pytest
import torch

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from benchmarks.camera_scenes import View
from benchmarks.cameras import as_video
from benchmarks.cameras import count
from benchmarks.cameras import Counts
from gtr_ros.data.sequence import Truth
from gtr_ros.evaluation.metrics import evaluate
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks

BOXES = np.array([[100, 50, 140, 170], [300, 60, 350, 200]], np.float32)


def frames(*shown: tuple) -> tuple[list[View], list[tuple[np.ndarray, Tracks]]]:
    """Return frames of (camera, track, id, person); everybody has the first box."""
    views, found = [], []
    for k, (camera, track, identity, person) in enumerate(shown):
        detections = Detections(
            boxes=BOXES[:1],
            scores=np.full(1, 0.9, np.float32),
            labels=np.zeros(1, np.int64),
            features=torch.zeros(1, 4),
            image_size=(240, 400),
        )
        truth = Truth.of([person, 99], BOXES)
        views.append(View(camera, k, np.eye(4), 300.0, detections, {}, truth))
        tracks = Tracks(
            ids=np.array([identity]),
            boxes=detections.boxes,
            scores=detections.scores,
            labels=detections.labels,
            confirmed=np.ones(1, bool),
        )
        found.append((np.array([track]), tracks))
    return views, found


def test_tracks_of_one_person_with_one_id_are_neither_splits_nor_false():
    assert count(*frames((0, 1, 7, 50), (1, 1, 7, 50), (1, 2, 7, 50))) == Counts(1, 3, 0, 0)


def test_each_track_with_another_id_of_its_person_is_a_split():
    assert count(*frames((0, 1, 7, 50), (1, 1, 8, 50), (1, 2, 8, 50))) == Counts(1, 3, 1, 0)


def test_a_track_with_the_id_of_another_person_is_a_false_join():
    assert count(*frames((0, 1, 7, 50), (1, 1, 7, 51))) == Counts(2, 2, 0, 1)
    # It shows the person that most of its boxes show.
    swapped = (0, 1, 7, 50), (0, 1, 7, 51), (0, 1, 7, 51), (1, 1, 7, 51)
    assert count(*frames(*swapped)) == Counts(1, 2, 0, 0)


def test_identities_are_compared_over_all_cameras():
    shared = frames((0, 1, 7, 50), (1, 1, 7, 50))
    single = frames((0, 1, 7, 50), (1, 1, 8, 50))
    scores = [evaluate(*zip(as_video('views', *f))).overall['IDF1'] for f in (shared, single)]
    # Of 4 boxes 2 are found, or 1 with the same id.
    assert scores == pytest.approx([2 * 2 / (4 + 2), 2 * 1 / (4 + 2)])


@pytest.mark.slow
@needs_opengl
def test_a_scene_is_rendered_and_measured():
    scene = 'people:objects=3,camera=wall,fov=100,rate=5,duration=1,size=240x320'
    command = [sys.executable, '-m', 'benchmarks.cameras', '--layouts', 'overlapping']
    run = subprocess.run(
        [*command, '--seeds', '3', '--scene', scene],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    kinds = re.findall(r'overlapping\W+(off|depth|stereo)', run.stdout)
    assert kinds == ['off', 'depth', 'stereo']
