# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""CrowdHuman odgt files, with a line of JSON for each image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gtr_ros.data.coco.entries import get_value
from gtr_ros.data.coco.entries import read_flag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.text import read_lines
from gtr_ros.data.stills.still import check_stills
from gtr_ros.data.stills.still import first_names
from gtr_ros.data.stills.still import ImageObjects
from gtr_ros.data.stills.still import read_box
from gtr_ros.data.stills.still import StillSet
from gtr_ros.parsing import parse_json
from gtr_ros.parsing import ParseError

_PERSON = 'person'


def read_crowdhuman(
    annotations: str | Path, images: str | Path, class_names: Sequence[str] = (_PERSON,)
) -> StillSet:
    """
    Read full bodies, `fbox`, which may extend beyond the image or be occluded.

    Boxes with other tags, and boxes marked to be ignored, become crowds. Boxes are not clipped:
    the file does not contain the sizes of the images, and the images are not opened.

    :param images: folder of `ID.jpg`
    :param class_names: of the labels; 'person' must be one of them
    :raises FormatError: names the file, the line, and the rule
    """
    path, folder, classes = Path(annotations), Path(images), tuple(class_names)
    if _PERSON not in classes:
        raise FormatError(
            path, f'its only class is {_PERSON!r}; expected one of {first_names(classes)}'
        )
    label = classes.index(_PERSON)
    stills, dropped = [], 0
    lines: dict[str, int] = {}
    for number, text in read_lines(path):
        identity, objects = _entry(path, number, text)
        if identity in lines:
            raise FormatError(path, f'line {lines[identity]} already has ID {identity!r}', number)
        lines[identity] = number
        found = ImageObjects()
        for position, entry in enumerate(objects):
            place = f'line {number}, box {position} (from 0)'
            box = read_box(path, f'{place}, its fbox', get_value(path, place, entry, 'fbox'))
            person = get_value(path, place, entry, 'tag') == _PERSON
            ignored = read_flag(path, place, entry.get('extra') or {}, 'ignore')
            found.add(box, label, crowd=ignored or not person)
        stills.append(found.still(folder / f'{identity}.jpg'))
        dropped += found.dropped
    return check_stills(path, StillSet(classes, tuple(stills), dropped))


def _entry(path: Path, number: int, text: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the ID and the boxes of a line."""
    try:
        entry = parse_json(text)
    except ParseError as error:
        raise FormatError(path, str(error), number) from None
    if not isinstance(entry, dict):
        raise FormatError(path, 'expected an object with ID and gtboxes', number)
    identity, objects = (
        get_value(path, f'line {number}', entry, key) for key in ('ID', 'gtboxes')
    )
    if not isinstance(objects, list) or not all(map(_is_object, objects)):
        raise FormatError(
            path, 'gtboxes is not a list of objects, each with an object extra', number
        )
    return str(identity), objects


def _is_object(entry: Any) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get('extra') or {}, dict)
