# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's JSON for videos, and TAO's, which adds tracks and what each video is labelled for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence as SequenceOf
from hashlib import sha256
import json
from pathlib import Path
from typing import Any
from typing import NamedTuple
from typing import Protocol

import numpy as np

from gtr_ros.data.coco.entries import by_id
from gtr_ros.data.coco.entries import corners
from gtr_ros.data.coco.entries import get
from gtr_ros.data.coco.entries import is_finite
from gtr_ros.data.coco.entries import is_whole
from gtr_ros.data.coco.entries import known
from gtr_ros.data.coco.entries import load_entries
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import files_key
from gtr_ros.data.formats.images import ImageFiles
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.stamps import NANOSECONDS

#: frames a second that `frame_index` counts where a video does not say, as TAO's do not
NATIVE_RATE = 30.0


class FrameResults(Protocol):
    """
    The results of one frame, such as `Tracks` and `ClassedBoxes`.

    ids: (K,) int; boxes: (K, 4) float, xyxy, pixels; scores: (K,) float; labels: (K,) int, index
    into the sequence's class names
    """

    ids: np.ndarray
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray


def read_coco_video(path: str | Path, images: str | Path | None = None) -> list[Sequence]:
    """
    Read a sequence for each video.

    A video's frames are its images in order of `frame_index` (or `frame_id`), which counts frames
    of the video's `fps` (or `frame_rate`; 30 without one). TAO labels every 30th: that is 1 frame
    a second, its stamps `frame_index` / 30 s. Labels are indices into all categories in order of
    id. Annotations of a category that another lists as `merged` are of that other one, as in TAO's
    toolkit. Those with `iscrowd` are regions. A video with `neg_category_ids` or
    `not_exhaustive_category_ids` is federated, unless it is negative for all: then everything that
    is found counts, as in a video where every object has a box.

    :param images: folder that `file_name` is relative to; None: that of the file
    :raises FormatError: names the file, the entry by its id, and the rule; where it is no JSON,
        line and column. A missing image is named when the images are asked for
    """
    path = Path(path)
    data = load_entries(path, ('videos', 'images', 'annotations', 'categories'), ('tracks',))
    folder = path.parent if images is None else Path(images)
    videos = by_id(path, 'video', data['videos'])
    categories = by_id(path, 'category', data['categories'])
    for identity in categories:
        if not is_whole(identity):
            raise FormatError(path, f'category {identity!r}: id is not a whole number')
    classes = {identity: label for label, identity in enumerate(sorted(categories))}
    class_names = tuple(str(get(path, f'category {i}', categories[i], 'name')) for i in classes)
    frames = _frames(path, data['images'], videos)
    truth = _truth(path, data, frames, classes | _merged(path, categories, classes))
    of_video = defaultdict(list)
    for frame in sorted(frames.values(), key=lambda frame: frame.index):
        of_video[frame.video].append(frame)
    key = f'{files_key([path])} {folder.resolve()}'
    sequences = []
    for identity, video in videos.items():
        mine, place = of_video[identity], f'video {identity}'
        if not mine:
            raise FormatError(path, f'{place}: it has no image')
        size = mine[0].size
        for frame in mine:
            if frame.size != size:
                raise FormatError(
                    path,
                    f'image {frame.id}: its size is {frame.size[1]} x {frame.size[0]}, and that '
                    f'of image {mine[0].id} {size[1]} x {size[0]}; a video has images of one size',
                )
        native = _native_rate(path, place, video)
        indices = np.array([frame.index for frame in mine], np.int64)
        files = [folder / frame.file_name for frame in mine]
        sequences.append(
            Sequence(
                name=str(video.get('name', identity)),
                class_names=class_names,
                image_size=size,
                frame_rate=native / float(np.median(np.diff(indices))) if mine[1:] else native,
                truth=tuple(truth[frame.id] for frame in mine),
                stamps=np.round(indices * (NANOSECONDS / native)).astype(np.int64),
                images=ImageFiles(files, size),
                image_key=sha256(f'{key} {[f.file_name for f in mine]}'.encode()).hexdigest(),
                federated=_federated(path, place, video, classes),
            )
        )
    return sequences


