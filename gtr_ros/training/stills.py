# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled single images: COCO's JSON, CrowdHuman's odgt, and LVIS with COCO's boxes beside it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import numpy as np

from gtr_ros.evaluation.formats.entries import by_id
from gtr_ros.evaluation.formats.entries import corners
from gtr_ros.evaluation.formats.entries import get
from gtr_ros.evaluation.formats.entries import is_finite
from gtr_ros.evaluation.formats.entries import is_whole
from gtr_ros.evaluation.formats.entries import known
from gtr_ros.evaluation.formats.entries import load_entries
from gtr_ros.evaluation.formats.errors import FormatError
from gtr_ros.evaluation.formats.images import read_image
from gtr_ros.model import lvis
from gtr_ros.tracking.linking import box_iou

_LISTS = ('images', 'annotations', 'categories')
_LEAST_SIDE = 1.0  # pixels; COCO has some boxes without a width, which its own tools drop
_SAME_OBJECT = 0.7  # IoU from which on a box of COCO and one of LVIS are of one object

#: COCO's names of classes that LVIS names otherwise; all others are alike but for blanks
_LVIS_NAMES = {
    'bus': 'bus_(vehicle)',
    'car': 'car_(automobile)',
    'cell phone': 'cellular_telephone',
    'couch': 'sofa',
    'donut': 'doughnut',
    'hair drier': 'hair_dryer',
    'hot dog': 'sausage',
    'keyboard': 'computer_keyboard',
    'laptop': 'laptop_computer',
    'microwave': 'microwave_oven',
    'mouse': 'mouse_(computer_equipment)',
    'orange': 'orange_(fruit)',
    'potted plant': 'flowerpot',
    'remote': 'remote_control',
    'sports ball': 'ball',
    'tie': 'necktie',
    'train': 'train_(railroad_vehicle)',
    'tv': 'television_set',
    'wine glass': 'wineglass',
    'skis': 'ski',
}


@dataclass(frozen=True)
class Still:
    """
    A labelled image.

    :param file: of the image
    :param boxes: (N, 4) float32, xyxy, pixels of the image
    :param labels: (N,) int64, index into the set's class names
    :param crowds: (R, 4) float32, xyxy: objects that have no box each
    :param size: (height, width) that the annotations tell; None: they do not
    """

    file: Path
    boxes: np.ndarray
    labels: np.ndarray
    crowds: np.ndarray
    size: tuple[int, int] | None = None

    def image(self) -> np.ndarray:
        """
        Read the image, (H, W, 3) uint8 RGB.

        :raises FormatError: if it cannot be read, or is of another size than it should be
        """
        image = read_image(self.file)
        if self.size is not None and image.shape[:2] != self.size:
            (height, width), (h, w) = image.shape[:2], self.size
            raise FormatError(
                self.file, f'the image is {width} x {height}, its annotations say {w} x {h}'
            )
        return image


@dataclass(frozen=True)
class StillSet:
    """
    Labelled images.

    :param class_names: of the labels
    :param stills: at least one, each with boxes or without
    :param dropped: boxes that were left out because a side is below a pixel
    """

    class_names: tuple[str, ...]
    stills: tuple[Still, ...]
    dropped: int = 0


def read_coco(
    annotations: str | Path,
    images: str | Path | None = None,
    class_names: Sequence[str] | None = None,
) -> StillSet:
    """
    Read COCO's JSON.

    :param images: folder; None: the one of the file's name, `val.json` -> `val/`
    :param class_names: that are learnt, others are left out; None: all, in order of their ids
    :raises FormatError: names the file, the entry by its id, and the rule
    """
    path = Path(annotations)
    data = load_entries(path, _LISTS)
    categories = by_id(path, 'category', data['categories'])
    names = {i: str(get(path, f'category {i}', c, 'name')) for i, c in categories.items()}
    classes = tuple(class_names or (names[i] for i in sorted(names)))
    labels = {i: classes.index(name) for i, name in names.items() if name in classes}
    if not labels:
        raise FormatError(
            path,
            f'it has no class of the model: {_some(names.values())}, not {_some(classes)}',
        )
    folder = path.with_suffix('') if images is None else Path(images)
    entries = by_id(path, 'image', data['images'])
    files = {
        i: folder / str(get(path, f'image {i}', entry, 'file_name'))
        for i, entry in entries.items()
    }
    return _collect(path, data, entries, files, labels, classes)


