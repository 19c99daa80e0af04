# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MOTChallenge: one folder a sequence, its truth, detections and results as rows of text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
import configparser
from pathlib import Path
from typing import NamedTuple

from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.images import video_file
from gtr_ros.data.formats.text import numbers
from gtr_ros.data.formats.text import read_lines
from gtr_ros.data.formats.text import whole
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth

_PEDESTRIAN, _NON_MOT_VEHICLE, _LAST_CLASS = 1, 6, 13
# Person on a vehicle, static person, distractor, reflection.
_DISTRACTORS = frozenset({2, 7, 8, 12})
_COLUMNS = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')

#: halves of a sequence, as the paper splits MOT17 for its validation
HALVES = ('train', 'val')


class Row(NamedTuple):
    """One box of a text file: its line, frame from 1, id, xyxy in pixels, score and the rest."""

    line: int
    frame: int
    id: int
    box: tuple[float, float, float, float]
    score: float
    rest: tuple[float, ...]


def read_rows(path: Path, frames: int | None = None, ids: bool = True) -> list[Row]:
    """
    Read a truth, detection or result file.

    :param frames: of the sequence; None: not known
    :param ids: whether the second column says who it is; detections have -1 there
    :raises FormatError: names line and rule: a column missing or no number, a frame outside of the
        sequence, a box without area, an id twice in a frame, frames not in ascending order (where
        there are ids: of each id, which is how MOT16 and later sort their truth)
    """
    rows = []
    seen: set[tuple[int, int]] = set()
    newest: dict[int, int] = defaultdict(int)
    for line, text in read_lines(path):
        cells = text.replace(',', ' ').split()
        more = (f'column {i + 1}' for i in range(len(_COLUMNS), len(cells)))
        values = numbers(path, line, cells, (*_COLUMNS, *more))
        frame = whole(path, line, 'frame', values[0], 1)
        if frames is not None and frame > frames:
            raise FormatError(path, f'frame is {frame}, but the sequence has {frames}', line)
        identity = whole(path, line, 'id', values[1], 0) if ids else -1
        left, top, width, height, score = values[2:7]
        if width <= 0 or height <= 0:
            raise FormatError(
                path, f'width {width:g} and height {height:g} must both be above 0', line
            )
        if ids and (frame, identity) in seen:
            raise FormatError(path, f'id {identity} comes a second time in frame {frame}', line)
        seen.add((frame, identity))
        if frame < newest[identity]:
            whose = f' of id {identity}' if ids else ''
            raise FormatError(
                path,
                f'frames are out of order: frame {frame} after frame {newest[identity]}{whose}',
                line,
            )
        newest[identity] = frame
        box = (left, top, left + width, top + height)
        rows.append(Row(line, frame, identity, box, score, tuple(values[7:])))
    return rows


