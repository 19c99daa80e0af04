# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a source is: a video, a camera, a bag, or images; imports neither torch nor rosbags."""

from __future__ import annotations

from collections.abc import Sequence
import glob
import os
from pathlib import Path
import re

from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.file_kinds import address_scheme
from gtr_ros.media.image_files import FRAME_SUFFIXES
from gtr_ros.media.image_files import is_frame
from gtr_ros.media.image_files import natural_order


def opens_as_bag(source: str | os.PathLike) -> bool:
    """
    Return whether a source is opened as a bag: a .mcap or .db3 file, or a folder with one.

    Files that were compressed as a whole, .mcap.zstd, are bags, too.
    """
    path = Path(source)
    if not path.is_dir():
        return path.name.removesuffix('.zstd').endswith(STORAGE_SUFFIXES)
    # A folder of anything else is opened as a bag, too: its reader says what is missing.
    return _has_bag(path) or not _images_in(path)


def is_camera(source: str) -> bool:
    """Return whether a source is a camera: a number, or a device."""
    return source.isdecimal() or source.startswith('/dev/')


def image_files(source: str | os.PathLike) -> list[Path] | None:
    """
    Return the files of a recording of images, in natural order of their names.

    :param source: a folder with images, a glob such as `frames/*.jpg`, or an image
    :return: None if the source is something else
    :raises ValueError: if no image matches a glob
    """
    path = Path(source)
    if path.is_dir():
        return None if _has_bag(path) else _images_in(path) or None
    if path.exists():
        return [path] if is_frame(path) else None
    if not glob.has_magic(str(source)) or address_scheme(str(source)):
        return None
    files = [Path(name) for name in glob.glob(str(source))]
    images = [file for file in files if is_frame(file)]
    if not images:
        found = f'{files[0]} is none' if files else 'no file does'
        raise ValueError(f'no image matches {source}: {found}; expected {_suffixes()}')
    return sorted(images, key=natural_order)


def gather_images(sources: Sequence[str]) -> list[str]:
    """
    Return sources with the images of a folder joined to one recording: a glob that has just them.

    A shell expands `frames/*.jpg` to many sources, which are one recording nevertheless.

    :raises ValueError: if no glob has just these images of a folder
    """
    groups: dict[str, list[str]] = {}
    for source in sources:
        alone = is_frame(Path(source)) and Path(source).is_file()
        # The others stay alone: no folder is named like a source.
        key = f'{Path(source).parent}{os.sep}' if alone else source
        groups.setdefault(key, []).append(source)
    return [_glob_of(group) for group in groups.values()]


def recording_name(source: str) -> str:
    """Return the name of a recording in a folder of results: `video` for `a/video.mp4`."""
    path = Path(source)
    if not glob.has_magic(source) or path.exists():
        return path.stem
    # frames for frames/*.jpg, frames_left for frames/left_*.jpg
    rest = re.sub(r'[^\w-]+', '', re.sub(r'\[.*?\]', '', path.stem)).strip('_-')
    return f'{path.parent.name}_{rest}' if rest else path.parent.name or 'images'


def files_of(source: str) -> list[Path]:
    """Return the files and folders of a recording, to detect that it has changed."""
    path = Path(source)
    if path.is_dir():
        return [path, *path.rglob('*')]
    if not path.exists() and glob.has_magic(source):
        return [Path(name) for name in glob.glob(source)]
    return [path]


def _has_bag(folder: Path) -> bool:
    return (folder / 'metadata.yaml').is_file() or any(
        file.suffix in STORAGE_SUFFIXES for file in folder.iterdir()
    )


def _images_in(folder: Path) -> list[Path]:
    return sorted(filter(is_frame, folder.iterdir()), key=natural_order)


def _suffixes() -> str:
    return ', '.join(FRAME_SUFFIXES[:-1]) + f' or {FRAME_SUFFIXES[-1]}'


def _glob_of(files: list[str]) -> str:
    """Return a glob that matches just some images of a folder."""
    if len(set(files)) == 1:
        return files[0]
    folder, names = Path(files[0]).parent, [Path(file).name for file in files]
    begin = _common_start(names)
    room = min(map(len, names)) - len(begin)
    end = _common_start([name[::-1] for name in names])[:room][::-1]
    pattern = str(Path(glob.escape(str(folder))) / f'{glob.escape(begin)}*{glob.escape(end)}')
    if {Path(file) for file in image_files(pattern)} != {Path(file) for file in files}:
        raise ValueError(
            f'{len(files)} images of {folder} are given, which has others between them; give the '
            f"folder, or a glob in quotes such as '{folder}/left_*.jpg'"
        )
    return pattern


def _common_start(names: Sequence[str]) -> str:
    """Return the longest text that all names start with."""
    first, last = min(names), max(names)
    same = (i for i, (a, b) in enumerate(zip(first, last)) if a != b)
    return first[: next(same, min(len(first), len(last)))]