def read_lvis(
    annotations: str | Path, images: str | Path, coco: str | Path | None = None
) -> StillSet:
    """
    Read LVIS v1, and add COCO's boxes of the same images, as the public code does for `gtr_tao`.

    A box of COCO is left out where LVIS says that there is none of its class, and where LVIS has
    one of its class that overlaps it by 0.7.

    :param images: folder that holds `train2017/`, or the images themselves
    :param coco: COCO's JSON of the same images
    :raises FormatError: names the file, the entry by its id, and the rule
    """
    path, folder = Path(annotations), Path(images)
    data = load_entries(path, _LISTS)
    categories = by_id(path, 'category', data['categories'])
    classes = lvis.class_names()
    labels = {}
    for i, category in categories.items():
        name = str(get(path, f'category {i}', category, 'name'))
        if name not in classes:
            raise FormatError(path, f'category {i}: {name!r} is no class of LVIS v1')
        labels[i] = classes.index(name)
    entries = by_id(path, 'image', data['images'])
    files = {}
    for i, entry in entries.items():
        place = str(get(path, f'image {i}', entry, 'file_name', 'coco_url'))
        short = Path(*Path(place).parts[-2:])
        files[i] = folder / (short if (folder / short).is_file() else short.name)
    absent = {
        i: {labels[k] for k in entry.get('neg_category_ids') or () if k in labels}
        for i, entry in entries.items()
    }
    own = _collect(path, data, entries, files, labels, classes)
    return own if coco is None else _with_coco(own, dict(zip(entries, own.stills)), absent, coco)


def _with_coco(
    own: StillSet, stills: dict[Any, Still], absent: dict[Any, set[int]], coco: str | Path
) -> StillSet:
    """Return LVIS' images with COCO's boxes added."""
    path = Path(coco)
    data = load_entries(path, _LISTS)
    categories = by_id(path, 'category', data['categories'])
    labels = {}
    for i, category in categories.items():
        name = str(get(path, f'category {i}', category, 'name'))
        other = _LVIS_NAMES.get(name, name.replace(' ', '_'))
        if other in own.class_names:
            labels[i] = own.class_names.index(other)
    more: dict[Any, list] = defaultdict(list)
    for annotation in data['annotations']:
        image, label = annotation.get('image_id'), labels.get(annotation.get('category_id'))
        if image not in stills or label is None or annotation.get('iscrowd'):
            continue
        if label not in absent[image]:
            place = f'annotation {annotation.get("id")}'
            box = _box(path, place, annotation, None)
            if box is not None:
                more[image].append((box, label))
    merged = []
    for image, still in stills.items():
        boxes, classes = list(still.boxes), list(still.labels)
        for box, label in more[image]:
            same = still.boxes[still.labels == label]
            if not len(same) or box_iou(np.array([box]), same).max() < _SAME_OBJECT:
                boxes.append(np.array(box, np.float32))
                classes.append(label)
        merged.append(_still(still.file, boxes, classes, still.crowds, still.size))
    return StillSet(own.class_names, tuple(merged), own.dropped)


