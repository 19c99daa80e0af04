# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Validation of a model during its training, with the metrics of `gtr evaluate`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gtr_ros.data.labels import label_map
from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import OpenedSequence
from gtr_ros.evaluation.appearance import describe_all
from gtr_ros.evaluation.detection import evaluate_coco
from gtr_ros.evaluation.found_boxes import find_boxes
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.model.gtr import GTR

_THRESHOLD = 0.4  # minimum score of a box that is tracked


def validate(
    model: GTR,
    rule: str,
    detection: Path | None = None,
    sequences: Iterable[str] = (),
    half: str | None = None,
    window: int = 16,
) -> dict[str, float]:
    """
    Measure a model.

    :param model: is switched to evaluation mode
    :param rule: links its detections, one of `gtr_ros.tracking.RULES`
    :param detection: COCO JSON, for the detector; the images are in the folder of the same name
    :param sequences: sources of labelled sequences, for the tracker; see `open_sequences`
    :param half: 'train' or 'val' half of each MOTChallenge sequence; None: all of it
    :param window: T of the tracker, frames
    :return: by name: `AP`, `AP50` and `person AP50` of the detector, in [0, 1]; `HOTA`, `IDF1` and
        `MOTA` of the tracker, in percent
    """
    model.eval()
    numbers: dict[str, float] = {}
    if detection is not None:
        precision = evaluate_coco(
            lambda image: model.detect([image], score_threshold=0.01)[0],
            model.class_names,
            detection,
        )
        numbers |= {'AP': precision.ap, 'AP50': precision.ap50}
        if precision.person_ap50 is not None:
            numbers['person AP50'] = precision.person_ap50
    prepared = [
        _prepare(opened, model) for source in sequences for opened in open_sequences(source, half)
    ]
    if prepared:
        spec = parse_tracker('gtr', model.association, rule, window)
        scores = run(prepared, spec, 1, _THRESHOLD).evaluation.average
        numbers |= {name: scores[name] for name in ('HOTA', 'IDF1', 'MOTA')}
    return numbers


def _prepare(opened: OpenedSequence, model: GTR) -> PreparedSequence:
    """Return a sequence with the model's features, for its own or the model's boxes."""
    sequence, boxes, class_labels = opened.sequence, opened.boxes, None
    if boxes is None:
        boxes = find_boxes(model, sequence)
        class_labels = label_map(model.class_names, sequence.class_names)
        described = [d.select(d.scores >= _THRESHOLD) for d in boxes]
    else:
        strong = [d.select(d.scores >= _THRESHOLD) for d in boxes]
        described = describe_all(model.describe, sequence, strong)
    return PreparedSequence(sequence, boxes, {MODEL: described}, class_labels=class_labels)
