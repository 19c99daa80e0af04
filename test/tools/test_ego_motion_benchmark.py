# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of the camera's motion compares each source with the truth."""

from __future__ import annotations

import re
import sys
from types import SimpleNamespace

import numpy as np
from opengl import needs_opengl
import pytest
from scipy.spatial.transform import Rotation
import torch

pytest.importorskip('moderngl', reason='rendered people need the extra people')

from benchmarks.ego_motion import errors_of
from benchmarks.ego_motion import evidence_of
from benchmarks.ego_motion import main
from benchmarks.ego_motion import Shot
from benchmarks.ego_motion import SOURCES
from benchmarks.ego_motion import track
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections
from gtr_ros.tracking.placement import Pinhole

CAMERA = Pinhole(np.array([500.0, 500.0]), np.array([320.0, 240.0]), (480, 640))
#: right of the camera and ahead of it, metres, at the beginning
PEOPLE = np.array([(-1.0, 0.0, 5.0), (0.0, 0.0, 6.0), (1.0, 0.0, 7.0)])
#: the angle between two of them, degrees
ANGLE = 9.0
MODEL = SimpleNamespace(association=CosineAssociation(), score_threshold=0.5)


def shot(t: int, degrees: float, ahead: float = 0.0, late: bool = False) -> Shot:
    """Return what a camera sees that has turned to the left and driven, metres."""
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_euler('y', -degrees, degrees=True).as_matrix()
    pose[2, 3] = ahead
    seen = (PEOPLE - pose[:3, 3]) @ pose[:3, :3]
    x, y = (seen[:, :2] / seen[:, 2:] * CAMERA.focal + CAMERA.centre).T
    half = 0.9 * CAMERA.focal[0] / seen[:, 2]
    boxes = np.column_stack([x - half / 3, y - half, x + half / 3, y + half])
    found = Detections(
        boxes=boxes.astype(np.float32),
        scores=np.full(3, 0.95, np.float32),
        labels=np.zeros(3, np.int64),
        features=torch.ones(3, 4),
        image_size=CAMERA.size,
        stamp=(t + 1) * 100_000_000,
    )
    return Shot(
        stamp=found.stamp,
        detections=found,
        camera=CAMERA,
        pose=pose,
        drifted=pose,
        people=np.array([7, 8, 9]),
        boxes=boxes,
        distances=seen[:, 2],
        estimated={1: np.array([[1.0, 0, 1000], [0, 1, 0]])},
        late=late,
    )


#: turns by the angle between two people, and back
TURNING = [shot(t, degrees) for t, degrees in enumerate((0, 0, 0, 0, ANGLE, ANGLE, 0, 0, ANGLE))]


def test_the_motion_of_the_poses_is_that_of_the_people():
    driving = [shot(t, 0.5 * t, 0.3 * t) for t in range(5)]
    error = {name: np.median(errors_of(driving, 1, source)) for name, source in SOURCES.items()}
    assert error['tf, distances'] < 0.8
    assert error['tf, distances'] < error['tf, 5 m'] < error['tf'] < error['off']
    assert error['images'] == pytest.approx(1000, rel=0.05)
    assert error['tf, drift'] == pytest.approx(error['tf'])


def test_evidence_is_that_of_the_true_pairs():
    without, known = (evidence_of(TURNING, 1, SOURCES[name]) for name in ('off', 'tf'))
    assert len(without) == len(known) == 3 * (len(TURNING) - 1)
    assert np.mean(known, axis=0)[0] > np.mean(without, axis=0)[0] + 1
    assert np.mean(known, axis=0)[1] < 0.1 < np.mean(without, axis=0)[1]


def test_ids_are_those_of_the_tracker_with_this_motion():
    truth = tuple(Truth.of(each.people, each.boxes) for each in TURNING)
    stamps = np.array([each.stamp for each in TURNING])
    sequence = Sequence('turning', ('person',), CAMERA.size, 10.0, truth, stamps)
    ids = {}
    for name in ('off', 'tf'):
        [same], [results] = track(sequence, TURNING, 1, SOURCES[name], MODEL)
        assert len(same) == len(results) == len(TURNING)
        ids[name] = [result.ids.tolist() for result in results]
    assert ids['tf'] == [[1, 2, 3]] * len(TURNING)
    assert ids['off'] != ids['tf']
    sequences, results = track(sequence, TURNING, 2, SOURCES['off'], MODEL)
    assert [len(each) for each in sequences] == [len(each) for each in results] == [5, 4]


def test_late_transforms_are_replaced_by_the_images():
    on_time, late = shot(1, 1), shot(1, 1, late=True)
    source = SOURCES['tf, 30 % late']
    assert source(TURNING[0], late, 1, 5.0) is late.estimated[1]
    np.testing.assert_array_equal(
        source(TURNING[0], on_time, 1, 5.0), SOURCES['tf'](TURNING[0], on_time, 1, 5.0)
    )


def bench(scene: str, monkeypatch) -> int:
    monkeypatch.setattr(sys, 'argv', ['ego_motion', '--scenes', scene])
    return main()


@needs_opengl
def test_a_scene_is_rendered_tracked_and_measured(monkeypatch, capsys):
    scene = 'people:objects=2,camera=drive,rate=5,duration=1,size=240x320,seed=3'
    assert bench(scene, monkeypatch) == 0
    said = capsys.readouterr().out
    for name in SOURCES:
        rows = re.findall(rf'drive +│ (\d\.\d) +│ {name} +│ +\d', said)
        assert rows == ['5.0', '1.7'], name
    assert re.search(r'tf: \d+\.\d+ ms of CPU time', said)


def test_a_scene_that_is_none_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit, match='2'):
        bench('people:camera=submarine', monkeypatch)
    assert "camera is 'submarine'" in capsys.readouterr().err