def read_motchallenge(folder: str | Path, half: str | None = None) -> Sequence:
    """
    Read a sequence of MOT15, 16, 17 or 20, or anything in their form.

    The folder holds `seqinfo.ini`, the truth in `gt/gt.txt` or `gt.txt`, and the frames in its
    `imDir` or one video file. Rows of 8 or 9 columns have MOT16's classes: pedestrians are
    counted, static persons, reflections and the like are distractors. Other rows have no class;
    those of confidence 0 do not count.

    :param half: 'train' (frames 0 to N // 2) or 'val' (the others); None: all
    :raises FormatError: names file, line and rule
    """
    folder = Path(folder)
    if half not in (None, *HALVES):
        raise ValueError(f'half is {half!r}; expected one of {", ".join(HALVES)}')
    info = _read_info(folder / 'seqinfo.ini')
    source = frame_folder(folder / info.get('imdir', 'img1')) or video_file(folder)
    truth_file = next(
        (f for f in (folder / 'gt' / 'gt.txt', folder / 'gt.txt') if f.is_file()), None
    )
    if truth_file is None:
        raise FormatError(folder, 'no truth: neither gt/gt.txt nor gt.txt is there')
    count = info.get('seqlength') or (source and source.count)
    rows = read_rows(truth_file, count)
    count = count or max((row.frame for row in rows), default=0)
    rate = info.get('framerate') or (source and source.rate)
    if not rate:
        raise FormatError(folder / 'seqinfo.ini', 'frameRate is not given, and no video says it')
    size = (info.get('imheight'), info.get('imwidth'))
    if not all(size):
        if source is None:
            raise FormatError(folder / 'seqinfo.ini', 'imWidth and imHeight are not given')
        size = source.size
    name = info.get('name', folder.name)
    frames: list[list[Row]] = [[] for _ in range(count)]
    for row in rows:
        frames[row.frame - 1].append(row)
    sequence = Sequence(
        name=name,
        class_names=('person',),
        image_size=size,
        frame_rate=float(rate),
        truth=tuple(_truth(truth_file, f, name.startswith('MOT20')) for f in frames),
        stamps=regular_stamps(count, rate),
        images=source.images if source else None,
        image_key=source.key if source else '',
    )
    if half is None:
        return sequence
    middle = count // 2 + 1
    chosen = range(middle) if half == 'train' else range(middle, count)
    return sequence.select(chosen, f'{name}-{half}')


def result_rows(
    frame: int,
    ids: Iterable[int],
    boxes: SequenceOf[SequenceOf[float]],
    scores: Iterable[float],
) -> list[str]:
    """
    Write the tracks of a frame as MOTChallenge text.

    :param frame: from 1
    :param boxes: (N, 4), xyxy, pixels
    :return: a line for each box: frame, id, left, top, width, height, score, -1, -1, -1; pixels
    """
    return [
        f'{frame},{identity},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n'
        for identity, (x1, y1, x2, y2), score in zip(ids, boxes, scores, strict=True)
    ]


def _truth(path: Path, rows: list[Row], mot20: bool) -> Truth:
    """Make the truth of a frame of its rows; raise FormatError for an unknown class."""
    kept, roles = [], []
    for row in rows:
        if len(row.rest) not in (1, 2):  # no classes: MOT15's columns, or none but the box
            if row.score != 0:
                kept.append(row)
                roles.append(Role.COUNTED)
            continue
        kind = whole(path, row.line, 'class', row.rest[0], 1)
        if kind > _LAST_CLASS:
            raise FormatError(
                path, f'class is {kind}; expected one of MOTChallenge, 1 to 13', row.line
            )
        kept.append(row)
        if kind in _DISTRACTORS or (mot20 and kind == _NON_MOT_VEHICLE):
            roles.append(Role.DISTRACTOR)
        else:
            counted = kind == _PEDESTRIAN and row.score != 0
            roles.append(Role.COUNTED if counted else Role.VOID)
    return Truth.of([row.id for row in kept], [row.box for row in kept], roles=roles)


def _read_info(path: Path) -> dict:
    """Read what seqinfo.ini says, numbers as such; without the file nothing."""
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser()
    try:
        parser.read(path, encoding='utf-8')
    except (configparser.Error, UnicodeDecodeError) as error:
        raise FormatError(path, f'not an ini file: {error}') from error
    if 'Sequence' not in parser:
        raise FormatError(path, 'there is no section [Sequence]')
    info: dict = dict(parser['Sequence'])
    kinds = {'framerate': float, 'seqlength': int, 'imwidth': int, 'imheight': int}
    for key, kind in kinds.items():
        if key in info:
            try:
                info[key] = kind(info[key])
            except ValueError:
                info[key] = 0
            if not info[key] > 0:
                raise FormatError(path, f'{key} must be a number above 0')
    return info


def has_motchallenge(folder: Path) -> bool:
    """Tell whether a folder is a sequence of this form."""
    return any((folder / name).is_file() for name in ('seqinfo.ini', 'gt/gt.txt', 'gt.txt'))
