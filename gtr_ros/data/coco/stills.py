# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Labelled images in COCO JSON."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np

from gtr_ros.box_checks import boxes_fault
from gtr_ros.data.coco.entries import as_whole
from gtr_ros.data.coco.entries import get_reference
from gtr_ros.data.coco.entries import get_value
from gtr_ros.data.coco.entries import index_by_id
from gtr_ros.data.coco.entries import load_entries
from gtr_ros.data.coco.entries import read_flag
from gtr_ros.data.coco.entries import read_numbers
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.stills.still import check_stills
from gtr_ros.data.stills.still import first_names
from gtr_ros.data.stills.still import ImageObjects
from gtr_ros.data.stills.still import read_box
from gtr_ros.data.stills.still import StillSet


def read_coco(
    annotations: str | Path,
    images: str | Path | None = None,
    class_names: Sequence[str] | None = None,
) -> StillSet:
    """
    Read COCO JSON; boxes are clipped to the image, and those with `iscrowd` are crowds.

    Images without a box are kept.

    :param images: folder; None: the folder with the name of the file, `val/` for `val.json`
    :param class_names: classes to read, others are left out; None: all, in order of their ids.
        Upper and lower case differ only if there are classes of both
    :raises FormatError: names the file, the entry by its id, and the rule
    """
    path = Path(annotations)
    data = load_json(path)
    names = category_names(path, data)
    classes = tuple(names[i] for i in sorted(names)) if class_names is None else tuple(class_names)
    plain_label_of = {name.strip().lower(): label for label, name in enumerate(classes)}
    label_of = {name: label for label, name in enumerate(classes)}
    labels = {
        identity: label_of.get(name, plain_label_of.get(name.strip().lower()))
        for identity, name in names.items()
    }
    if all(label is None for label in labels.values()):
        raise FormatError(
            path,
            f'its categories are {first_names(names.values())}; expected one of '
            f'{first_names(classes)}',
        )
    folder = path.with_suffix('') if images is None else Path(images)
    entries = read_entries(path, data, labels)
    stills = []
    for identity, entry in entries.items():
        name = str(get_value(path, f'image {identity}', entry.image, 'file_name'))
        stills.append(entry.objects.still(folder / name, entry.size))
    dropped = sum(entry.objects.dropped for entry in entries.values())
    return check_stills(path, StillSet(classes, tuple(stills), dropped))


class ImageEntry(NamedTuple):
    """
    An image in the JSON, with its annotations.

    :param image: its entry in `images`
    :param size: (height, width), pixels
    :param objects: annotated in it
    """

    image: dict[str, Any]
    size: tuple[int, int]
    objects: ImageObjects


def load_json(path: Path) -> dict[str, list[dict]]:
    """Read the JSON's lists of objects."""
    return load_entries(path, ('images', 'annotations', 'categories'))


def category_names(path: Path, data: dict[str, list[dict]]) -> dict[int, str]:
    """
    Return the name of each category by its id.

    :raises FormatError: if an id is not a whole number, or two have the same name
    """
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for identity, category in index_by_id(path, 'category', data['categories']).items():
        if not isinstance(identity, int):
            raise FormatError(path, f'category {identity!r}: id is not a whole number')
        name = str(get_value(path, f'category {identity}', category, 'name'))
        if name in taken:
            raise FormatError(
                path,
                f'category {identity}: category {taken[name]} already has name {name!r}',
            )
        taken[name] = identity
        names[identity] = name
    return names


def read_entries(
    path: Path, data: dict[str, list[dict]], labels: Mapping[int, int | None]
) -> dict[Any, ImageEntry]:
    """
    Return the images by id, in the file's order.

    :param labels: of each category by its id; None: the category is left out
    :raises FormatError: names the entry by its id, and the rule
    """
    entries = {
        identity: ImageEntry(image, _size(path, f'image {identity}', image), ImageObjects())
        for identity, image in index_by_id(path, 'image', data['images']).items()
    }
    corners, sizes = [], []
    for identity, annotation in index_by_id(path, 'annotation', data['annotations']).items():
        place = f'annotation {identity}'
        entry = entries[get_reference(path, place, annotation, 'image', entries)]
        label = labels[get_reference(path, place, annotation, 'category', labels)]
        bbox = get_value(path, place, annotation, 'bbox')
        box = read_box(path, place, bbox, entry.size)
        if box is not None:
            x, y, width, height = read_numbers(bbox)
            corners.append((x, y, x + width, y + height))
            sizes.append(entry.size)
        if label is not None:
            entry.objects.add(box, label, read_flag(path, place, annotation, 'iscrowd'))
    fault = boxes_fault(np.array(corners), np.array(sizes))
    if fault:
        raise FormatError(path, f'{fault}; expected bbox as x, y, width, height in pixels')
    return entries


def _size(path: Path, place: str, image: dict) -> tuple[int, int]:
    given = [get_value(path, place, image, side) for side in ('height', 'width')]
    height, width = map(as_whole, given)
    if height is None or width is None or min(height, width) < 1:
        raise FormatError(
            path,
            f'{place}: height and width are {given[0]!r} and {given[1]!r}; expected whole numbers '
            'from 1',
        )
    return height, width
