# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO video JSON, and TAO's version, which adds tracks and the labelled classes of each video."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from hashlib import sha256
import os
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from gtr_ros.box_checks import boxes_fault
from gtr_ros.data.coco.entries import as_id
from gtr_ros.data.coco.entries import as_number
from gtr_ros.data.coco.entries import as_whole
from gtr_ros.data.coco.entries import get_reference
from gtr_ros.data.coco.entries import get_value
from gtr_ros.data.coco.entries import index_by_id
from gtr_ros.data.coco.entries import load_entries
from gtr_ros.data.coco.entries import read_corners
from gtr_ros.data.coco.entries import read_flag
from gtr_ros.data.coco.entries import read_ids
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import files_key
from gtr_ros.data.formats.images import ImageFiles
from gtr_ros.data.sequence import Federated
from gtr_ros.data.sequence import RATES
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.stamps import NANOSECONDS

#: rate, frames per second, at which `frame_index` counts if a video does not state it, as in TAO
NATIVE_RATE = 30.0

_LAST_STAMP = 2**62  # nanoseconds: 146 years


def read_coco_video(path: str | Path, images: str | Path | None = None) -> list[Sequence]:
    """
    Read a sequence for each video.

    A video's frames are its images in order of `frame_index` (or `frame_id`), which counts frames
    at the video's `fps` (or `frame_rate`; 30 without one). TAO labels every 30th frame: 1 per
    second, with stamps of `frame_index` / 30 s. Labels are indices into all categories in order of
    id. A category listed as `merged` in another one counts as the latter, as in TAO's toolkit.
    Annotations with `iscrowd` are regions. A video with `neg_category_ids` or
    `not_exhaustive_category_ids` is federated, unless it is negative for all: then all results
    count, as in a video where every object has a box.

    :param images: folder that `file_name` is relative to; None: the folder of the file
    :raises FormatError: names the file, the entry by its id, and the rule; line and column if it
        is not JSON. Missing images are reported by `check_images`, and when they are read
    """
    path = Path(path)
    data = load_entries(path, ('videos', 'images', 'annotations', 'categories'), ('tracks',))
    folder = path.parent if images is None else Path(images)
    videos = index_by_id(path, 'video', data['videos'])
    categories = index_by_id(path, 'category', data['categories'])
    for identity in categories:
        if not isinstance(identity, int):
            raise FormatError(path, f'category {identity!r}: id is not a whole number')
    classes = {identity: label for label, identity in enumerate(sorted(categories))}
    class_names = tuple(
        str(get_value(path, f'category {i}', categories[i], 'name')) for i in classes
    )
    frames = _frames(path, data['images'], videos)
    truth = _truth(path, data, frames, classes | _merged(path, categories, classes))
    of_video = defaultdict(list)
    for frame in sorted(frames.values(), key=lambda frame: frame.index):
        of_video[frame.video].append(frame)
    key = f'{files_key([path])} {folder.resolve()}'
    sequences = []
    for identity, video in videos.items():
        video_frames, place = of_video[identity], f'video {identity}'
        if not video_frames:
            raise FormatError(path, f'{place}: it has no image')
        size = video_frames[0].size
        for frame in video_frames:
            if frame.size != size:
                raise FormatError(
                    path,
                    f'image {frame.id}: its size is {frame.size[1]} x {frame.size[0]}, and that '
                    f'of image {video_frames[0].id} {size[1]} x {size[0]}; all images of a video '
                    'must have the same size',
                )
        native = _native_rate(path, place, video)
        indices = np.array([frame.index for frame in video_frames], np.int64)
        if indices[-1] / native * NANOSECONDS >= _LAST_STAMP:
            raise FormatError(
                path,
                f'image {video_frames[-1].id}: frame_index is {indices[-1]} at {native:g} frames '
                'per second, which is later than a stamp can be',
            )
        files = [folder / frame.file_name for frame in video_frames]
        sequences.append(
            Sequence(
                name=str(video.get('name', identity)),
                class_names=class_names,
                image_size=size,
                frame_rate=native / float(np.median(np.diff(indices)))
                if video_frames[1:]
                else native,
                truth=tuple(truth[frame.id] for frame in video_frames),
                stamps=np.round(indices * (NANOSECONDS / native)).astype(np.int64),
                images=_VideoImages(path, files, size),
                image_key=sha256(
                    f'{key} {[f.file_name for f in video_frames]}'.encode()
                ).hexdigest(),
                federated=_federated(path, place, video, classes),
            )
        )
    return sequences


class _VideoImages(ImageFiles):
    """
    The images of one video of a JSON.

    :param path: of the JSON
    """

    def __init__(self, path: Path, files: list[Path], size: tuple[int, int]) -> None:
        super().__init__(files, size)
        self._path = path
        self._all = files

    def check(self) -> None:
        """Raise FormatError if a file is missing; none is read."""
        # Unlike Path.is_file, this also takes names that no file can have.
        missing = [file for file in self._all if not os.path.isfile(file)]
        if missing:
            raise FormatError(
                self._path,
                f'{len(missing)} of the {len(self._all)} images of a video are missing; the first '
                f'is {missing[0]}. Is --images the folder that file_name is relative to?',
            )


class _FrameEntry(NamedTuple):
    id: Any
    video: Any
    index: int
    file_name: str
    size: tuple[int, int]


