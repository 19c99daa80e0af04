# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MOTChallenge: a folder for each sequence; ground truth, detections and results as text."""

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
from gtr_ros.data.formats.text import check_whole
from gtr_ros.data.formats.text import parse_numbers
from gtr_ros.data.formats.text import read_lines
from gtr_ros.data.halves import HALVES
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth

_PEDESTRIAN, _NON_MOT_VEHICLE, _LAST_CLASS = 1, 6, 13
# Person on a vehicle, static person, distractor, reflection.
_DISTRACTORS = frozenset({2, 7, 8, 12})
_COLUMNS = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')


class BoxRow(NamedTuple):
    """
    One box of a text file.

    :param line: in the file, from 1
    :param frame: from 1
    :param box: xyxy, pixels
    :param rest: values of the other columns
    """

    line: int
    frame: int
    id: int
    box: tuple[float, float, float, float]
    score: float
    rest: tuple[float, ...]


def read_rows(path: Path, frames: int | None = None, ids: bool = True) -> list[BoxRow]:
    """
    Read a file of ground truth, detections or results.

    :param frames: number of frames of the sequence; None: unknown
    :param ids: whether the second column is an id; detections have -1 there
    :raises FormatError: names line and rule: a column is missing or not a number, a frame is not
        in the sequence, a box has no area, an id occurs twice in a frame, or frames do not ascend
        (with ids: those of each id, as MOT16 and later sort their ground truth)
    """
    rows = []
    seen: set[tuple[int, int]] = set()
    newest: dict[int, int] = defaultdict(int)
    for line, text in read_lines(path):
        cells = text.replace(',', ' ').split()
        others = (f'column {i + 1}' for i in range(len(_COLUMNS), len(cells)))
        values = parse_numbers(path, line, cells, (*_COLUMNS, *others))
        frame = check_whole(path, line, 'frame', values[0], 1)
        if frames is not None and frame > frames:
            raise FormatError(path, f'frame is {frame}, but the sequence has {frames}', line)
        identity = check_whole(path, line, 'id', values[1], 0) if ids else -1
        left, top, width, height, score = values[2:7]
        if width <= 0 or height <= 0:
            raise FormatError(
                path, f'width {width:g} and height {height:g} must both be above 0', line
            )
        if ids and (frame, identity) in seen:
            raise FormatError(path, f'id {identity} occurs twice in frame {frame}', line)
        seen.add((frame, identity))
        if frame < newest[identity]:
            owner = f' of id {identity}' if ids else ''
            raise FormatError(
                path,
                f'frames are out of order: frame {frame} after frame {newest[identity]}{owner}',
                line,
            )
        newest[identity] = frame
        box = (left, top, left + width, top + height)
        rows.append(BoxRow(line, frame, identity, box, score, tuple(values[7:])))
    return rows


def read_motchallenge(folder: str | Path, half: str | None = None) -> Sequence:
    """
    Read a sequence of MOT15, 16, 17 or 20, or any other in their format.

    The folder has `seqinfo.ini`, the ground truth in `gt/gt.txt` or `gt.txt`, and the frames in
    its `imDir` or one video file. Rows of 8 or 9 columns have MOT16's classes: pedestrians are
    counted; static persons, reflections and similar classes are distractors. Other rows have no
    class; those with confidence 0 do not count.

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
        raise FormatError(folder, 'no ground truth: neither gt/gt.txt nor gt.txt exists')
    count = info.get('seqlength') or (source and source.count)
    if source and source.count is not None and source.count < (count or 0):
        raise FormatError(
            folder,
            f'it has {source.count} images, but seqLength in seqinfo.ini is {count}; add the '
            'missing images, or correct seqLength',
        )
    rows = read_rows(truth_file, count)
    count = count or max((row.frame for row in rows), default=0)
    rate = info.get('framerate') or (source and source.rate)
    if not rate:
        raise FormatError(
            folder / 'seqinfo.ini', 'frameRate is missing, and there is no video to read it from'
        )
    size = (info.get('imheight'), info.get('imwidth'))
    if not all(size):
        if source is None:
            raise FormatError(folder / 'seqinfo.ini', 'imWidth and imHeight are missing')
        size = source.size
    name = info.get('name', folder.name)
    frames: list[list[BoxRow]] = [[] for _ in range(count)]
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
    Format the tracks of a frame as MOTChallenge text.

    :param frame: from 1
    :param boxes: (N, 4), xyxy, pixels
    :return: a line for each box: frame, id, left, top, width, height, score, -1, -1, -1; pixels
    """
    return [
        f'{frame},{identity},{x1:.2f},{y1:.2f},{x2 - x1:.2f},{y2 - y1:.2f},{score:.4f},-1,-1,-1\n'
        for identity, (x1, y1, x2, y2), score in zip(ids, boxes, scores, strict=True)
    ]


def _truth(path: Path, rows: list[BoxRow], mot20: bool) -> Truth:
    """Return the ground truth of a frame from its rows; raise FormatError for an unknown class."""
    kept, roles = [], []
    for row in rows:
        if len(row.rest) not in (1, 2):  # no classes: columns as in MOT15, or boxes only
            if row.score != 0:
                kept.append(row)
                roles.append(Role.COUNTED)
            continue
        kind = check_whole(path, row.line, 'class', row.rest[0], 1)
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
    """Return the values of seqinfo.ini, with numbers parsed; empty if there is no such file."""
    if not path.is_file():
        return {}
    parser = configparser.ConfigParser()
    try:
        parser.read(path, encoding='utf-8')
    except (configparser.Error, UnicodeDecodeError) as error:
        raise FormatError(path, f'not an ini file: {error}') from error
    if 'Sequence' not in parser:
        raise FormatError(path, 'section [Sequence] is missing')
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
    """Return whether a folder is a sequence of this format."""
    return any((folder / name).is_file() for name in ('seqinfo.ini', 'gt/gt.txt', 'gt.txt'))
