# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a file or a path is that cannot be read as it was meant, and what to do; for messages."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
import re

_ADDRESS = re.compile(r'([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/])')
_LOCAL = {'file': 'path', 'v4l2': 'device'}
# How similar names are that were mistyped, ratio of `difflib`.
_SIMILAR = 0.6
_HEAD = 512  # bytes

# Bytes near the beginning of a file: where, which, and what to do with it.
_KINDS: tuple[tuple[int, bytes, str], ...] = (
    (
        0,
        b'#ROSBAG V',
        'a ROS 1 bag: convert it with `rosbags-convert --src FILE.bag --dst FOLDER` (pip install '
        'rosbags)',
    ),
    (0, b'\x89MCAP0\r\n', 'a ROS 2 bag in MCAP: its name must end in .mcap'),
    (0, b'SQLite format 3\0', 'a ROS 2 bag or another database in SQLite: a bag must end in .db3'),
    (0, b'\x28\xb5\x2f\xfd', 'compressed with zstd: decompress it first with `zstd -d`'),
    (0, b'\x1f\x8b', 'compressed with gzip: unpack it first with `tar xf` or `gunzip`'),
    (0, b'BZh', 'compressed with bzip2: unpack it first with `tar xf` or `bunzip2`'),
    (0, b'\xfd7zXZ\0', 'compressed with xz: unpack it first with `tar xf` or `unxz`'),
    (0, b'PK\x03\x04', 'a zip archive: unpack it first'),
    (0, b'rosbag2_bagfile_information', 'the metadata of a ROS 2 bag: give its folder'),
    (0, b'7z\xbc\xaf\x27\x1c', 'a 7-Zip archive: unpack it first'),
    (0, b'Rar!', 'a RAR archive: unpack it first'),
    (0, b'version https://git-lfs', 'a Git LFS pointer instead of the file: run `git lfs pull`'),
    (0, b'<!DOCTYPE html', 'a web page: the download was answered with one'),
    (0, b'<!doctype html', 'a web page: the download was answered with one'),
    (0, b'<html', 'a web page: the download was answered with one'),
    (0, b'\x93NUMPY', 'an array of numpy'),
    (0, b'\x89PNG\r\n', 'a PNG image'),
    (0, b'\xff\xd8\xff', 'a JPEG image'),
    (0, b'\x1a\x45\xdf\xa3', 'a Matroska video'),
    (0, b'%PDF', 'a PDF document'),
    (257, b'ustar', 'a tar archive: unpack it first with `tar xf`'),
    (4, b'ftyp', 'an MP4 or QuickTime video'),
)


def describe_file(path: Path) -> str:
    """
    Return what a file is by its first bytes, and what to do with it.

    :return: such as 'a zip archive: unpack it first'; '' if it is unknown or cannot be read
    """
    try:
        if not path.is_file():
            return ''
        with path.open('rb') as file:
            head, size = file.read(_HEAD), path.stat().st_size
    except OSError:
        return ''
    if not size:
        return 'empty (0 bytes)'
    # The header of safetensors is JSON, after its length.
    safetensors = head[8:9] == b'{' and int.from_bytes(head[:8], 'little') < size
    for place, begin, text in _KINDS:
        if head.startswith(begin, place):
            return text
    return 'a checkpoint in safetensors' if safetensors else ''


def address_scheme(source: str) -> str:
    """Return the scheme of an address, such as 'rtsp' of rtsp://camera/stream; '' of a path."""
    found = _ADDRESS.match(source)
    return found[1].lower() if found and not Path(source).exists() else ''


def suggest_path(path: Path, others: Iterable[str] = ()) -> str:
    """
    Return what may be meant by a path that does not exist, for the end of a message.

    :param others: words that would be allowed instead of the path
    :return: such as ' (did you mean a/clip.mp4?)'; '' if nothing is similar
    """
    home = path.expanduser()
    if home != path and home.exists():
        return f' (did you mean {home}?)'
    folder = path.parent
    try:
        names = {entry.name for entry in folder.iterdir()}
    except OSError:
        if path.parent == path:
            return ''
        return f' (there is no folder {folder})' if not folder.exists() else ''
    if path.is_dir():
        return ' (it is a folder)'
    # Names of another suffix or case come first; suffixes are alike by themselves.
    stems: dict[str, list[str]] = {}
    for name in sorted(names):
        stems.setdefault(Path(name).stem.lower(), []).append(name)
    wanted = path.stem.lower()
    alike = [wanted] if wanted in stems else get_close_matches(wanted, stems, cutoff=_SIMILAR)
    close = [str(folder / name) for stem in alike for name in stems[stem]]
    close += [word for word in others if word.lower() == str(path).lower()]
    return f' (did you mean {" or ".join(close[:3])}?)' if close else ''


def missing_video(source: str) -> str:
    """
    Return what is wrong with the name of a video or a camera that does not exist.

    :return: '' if there is such a file or device
    """
    name = f'/dev/video{source}' if source.isdecimal() else source
    path = Path(name)
    if not name:
        return 'the name of the video is empty'
    if path.exists():
        return ''
    scheme = address_scheme(name)
    if scheme in ('file', 'v4l2'):
        rest = name[len(scheme) + 1 :].replace('//', '', 1)
        rest = f'/dev/video{rest}' if scheme == 'v4l2' and rest.isdecimal() else rest
        return f'{name} is an address; give the {_LOCAL[scheme]} itself, such as {rest}'
    if scheme:
        return (
            f'{name} is an address, and only files and the cameras of this machine are read. '
            'Publish it as a ROS topic with a driver such as image_publisher or gscam, which '
            'tracker_node subscribes to; or save a part of it first, such as with `ffmpeg -i '
            'ADDRESS -t 60 part.mp4`'
        )
    kind = 'camera' if name.startswith('/dev/video') else 'video'
    return f'no {kind} at {name}{suggest_path(path)}'
