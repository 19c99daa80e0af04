# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""LVIS v1, with COCO boxes of the same images added, as in the public code for `gtr_tao`."""

from __future__ import annotations

import os
from pathlib import Path
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from gtr_ros.boxes import box_iou
from gtr_ros.data.coco.entries import get_value
from gtr_ros.data.coco.entries import read_ids
from gtr_ros.data.coco.stills import category_names
from gtr_ros.data.coco.stills import ImageEntry
from gtr_ros.data.coco.stills import load_json
from gtr_ros.data.coco.stills import read_entries
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.stills.still import check_stills
from gtr_ros.data.stills.still import first_names
from gtr_ros.data.stills.still import ImageObjects
from gtr_ros.data.stills.still import StillSet
from gtr_ros.model import coco as coco_classes
from gtr_ros.model import lvis as lvis_classes

_SAME_OBJECT = 0.7  # minimum IoU at which a COCO box and an LVIS box show the same object

#: LVIS names of the COCO classes that differ by more than blanks. The mapping is LVIS's own:
#: `coco_to_synset.json` contains the WordNet synset of each of the 80 classes, and its categories
#: contain the synsets of the names here. Three names are not the same things: a potted plant is
#: mapped to its pot, `pot.n.04`; a sports ball to any ball used for play; and hot dogs,
#: `frank.n.02`, which LVIS does not have, to sausages, as in the public code.
_LVIS_NAMES = {
    'bus': 'bus_(vehicle)',
    'car': 'car_(automobile)',
    'cell phone': 'cellular_telephone',
    'couch': 'sofa',
    'donut': 'doughnut',
    'fire hydrant': 'fireplug',
    'hair drier': 'hair_dryer',
    'hot dog': 'sausage',
    'keyboard': 'computer_keyboard',
    'laptop': 'laptop_computer',
    'microwave': 'microwave_oven',
    'mouse': 'mouse_(computer_equipment)',
    'orange': 'orange_(fruit)',
    'potted plant': 'flowerpot',
    'remote': 'remote_control',
    'skis': 'ski',
    'sports ball': 'ball',
    'tie': 'necktie',
    'train': 'train_(railroad_vehicle)',
    'tv': 'television_set',
    'wine glass': 'wineglass',
}


def read_lvis(
    annotations: str | Path, images: str | Path, coco: str | Path | None = None
) -> StillSet:
    """
    Read LVIS v1; labels are indices into `gtr_ros.model.lvis.class_names()`.

    A COCO box is left out if the image has no object of its class according to LVIS, or if an LVIS
    box of its class overlaps it with an IoU of 0.7 or more. COCO's crowds are kept.

    :param images: folder with `train2017/`, or with the images themselves
    :param coco: COCO JSON; images are matched by file name
    :raises FormatError: names the file, the entry by its id, and the rule
    """
    path = Path(annotations)
    data = load_json(path)
    classes = lvis_classes.class_names()
    label_of = {name: label for label, name in enumerate(classes)}
    labels: dict[int, int] = {}
    for identity, name in category_names(path, data).items():
        if name not in label_of:
            raise FormatError(path, f'category {identity}: {name!r} is not a class of LVIS v1')
        labels[identity] = label_of[name]
    entries = read_entries(path, data, labels)
    files = _files(path, entries, Path(images))
    if coco is not None:
        absent = {i: _absent(path, f'image {i}', e.image, labels) for i, e in entries.items()}
        others = _read_coco(Path(coco), label_of)
        shared = [i for i in entries if files[i].name in others]
        if not shared:
            raise FormatError(coco, f'it has no image in common with {path}')
        for i in shared:
            _add(entries[i].objects, others[files[i].name], absent[i])
    stills = tuple(entry.objects.still(files[i], entry.size) for i, entry in entries.items())
    dropped = sum(entry.objects.dropped for entry in entries.values())
    return check_stills(path, StillSet(classes, stills, dropped))


def _files(path: Path, entries: dict[Any, ImageEntry], folder: Path) -> dict[Any, Path]:
    """Return the file of each image, in the folder of its COCO split if there is one."""
    folders: dict[str, Path] = {}
    files = {}
    for identity, entry in entries.items():
        url = get_value(path, f'image {identity}', entry.image, 'coco_url', 'file_name')
        url_path = PurePosixPath(str(url))
        split = url_path.parent.name
        if split not in folders:
            folders[split] = folder / split if os.path.isdir(folder / split) else folder
        files[identity] = folders[split] / url_path.name
    return files


def _absent(path: Path, place: str, image: dict, labels: dict[int, int]) -> set[int]:
    """Return the labels that are known to be absent from an image."""
    ids = get_value(path, place, image, 'neg_category_ids')
    return {labels[i] for i in read_ids(path, place, 'neg_category_ids', ids) if i in labels}


def _read_coco(path: Path, label_of: dict[str, int]) -> dict[str, ImageObjects]:
    """Return COCO's annotations with LVIS labels, by image file name."""
    data = load_json(path)
    translated = {
        name: label_of[_LVIS_NAMES.get(name, name.replace(' ', '_'))]
        for name in coco_classes.CLASS_NAMES
    }
    names = category_names(path, data)
    if not translated.keys() & set(names.values()):
        raise FormatError(
            path,
            f'its categories are {first_names(names.values())}; expected those of COCO, '
            f'{first_names(coco_classes.CLASS_NAMES)}',
        )
    entries = read_entries(path, data, {i: translated.get(name) for i, name in names.items()})
    return {
        PurePosixPath(
            str(get_value(path, f'image {i}', entry.image, 'file_name'))
        ).name: entry.objects
        for i, entry in entries.items()
    }


def _add(own: ImageObjects, other: ImageObjects, absent: set[int]) -> None:
    """Add COCO's annotations to those of LVIS."""
    boxes, others = (np.array(objects.boxes).reshape(-1, 4) for objects in (own, other))
    same_class = np.array(other.labels)[:, None] == np.array(own.labels)  # [other, own]
    duplicate = (same_class & (box_iou(others, boxes) >= _SAME_OBJECT)).any(axis=1)
    for box, label, twice in zip(other.boxes, other.labels, duplicate.tolist()):
        if not twice and label not in absent:
            own.add(box, label, crowd=False)
    own.crowds += other.crowds
    own.dropped += other.dropped
