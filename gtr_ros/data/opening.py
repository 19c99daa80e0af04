# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Open labelled sequences of any format by their paths."""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from pathlib import Path
from typing import NamedTuple

from gtr_ros.data.coco.videos import read_coco_video
from gtr_ros.data.formats.bag_paths import is_bag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.kitti import read_kitti
from gtr_ros.data.formats.motchallenge import has_motchallenge
from gtr_ros.data.formats.motchallenge import read_motchallenge
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import PREFIX as PEOPLE
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.data.synthetic.scene import PREFIX
from gtr_ros.file_kinds import address_scheme
from gtr_ros.file_kinds import describe_file
from gtr_ros.file_kinds import suggest_path
from gtr_ros.structures import Detections

_EXPECTED = (
    'Expected MOTChallenge folders (seqinfo.ini, gt), KITTI (label_02), a TAO or COCO video JSON, '
    'or a rosbag2'
)


class OpenedSequence(NamedTuple):
    """
    A labelled sequence.

    :param sequence: with the ground truth
    :param boxes: detections of each frame of a synthetic sequence; None for any other
    """

    sequence: Sequence
    boxes: list[Detections] | None = None


def open_sequences(
    source: str,
    half: str | None = None,
    images: str | Path | None = None,
    topics: tuple[str | None, str | None] = (None, None),
    class_names: tuple[str, ...] = ('person',),
) -> list[OpenedSequence]:
    """
    Open the sequences of a source.

    - a MOTChallenge folder, or a folder of such folders (only the FRCNN copy of each MOT17 video)
    - a KITTI label file, or the folder with `label_02`
    - a TAO or COCO video JSON
    - a rosbag2 folder or file, with images and a Detection2DArray of the ground truth
    - `synthetic` or `synthetic:objects=20,occlusion=2`: a drawn scene
    - `people` or `people:objects=20,camera=drive`: a scene of rendered people

    :param half: 'train' or 'val' half of each MOTChallenge sequence; None: all of it
    :param images: folder of a JSON's images; None: the JSON's own
    :param topics: of a bag, for images and ground truth; None: the only one of its kind
    :param class_names: of the ground truth in a bag
    :raises FormatError: if it cannot be read, or is none of these
    :raises ValueError: if a scene's numbers are out of range
    :raises DrawingError: if people are to be rendered, and OpenGL is not available
    """
    if half and _is_scene(source):
        raise FormatError(source, 'only MOTChallenge sequences have halves')
    if _has_prefix(source, PEOPLE):
        from gtr_ros.data.people import generate as generate_people

        return [OpenedSequence(generate_people(PeopleScene.parse(source)).sequence)]
    if _has_prefix(source, PREFIX):
        made = generate(Scene.parse(source))
        return [OpenedSequence(made.sequence, made.detections)]
    path = Path(source).expanduser()
    if not path.exists():
        raise FormatError(source, _missing(source, path))
    if half and not _is_motchallenge(path):
        raise FormatError(path, 'only MOTChallenge sequences have halves')
    if is_bag(path):
        from gtr_ros.data.formats.rosbag import read_rosbag

        return [OpenedSequence(read_rosbag(path, *topics, class_names=class_names))]
    return [OpenedSequence(sequence) for sequence in _read(path, half, images)]


def resolve_source(source: str, folder: Path) -> str:
    """Return a source for `open_sequences`; a path is taken relative to the folder."""
    return source if _is_scene(source) else str(folder / source)


def _is_scene(source: str) -> bool:
    return _has_prefix(source, PREFIX) or _has_prefix(source, PEOPLE)


def _missing(source: str, path: Path) -> str:
    if address_scheme(source):
        return 'an address; download it, and give its path'
    return f'there is no such file or folder{suggest_path(path)}'


def _has_prefix(source: str, prefix: str) -> bool:
    return source == prefix or source.startswith(f'{prefix}:')


def _read(path: Path, half: str | None, images: str | Path | None) -> SequenceOf[Sequence]:
    if path.suffix == '.json':
        return read_coco_video(path, images)
    if path.suffix == '.txt':
        return [read_kitti(path)]
    if (path / 'label_02').is_dir():
        return [read_kitti(file) for file in sorted((path / 'label_02').glob('*.txt'))]
    if path.is_file():
        kind = describe_file(path) or 'of an unknown kind'
        raise FormatError(path, f'is {kind}. {_EXPECTED}')
    if has_motchallenge(path):
        return [read_motchallenge(path, half)]
    folders = _motchallenge_folders(path)
    if not folders:
        raise FormatError(path, f'not a known data set. {_EXPECTED}')
    return [read_motchallenge(folder, half) for folder in folders]


def _is_motchallenge(path: Path) -> bool:
    return path.is_dir() and (has_motchallenge(path) or bool(_motchallenge_folders(path)))


def _motchallenge_folders(path: Path) -> list[Path]:
    """Return the sequences in a folder, with only one copy of each MOT17 video."""
    folders = sorted(f for f in path.iterdir() if f.is_dir() and has_motchallenge(f))
    names = {f.name for f in folders}

    def copied(folder: Path) -> bool:
        video, _, detector = folder.name.rpartition('-')
        return detector in ('DPM', 'SDP') and f'{video}-FRCNN' in names

    return [f for f in folders if not copied(f)]
