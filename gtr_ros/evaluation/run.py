# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Run one tracker at one stride over prepared sequences, and measure it."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

import numpy as np

from gtr_ros.data.sequence import Sequence
from gtr_ros.evaluation.metrics import evaluate_by_name
from gtr_ros.evaluation.metrics import Evaluation
from gtr_ros.evaluation.metrics import perfect_identities
from gtr_ros.evaluation.metrics import Result
from gtr_ros.evaluation.metrics import track_precision
from gtr_ros.evaluation.offline import delayed_classification
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.progress import ignore
from gtr_ros.evaluation.trackers import TrackerSpec
from gtr_ros.structures import Detections
from gtr_ros.structures import Tracks

#: the detections of each frame of a sequence
FrameDetections = SequenceOf[Detections]


@dataclass(frozen=True)
class PreparedSequence:
    """
    A sequence with detections.

    Labels are indices into the sequence's class names; a detection whose label is not below their
    number has a class that the sequence lacks, and is used only where classes are delayed.

    :param sequence: with its T frames
    :param boxes: of each frame, whatever their score
    :param described: by name of a network: for each frame, the boxes that any tracker gets, with
        the features of this network
    :param camera: (T, 2, 3) float64, motion of the background since the previous frame; see
        `Detections.camera`. None: no tracker needs it, or there are no images
    :param class_labels: (C,) int64, the sequence's label of each column of the detections'
        class scores; -1: the sequence has no such class. None: the columns are its labels
    """

    sequence: Sequence
    boxes: FrameDetections
    described: dict[str, FrameDetections]
    camera: np.ndarray | None = None
    class_labels: np.ndarray | None = None


@dataclass(frozen=True)
class TableRow:
    """
    The results of one tracker at one stride.

    :param tracker: name of the tracker
    :param stride: the tracker gets every stride-th native frame
    :param evaluation: metrics over all phases of all sequences
    :param sequences: the frames that the tracker got, with each sequence once per phase
    :param phases: for each of these, the index of its first frame in the sequence, from 0
    :param results: for each frame of each of these
    :param track_precision: TAO's average precision of tracks at IoU 0.5, by class; None if not
        requested
    :param delayed_classes: whether classes were decided by `delayed_classification`
    :param by_sequence: metrics over all phases of one sequence, by its name
    """

    tracker: str
    stride: int
    evaluation: Evaluation
    sequences: tuple[Sequence, ...]
    phases: tuple[int, ...]
    results: tuple[tuple[Result, ...], ...]
    track_precision: dict[str, float] | None = None
    delayed_classes: bool = False
    by_sequence: Mapping[str, Evaluation] = field(default_factory=dict)

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
    advance: Advance = ignore,
) -> TableRow:
    """
    Run one tracker at one stride, once for each phase, i.e. for each possible first frame.

    All frames thus count at every stride, and all rows of a table are measured on the same boxes.

    :param threshold: minimum score of the boxes that a tracker gets, unless it uses weak
        detections
    :param advance: called after every frame
    :raises ValueError: if the tracker needs class scores, and a detection has none
    """
    delayed = delays_classes(spec, have_class_scores([each.boxes for each in prepared]))
    sequences, phases, results, names = [], [], [], []
    for each in prepared:
        sequence = each.sequence
        detections = _detections_for(each, spec, threshold, delayed)
        for phase in range(min(stride, len(sequence))):
            frames = range(phase, len(sequence), stride)
            part = sequence.select(frames, f'{sequence.name}@{phase}' if phase else None)
            sequences.append(part)
            phases.append(phase)
            names.append(sequence.name)
            chosen = [detections[t] for t in frames]
            if spec.camera and each.camera is not None:
                motions = [camera_between(each.camera, t - stride, t) for t in frames]
                chosen = [replace(d, camera=c) for d, c in zip(chosen, motions)]
            if spec.make is None:
                results.append(_oracle(part, chosen, advance))
            elif delayed:
                results.append(_track_delayed(spec, stride, chosen, each.class_labels, advance))
            else:
                results.append(_track(spec, stride, chosen, advance))
    evaluation, by_sequence = evaluate_by_name(sequences, results, names)
    return TableRow(
        tracker=spec.name,
        stride=stride,
        evaluation=evaluation,
        sequences=tuple(sequences),
        phases=tuple(phases),
        results=tuple(tuple(r) for r in results),
        track_precision=track_precision(sequences, results) if with_track_map else None,
        delayed_classes=delayed,
        by_sequence=by_sequence,
    )


