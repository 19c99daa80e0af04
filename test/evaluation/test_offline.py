# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Delayed classification: short tracks, mean class scores, and a result for each class."""

from __future__ import annotations

import numpy as np
from paths import FIXTURES
import pytest
import torch

from gtr_ros.evaluation.offline import average_class_scores
from gtr_ros.evaluation.offline import delayed_classification
from gtr_ros.evaluation.offline import emit_classes
from gtr_ros.evaluation.offline import in_long_tracks
from gtr_ros.structures import Detections

FRAME = (100, 200)


def as_ids(*frames: list[int]) -> list[np.ndarray]:
    return [np.array(frame, np.int64) for frame in frames]


def detections(boxes: np.ndarray, class_scores: np.ndarray | None) -> Detections:
    """Return detections with arbitrary features and labels."""
    count = len(boxes)
    return Detections(
        boxes=boxes,
        scores=np.ones(count, np.float32),
        labels=np.zeros(count, np.int64),
        features=torch.zeros(count, 1),
        image_size=FRAME,
        class_scores=class_scores,
    )


def test_the_published_tao_post_processing_gives_its_results():
    data = np.load(FIXTURES / 'b_tracker_tao.npz')
    counts = data['nt']
    ends = np.cumsum(counts)[:-1]
    # The last score is that of the background; the published code drops it, too.
    frames = [
        Detections(
            boxes=boxes,
            scores=scores.max(axis=1),
            labels=scores.argmax(axis=1),
            features=torch.zeros(len(boxes), 1),
            image_size=tuple(data['image_hw'].tolist()),
            class_scores=scores,
        )
        for boxes, scores in zip(
            np.split(data['boxes'], ends), np.split(data['cls_scores'][:, :-1], ends), strict=True
        )
    ]
    results = delayed_classification(frames, np.split(data['ids_raw'], ends))

    ends = np.cumsum(data['out_nt'])[:-1]
    expected = [
        np.split(data[f'out_{name}'], ends) for name in ('boxes', 'scores', 'classes', 'track_ids')
    ]
    for result, boxes, scores, labels, ids in zip(results, *expected, strict=True):
        order, wanted = np.argsort(result.ids), np.argsort(ids)
        np.testing.assert_array_equal(result.ids[order], ids[wanted])
        np.testing.assert_array_equal(result.labels[order], labels[wanted])
        np.testing.assert_allclose(result.boxes[order], boxes[wanted], rtol=0, atol=1e-2)
        np.testing.assert_allclose(result.scores[order], scores[wanted], rtol=0, atol=1e-4)
        assert (np.diff(result.scores) <= 0).all()


def test_a_track_is_long_enough_by_its_boxes_in_the_whole_video_not_by_its_duration():
    ids = as_ids([1, 2], [], [2], [3, 1], [2])
    keep = in_long_tracks(ids, min_length=3)
    assert [k.tolist() for k in keep] == [[False, True], [], [True], [False, False], [True]]


def test_the_boxes_of_a_track_get_its_mean_class_scores():
    scores = [np.array([[0.2, 0.8], [0.5, 0.0]], np.float32), np.array([[0.6, 0.0]], np.float32)]
    averaged = average_class_scores(as_ids([7, 9], [7]), scores)
    np.testing.assert_allclose(averaged[0], [[0.4, 0.4], [0.5, 0.0]], atol=1e-6)
    np.testing.assert_allclose(averaged[1], [[0.4, 0.4]], atol=1e-6)


def test_a_box_has_a_result_and_an_id_for_each_class_above_the_threshold():
    box = np.array([[10, 10, 50, 50]], np.float32)
    result = emit_classes(box, np.array([3]), np.array([[0.2, 0.05, 0.9]], np.float32), FRAME)
    np.testing.assert_array_equal(result.labels, [2, 0])
    np.testing.assert_array_equal(result.ids, [20003, 3])
    np.testing.assert_allclose(result.scores, [0.9, 0.2])
    np.testing.assert_array_equal(result.boxes, np.repeat(box, 2, axis=0))


def test_duplicates_are_removed_within_a_class_only():
    boxes = np.array([[10, 10, 50, 50], [11, 10, 50, 50]], np.float32)
    scores = np.array([[0.9, 0.3], [0.8, 0.0]], np.float32)
    result = emit_classes(boxes, np.array([1, 2]), scores, FRAME)
    np.testing.assert_array_equal(result.ids, [1, 10001])

    scores = np.array([[0.9, 0.0], [0.0, 0.8]], np.float32)
    result = emit_classes(boxes, np.array([1, 2]), scores, FRAME)
    np.testing.assert_array_equal(result.ids, [1, 10002])


def test_only_the_best_results_of_a_frame_are_kept():
    boxes = np.array([[10 * i, 0, 10 * i + 5, 5] for i in range(10)], np.float32)
    scores = np.linspace(0.1, 0.9, 10, dtype=np.float32)[:, None]
    result = emit_classes(boxes, np.arange(10), scores, FRAME, max_results=3)
    np.testing.assert_array_equal(result.ids, [9, 8, 7])


def test_results_end_at_the_border_of_the_image_and_none_is_empty():
    boxes = np.array([[-10, -20, 500, 50], [210, 10, 240, 50]], np.float32)
    result = emit_classes(boxes, np.array([1, 2]), np.array([[0.9], [0.9]], np.float32), FRAME)
    np.testing.assert_array_equal(result.boxes, [[0, 0, 200, 50]])
    np.testing.assert_array_equal(result.ids, [1])


def test_videos_and_frames_without_objects_give_empty_results():
    assert delayed_classification([], []) == []
    empty = detections(np.zeros((0, 4), np.float32), np.zeros((0, 3), np.float32))
    results = delayed_classification([empty, empty], as_ids([], []))
    assert [len(value) for result in results for value in result] == [0] * 8


def test_a_detector_without_class_scores_is_refused():
    frame = detections(np.zeros((0, 4), np.float32), None)
    with pytest.raises(ValueError, match='frame 0 has no class scores'):
        delayed_classification([frame], as_ids([]))
