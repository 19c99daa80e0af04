# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decodes the outputs of exported detectors into boxes in pixels of their input."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torchvision.ops import batched_nms
from torchvision.ops import nms

from gtr_ros.runtime.detector_file.settings import Format

#: boxes of an image that are kept, the best ones
MOST_BOXES = 300

_STRIDES = (8, 16, 32)
_MOST_CANDIDATES = 3000  # for non-maximum suppression
_SAME = 0.9  # IoU above which two boxes are of the same object, whatever their classes
# Names of the outputs of boxes and class scores; of others, only shapes that differ tell.
_NAMED = (('dets', 'labels'), ('pred_boxes', 'logits'), ('boxes', 'logits'))


class Found(NamedTuple):
    """
    Objects in one image, best first, in pixels of the network's input.

    :param boxes: (N, 4) float32, xyxy
    :param scores: (N,) float32
    :param indices: (N,) int64, of the classes in `Format.names`
    """

    boxes: np.ndarray
    scores: np.ndarray
    indices: np.ndarray


def cells_of(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """
    Return YOLOX's grid cells for an input.

    :return: (N, 2) float32, x and y of each in cells; (N,) float32, its stride in pixels
    """
    cells, strides = [], []
    for stride in _STRIDES:
        rows, columns = height // stride, width // stride
        y, x = np.mgrid[:rows, :columns].reshape(2, -1)
        cells.append(np.stack((x, y), axis=1))
        strides.append(np.full(len(x), stride))
    return np.concatenate(cells).astype(np.float32), np.concatenate(strides).astype(np.float32)


def box_and_class_outputs(outputs: dict[str, np.ndarray]) -> tuple[str, str] | None:
    """Return the names of the outputs of boxes, (B, N, 4), and class logits, (B, N, C)."""
    named = [pair for pair in _NAMED if outputs.keys() >= set(pair)]
    if not named:
        deep = [name for name, value in outputs.items() if value.ndim == 3]
        fours = [name for name in deep if outputs[name].shape[2] == 4]
        others = [name for name in deep if name not in fours]
        named = [(fours[0], others[0])] if len(fours) == len(others) == 1 else []
    for boxes, classes in named:
        shapes = outputs[boxes].shape, outputs[classes].shape
        if all(len(s) == 3 for s in shapes) and shapes[0][2] == 4 and shapes[0][1] == shapes[1][1]:
            return boxes, classes
    return None


def detection_outputs(outputs: dict[str, np.ndarray]) -> tuple[str, str, str] | None:
    """
    Return the outputs of a detector that was exported with its post-processing.

    :return: names of the boxes, (B, N, 4), scores, (B, N), and indices of classes, (B, N); their
        own names, or those that only their shapes and types allow
    """
    pairs = {name: value for name, value in outputs.items() if value.ndim == 2}
    boxes = [n for n, v in outputs.items() if v.ndim == 3 and v.shape[2] == 4]
    if len(outputs) != 3 or len(pairs) != 2 or len(boxes) != 1:
        return None
    if len({value.shape[1] for value in outputs.values()}) > 1:
        return None
    if pairs.keys() == {'scores', 'labels'}:
        return boxes[0], 'scores', 'labels'
    whole = sorted(pairs, key=lambda name: pairs[name].dtype.kind == 'i')
    kinds = [pairs[name].dtype.kind for name in whole]
    return (boxes[0], *whole) if kinds == ['f', 'i'] else None


def decode(
    outputs: dict[str, np.ndarray], index: int, form: Format, score_threshold: float
) -> Found:
    """
    Decode the outputs for one image.

    :param outputs: of the network, (B, ...)
    :param index: of the image
    :param score_threshold: minimum score
    :raises ArithmeticError: if a score, or a box that scores enough, is not finite
    """
    own = {name: value[index] for name, value in outputs.items()}
    boxes, scores, indices = _LAYOUTS[form.layout](own, form)
    if np.isnan(scores).any():
        raise ArithmeticError('a score is not a number')
    keep = np.flatnonzero(scores >= score_threshold)
    keep = keep[np.argsort(-scores[keep], kind='stable')][:_MOST_CANDIDATES]
    boxes, scores, indices = boxes[keep], scores[keep], indices[keep]
    if not np.isfinite(boxes).all():
        raise ArithmeticError('a box is not finite')
    if form.boxes == 'fractions':
        boxes = boxes * np.tile([form.width, form.height], 2)
    found = Found(boxes.astype(np.float32), scores.astype(np.float32), indices)
    found = _select(found, _distinct(found, form.nms_threshold))
    return _select(found, slice(MOST_BOXES))


def _distinct(found: Found, nms_threshold: float) -> np.ndarray:
    """Return which objects remain, best first: one of nearly equal boxes of any classes."""
    boxes, scores, indices = map(torch.from_numpy, found)
    keep = torch.arange(len(boxes))
    if nms_threshold < 1:
        keep = batched_nms(boxes, scores, indices, nms_threshold)
    # All families find a van as a car and a truck; as two objects it would get two tracks.
    return keep[nms(boxes[keep], scores[keep], _SAME)].numpy()


def _select(found: Found, rows: np.ndarray | slice) -> Found:
    return Found(*(values[rows] for values in found))


def _yolox(own: dict[str, np.ndarray], form: Format) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    [rows] = own.values()
    centres, sides = rows[:, :2], rows[:, 2:4]
    if form.layout == 'yolox-raw':
        cells, strides = cells_of(form.height, form.width)
        centres = (centres + cells) * strides[:, None]
        with np.errstate(over='ignore'):  # checked where it is used
            sides = np.exp(sides) * strides[:, None]
    indices = rows[:, 5:].argmax(axis=1)
    scores = rows[:, 4] * rows[np.arange(len(rows)), 5 + indices]
    return _corners(centres, sides), scores, indices


def _detections(
    own: dict[str, np.ndarray], form: Format
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = detection_outputs({name: value[None] for name, value in own.items()})
    boxes, scores, indices = (own[name] for name in names)
    return boxes, scores, indices.astype(np.int64)


def _logits(own: dict[str, np.ndarray], form: Format) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    boxes, classes = box_and_class_outputs({name: value[None] for name, value in own.items()})
    logits = own[classes].copy()
    logits[:, [name is None for name in form.names]] = -np.inf
    indices = logits.argmax(axis=1)
    best = logits[np.arange(len(logits)), indices].astype(np.float64)
    scores = 1 / (1 + np.exp(-best.clip(-60, 60)))
    return _corners(own[boxes][:, :2], own[boxes][:, 2:]), scores, indices


def _corners(centres: np.ndarray, sides: np.ndarray) -> np.ndarray:
    with np.errstate(invalid='ignore'):
        return np.concatenate((centres - sides / 2, centres + sides / 2), axis=1)


_LAYOUTS = {
    'yolox': _yolox,
    'yolox-raw': _yolox,
    'detections': _detections,
    'logits': _logits,
}