def camera_between(camera: np.ndarray, first: int, last: int) -> np.ndarray | None:
    """
    Return the motion of the background from one frame to a later one.

    :param camera: (T, 2, 3) float64, from each frame to the next, of all frames; NaN: unknown
    :return: (2, 3) float64; None if unknown, or if there is no such first frame
    """
    if first < 0 or np.isnan(camera[first + 1 : last + 1]).any():
        return None
    total = np.eye(3)
    for motion in camera[first + 1 : last + 1]:
        total[:2] = motion @ total
    return total[:2]


def have_class_scores(boxes: SequenceOf[FrameDetections]) -> bool:
    """Return whether all detections of all sequences have the scores of all classes."""
    return all(d.class_scores is not None for frames in boxes for d in frames)


def delays_classes(spec: TrackerSpec, scored: bool) -> bool:
    """
    Return whether a tracker's classes are decided after the end of a sequence.

    :param scored: whether all detections have the scores of all classes
    :raises ValueError: if the tracker needs them, and they have not
    """
    if spec.make is None:
        return False
    if not scored and (spec.delayed_classes or spec.class_gate):
        need = 'delayed classes need' if spec.delayed_classes else 'its rule links by'
        raise ValueError(
            f'tracker {spec.name!r}: {need} the scores of all classes, and these boxes have none. '
            'Let a model that scores every class (tao) find the boxes, or set classes=online and '
            'another rule'
        )
    return scored and spec.delayed_classes is not False


def _detections_for(
    prepared: PreparedSequence, spec: TrackerSpec, threshold: float, delayed: bool
) -> FrameDetections:
    """Return the detections that a tracker gets in each frame."""
    least = threshold if spec.least_score is None else spec.least_score
    found = prepared.described[spec.features] if spec.features else prepared.boxes
    found = [d.select(d.scores >= least) for d in found]
    if delayed:
        return found
    classes = len(prepared.sequence.class_names)
    return [d.select(d.labels < classes) for d in found]


def _oracle(sequence: Sequence, detections: FrameDetections, advance: Advance) -> list[Result]:
    """Return the boxes with the ground truth's ids."""
    boxes = [Result(np.arange(len(d)), d.boxes, d.labels, d.scores) for d in detections]
    for _ in detections:
        advance()
    return perfect_identities(sequence, boxes)


def _track(
    spec: TrackerSpec, stride: int, detections: FrameDetections, advance: Advance
) -> list[Result]:
    """Track a sequence, and return what the tracker publishes of each frame."""
    tracker = spec.make(stride)
    results = []
    for frame in detections:
        tracks = tracker.update(frame)
        keep = np.ones(len(tracks), bool) if spec.all_boxes else tracks.confirmed
        results.append(
            Result(tracks.ids[keep], tracks.boxes[keep], tracks.labels[keep], tracks.scores[keep])
        )
        advance()
    return results


def _track_delayed(
    spec: TrackerSpec,
    stride: int,
    detections: FrameDetections,
    class_labels: np.ndarray | None,
    advance: Advance,
) -> list[Result]:
    """Track a sequence, and decide the classes of its tracks at the end."""
    tracker = spec.make(stride)
    published, ids = [], []
    for frame in detections:
        tracks = tracker.update(frame)
        keep = np.ones(len(tracks), bool) if spec.all_boxes else tracks.confirmed
        published.append(frame.select(_detections_of_kept_tracks(frame, tracks, keep)))
        ids.append(tracks.ids[keep])
        advance()
    results = []
    for classed in delayed_classification(published, ids):
        labels = classed.labels if class_labels is None else class_labels[classed.labels]
        keep = labels >= 0
        results.append(
            Result(classed.ids[keep], classed.boxes[keep], labels[keep], classed.scores[keep])
        )
    return results


def _detections_of_kept_tracks(frame: Detections, tracks: Tracks, keep: np.ndarray) -> np.ndarray:
    """
    Return which detections belong to tracks that are kept, (N,) bool.

    A tracker returns tracks in the order of its detections, except for weak ones that do not
    continue a track.
    """
    if len(tracks) == len(frame):
        return keep
    chosen = np.zeros(len(frame), bool)
    row = 0
    for box, score, kept in zip(tracks.boxes, tracks.scores, keep):
        while frame.scores[row] != score or (frame.boxes[row] != box).any():
            row += 1
        chosen[row] = kept
        row += 1
    return chosen
