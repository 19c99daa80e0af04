# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Another detector's boxes, as ours would have found them."""

from __future__ import annotations

from collections.abc import Callable
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from gtr_ros.structures import Detections

if TYPE_CHECKING:
    from vision_msgs.msg import Detection2D
    from vision_msgs.msg import Detection2DArray


def read_detections(
    message: Detection2DArray,
    image_size: tuple[int, int],
    label_of: Callable[[str], int],
    found_in: tuple[int, int] | None = None,
) -> Detections:
    """
    Read the boxes of a frame; their features are still to be made.

    A box that is turned counts as the upright one around it; of one that ends beyond the image
    what is inside; one wholly beside it is left out. Of several hypotheses the best counts.

    :param image_size: (height, width) of the camera's image, pixels
    :param label_of: gives a class its label
    :param found_in: (height, width) of the image that the boxes are in, if it was a resized one
    :return: detections in pixels of the camera's image
    :raises ValueError: if a box or a score is not a finite number, or a box has no hypothesis
    """
    height, width = image_size
    rows = [_row(i, detection) for i, detection in enumerate(message.detections)]
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    if found_in is not None:
        boxes *= np.tile([width / found_in[1], height / found_in[0]], 2)
    boxes = boxes.clip(0, [width, height, width, height]).astype(np.float32)
    labels = np.array([label_of(row[2]) for row in rows], np.int64)
    detections = Detections(
        boxes=boxes,
        scores=np.array([row[1] for row in rows], np.float32),
        labels=labels,
        features=torch.zeros(len(rows), 1),
        image_size=image_size,
    )
    return detections.select((boxes[:, 2:] > boxes[:, :2]).all(axis=1))


def _row(index: int, detection: Detection2D) -> tuple[list[float], float, str]:
    """Return corners, score and class."""
    if not detection.results:
        raise ValueError(
            f'detection {index} has no result; a detector must say a class_id and a score for each'
        )
    best = max(detection.results, key=lambda result: result.hypothesis.score).hypothesis
    box = detection.bbox
    turn = abs(math.cos(box.center.theta)), abs(math.sin(box.center.theta))
    half = (
        (box.size_x * turn[0] + box.size_y * turn[1]) / 2,
        (box.size_x * turn[1] + box.size_y * turn[0]) / 2,
    )
    x, y = box.center.position.x, box.center.position.y
    corners = [x - half[0], y - half[1], x + half[0], y + half[1]]
    if not all(map(math.isfinite, [*corners, best.score])):
        raise ValueError(
            f'detection {index} has the box {corners} and the score {best.score}; expected finite '
            'numbers'
        )
    return corners, best.score, best.class_id
