# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""HOTA, MOTA, IDF1 and track mAP of results against ground truth, computed by TrackEval."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
import io
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from gtr_ros.boxes import box_intersection
from gtr_ros.boxes import box_iou
from gtr_ros.boxes import match_boxes
from gtr_ros.data.coco.video_writer import write_coco_results
from gtr_ros.data.coco.video_writer import write_coco_video
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth

#: names of the metrics: rates (best 1; MOTA may be negative) and counts
RATES = ('HOTA', 'DetA', 'AssA', 'LocA', 'MOTA', 'IDF1', 'IDP', 'IDR')
COUNTS = ('IDSW', 'FP', 'FN', 'Frag', 'Dets', 'IDs')
#: HOTA's localisation thresholds
ALPHAS = np.arange(0.05, 0.99, 0.05)

_MATCH_IOU = 0.5


@dataclass(frozen=True)
class Result:
    """
    The output of a tracker in one frame.

    :param ids: (N,) int64, unique in the frame for each class
    :param boxes: (N, 4) float, xyxy, pixels of the image
    :param labels: (N,) int64, index into the sequence's class names
    :param scores: (N,) float in [0, 1]
    """

    ids: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Scores:
    """
    The metrics of one tracker.

    :param values: by the names in `RATES` and `COUNTS`
    :param hota_by_alpha: (19,) float, HOTA at each of `ALPHAS`
    """

    values: dict[str, float]
    hota_by_alpha: np.ndarray

    def __getitem__(self, name: str) -> float:
        return self.values[name]


@dataclass(frozen=True)
class Evaluation:
    """
    The metrics of one tracker on all sequences.

    :param classes: by name, of the classes that occur in the ground truth
    :param overall: over all boxes, whatever their class
    :param average: mean over the classes; the same as `overall` if there is only one
    """

    classes: dict[str, Scores]
    overall: Scores
    average: Scores


def evaluate(
    sequences: SequenceOf[Sequence], results: SequenceOf[SequenceOf[Result]]
) -> Evaluation:
    """
    Compute the CLEAR, identity and HOTA metrics.

    As in the benchmarks, results are first matched with the ground truth of their class at IoU
    0.5. Those that match distractors are dropped, and so are unmatched ones in an ignored region,
    below the sequence's minimum height, or of a class that the video was not labelled for.

    :param results: of each frame of each sequence
    :raises ValueError: if the numbers of frames and of results differ, or if an id occurs twice
        for a class in a frame
    """
    return _summarise(_measure(sequences, results), range(len(sequences)))


def evaluate_by_name(
    sequences: SequenceOf[Sequence],
    results: SequenceOf[SequenceOf[Result]],
    names: SequenceOf[str],
) -> tuple[Evaluation, dict[str, Evaluation]]:
    """
    Compute what `evaluate` does, also for the sequences of each name by themselves.

    :param names: one for each sequence; those with the same name are evaluated together
    :return: of all sequences; and by name, in the order of their first occurrence
    """
    parts = _measure(sequences, results)
    of_name: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        of_name.setdefault(name, []).append(index)
    by_name = {name: _summarise(parts, chosen) for name, chosen in of_name.items()}
    return _summarise(parts, range(len(sequences))), by_name


#: by class: TrackEval's results of each sequence where it occurs, by the sequence's index
_Parts = dict[str, dict[int, dict]]


def _measure(sequences: SequenceOf[Sequence], results: SequenceOf[SequenceOf[Result]]) -> _Parts:
    """Compute the metrics of each class in each sequence."""
    for sequence, frames in zip(sequences, results, strict=True):
        if len(frames) != len(sequence):
            raise ValueError(
                f'{sequence.name} has {len(sequence)} frames, but results for {len(frames)}'
            )
    names = sorted({(i, n) for s in sequences for i, n in enumerate(s.class_names)})
    found: _Parts = {name: {} for name in dict.fromkeys(n for _, n in names)}
    for name, parts in found.items():
        for index, (sequence, frames) in enumerate(zip(sequences, results)):
            if name in sequence.class_names:
                label = sequence.class_names.index(name)
                data = _counted(sequence, frames, label)
                # A class without ground truth and without results has no score.
                if data['num_gt_dets'] or data['num_tracker_dets']:
                    parts[index] = _score(data)
    return found


