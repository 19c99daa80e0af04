# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Every tracker on every sequence at every frame rate, on identical boxes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import replace

import numpy as np

from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.metrics import evaluate
from gtr_ros.evaluation.metrics import Evaluation
from gtr_ros.evaluation.metrics import perfect_identities
from gtr_ros.evaluation.metrics import Result
from gtr_ros.evaluation.metrics import track_precision
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.structures import Detections

#: boxes of each frame, with the features of a network
Described = SequenceOf[Detections]


@dataclass(frozen=True)
class PreparedSequence:
    """
    A sequence with the boxes found in it.

    :param sequence: with its T frames
    :param boxes: of each frame, whatever their score
    :param described: by the name of a network: of each frame the boxes that some tracker is fed,
        with the features that this network gives them
    :param camera: (T, 2, 3) float64, how the background moved from the frame before; see
        `Detections.camera`. None: nobody needs it, or there are no images
    """

    sequence: Sequence
    boxes: Described
    described: dict[str, Described]
    camera: np.ndarray | None = None


@dataclass(frozen=True)
class Row:
    """
    What came of one tracker at one stride.

    :param tracker: its name
    :param stride: native frames from one that it saw to the next
    :param evaluation: the metrics, all phases of all sequences together
    :param sequences: what it saw: each sequence once for each phase, the frame it begins with
    :param phases: of each of these, the frame that it began with, from 0
    :param results: of each frame of each of these
    :param track_precision: TAO's average precision of tracks at IoU 0.5, by class; None where it
        was not asked for
    """

    tracker: str
    stride: int
    evaluation: Evaluation
    sequences: tuple[Sequence, ...]
    phases: tuple[int, ...]
    results: tuple[tuple[Result, ...], ...]
    track_precision: dict[str, float] | None = None

    @property
    def track_map(self) -> float | None:
        """TAO's track mAP50: the mean over the classes."""
        if self.track_precision is None:
            return None
        return float(np.mean(list(self.track_precision.values()) or [0.0]))


def run(
    prepared: SequenceOf[PreparedSequence],
    spec: TrackerSpec,
    stride: int,
    threshold: float,
    with_track_map: bool = False,
    step: Callable[[], None] = lambda: None,
) -> Row:
    """
    Let one tracker run at one stride, from each of the frames that it may begin with.

    So all frames count at every stride, and the rows of a table are of the same boxes.

    :param threshold: score from which on a tracker sees a box, unless it is fed weak ones
    :param step: called after every frame
    """
    sequences, phases, results = [], [], []
    for one in prepared:
        sequence = one.sequence
        least = threshold if spec.least_score is None else spec.least_score
        seen = one.described[spec.features] if spec.features else one.boxes
        seen = [d.select(d.scores >= least) for d in seen]
        for phase in range(min(stride, len(sequence))):
            frames = range(phase, len(sequence), stride)
            part = sequence.select(frames, f'{sequence.name}@{phase}' if phase else None)
            sequences.append(part)
            phases.append(phase)
            detections = [seen[t] for t in frames]
            if spec.camera and one.camera is not None:
                moved = [camera_between(one.camera, t - stride, t) for t in frames]
                detections = [replace(d, camera=c) for d, c in zip(detections, moved)]
            results.append(_track(spec, stride, part, detections, step))
    return Row(
        tracker=spec.name,
        stride=stride,
        evaluation=evaluate(sequences, results),
        sequences=tuple(sequences),
        phases=tuple(phases),
        results=tuple(tuple(r) for r in results),
        track_precision=track_precision(sequences, results) if with_track_map else None,
    )


def camera_between(camera: np.ndarray, first: int, last: int) -> np.ndarray | None:
    """
    Return how the background moved from one frame to a later one.

    :param camera: (T, 2, 3) float64, from each frame to the next, of all frames; nan: not known
    :return: (2, 3) float64; None: not known, or there is no such first frame
    """
    if first < 0 or np.isnan(camera[first + 1 : last + 1]).any():
        return None
    total = np.eye(3)
    for one in camera[first + 1 : last + 1]:
        total[:2] = one @ total
    return total[:2]


def _track(
    spec: TrackerSpec,
    stride: int,
    sequence: Sequence,
    detections: SequenceOf[Detections],
    step: Callable[[], None],
) -> list[Result]:
    """Return what a tracker says of each frame."""
    if spec.make is None:
        boxes = [Result(np.arange(len(d)), d.boxes, d.labels, d.scores) for d in detections]
        for _ in detections:
            step()
        return perfect_identities(sequence, boxes)
    tracker = spec.make(stride)
    results = []
    for frame in detections:
        tracks = tracker.update(frame)
        keep = np.ones(len(tracks), bool) if spec.all_boxes else tracks.confirmed
        results.append(
            Result(tracks.ids[keep], tracks.boxes[keep], tracks.labels[keep], tracks.scores[keep])
        )
        step()
    return results
