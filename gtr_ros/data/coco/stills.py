# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""COCO's JSON of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import NamedTuple

from gtr_ros.data.coco.entries import by_id
from gtr_ros.data.coco.entries import get
from gtr_ros.data.coco.entries import is_whole
from gtr_ros.data.coco.entries import known
from gtr_ros.data.coco.entries import load_entries
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.stills.still import checked
from gtr_ros.data.stills.still import few
from gtr_ros.data.stills.still import ImageObjects
from gtr_ros.data.stills.still import read_box
from gtr_ros.data.stills.still import StillSet


def read_coco(
    annotations: str | Path,
    images: str | Path | None = None,
    class_names: Sequence[str] | None = None,
) -> StillSet:
    """
    Read COCO's JSON; boxes end at the image's border, and those with `iscrowd` are crowds.

    Images without a box are kept.

    :param images: folder; None: the one of the file's name, `val.json` -> `val/`
    :param class_names: that are learnt, others are left out; None: all, in order of their ids
    :raises FormatError: names the file, the entry by its id, and the rule
    """
    path = Path(annotations)
    data = load_json(path)
    names = category_names(path, data)
    classes = tuple(names[i] for i in sorted(names)) if class_names is None else tuple(class_names)
    label_of = {name: label for label, name in enumerate(classes)}
    labels = {identity: label_of.get(name) for identity, name in names.items()}
    if all(label is None for label in labels.values()):
        raise FormatError(
            path, f'its categories are {few(names.values())}; expected one of {few(classes)}'
        )
    folder = path.with_suffix('') if images is None else Path(images)
    entries = read_entries(path, data, labels)
    stills = []
    for identity, entry in entries.items():
        name = str(get(path, f'image {identity}', entry.image, 'file_name'))
        stills.append(entry.found.still(folder / name, entry.size))
    dropped = sum(entry.found.dropped for entry in entries.values())
    return checked(path, StillSet(classes, tuple(stills), dropped))


class Entry(NamedTuple):
    """
    An image of the JSON.

    :param image: its entry in `images`
    :param size: (height, width), pixels
    :param found: what is labelled in it
    """

    image: dict[str, Any]
    size: tuple[int, int]
    found: ImageObjects


def load_json(path: Path) -> dict[str, list[dict]]:
    """Read the lists of the JSON, each of objects."""
    return load_entries(path, ('images', 'annotations', 'categories'))


def category_names(path: Path, data: dict[str, list[dict]]) -> dict[int, str]:
    """
    Return the name of each category by its id.

    :raises FormatError: if an id is no whole number, or two have the same name
    """
    names: dict[int, str] = {}
    taken: dict[str, int] = {}
    for identity, category in by_id(path, 'category', data['categories']).items():
        if not is_whole(identity):
            raise FormatError(path, f'category {identity!r}: id is not a whole number')
        name = str(get(path, f'category {identity}', category, 'name'))
        if name in taken:
            raise FormatError(
                path, f'category {identity}: name {name!r} is that of category {taken[name]}'
            )
        taken[name] = identity
        names[identity] = name
    return names


def read_entries(
    path: Path, data: dict[str, list[dict]], labels: Mapping[int, int | None]
) -> dict[Any, Entry]:
    """
    Return the images by id, in the file's order.

    :param labels: of each category by its id; None: it is left out
    :raises FormatError: names the entry by its id, and the rule
    """
    entries = {
        identity: Entry(image, _size(path, f'image {identity}', image), ImageObjects())
        for identity, image in by_id(path, 'image', data['images']).items()
    }
    for identity, annotation in by_id(path, 'annotation', data['annotations']).items():
        place = f'annotation {identity}'
        entry = entries[known(path, place, annotation, 'image', entries)]
        label = labels[known(path, place, annotation, 'category', labels)]
        box = read_box(path, place, get(path, place, annotation, 'bbox'), entry.size)
        if label is not None:
            entry.found.add(box, label, bool(annotation.get('iscrowd')))
    return entries


def _size(path: Path, place: str, image: dict) -> tuple[int, int]:
    height, width = (get(path, place, image, side) for side in ('height', 'width'))
    if not all(is_whole(side) and side >= 1 for side in (height, width)):
        raise FormatError(
            path,
            f'{place}: height and width are {height!r} and {width!r}; expected whole numbers '
            'from 1',
        )
    return height, width
