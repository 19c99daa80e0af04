# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The local baselines of the paper: links, lost tracks, confirmation, and the Kalman filter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gtr_ros.evaluation.baselines.fairmot import FairMOT
from gtr_ros.evaluation.baselines.kalman import KalmanBoxes
from gtr_ros.evaluation.baselines.kalman import to_xyah
from gtr_ros.structures import Detections

RED, BLUE = [1.0, 0.0], [0.0, 1.0]


def frame(*objects) -> Detections:
    """Return detections of (left, feature) pairs, 40 x 100 pixels each."""
    boxes = np.array([[x, 100, x + 40, 200] for x, _ in objects], np.float32).reshape(-1, 4)
    return Detections(
        boxes=boxes,
        scores=np.full(len(boxes), 0.9, np.float32),
        labels=np.zeros(len(boxes), np.int64),
        features=torch.tensor([f for _, f in objects]).reshape(-1, 2),
        image_size=(480, 640),
    )


def ids_of(tracker, *frames) -> list[list[int]]:
    return [tracker.update(f).ids.tolist() for f in frames]


MODES = [(True, False), (False, True), (True, True)]


@pytest.mark.parametrize(('overlap', 'appearance'), MODES)
def test_objects_that_walk_keep_their_ids_in_any_order(overlap, appearance):
    tracker = FairMOT(overlap, appearance)
    for t in range(10):
        red, blue = (100 + 4 * t, RED), (400 - 4 * t, BLUE)
        tracks = tracker.update(frame(red, blue) if t % 2 else frame(blue, red))
        assert tracks.ids.tolist() == ([2, 1] if t % 2 else [1, 2])
        assert tracks.confirmed.all()


def test_a_lost_track_is_continued_by_appearance_only():
    gap = [frame()] * 5
    walk = [frame((100 + 2 * t, RED)) for t in range(10)]
    back = frame((130, RED))
    assert ids_of(FairMOT(), *walk, *gap, back)[-1] == [1]
    assert ids_of(FairMOT(overlap=False), *walk, *gap, back)[-1] == [1]
    assert ids_of(FairMOT(appearance=False), *walk, *gap, back)[-1] == [2]


def test_a_track_lost_for_too_long_is_not_continued():
    walk = [frame((100, RED))] * 10
    assert ids_of(FairMOT(rebirth=5), *walk, *[frame()] * 5, frame((100, RED)))[-1] == [1]
    assert ids_of(FairMOT(rebirth=5), *walk, *[frame()] * 6, frame((100, RED)))[-1] == [2]


def test_a_different_appearance_gets_a_new_id_without_overlap():
    walk = [frame((100, RED))] * 5
    assert ids_of(FairMOT(overlap=False), *walk, frame((100, BLUE)))[-1] == [2]
    assert ids_of(FairMOT(), *walk, frame((100, BLUE)))[-1] == [1]


def test_a_distant_box_is_outside_the_motion_gate():
    walk = [frame((100, RED))] * 5
    assert ids_of(FairMOT(), *walk, frame((500, RED)))[-1] == [2]


def test_a_track_is_confirmed_by_its_second_box_or_removed():
    tracker = FairMOT()
    tracker.update(frame((100, RED)))
    first = tracker.update(frame((100, RED), (400, BLUE)))
    assert first.confirmed.tolist() == [True, False]
    second = tracker.update(frame((100, RED), (400, BLUE)))
    assert (second.ids.tolist(), second.confirmed.tolist()) == ([1, 2], [True, True])
    tracker.update(frame((100, RED), (400, BLUE), (250, BLUE)))
    tracker.update(frame((100, RED), (400, BLUE)))
    again = tracker.update(frame((100, RED), (400, BLUE), (250, BLUE)))
    assert again.ids.tolist() == [1, 2, 4]


def test_a_box_of_another_class_gets_a_new_id():
    tracker = FairMOT()
    ids_of(tracker, frame((100, RED)), frame((100, RED)))
    other = frame((100, RED))
    other.labels[:] = 3
    assert tracker.update(other).ids.tolist() == [2]


def test_of_two_overlapping_tracks_the_younger_is_removed():
    tracker = FairMOT(appearance=False)
    ids_of(tracker, *[frame((100, RED))] * 20)
    # A new object moves to the position of the old one, which is not detected any more.
    tracks = [tracker.update(frame((100 + x, RED))) for x in (*range(80, -8, -8), 0, 0, 0)]
    assert {t.ids[0] for t in tracks[:9]} == {2}
    assert tracks[2].confirmed.all()
    assert not tracks[-1].confirmed.any()


def test_ids_count_up_after_a_reset():
    tracker = FairMOT()
    ids_of(tracker, frame((100, RED)))
    tracker.reset()
    assert ids_of(tracker, frame((100, RED))) == [[2]]


def test_frames_may_be_empty():
    assert ids_of(FairMOT(), frame(), frame(), frame((1, RED)), frame()) == [[], [], [1], []]


def test_linking_without_any_cue_is_refused():
    with pytest.raises(ValueError, match='expected at least one'):
        FairMOT(overlap=False, appearance=False)


def test_the_kalman_filter_equals_plain_matrix_arithmetic():
    """One box over several frames."""
    box = np.array([[100.0, 100, 140, 200]])
    kalman = KalmanBoxes(box)
    height = 100.0
    mean = np.append(to_xyah(box)[0], np.zeros(4))
    weights = np.array([0.1 * height] * 2 + [1e-2, 0.1 * height])
    rates = np.array([height / 16] * 2 + [1e-5, height / 16])
    covariance = np.diag(np.append(weights, rates) ** 2)
    move = np.eye(8) + np.eye(8, k=4)
    see = np.eye(4, 8)
    for t in range(1, 6):
        h = mean[3]
        noise = np.array([h / 20, h / 20, 1e-2, h / 20, h / 160, h / 160, 1e-5, h / 160])
        mean, covariance = move @ mean, move @ covariance @ move.T + np.diag(noise**2)
        kalman.predict(np.array([0]), np.array([False]))
        measured = box + 3 * t
        h = mean[3]
        r = np.diag(np.array([h / 20, h / 20, 1e-1, h / 20]) ** 2)
        spread = see @ covariance @ see.T + r
        z = to_xyah(measured)[0] - see @ mean
        assert kalman.distances(np.array([0]), measured)[0, 0] == pytest.approx(
            z @ np.linalg.inv(spread) @ z
        )
        gain = covariance @ see.T @ np.linalg.inv(spread)
        mean, covariance = mean + gain @ z, covariance - gain @ spread @ gain.T
        kalman.update(np.array([0]), measured)
        assert kalman.mean[0] == pytest.approx(mean)
        assert kalman.covariance[0] == pytest.approx(covariance)
    assert to_xyah(kalman.boxes)[0] == pytest.approx(mean[:4])
