# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The ranges of boxes and scores that others computed: one rule for files, bags and messages.

Each function returns what is wrong, for a message; None: nothing.
"""

from __future__ import annotations

import math
import struct

import numpy as np

_ROUNDING = 1e-6  # by which scores computed in float32 may be beyond 0 and 1
_NORMALISED = 1.5  # boxes in fractions of the image end below this
# More than half of the boxes do not extend by more than a quarter of the image beyond it.
_BEYOND, _MOST = 0.25, 0.5
_LEAST_SIDE = 16  # pixels of an image that boxes in fractions can be told from


def scores_fault(scores: np.ndarray) -> tuple[int, str] | None:
    """
    Check that scores are in [0, 1].

    :param scores: (N,) float
    :return: the index of the first that is not, and what is wrong with them
    """
    scores = np.asarray(scores, np.float64)
    wrong = ~((scores >= -_ROUNDING) & (scores <= 1 + _ROUNDING))  # also not a number
    if not wrong.any():
        return None
    index = int(wrong.argmax())
    if not np.isfinite(scores).all():
        hint = 'not all are finite numbers'
    elif (scores == -1).all():
        hint = 'all are -1, which stands for no score: write 1 for boxes without one'
    elif scores.min() >= 0 and scores.max() <= 100:
        hint = f'they go up to {scores.max():g}: divide per cent by 100'
    else:
        hint = (
            f'they go from {scores.min():g} to {scores.max():g}: convert logits and margins to '
            'probabilities, such as 1 / (1 + exp(-score))'
        )
    return index, f'the score is {scores[index]:g}; expected a number from 0 to 1 ({hint})'


def unit_scores(scores: np.ndarray) -> np.ndarray:
    """Return scores that `scores_fault` accepts, (N,), in [0, 1] without the rounding error."""
    return np.clip(scores, 0, 1)


def area_fault(x1: float, y1: float, x2: float, y2: float) -> str | None:
    """Check that a box has an area in float32, in which boxes are computed."""
    try:
        left, top, right, bottom = struct.unpack('4f', struct.pack('4f', x1, y1, x2, y2))
    except OverflowError:
        left = top = right = bottom = math.nan
    if left < right and top < bottom and math.isfinite(left + top + right + bottom):
        return None
    return (
        f'the box from ({x1:g}, {y1:g}) to ({x2:g}, {y2:g}) has no area in float32; expected '
        'pixels, with the second corner right of the first and below it'
    )


def boxes_fault(boxes: np.ndarray, image_size: np.ndarray, share: float = 0.1) -> str | None:
    """
    Check that boxes are in pixels of their images, as far as that can be told from the numbers.

    Boxes may extend beyond the image, but few have their centre there, and most do not extend by
    a quarter of it.

    :param boxes: (N, 4) float, xyxy
    :param image_size: (2,) or (N, 2): (height, width), pixels, of all images, or of each box's
    :param share: of the boxes, from which on centres outside are wrong; at least three must be
    """
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4)
    solid = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    if not solid.any():
        return None
    sizes = np.broadcast_to(np.asarray(image_size, np.float64), (len(boxes), 2))[solid]
    boxes = boxes[solid]
    if np.abs(boxes).max() <= _NORMALISED and sizes.min() >= _LEAST_SIDE:
        return (
            f'no box goes beyond {boxes.max():g} pixels: these seem to be fractions of the image'
        )
    sides = sizes[:, ::-1]
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    outside = ((centres < 0) | (centres > sides)).any(axis=1)
    beyond = ((boxes[:, :2] < -_BEYOND * sides) | (boxes[:, 2:] > (1 + _BEYOND) * sides)).any(
        axis=1
    )
    for wrong, least, text in (
        (outside, share, 'have their centre outside'),
        (beyond, _MOST, f'extend by more than {_BEYOND:.0%} beyond'),
    ):
        count = int(wrong.sum())
        if count >= 3 and count > least * len(boxes):
            height, width = sizes[wrong.argmax()]
            return (
                f'{count} of {len(boxes)} boxes {text} the image of {width:g} x {height:g} pixels'
            )
    return None