def _summarise(found: _Parts, indices: Iterable[int]) -> Evaluation:
    """Combine the metrics of some of the sequences."""
    by_class: dict[str, dict] = {}
    for name, parts in found.items():
        chosen = {str(index): parts[index] for index in indices if index in parts}
        if chosen:
            by_class[name] = _combine(chosen, 'combine_sequences')
    if not by_class:
        by_class = {next(iter(found), 'none'): _score(_empty())}
    overall = _combine(by_class, 'combine_classes_det_averaged')
    # A class without ground truth has no recall; its false positives count in `overall`.
    labelled = {n: p for n, p in by_class.items() if p['CLEAR']['CLR_TP'] + p['CLEAR']['CLR_FN']}
    average = _combine(labelled or by_class, 'combine_classes_class_averaged')
    return Evaluation(
        classes={n: _scores(p) for n, p in labelled.items()},
        overall=_scores(overall),
        average=_scores(average) if len(labelled) > 1 else _scores(overall),
    )


def perfect_identities(sequence: Sequence, results: SequenceOf[Result]) -> list[Result]:
    """
    Assign ground truth ids to the boxes that match, and a new id to each of the others.

    This is (nearly) the best that a tracker can do with these boxes.

    :param results: of each frame; their ids are ignored
    """
    next_id = 1 + max((int(t.ids.max()) for t in sequence.truth if len(t)), default=0)
    perfect = []
    for truth, result in zip(sequence.truth, results, strict=True):
        ids = np.zeros(len(result), np.int64)
        taken = np.zeros(len(result), bool)
        for label in np.unique(truth.labels):
            rows, columns = (np.flatnonzero(x.labels == label) for x in (truth, result))
            a, b = match_boxes(box_iou(truth.boxes[rows], result.boxes[columns]))
            ids[columns[b]] = truth.ids[rows[a]]
            taken[columns[b]] = True
        fresh = int((~taken).sum())
        ids[~taken] = next_id + np.arange(fresh)
        next_id += fresh
        perfect.append(Result(ids, result.boxes, result.labels, result.scores))
    return perfect


def _counted(sequence: Sequence, results: SequenceOf[Result], label: int) -> dict:
    """Return the input for TrackEval's metrics: counted ground truth and results of one class."""
    data = _empty()
    data['num_timesteps'] = len(sequence)
    for t, (truth, result) in enumerate(zip(sequence.truth, results)):
        of_truth, of_result = truth.labels == label, result.labels == label
        ids = result.ids[of_result]
        if len(np.unique(ids)) < len(ids):
            raise ValueError(f'{sequence.name}, frame {t + 1}: an id occurs twice for one class')
        boxes = result.boxes[of_result].astype(np.float64)
        iou = box_iou(truth.boxes[of_truth], boxes)
        keep = _kept(sequence, truth, of_truth, boxes, iou, label)
        counted = truth.counted[of_truth]
        data['gt_ids'].append(truth.ids[of_truth][counted])
        data['tracker_ids'].append(ids[keep])
        data['similarity_scores'].append(iou[counted][:, keep])
    for key, count, boxes in (
        ('gt_ids', 'num_gt_ids', 'num_gt_dets'),
        ('tracker_ids', 'num_tracker_ids', 'num_tracker_dets'),
    ):
        joined = np.concatenate([np.zeros(0, np.int64), *data[key]])
        known, index = np.unique(joined, return_inverse=True)
        data[key] = np.split(index, np.cumsum([len(i) for i in data[key]]))[:-1]
        data[count], data[boxes] = len(known), len(joined)
    return data