def _frames(path: Path, images: list[dict], videos: dict[Any, dict]) -> dict[Any, _FrameEntry]:
    frames: dict[Any, _FrameEntry] = {}
    taken: dict[tuple, Any] = {}
    for identity, image in index_by_id(path, 'image', images).items():
        place = f'image {identity}'
        video = get_reference(path, place, image, 'video', videos)
        given = get_value(path, place, image, 'frame_index', 'frame_id')
        index = as_whole(given)
        if index is None or index < 0:
            raise FormatError(
                path, f'{place}: frame_index is {given!r}; expected a whole number from 0'
            )
        if (video, index) in taken:
            raise FormatError(
                path,
                f'{place}: image {taken[video, index]} of video {video} already has frame_index '
                f'{index}',
            )
        taken[video, index] = identity
        size = []
        for side in ('height', 'width'):
            # Some files have it only once, in the video's entry.
            given = get_value(path, place, {side: videos[video].get(side)} | image, side)
            length = as_whole(given)
            if length is None or length < 1:
                raise FormatError(
                    path, f'{place}: {side} is {given!r}; expected a whole number from 1'
                )
            size.append(length)
        name = str(get_value(path, place, image, 'file_name'))
        frames[identity] = _FrameEntry(identity, video, index, name, tuple(size))
    return frames


def _merged(path: Path, categories: dict[int, dict], classes: dict[int, int]) -> dict[int, int]:
    """Return the labels of merged categories, by id."""
    labels = {}
    for identity, category in categories.items():
        others = category.get('merged') or []
        if not isinstance(others, list) or not all(isinstance(other, dict) for other in others):
            raise FormatError(path, f'category {identity}: merged is not a list of objects')
        for other in others:
            merged = get_value(path, f'category {identity}: merged', other, 'id')
            labels[as_id(merged)] = classes[identity]
    return labels


def _truth(
    path: Path, data: dict, frames: dict[Any, _FrameEntry], labels: dict[int, int]
) -> dict[Any, Truth]:
    """Return the ground truth of each image, by its id."""
    tracks = index_by_id(path, 'track', data['tracks']) if 'tracks' in data else None
    rows: dict[Any, list[tuple]] = {identity: [] for identity in frames}
    regions: dict[Any, list[list[float]]] = {identity: [] for identity in frames}
    seen = set()
    for position, annotation in enumerate(data['annotations']):
        place = f'annotation {annotation.get("id", f"at position {position} (from 0)")}'
        image = get_reference(path, place, annotation, 'image', frames)
        video = frames[image].video
        video_id = annotation.get('video_id')
        if video_id is not None and as_id(video_id) != video:
            raise FormatError(
                path, f'{place}: video_id is {video_id!r}, but that of its image is {video!r}'
            )
        category = get_reference(path, place, annotation, 'category', labels)
        box = read_corners(path, place, get_value(path, place, annotation, 'bbox'))
        if read_flag(path, place, annotation, 'iscrowd'):
            regions[image].append(box)
            continue
        given = get_value(path, place, annotation, 'track_id', 'instance_id')
        track = as_id(given)
        if track is None:
            raise FormatError(path, f'{place}: track_id is {given!r}; expected a number or a text')
        if tracks is not None and track not in tracks:
            raise FormatError(path, f'{place}: track_id is {given!r}, but there is no such track')
        label = labels[category]
        if (image, label, track) in seen:
            raise FormatError(
                path,
                f'{place}: track {track} occurs twice in image {image} and category {category}',
            )
        seen.add((image, label, track))
        rows[image].append((track, box, label))
    fault = boxes_fault(
        np.array([row[1] for found in rows.values() for row in found]),
        np.array([frames[image].size for image, found in rows.items() for _ in found]),
    )
    if fault:
        raise FormatError(path, f'{fault}; expected bbox as x, y, width, height in pixels')
    numbers = _numbers(track for found in rows.values() for track, _, _ in found)
    truth = {}
    for image, found in rows.items():
        ids, boxes, classes = zip(*found) if found else ((), (), ())
        truth[image] = Truth.of([numbers[i] for i in ids], boxes, classes, regions=regions[image])
    return truth


def _numbers(tracks: Iterable[int | str]) -> dict[int | str, int]:
    """Return the number of each track: its id, or for a text the next after the highest id."""
    ids = list(dict.fromkeys(tracks))
    texts = [track for track in ids if isinstance(track, str)]
    numbers = {track: track for track in ids if not isinstance(track, str)}
    last = max(numbers.values(), default=0)
    return numbers | {text: last + i for i, text in enumerate(texts, 1)}


def _native_rate(path: Path, place: str, video: dict) -> float:
    keys = [key for key in ('fps', 'frame_rate') if video.get(key) is not None]
    rate = as_number(video[keys[0]]) if keys else NATIVE_RATE
    if rate is None or not RATES[0] <= rate <= RATES[1]:
        raise FormatError(
            path,
            f'{place}: {keys[0]} is {video[keys[0]]!r}; expected a number from {RATES[0]:g} to '
            f'{RATES[1]:g}',
        )
    return rate


def _federated(path: Path, place: str, video: dict, classes: dict[int, int]) -> Federated | None:
    keys = ('neg_category_ids', 'not_exhaustive_category_ids')
    if not any(key in video for key in keys):
        return None
    found = []
    for key in keys:
        ids = read_ids(path, place, key, video.get(key) or [])
        # A category missing from this file has neither ground truth nor results.
        found.append(frozenset(classes[i] for i in ids if i in classes))
    federated = Federated(*found)
    exhaustive = len(federated.negative) == len(classes) and not federated.not_exhaustive
    return None if exhaustive else federated
