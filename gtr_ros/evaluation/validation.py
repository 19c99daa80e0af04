# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How good a model is, on the way of its training: the metrics of `gtr evaluate`."""

from __future__ import annotations

from pathlib import Path

from gtr_ros.data.opening import open_sequences
from gtr_ros.data.opening import Opened
from gtr_ros.data.stored_boxes import find_boxes
from gtr_ros.evaluation.appearance import describe_all
from gtr_ros.evaluation.detection import evaluate_coco
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.run import run
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.evaluation.trackers import parse_tracker
from gtr_ros.model.gtr import GTR
from gtr_ros.training.config import Validation

_THRESHOLD = 0.4  # score from which on a box is tracked


def validate(model: GTR, rule: str, wanted: Validation, data: Path) -> dict[str, float]:
    """
    Measure a model.

    :param model: is put into evaluation mode
    :param rule: that links its detections, one of `gtr_ros.tracking.RULES`
    :param wanted: what is measured
    :param data: folder that its paths are relative to
    :return: by name: `AP`, `AP50` and `person AP50` of the detector, in [0, 1]; `HOTA`, `IDF1` and
        `MOTA` of the tracker, in percent
    """
    model.eval()
    numbers: dict[str, float] = {}
    if wanted.detection is not None:
        precision = evaluate_coco(
            lambda image: model.detect([image], score_threshold=0.01)[0],
            model.class_names,
            data / wanted.detection,
        )
        numbers |= {'AP': precision.ap, 'AP50': precision.ap50}
        if precision.person_ap50 is not None:
            numbers['person AP50'] = precision.person_ap50
    prepared = [
        _course(opened, model)
        for place in wanted.sequences
        for opened in open_sequences(
            place if place.startswith('synthetic') else str(data / place), wanted.half
        )
    ]
    if prepared:
        spec = parse_tracker('gtr', model.association, rule, wanted.window)
        scores = run(prepared, spec, 1, _THRESHOLD).evaluation.average
        numbers |= {name: scores[name] for name in ('HOTA', 'IDF1', 'MOTA')}
    return numbers


def _course(opened: Opened, model: GTR) -> PreparedSequence:
    """Return a sequence with its boxes, its own or those that the model finds, described."""
    sequence, boxes = opened.sequence, opened.boxes
    if boxes is None:
        boxes = find_boxes(model, sequence)
        described = [d.select(d.scores >= _THRESHOLD) for d in boxes]
    else:
        strong = [d.select(d.scores >= _THRESHOLD) for d in boxes]
        described = describe_all(model.describe, sequence, strong)
    return PreparedSequence(sequence, boxes, {MODEL: described})