def _kept(
    sequence: Sequence,
    truth: Truth,
    of_truth: np.ndarray,
    boxes: np.ndarray,
    iou: np.ndarray,
    label: int,
) -> np.ndarray:
    """Return which results of a class are counted in a frame, (N,) bool."""
    keep = np.ones(len(boxes), bool)
    rows, columns = match_boxes(iou)
    keep[columns[truth.roles[of_truth][rows] == Role.DISTRACTOR]] = False
    unmatched = np.ones(len(boxes), bool)
    unmatched[columns] = False
    ignored = boxes[:, 3] - boxes[:, 1] <= sequence.min_height
    if len(truth.regions) and len(boxes):
        ignored |= (_inside(boxes, truth.regions) > 0.5).any(axis=1)
    rule = sequence.federated
    if rule is not None:
        unlabelled = not of_truth.any() and label not in rule.negative
        ignored |= unlabelled or label in rule.not_exhaustive
    return keep & ~(unmatched & ignored)


def _inside(boxes: np.ndarray, regions: np.ndarray) -> np.ndarray:
    """Return the fraction of each box inside each region, (N, R)."""
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return box_intersection(boxes, regions) / np.maximum(area, 1e-9)[:, None]


def _empty() -> dict:
    counts = ('num_timesteps', 'num_gt_ids', 'num_gt_dets', 'num_tracker_ids', 'num_tracker_dets')
    lists: dict = {key: [] for key in ('gt_ids', 'tracker_ids', 'similarity_scores')}
    return lists | dict.fromkeys(counts, 0)


@cache
def _metrics() -> dict:
    """Return TrackEval's metrics, under the names used here."""
    with redirect_stdout(io.StringIO()):  # TrackEval prints its settings
        from trackeval.metrics import CLEAR
        from trackeval.metrics import Count
        from trackeval.metrics import HOTA
        from trackeval.metrics import Identity

        return {'HOTA': HOTA(), 'CLEAR': CLEAR(), 'Identity': Identity(), 'Count': Count()}


def _score(data: dict) -> dict:
    return {name: metric.eval_sequence(data) for name, metric in _metrics().items()}


def _combine(parts: dict[str, dict], how: str) -> dict:
    """Combine the results of `_score`, metric by metric."""
    return {
        name: getattr(metric, how)({key: part[name] for key, part in parts.items()})
        for name, metric in _metrics().items()
    }


def _scores(part: dict) -> Scores:
    hota, clear, identity = part['HOTA'], part['CLEAR'], part['Identity']
    values = {name: np.mean(hota[name]) for name in ('HOTA', 'DetA', 'AssA', 'LocA')}
    values |= {name: identity[name] for name in ('IDF1', 'IDP', 'IDR')}
    values |= {name: clear[name] for name in ('MOTA', 'IDSW', 'Frag')}
    values |= {'FP': clear['CLR_FP'], 'FN': clear['CLR_FN']}
    values |= {name: part['Count'][name] for name in ('Dets', 'IDs')}
    return Scores(
        {k: float(values[k]) for k in (*RATES, *COUNTS)}, np.asarray(hota['HOTA'], float)
    )


def track_precision(
    sequences: SequenceOf[Sequence], results: SequenceOf[SequenceOf[Result]]
) -> dict[str, float]:
    """
    Compute TAO's average precision of tracks at a spatio-temporal IoU of 0.5.

    :param sequences: of the same classes
    :return: by name, of the classes in the ground truth; their mean is the track mAP50
    """
    with TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        from trackeval.datasets import TAO
        from trackeval.metrics import TrackMAP

        tracker = Path(folder, 'trackers', 'ours', 'data')
        truth = Path(folder, 'truth')
        for directory in (tracker, truth):
            directory.mkdir(parents=True)
        write_coco_video(truth / 'truth.json', sequences)
        write_coco_results(tracker / 'results.json', sequences, results)
        dataset = TAO({'GT_FOLDER': str(truth), 'TRACKERS_FOLDER': str(tracker.parent.parent)})
        metric = TrackMAP()
        precision = {}
        for name in dataset.class_list:
            parts = {
                sequence: metric.eval_sequence(
                    dataset.get_preprocessed_seq_data(
                        dataset.get_raw_seq_data('ours', sequence), name
                    )
                )
                for sequence in dataset.seq_list
            }
            # The first of its IoU thresholds is 0.5.
            precision[name] = float(metric.combine_sequences(parts)['AP_all'][0])
    return precision
