# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""KITTI tracking: a text file for each sequence, cars and pedestrians."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gtr_ros.box_checks import area_fault
from gtr_ros.box_checks import boxes_fault
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.text import check_whole
from gtr_ros.data.formats.text import parse_numbers
from gtr_ros.data.formats.text import read_lines
from gtr_ros.data.sequence import MOST_FRAMES
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth

#: evaluated classes, with COCO's names
CLASS_NAMES = ('car', 'person')
# For each type: its label, and whether it is evaluated or only similar to the evaluated class.
_KINDS = {
    'car': (0, Role.COUNTED),
    'van': (0, Role.DISTRACTOR),
    'pedestrian': (1, Role.COUNTED),
    'person': (1, Role.DISTRACTOR),
    'person_sitting': (1, Role.DISTRACTOR),
}
_OTHERS = ('truck', 'cyclist', 'tram', 'misc')
_COLUMNS = ('truncated', 'occluded', 'alpha', 'left', 'top', 'right', 'bottom')
_MAX_OCCLUSION, _MAX_TRUNCATION, _MIN_HEIGHT, _RATE = 2, 0, 25.0, 10.0
_SIZE = (375, 1242)  # size of most images; used if the images are missing


def read_kitti(path: str | Path) -> Sequence:
    """
    Read the labels of one sequence, `label_02/0000.txt`; its frames in `image_02/0000/`.

    Vans and sitting persons are distractors, and so are objects with occlusion above 2 or
    truncation above 0. Unmatched results in a DontCare region, or up to 25 pixels high, are not
    counted.

    :raises FormatError: names file, line and rule
    """
    path = Path(path)
    rows: dict[int, list[tuple]] = {}
    regions: dict[int, list[list[float]]] = {}
    seen: set[tuple[int, int]] = set()
    last = 0
    for line, text in read_lines(path):
        cells = text.split()
        if len(cells) < 10:
            raise FormatError(
                path,
                f'a row has {len(cells)} columns; expected 10 or more (frame id type '
                f'{" ".join(_COLUMNS)} ...)',
                line,
            )
        frame, identity = parse_numbers(path, line, cells[:2], ('frame', 'id'))
        frame = check_whole(path, line, 'frame', frame, 0, MOST_FRAMES - 1)
        identity = check_whole(path, line, 'id', identity, -1)
        if frame < last:
            raise FormatError(
                path, f'frames are out of order: frame {frame} after frame {last}', line
            )
        last = frame
        truncated, occluded, _, *box = parse_numbers(path, line, cells[3:10], _COLUMNS)
        if fault := area_fault(*box):
            raise FormatError(path, f'right must be above left, bottom above top: {fault}', line)
        kind = cells[2].lower()
        if kind == 'dontcare':
            regions.setdefault(frame, []).append(box)
            continue
        if kind not in (*_KINDS, *_OTHERS):
            kinds = ', '.join((*_KINDS, *_OTHERS, 'dontcare'))
            raise FormatError(path, f'type is {cells[2]!r}; expected one of {kinds}', line)
        if identity < 0:
            raise FormatError(path, f'id is -1, which only DontCare may have, not {kind}', line)
        if (frame, identity) in seen:
            raise FormatError(path, f'id {identity} occurs twice in frame {frame}', line)
        seen.add((frame, identity))
        if kind in _KINDS:
            label, role = _KINDS[kind]
            if occluded > _MAX_OCCLUSION or truncated > _MAX_TRUNCATION:
                role = Role.DISTRACTOR
            rows.setdefault(frame, []).append((identity, box, label, role))
    source = frame_folder(path.parent.parent / 'image_02' / path.stem, 0, None, last)
    size = source.size if source else _SIZE
    every = [row[1] for found in rows.values() for row in found]
    fault = boxes_fault(np.array(every), size)
    if fault:
        raise FormatError(path, f'{fault}; expected left, top, right, bottom in pixels')
    count = max(last + 1, source.count if source else 0)
    truth, nothing = [], Truth.of([], [])
    for t in range(count):
        ids, boxes, labels, roles = zip(*rows[t]) if t in rows else ((), (), (), ())
        labelled = t in rows or t in regions
        frame_truth = Truth.of(ids, boxes, labels, roles, regions.get(t)) if labelled else nothing
        truth.append(frame_truth)
    return Sequence(
        name=path.stem,
        class_names=CLASS_NAMES,
        image_size=size,
        frame_rate=_RATE,
        truth=tuple(truth),
        stamps=regular_stamps(count, _RATE),
        images=source.images if source else None,
        image_key=source.key if source else '',
        min_height=_MIN_HEIGHT,
    )
