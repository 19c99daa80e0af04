# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Delayed classification after the end of a video, as in the published TAO system.

Short tracks are removed, and the class scores of a track are averaged over its boxes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import batched_nms

from gtr_ros.structures import Detections

#: difference between the ids of a track in two consecutive classes; larger than the number of
#: tracks in a video
CLASS_ID_STRIDE = 10_000


class ClassedBoxes(NamedTuple):
    """
    The results of one frame, best first: each box once for each of its possible classes.

    :param boxes: (K, 4) float32, xyxy, pixels of the image as received, clipped to it
    :param scores: (K,) float32 in [0, 1], of the class
    :param labels: (K,) int64, index into the model's class names
    :param ids: (K,) int64, of the track in this class: its id + 10000 * label
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: np.ndarray


def in_long_tracks(ids: Sequence[np.ndarray], min_length: int = 5) -> list[np.ndarray]:
    """
    Return which boxes belong to tracks of a minimum length.

    :param ids: (N_t,) int64 of each frame of the video
    :param min_length: number of boxes in the whole video
    :return: (N_t,) bool of each frame
    """
    _, index, lengths = np.unique(_join(ids), return_inverse=True, return_counts=True)
    return _split(lengths[index] >= min_length, ids)


def average_class_scores(
    ids: Sequence[np.ndarray], class_scores: Sequence[np.ndarray]
) -> list[np.ndarray]:
    """
    Replace the class scores of every box with the mean over its track.

    :param ids: (N_t,) int64 of each frame of the video
    :param class_scores: (N_t, C) float of each frame
    :return: (N_t, C) float32 of each frame
    """
    if not ids:
        return []
    _, index, lengths = np.unique(_join(ids), return_inverse=True, return_counts=True)
    scores = np.concatenate(class_scores)
    sums = np.zeros((len(lengths), scores.shape[1]))
    np.add.at(sums, index, scores)
    return _split((sums / lengths[:, None])[index].astype(np.float32), ids)


def emit_classes(
    boxes: np.ndarray,
    ids: np.ndarray,
    class_scores: np.ndarray,
    image_size: tuple[int, int],
    score_threshold: float = 0.05,
    nms_threshold: float = 0.7,
    max_results: int = 300,
) -> ClassedBoxes:
    """
    Return a result for every box and class with a score above the threshold.

    :param boxes: (N, 4) float32, xyxy, pixels of the image as received
    :param ids: (N,) int64, of the boxes' tracks
    :param class_scores: (N, C) float32 in [0, 1]
    :param image_size: (height, width) of the image as received, pixels
    :param nms_threshold: IoU above which the weaker of two boxes of a class is dropped
    :param max_results: in the frame; the best are kept
    """
    height, width = image_size
    boxes = boxes.clip(0, np.array([width, height, width, height], np.float32))
    box, labels = np.nonzero(class_scores > score_threshold)
    scores = class_scores[box, labels]
    candidates = map(torch.from_numpy, (boxes[box], scores, labels))
    keep = batched_nms(*candidates, nms_threshold).numpy()[:max_results]
    # Nothing is left of a box outside the image; the published code also drops it after the NMS.
    keep = keep[(boxes[box[keep], 2:] > boxes[box[keep], :2]).all(axis=1)]
    box, labels = box[keep], labels[keep]
    return ClassedBoxes(boxes[box], scores[keep], labels, ids[box] + CLASS_ID_STRIDE * labels)


def delayed_classification(
    detections: Sequence[Detections], ids: Sequence[np.ndarray], min_length: int = 5
) -> list[ClassedBoxes]:
    """
    Remove short tracks, average class scores by track, and emit the classes of every box.

    :param detections: of each frame of the video, with class scores
    :param ids: (N_t,) int64, the tracker's, of each frame
    :param min_length: number of boxes that a track needs in the whole video
    :raises ValueError: if a frame has no class scores
    """
    for t, frame in enumerate(detections):
        if frame.class_scores is None:
            raise ValueError(
                f'frame {t} has no class scores to average; use a detector that scores every '
                'class, such as that of gtr_tao'
            )
    keep = in_long_tracks(ids, min_length)
    ids = [i[k] for i, k in zip(ids, keep, strict=True)]
    scores = [d.class_scores[k] for d, k in zip(detections, keep, strict=True)]
    return [
        emit_classes(d.boxes[k], i, s, d.image_size)
        for d, k, i, s in zip(detections, keep, ids, average_class_scores(ids, scores))
    ]


def _join(ids: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate((np.zeros(0, np.int64), *ids))


def _split(values: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    return np.split(values, np.cumsum([len(i) for i in like], dtype=int))[:-1]