def read_crowdhuman(annotations: str | Path, images: str | Path) -> StillSet:
    """
    Read CrowdHuman's odgt: full bodies, also where they reach beyond the image.

    :param images: folder of `ID.jpg`
    :raises FormatError: names the file, the line, and the rule
    """
    path, folder = Path(annotations), Path(images)
    try:
        lines = path.read_text(encoding='utf-8').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FormatError(path, f'cannot be read: {error}') from error
    stills, dropped = [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            identity, found = str(entry['ID']), list(entry['gtboxes'])
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise FormatError(
                path, f'expected JSON with ID and gtboxes ({error})', number
            ) from None
        boxes, crowds = [], []
        for k, person in enumerate(found):
            place = f'line {number}, box {k} (from 0)'
            if not isinstance(person, dict) or not isinstance(person.get('extra', {}), dict):
                raise FormatError(path, f'{place}: not an object with tag, fbox and extra')
            box = _box(path, place, {'bbox': get(path, place, person, 'fbox')}, None)
            ignored = person.get('tag') != 'person' or person.get('extra', {}).get('ignore') == 1
            if box is None:
                dropped += 1
            else:
                (crowds if ignored else boxes).append(box)
        file = folder / f'{identity}.jpg'
        stills.append(_still(file, boxes, [0] * len(boxes), crowds, None))
    return _checked(path, StillSet(('person',), tuple(stills), dropped))


def _collect(
    path: Path,
    data: dict[str, list[dict]],
    images: dict[Any, dict],
    files: dict[Any, Path],
    labels: dict[Any, int],
    class_names: tuple[str, ...],
) -> StillSet:
    """Return the images with their annotations; labels: of the categories that are learnt."""
    categories = {category['id'] for category in data['categories']}
    boxes, names, crowds = defaultdict(list), defaultdict(list), defaultdict(list)
    sizes, dropped = {i: _size(path, i, entry) for i, entry in images.items()}, 0
    for identity, annotation in by_id(path, 'annotation', data['annotations']).items():
        place = f'annotation {identity}'
        image = known(path, place, annotation, 'image', images)
        category = known(path, place, annotation, 'category', categories)
        box = _box(path, place, annotation, sizes[image])
        if box is None:
            dropped += 1
        elif category in labels and annotation.get('iscrowd'):
            crowds[image].append(box)
        elif category in labels:
            boxes[image].append(box)
            names[image].append(labels[category])
    stills = [_still(files[i], boxes[i], names[i], crowds[i], sizes[i]) for i in images]
    return _checked(path, StillSet(class_names, tuple(stills), dropped))


def _checked(path: Path, found: StillSet) -> StillSet:
    """Return the images if there are any, all their files are there, and one of them has a box."""
    if not any(len(still.boxes) for still in found.stills):
        raise FormatError(path, 'there is no box of a class of the model in any image')
    missing = [still.file for still in found.stills if not still.file.is_file()]
    if missing:
        raise FormatError(
            path, f'{len(missing)} of its {len(found.stills)} images are missing: {missing[0]}'
        )
    return found


def _size(path: Path, identity: Any, image: dict) -> tuple[int, int]:
    sides = [get(path, f'image {identity}', image, side) for side in ('height', 'width')]
    if not all(is_whole(side) and side > 0 for side in sides):
        raise FormatError(path, f'image {identity}: height and width are {sides}; expected pixels')
    return sides[0], sides[1]


def _box(
    path: Path, place: str, annotation: dict, size: tuple[int, int] | None
) -> list[float] | None:
    """Return x1, y1, x2, y2, inside the image if its size is given; None: a side is too small."""
    box = get(path, place, annotation, 'bbox')
    four = isinstance(box, list) and len(box) == 4 and all(map(is_finite, box))
    if four and 0 <= min(box[2:]) < _LEAST_SIDE:
        return None
    x1, y1, x2, y2 = corners(path, place, box)
    if size is None:
        return [x1, y1, x2, y2]
    height, width = size
    inside = [max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)]
    if inside[2] - inside[0] <= 0 or inside[3] - inside[1] <= 0:
        raise FormatError(path, f'{place}: bbox {box} is outside of its image, {width} x {height}')
    return inside


def _still(
    file: Path, boxes: Sequence, labels: Sequence, crowds: Sequence, size: tuple[int, int] | None
) -> Still:
    return Still(
        file,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.array(crowds, np.float32).reshape(-1, 4),
        size,
    )


def _some(names) -> str:
    """Return the first few of some names."""
    names = list(names)
    return ', '.join(names[:4]) + (' and others' if len(names) > 4 else '')