def write_coco_video(path: str | Path, sequences: SequenceOf[Sequence]) -> None:
    """
    Write the truth of sequences, for COCO's and TAO's tools: all ids are numbered from 1.

    Frames are numbered by their stamps at the sequence's rate, from 0. Distractors are written as
    regions, which come nearest, and void boxes are left out; regions have `iscrowd` and no track:
    TAO's tools do not know them. A sequence that is not federated is negative for each of its
    classes, by which TAO's tools, too, count everything that is found.
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
    Write results as TAO's tools take them, with the ids that `write_coco_video` gives.

    :param sequences: all that were written, in the same order
    :param results: of each frame of each sequence; a track that is of several classes becomes one
        of each, as TAO's tracks have one
    :raises FormatError: if results and frames are not equally many, a label is of no class, or a
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


class _Frame(NamedTuple):
    id: Any
    video: Any
    index: int
    file_name: str
    size: tuple[int, int]


def _frames(path: Path, images: list[dict], videos: dict[Any, dict]) -> dict[Any, _Frame]:
    frames: dict[Any, _Frame] = {}
    taken: dict[tuple, Any] = {}
    for identity, image in by_id(path, 'image', images).items():
        place = f'image {identity}'
        video = known(path, place, image, 'video', videos)
        index = get(path, place, image, 'frame_index', 'frame_id')
        if not is_whole(index) or index < 0:
            raise FormatError(
                path, f'{place}: frame_index is {index!r}; expected a whole number from 0'
            )
        if (video, index) in taken:
            raise FormatError(
                path,
                f'{place}: frame_index {index} of video {video} is that of image '
                f'{taken[video, index]}',
            )
        taken[video, index] = identity
        size = []
        for side in ('height', 'width'):
            # Some give it once for the video.
            length = get(path, place, {side: videos[video].get(side)} | image, side)
            if not is_whole(length) or length < 1:
                raise FormatError(
                    path, f'{place}: {side} is {length!r}; expected a whole number from 1'
                )
            size.append(length)
        name = str(get(path, place, image, 'file_name'))
        frames[identity] = _Frame(identity, video, index, name, tuple(size))
    return frames


def _merged(path: Path, categories: dict[int, dict], classes: dict[int, int]) -> dict[int, int]:
    """Return the labels of the categories that are merged into others, by id."""
    labels = {}
    for identity, category in categories.items():
        others = category.get('merged') or []
        if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
            raise FormatError(path, f'category {identity}: merged is not a list of objects')
        for other in others:
            merged = get(path, f'category {identity}: merged', other, 'id')
            labels[merged] = classes[identity]
    return labels


def _truth(
    path: Path, data: dict, frames: dict[Any, _Frame], labels: dict[int, int]
) -> dict[Any, Truth]:
    """Return what is true in each image, by its id."""
    tracks = by_id(path, 'track', data['tracks']) if 'tracks' in data else None
    rows: dict[Any, list[tuple]] = {identity: [] for identity in frames}
    regions: dict[Any, list[list[float]]] = {identity: [] for identity in frames}
    seen = set()
    for position, annotation in enumerate(data['annotations']):
        place = f'annotation {annotation.get("id", f"at position {position} (from 0)")}'
        image = known(path, place, annotation, 'image', frames)
        video = frames[image].video
        said = annotation.get('video_id')
        if said not in (None, video):
            raise FormatError(
                path, f'{place}: video_id is {said!r}, and that of its image is {video!r}'
            )
        category = known(path, place, annotation, 'category', labels)
        box = corners(path, place, get(path, place, annotation, 'bbox'))
        if annotation.get('iscrowd'):
            regions[image].append(box)
            continue
        track = get(path, place, annotation, 'track_id', 'instance_id')
        if not is_whole(track):
            raise FormatError(path, f'{place}: track_id is {track!r}; expected a whole number')
        if tracks is not None and track not in tracks:
            raise FormatError(path, f'{place}: track_id is {track}, and there is no such track')
        label = labels[category]
        if (image, label, track) in seen:
            raise FormatError(
                path,
                f'{place}: track {track} comes a second time in image {image} and category '
                f'{category}',
            )
        seen.add((image, label, track))
        rows[image].append((track, box, label))
    truth = {}
    for image, found in rows.items():
        ids, boxes, classes = zip(*found) if found else ((), (), ())
        truth[image] = Truth.of(ids, boxes, classes, regions=regions[image])
    return truth


def _native_rate(path: Path, place: str, video: dict) -> float:
    keys = [key for key in ('fps', 'frame_rate') if video.get(key) is not None]
    rate = video[keys[0]] if keys else NATIVE_RATE
    if not is_finite(rate) or rate <= 0:
        raise FormatError(path, f'{place}: {keys[0]} is {rate!r}; expected a positive number')
    return float(rate)


def _federated(path: Path, place: str, video: dict, classes: dict[int, int]) -> Federated | None:
    keys = ('neg_category_ids', 'not_exhaustive_category_ids')
    if not any(key in video for key in keys):
        return None
    found = []
    for key in keys:
        ids = video.get(key) or []
        if not isinstance(ids, list) or not all(map(is_whole, ids)):
            raise FormatError(path, f'{place}: {key} is not a list of whole numbers')
        # Of a category that is not in this file there is neither truth nor a result.
        found.append(frozenset(classes[i] for i in ids if i in classes))
    federated = Federated(*found)
    exhaustive = len(federated.negative) == len(classes) and not federated.not_exhaustive
    return None if exhaustive else federated


def _numbering(sequences: SequenceOf[Sequence]) -> tuple[dict[str, int], list[int]]:
    """Return the category ids by name, and the id of each sequence's first image."""
    names = dict.fromkeys(name for sequence in sequences for name in sequence.class_names)
    counts = [len(sequence) for sequence in sequences]
    first = np.cumsum([1, *counts])[:-1].tolist()
    return {name: i for i, name in enumerate(names, 1)}, first


def _frame_indices(sequence: Sequence) -> list[int]:
    grid = np.round((sequence.stamps - sequence.stamps[:1]) * (sequence.frame_rate / NANOSECONDS))
    # Frames may come closer than their rate says.
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
