# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""MOTChallenge: a folder for each sequence; ground truth, detections and results as text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
import configparser
from fractions import Fraction
import math
import os
from pathlib import Path
import re
from typing import NamedTuple

import numpy as np

from gtr_ros.box_checks import area_fault
from gtr_ros.box_checks import boxes_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import frame_folder
from gtr_ros.data.formats.images import ImageSource
from gtr_ros.data.formats.images import video_file
from gtr_ros.data.formats.text import check_whole
from gtr_ros.data.formats.text import parse_numbers
from gtr_ros.data.formats.text import read_lines
from gtr_ros.data.formats.text import read_text
from gtr_ros.data.formats.text import split_row
from gtr_ros.data.halves import HALVES
from gtr_ros.data.sequence import MOST_FRAMES
from gtr_ros.data.sequence import RATES
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.input_warning import first_of
from gtr_ros.media.image_files import is_frame

_PEDESTRIAN, _NON_MOT_VEHICLE, _LAST_CLASS = 1, 6, 13
# Person on a vehicle, static person, distractor, reflection.
_DISTRACTORS = frozenset({2, 7, 8, 12})
_LARGEST_SIDE = 2**20  # of an image, pixels
_BOX = 'left, top, width, height in pixels'
_COLUMNS = ('frame', 'id', 'left', 'top', 'width', 'height', 'confidence')
_FLAG = _COLUMNS.index('confidence')
_FLAGS = {'true': '1', 'yes': '1', 'on': '1', 'false': '0', 'no': '0', 'off': '0'}
_COMMENTS = ('#', '//', '%')


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

    What follows a #, lines that begin with // or %, and a first line of column names are left
    out. The seventh column is the score of a detection, from 0 to 1. In ground truth it is a flag,
    also as a word (true, no): boxes with 0 are not considered, whatever other number the others
    have. The columns after it are -1 where the
    format does not use them.

    :param frames: number of frames of the sequence; None: unknown
    :param ids: whether the second column is an id; detections have -1 there
    :raises FormatError: names line and rule: a column is missing or not a number, a frame is not
        in the sequence, a box has no area, a score of a detection is not in [0, 1], an id occurs
        twice in a frame, or frames do not ascend (with ids: those of each id, as MOT16 and later
        sort their ground truth)
    """
    rows: list[BoxRow] = []
    seen: set[tuple[int, int]] = set()
    newest: dict[int, int] = defaultdict(int)
    for line, text in read_lines(path):
        cells = split_row(text.partition('#')[0])
        if text.startswith(_COMMENTS) or (not rows and line == 1 and all(map(_is_name, cells))):
            continue
        if ids and len(cells) > _FLAG:
            cells[_FLAG] = _FLAGS.get(cells[_FLAG].strip('"\'').lower(), cells[_FLAG])
        others = (f'column {i + 1}' for i in range(len(_COLUMNS), len(cells)))
        values = parse_numbers(path, line, cells, (*_COLUMNS, *others))
        frame = check_whole(path, line, 'frame', values[0], 1, MOST_FRAMES)
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
        if fault := area_fault(*box):
            raise FormatError(path, fault, line)
        rows.append(BoxRow(line, frame, identity, box, score, tuple(values[7:])))
    fault = None if ids else scores_fault(np.array([row.score for row in rows]))
    if fault:
        raise FormatError(path, fault[1], rows[fault[0]].line)
    return rows


def _is_name(cell: str) -> bool:
    return cell.strip('"\'')[:1].isalpha() and cell.lower() not in ('nan', 'inf', 'infinity')


def read_motchallenge(folder: str | Path, half: str | None = None) -> Sequence:
    """
    Read a sequence of MOT15, 16, 17 or 20, or any other in their format.

    The folder has `seqinfo.ini`, the ground truth in `gt/gt.txt` or `gt.txt`, and the frames in
    its `imDir` or one video file. Images are frames by the numbers in their names, see
    `gtr_ros.data.formats.images.frame_folder`; with `imExt`, only files of that suffix.

    Rows of 8 or 9 columns have MOT16's classes: pedestrians are counted; static persons,
    reflections and similar classes are distractors. Other rows have no class; those with
    confidence 0 do not count.

    :param half: 'train' (frames 0 to N // 2) or 'val' (the others); None: all
    :raises FormatError: names file, line and rule
    """
    folder = Path(folder)
    if half not in (None, *HALVES):
        raise ValueError(f'half is {half!r}; expected one of {", ".join(HALVES)}')
    info = _read_info(folder / 'seqinfo.ini')
    truth_file = next(
        (f for f in (folder / 'gt' / 'gt.txt', folder / 'gt.txt') if f.is_file()), None
    )
    if truth_file is None:
        raise FormatError(folder, 'no ground truth: neither gt/gt.txt nor gt.txt exists')
    length = info.get('seqlength')
    rows = read_rows(truth_file, length)
    labelled = max((row.frame for row in rows), default=0)
    source = _images(folder, info, length, labelled)
    count = length or (source and source.count) or labelled
    if source and source.count is not None and not labelled <= source.count >= count:
        raise FormatError(
            folder,
            f'its video has {source.count} frames, but there are {max(count, labelled)} in '
            'seqinfo.ini (seqLength) or the ground truth',
        )
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
    elif source and source.size != size:
        raise FormatError(
            folder,
            f'its video is {source.size[1]} x {source.size[0]} pixels, but imWidth x imHeight in '
            f'seqinfo.ini are {size[1]} x {size[0]}; boxes refer to the pixels of the video',
        )
    fault = boxes_fault(np.array([row.box for row in rows]), size)
    if fault:
        raise FormatError(truth_file, f'{fault}; expected {_BOX}')
    name = info.get('name', folder.name)
    mot20 = name.startswith('MOT20')
    frames: dict[int, list[BoxRow]] = defaultdict(list)
    for row in rows:
        frames[row.frame].append(row)
    nothing = _truth(truth_file, [], mot20)
    sequence = Sequence(
        name=name,
        class_names=('person',),
        image_size=size,
        frame_rate=float(rate),
        truth=tuple(
            _truth(truth_file, frames[t], mot20) if t in frames else nothing
            for t in range(1, count + 1)
        ),
        stamps=regular_stamps(count, rate),
        images=source.images if source else None,
        image_key=source.key if source else '',
    )
    if half is None:
        return sequence
    middle = count // 2 + 1
    chosen = range(middle) if half == 'train' else range(middle, count)
    return sequence.select(chosen, f'{name}-{half}')


def _images(folder: Path, info: dict, length: int | None, labelled: int) -> ImageSource | None:
    """Return the frames in `imDir`, or the video instead of them; None if there are none."""
    size = (info.get('imheight'), info.get('imwidth'))
    stated = info.get('imdir')
    images = _subfolder(folder, stated or 'img1')
    if images is not None:
        source = frame_folder(
            images, 1, length, labelled, info.get('imext'), size if all(size) else None
        )
        if source is not None:
            return source
    source = video_file(folder)
    if source is None and stated:
        others = [f for f in sorted(folder.iterdir()) if f.is_dir() and f != images]
        filled = [f.name for f in others if any(map(is_frame, f.iterdir()))]
        if filled:
            raise FormatError(
                folder / 'seqinfo.ini',
                f'imDir is {stated}, which has no images; {first_of(filled)} has some',
            )
    return source


def _subfolder(folder: Path, name: str) -> Path | None:
    """Return a folder in a folder; one that differs only in case if there is no other."""
    # Paths of Windows, and a / at the end, occur.
    path = folder / name.replace('\\', '/')
    if os.path.isdir(path):  # unlike Path.is_dir, it also takes names that no folder can have
        return path
    return next(
        (f for f in folder.iterdir() if f.is_dir() and f.name.lower() == path.name.lower()), None
    )


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
    # Without interpolation, a % is a character like others.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    text = read_text(path)
    try:
        try:
            parser.read_string(text, str(path))
        except configparser.MissingSectionHeaderError:
            parser.read_string(f'[Sequence]\n{text}', str(path))
    except configparser.Error as error:
        told = ' '.join(str(error).split())
        raise FormatError(path, f'not an ini file: {told}') from error
    section = next((s for s in parser.sections() if s.strip().lower() == 'sequence'), None)
    if section is None:
        raise FormatError(path, 'section [Sequence] is missing')
    info: dict = {key: value.strip('"\'') for key, value in parser[section].items() if value}
    limits = {'framerate': RATES, 'seqlength': (1, MOST_FRAMES)}
    for key in (*limits, 'imwidth', 'imheight'):
        if key in info:
            # A comment after a value, or 30000/1001.
            written = re.split(r'\s[;#]', info[key])[0].strip(' ,"\'')
            try:
                value = float(Fraction(written) if '/' in written else written)
            except (ValueError, ZeroDivisionError):
                value = 0.0
            if not 0 < value < math.inf:
                raise FormatError(path, f'{key} must be a number above 0, not {info[key]!r}')
            if key != 'framerate':
                if value != int(value):
                    raise FormatError(path, f'{key} must be a whole number, not {info[key]!r}')
                value = int(value)
            low, high = limits.get(key, (1, _LARGEST_SIDE))
            if not low <= value <= high:
                raise FormatError(path, f'{key} is {value:g}; expected {low:g} to {high:g}')
            info[key] = value
    return info


def has_motchallenge(folder: Path) -> bool:
    """Return whether a folder is a sequence of this format."""
    return any((folder / name).is_file() for name in ('seqinfo.ini', 'gt/gt.txt', 'gt.txt'))
