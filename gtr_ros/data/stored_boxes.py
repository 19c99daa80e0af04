# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Stored detections of a sequence, from MOTChallenge text, npz or a ROS 2 bag."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.box_checks import unit_scores
from gtr_ros.data.formats.bag_paths import is_bag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.motchallenge import read_rows
from gtr_ros.data.labels import label_map
from gtr_ros.data.sequence import Sequence
from gtr_ros.input_warning import warn
from gtr_ros.structures import Detections

#: boxes with a lower score are dropped, even for trackers that use weak detections
MIN_SCORE = 0.1


def read_boxes(path: str | Path, sequence: Sequence, topic: str | None = None) -> list[Detections]:
    """
    Read stored boxes: MOTChallenge text, npz, or a Detection2DArray topic of a rosbag2.

    An npz has `det`, (N, 6) float: frame from 1, x1, y1, x2, y2, score, in pixels of the image,
    frames ascending; with several classes also `label`, (N,) int, and `class_names`. Boxes in text
    have the sequence's first class. Messages in a bag are matched with frames by stamp. Scores
    are in [0, 1]; boxes below `MIN_SCORE` are dropped, and it is an error if all are.

    :param topic: of a bag; None: its only topic of detections
    :return: of each frame, without features
    :raises FormatError: names file, row and rule
    """
    path = Path(path)
    if is_bag(path):
        return _read_bag(path, sequence, topic)
    if path.suffix == '.npz':
        rows, labels = _read_npz(path, sequence)
    else:
        found = read_rows(path, len(sequence), ids=False)
        rows = np.array([(r.frame, *r.box, r.score) for r in found], np.float64).reshape(-1, 6)
        labels = np.zeros(len(rows), np.int64)
    fault = boxes_fault(rows[:, 1:5], sequence.image_size)
    if fault:
        layout = 'x1, y1, x2, y2' if path.suffix == '.npz' else 'left, top, width, height'
        raise FormatError(path, f'{fault}; expected {layout} in pixels')
    rows[:, 5] = unit_scores(rows[:, 5])
    _check_kept(path, rows[:, 5], labels)
    detections = []
    for t, stamp in enumerate(sequence.stamps):
        mine = rows[:, 0] == t + 1
        keep = mine & (labels >= 0) & (rows[:, 5] >= MIN_SCORE)
        detections.append(
            Detections(
                boxes=rows[keep, 1:5].astype(np.float32),
                scores=rows[keep, 5].astype(np.float32),
                labels=labels[keep],
                features=torch.zeros(int(keep.sum()), 0),
                image_size=sequence.image_size,
                stamp=int(stamp),
            )
        )
    return detections


def _check_kept(path: Path, scores: np.ndarray, labels: np.ndarray) -> None:
    """Say if no box is left because of its score or its class; scores and labels are (N,)."""
    if not len(scores):
        return
    if scores.max() < MIN_SCORE:
        raise FormatError(
            path,
            f'the highest score of its {len(scores)} boxes is {scores.max():g}; boxes below '
            f'{MIN_SCORE} are not used. Expected scores from 0 to 1',
        )
    if (labels < 0).all():
        warn(f'{path}: none of its {len(labels)} boxes has a class of the sequence')


def _read_bag(path: Path, sequence: Sequence, topic: str | None) -> list[Detections]:
    from gtr_ros.data.formats.rosbag import read_bag_detections
    from gtr_ros.data.formats.rosbag import warn_unmatched

    found = read_bag_detections(path, topic, sequence.class_names, image_size=sequence.image_size)
    if any(len(boxes) for _, boxes, _ in found):
        scores = np.concatenate([boxes.scores for _, boxes, _ in found])
        _check_kept(path, scores, np.zeros(len(scores)))
    by_stamp = {stamp: detections for stamp, detections, _ in found}
    stamps = sequence.stamps.tolist()
    if by_stamp and not by_stamp.keys() & set(stamps):
        raise FormatError(
            path,
            f'no detections have the stamp of a frame; the first are {next(iter(by_stamp))} '
            f'ns and {stamps[0]} ns',
        )
    warn_unmatched(path, 'detections', by_stamp, stamps)
    nothing = Detections(
        boxes=np.zeros((0, 4), np.float32),
        scores=np.zeros(0, np.float32),
        labels=np.zeros(0, np.int64),
        features=torch.zeros(0, 0),
        image_size=sequence.image_size,
    )
    frames = [replace(by_stamp.get(stamp, nothing), stamp=stamp) for stamp in stamps]
    return [frame.select(frame.scores >= MIN_SCORE) for frame in frames]


def _read_npz(path: Path, sequence: Sequence) -> tuple[np.ndarray, np.ndarray]:
    """Return rows, (N, 6) float64, and their labels in the sequence; -1 if it lacks the class."""
    try:
        with np.load(path, allow_pickle=False) as file:
            data = {key: file[key] for key in file.files}
    except Exception as error:  # a damaged file can raise anything
        text = str(error) or type(error).__name__
        raise FormatError(path, f'not a readable npz file: {text}') from error
    rows = data.get('det')
    if rows is None or rows.ndim != 2 or rows.shape[1] != 6:
        shape = 'missing' if rows is None else f'of shape {rows.shape}'
        raise FormatError(path, f"'det' is {shape}; expected (N, 6): frame, x1, y1, x2, y2, score")
    if rows.dtype.kind not in 'iuf':
        raise FormatError(path, f"'det' has the type {rows.dtype}; expected numbers")
    rows = rows.astype(np.float64)
    frames = rows[:, 0]
    with np.errstate(over='ignore'):
        corners = rows[:, 1:5].astype(np.float32)
    rules = {
        'a number is not finite': ~(
            np.isfinite(rows).all(axis=1) & np.isfinite(corners).all(axis=1)
        ),
        f'the frame is not a whole number from 1 to {len(sequence)}': (frames != frames.round())
        | (frames < 1)
        | (frames > len(sequence)),
        'frames are out of order': np.diff(frames, prepend=0) < 0,
        'x2 must be above x1, and y2 above y1; are these x, y, width and height?': (
            corners[:, 2:] <= corners[:, :2]
        ).any(axis=1),
    }
    for rule, broken in rules.items():
        if broken.any():
            row = int(broken.argmax())
            raise FormatError(path, f'row {row + 1} of det, {rows[row].tolist()}: {rule}')
    fault = scores_fault(rows[:, 5])
    if fault:
        raise FormatError(path, f'row {fault[0] + 1} of det: {fault[1]}')
    if 'label' not in data:
        return rows, np.zeros(len(rows), np.int64)
    names = [
        n.decode() if isinstance(n, bytes) else str(n)
        for n in data.get('class_names', np.array(sequence.class_names)).tolist()
    ]
    label = data['label']
    valid = label.shape == (len(rows),) and label.dtype.kind in 'iuf'
    # A number that is not whole is not an index; nan is not equal to itself.
    valid = valid and ((label == label.round()) & (label >= 0) & (label < len(names))).all()
    if not valid:
        rule = f"'label' must be {len(rows)} indices into {len(names)} class_names"
        raise FormatError(path, rule)
    return rows, label_map(names, sequence.class_names)[label.astype(np.int64)]
