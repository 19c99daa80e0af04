# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The detections of a model in a sequence, cached on disk."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from gtr_ros.data.labels import label_map
from gtr_ros.data.sequence import images_of
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.stored_boxes import MIN_SCORE
from gtr_ros.evaluation.cache import cache_key
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.evaluation.progress import Advance
from gtr_ros.evaluation.progress import ignore
from gtr_ros.evaluation.progress import no_progress
from gtr_ros.evaluation.progress import StartTask
from gtr_ros.model.gtr import GTR
from gtr_ros.structures import Detections

_FORM = 2  # version of the cached files; to be incremented when the content changes


def find_boxes(model: GTR, sequence: Sequence, advance: Advance = ignore) -> list[Detections]:
    """
    Run a model's detector on a sequence.

    Labels are converted to the sequence's. Boxes of classes that the sequence lacks are left out,
    unless the model scores every class: then their second-best class may be one of the sequence's.
    Such boxes get labels that start at the sequence's number of classes; class scores remain those
    of the model.

    :param advance: called after every frame
    :return: of each frame, with the model's features
    :raises ValueError: if the sequence has no images, or fewer than frames
    """
    labels = label_map(model.class_names, sequence.class_names)
    others = len(sequence.class_names) + np.arange(len(labels))
    detections = []
    for image, stamp in zip(images_of(sequence), sequence.stamps):
        (found,) = model.detect([image], [int(stamp)], MIN_SCORE)
        known = labels[found.labels]
        if found.class_scores is not None:
            known = np.where(known < 0, others[found.labels], known)
        found = replace(found, labels=known)
        detections.append(found.select(known >= 0))
        advance()
    return detections


def find_boxes_cached(
    model: GTR,
    key: str | None,
    sequence: Sequence,
    cache: Path,
    start_task: StartTask = no_progress,
) -> list[Detections]:
    """
    Return the result of `find_boxes`, with features on the CPU, from the cache if it is there.

    :param key: changes when the model does; None: nothing is cached
    :param cache: folder
    """
    file = None
    if key and sequence.image_key:
        what = f'boxes {_FORM} {key} {sequence.class_names}'
        file = cache / f'{cache_key(what, sequence, [])}.npz'
    cached = _load(file, sequence) if file else None
    if cached is not None:
        return cached
    advance = start_task(f'{sequence.name}: boxes', len(sequence))
    boxes = [
        replace(d, features=d.features.float().cpu()) for d in find_boxes(model, sequence, advance)
    ]
    if file:
        _save(file, boxes)
    return boxes


def _save(file: Path, detections: SequenceOf[Detections]) -> None:
    arrays = {
        'counts': np.array([len(d) for d in detections]),
        'features': torch.cat([d.features for d in detections]).numpy(),
    }
    for name in ('boxes', 'scores', 'labels'):
        arrays[name] = np.concatenate([getattr(d, name) for d in detections])
    if all(d.class_scores is not None for d in detections):
        arrays['class_scores'] = np.concatenate([d.class_scores for d in detections])
    save_arrays(file, arrays)


def _load(file: Path, sequence: Sequence) -> list[Detections] | None:
    arrays = load_arrays(file)
    if arrays is None:
        return None
    try:
        ends = np.cumsum(arrays.pop('counts'))
        parts = {key: np.split(values, ends)[:-1] for key, values in arrays.items()}
        return [
            Detections(
                boxes=parts['boxes'][t],
                scores=parts['scores'][t],
                labels=parts['labels'][t],
                features=torch.from_numpy(parts['features'][t]),
                image_size=sequence.image_size,
                stamp=int(stamp),
                class_scores=parts['class_scores'][t] if 'class_scores' in parts else None,
            )
            for t, stamp in enumerate(sequence.stamps)
        ]
    except (ValueError, KeyError, IndexError):
        return None  # written by another version; the boxes are computed again
