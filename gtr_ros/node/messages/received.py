# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Convert boxes from another detector to detections."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.box_checks import unit_scores
from gtr_ros.boxes import centre_to_corners
from gtr_ros.boxes import clip_boxes
from gtr_ros.structures import Detections

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2D
    from vision_msgs.msg import Detection2DArray


# Share of the boxes of one image above which centres outside it are an error.
_OUTSIDE = 0.5


def read_detections(
    message: Detection2DArray,
    image_size: tuple[int, int],
    label_of: Callable[[str], int],
    boxes_size: tuple[int, int] | None = None,
) -> Detections:
    """
    Convert the boxes of an image; features are added later.

    A rotated box is replaced by the axis-aligned box around it. Boxes are clipped to the image,
    and removed if they are outside it. Of several hypotheses, only the one with the highest score
    counts.

    :param image_size: (height, width) of the camera's image, pixels
    :param label_of: returns the label of a class
    :param boxes_size: (height, width) of the resized image that the boxes refer to, pixels; None:
        they refer to the camera's image
    :return: detections in pixels of the camera's image
    :raises ValueError: if a box is not finite or has a negative side, a score is not in [0, 1], a
        box has no hypothesis, or the boxes seem to be in other units than pixels, see
        `gtr_ros.box_checks`
    """
    height, width = image_size
    rows = [_row(i, detection) for i, detection in enumerate(message.detections)]
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    scores = np.array([row[1] for row in rows], np.float64)
    every = [
        (i, result.hypothesis.score)
        for i, detection in enumerate(message.detections)
        for result in detection.results
    ]
    fault = scores_fault([score for _, score in every])
    if fault:
        raise ValueError(f'detection {every[fault[0]][0]}: {fault[1]}')
    fault = boxes_fault(boxes, boxes_size or image_size, _OUTSIDE)
    if fault:
        raise ValueError(
            f'{fault}. Publish pixels of the image, or set detections_width and '
            'detections_height to the size of the image that the boxes refer to'
        )
    if boxes_size is not None:
        boxes *= np.tile([width / boxes_size[1], height / boxes_size[0]], 2)
    boxes = clip_boxes(boxes, image_size).astype(np.float32)
    labels = np.array([label_of(row[2]) for row in rows], np.int64)
    detections = Detections(
        boxes=boxes,
        scores=unit_scores(scores).astype(np.float32),
        labels=labels,
        features=torch.zeros(len(rows), 1),
        image_size=image_size,
    )
    return detections.select((boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def _row(index: int, detection: Detection2D) -> tuple[tuple[float, ...], float, str]:
    """Return corners, score and class."""
    if not detection.results:
        raise ValueError(
            f'detection {index} has no results; expected at least one, with class_id and score'
        )
    best = max(detection.results, key=lambda result: result.hypothesis.score).hypothesis
    box = detection.bbox
    cosine, sine = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
    corners = centre_to_corners(
        box.center.position.x,
        box.center.position.y,
        box.size_x * cosine + box.size_y * sine,
        box.size_x * sine + box.size_y * cosine,
    )
    if not all(map(math.isfinite, [*corners, best.score])):
        raise ValueError(
            f'detection {index} has the box {list(corners)} and the score {best.score}; expected '
            'finite numbers'
        )
    if box.size_x < 0 or box.size_y < 0:
        raise ValueError(
            f'detection {index} has a box of {box.size_x:g} x {box.size_y:g} pixels; expected a '
            'positive size'
        )
    return corners, best.score, best.class_id
