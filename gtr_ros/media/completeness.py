# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Whether a video file was read to its end: it may be cut off, or be several files in one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
import mmap
import struct
from typing import BinaryIO

import av

# Formats whose header states the length, so that a file that was cut off can be told.
_STATED = ('mov', 'matroska', 'avi', 'flv')
# Ends of complete files are this close to the stated one: frame intervals, seconds, parts.
_NEAR_FRAMES, _NEAR_SECONDS, _NEAR_PART = 1.5, 0.1, 0.001
_FLV_TAGS = (8, 9, 18)  # sound, pictures, data
_PNG_HEADER = b'\x89PNG\r\n\x1a\n'
# Characters at the beginning of NUT and WTV files that no other part of one has.
_MARK = 16
# Formats of which FFmpeg reads a part of the second file.
_READ_IN_PART = ('flv', 'nut')
_ASF_HEADER = bytes.fromhex('3026b2758e66cf11a6d900aa0062ce6c')
_ASF_PROPERTIES = bytes.fromhex('a1dcab8c47a9cf118ee400c00c205365')


def stated_length(
    path: str, container: av.container.InputContainer, stream: av.VideoStream
) -> float | None:
    """Return the time at which a file ends, as its header says, seconds; None: it does not."""
    name = container.format.name
    if name == 'asf':  # FFmpeg hides the length of a file that was cut off
        return _asf_length(path)
    if not name.startswith(_STATED) or not container.duration:
        return None
    # In FLV, what is called the duration is the time of the end.
    start = 0 if name == 'flv' else container.start_time or 0
    end = (container.duration + start) / av.time_base
    if name == 'avi' and stream.frames and stream.average_rate:
        # FFmpeg shortens the length of a file that was cut off, not the number of frames.
        end = max(end, float(stream.frames / stream.average_rate))
    return end


def ends_before(end: float, length: float, rate: float) -> bool:
    """
    Return whether a file ends before it should.

    :param end: of what was read, seconds
    :param length: the stated one, seconds
    :param rate: frames per second
    """
    return end < length - max(_NEAR_FRAMES / rate, _NEAR_SECONDS, _NEAR_PART * length)


def find_second_file(path: str, name: str, read: int) -> int | None:
    """
    Return where another file begins in a video file that consists of several.

    FFmpeg ends at the second header of MP4, WMV and WTV files and animated PNG, and does not find
    the first pictures after that of an FLV or NUT file. In others it reads on, or fails.

    :param name: FFmpeg's name of the format
    :param read: position of the last packet that was read, bytes
    :return: bytes; None: there is none, or the format is another one
    """
    find = next((find for prefix, find in _FINDERS.items() if name.startswith(prefix)), None)
    if find is None:
        return None
    with suppress(OSError), open(path, 'rb', buffering=0) as file:
        begin = find(file)
        # MP4 files in fragments may repeat the header, and are read on.
        return begin if begin is not None and (name in _READ_IN_PART or begin > read) else None
    return None


def _asf_length(path: str) -> float | None:
    with suppress(OSError), open(path, 'rb') as file:
        _, found, rest = file.read(1 << 16).partition(_ASF_PROPERTIES)
        if not found or len(rest) < 76:
            return None
        # After the sizes and dates: 100 ns, 100 ns, ms of preroll, flags.
        played, _, preroll, flags = struct.unpack_from('<QQQI', rest, 48)
        live = flags & 1  # these are not known
        return None if live or not played else played / 1e7 - preroll / 1e3
    return None


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _in_flv(file: BinaryIO) -> int | None:
    position = int.from_bytes(_at(file, 5, 4), 'big') + 4
    while len(tag := _at(file, position, 11)) == 11:
        if tag.startswith(b'FLV\x01'):
            return position
        if tag[0] & 0x1F not in _FLV_TAGS:
            return None
        position += 11 + int.from_bytes(tag[1:4], 'big') + 4
    return None


def _in_mp4(file: BinaryIO) -> int | None:
    position, known = 0, set()
    while len(head := _at(file, position, 16)) >= 8:
        size, kind = int.from_bytes(head[:4], 'big'), head[4:8]
        if kind in (b'ftyp', b'moov'):
            if kind in known:
                return position
            known.add(kind)
        size = int.from_bytes(head[8:], 'big') if size == 1 else size
        if size < 8:  # 0: up to the end
            return None
        position += size
    return None


def _in_asf(file: BinaryIO) -> int | None:
    position = 0
    while len(head := _at(file, position, 24)) == 24:
        if position and head.startswith(_ASF_HEADER):
            return position
        size = int.from_bytes(head[16:], 'little')
        if size < 24:
            return None
        position += size
    return None


def _in_png(file: BinaryIO) -> int | None:
    position = len(_PNG_HEADER)
    while len(head := _at(file, position, 8)) == 8:
        position += 12 + int.from_bytes(head[:4], 'big')
        if head[4:] == b'IEND':
            return position if _at(file, position, 8) == _PNG_HEADER else None
    return None


def _marked(file: BinaryIO) -> int | None:
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        found = data.find(data[:_MARK], _MARK)
    return None if found < 0 else found


_FINDERS: dict[str, Callable[[BinaryIO], int | None]] = {
    'flv': _in_flv,
    'mov': _in_mp4,
    'asf': _in_asf,
    'apng': _in_png,
    'nut': _marked,
    'wtv': _marked,
}
