# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Write ground truth and results of videos as JSON, for COCO's and TAO's tools."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
import json
from pathlib import Path
from typing import Any
from typing import Protocol

import numpy as np

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.stamps import NANOSECONDS


class FrameResults(Protocol):
    """
    The results of one frame, for example `Tracks` or `ClassedBoxes`.

    ids: (K,) int; boxes: (K, 4) float, xyxy, pixels; scores: (K,) float; labels: (K,) int, index
    into the sequence's class names
    """

    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def write_coco_video(path: str | Path, sequences: SequenceOf[Sequence]) -> None:
    """
    Write the ground truth of sequences for COCO's and TAO's tools; ids are numbered from 1.

    Frames are numbered by their stamps at the sequence's rate, from 0. Distractors are written as
    regions, the nearest equivalent, and void boxes are left out. Regions have `iscrowd` and no
    track, which TAO's tools do not support. A sequence that is not federated is negative for each
    of its classes, so that TAO's tools also count all results.
    """
    categories, first = _numbering(sequences)
    tracks: dict[tuple, int] = {}
    data: dict[str, list[dict]] = {
        name: [] for name in ('videos', 'images', 'tracks', 'annotations')
    }
    data['categories'] = [{'id': i, 'name': name} for name, i in categories.items()]
    for video, sequence in enumerate(sequences, 1):
        category = [categories[name] for name in sequence.class_names]
        federated = sequence.federated or Federated(frozenset(range(len(category))))
        height, width = sequence.image_size
        data['videos'].append(
            {
                'id': video,
                'name': sequence.name,
                'width': width,
                'height': height,
                'fps': sequence.frame_rate,
                'neg_category_ids': sorted(category[i] for i in federated.negative),
                'not_exhaustive_category_ids': sorted(
                    category[i] for i in federated.not_exhaustive
                ),
            }
        )
        for t, (index, truth) in enumerate(zip(_frame_indices(sequence), sequence.truth)):
            image = first[video - 1] + t
            data['images'].append(
                {
                    'id': image,
                    'video_id': video,
                    'frame_index': index,
                    'file_name': f'{sequence.name}/{index:06d}.jpg',
                    'width': width,
                    'height': height,
                }
            )
            place = {'image_id': image, 'video_id': video}
            regions = [*truth.regions, *truth.boxes[truth.roles == Role.DISTRACTOR]]
            for identity, box, label in zip(
                truth.ids[truth.counted].tolist(),
                truth.boxes[truth.counted],
                truth.labels[truth.counted].tolist(),
            ):
                track = (video, label, identity)
                if track not in tracks:
                    tracks[track] = len(tracks) + 1
                    data['tracks'].append(
                        {
                            'id': tracks[track],
                            'video_id': video,
                            'category_id': category[label],
                        }
                    )
                annotation = place | {'track_id': tracks[track], 'category_id': category[label]}
                data['annotations'].append(annotation | _area(box) | {'iscrowd': 0})
            for box in regions:
                annotation = place | {'category_id': category[0]}
                data['annotations'].append(annotation | _area(box) | {'iscrowd': 1})
    data['annotations'] = [{'id': i} | a for i, a in enumerate(data['annotations'], 1)]
    _dump(Path(path), data)


def write_coco_results(
    path: str | Path,
    sequences: SequenceOf[Sequence],
    results: SequenceOf[SequenceOf[FrameResults]],
) -> None:
    """
    Write results for TAO's tools, with image, video and category ids as in `write_coco_video`.

    :param sequences: the same as in `write_coco_video`, in the same order
    :param results: of each frame of each sequence; a track with several classes is written as one
        track for each, because TAO's tracks have one class
    :raises FormatError: if the numbers of results and frames differ, a label is unknown, or a
        number is not finite
    """
    path = Path(path)
    if len(results) != len(sequences):
        raise FormatError(path, f'results of {len(results)} sequences; expected {len(sequences)}')
    categories, first = _numbering(sequences)
    tracks: dict[tuple, int] = {}
    rows = []
    for video, (sequence, frames) in enumerate(zip(sequences, results), 1):
        if len(frames) != len(sequence):
            raise FormatError(
                path,
                f'results of {len(frames)} frames of {sequence.name}; expected {len(sequence)}',
            )
        category = [categories[name] for name in sequence.class_names]
        for t, frame in enumerate(frames):
            for identity, box, score, label in zip(
                frame.ids, frame.boxes, frame.scores, frame.labels, strict=True
            ):
                if not 0 <= label < len(category):
                    raise FormatError(
                        path,
                        f'frame {t} of {sequence.name} has label {label}; expected one from 0 to '
                        f'{len(category) - 1}',
                    )
                track = (video, int(label), int(identity))
                rows.append(
                    {
                        'image_id': first[video - 1] + t,
                        'video_id': video,
                        'track_id': tracks.setdefault(track, len(tracks) + 1),
                        'category_id': category[label],
                        'bbox': _area(box)['bbox'],
                        'score': float(score),
                    }
                )
    _dump(path, rows)


def _numbering(sequences: SequenceOf[Sequence]) -> tuple[dict[str, int], list[int]]:
    """Return the category ids by name, and the id of each sequence's first image."""
    names = dict.fromkeys(name for sequence in sequences for name in sequence.class_names)
    counts = [len(sequence) for sequence in sequences]
    first = np.cumsum([1, *counts])[:-1].tolist()
    return {name: i for i, name in enumerate(names, 1)}, first


def _frame_indices(sequence: Sequence) -> list[int]:
    grid = np.round((sequence.stamps - sequence.stamps[:1]) * (sequence.frame_rate / NANOSECONDS))
    # Frames may be closer together than the frame rate implies.
    regular = (np.diff(grid) > 0).all()
    return grid.astype(np.int64).tolist() if regular else list(range(len(sequence)))


def _area(box: np.ndarray) -> dict[str, Any]:
    x1, y1, x2, y2 = np.asarray(box, np.float64).tolist()
    width, height = x2 - x1, y2 - y1
    return {'bbox': [x1, y1, width, height], 'area': width * height}


def _dump(path: Path, data: Any) -> None:
    try:
        text = json.dumps(data, allow_nan=False)
    except ValueError:
        raise FormatError(path, 'cannot be written: a number is not finite') from None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding='utf-8')
