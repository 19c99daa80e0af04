# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Bags whose recording was interrupted: without metadata.yaml, or with files that are cut off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
import re
import shutil
import sys
from tempfile import TemporaryDirectory
from typing import Any

from rosbags.interfaces import Connection
from rosbags.interfaces import MessageDefinition
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.interfaces import TopicInfo
from rosbags.rosbag2 import Reader

from gtr_ros.data.formats.bag_metadata import MetadataError
from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.data.formats.bag_reader import open_bag
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.input_warning import warn
from gtr_ros.recordings.cut_storage import CutMcap
from gtr_ros.recordings.cut_storage import CutSqlite
from gtr_ros.recordings.cut_storage import has_log

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_COMPRESSED = '.zstd'


def open_recorded(path: Path) -> Reader | SalvagedBag:
    """
    Open a bag to copy it, as far as it can be read; the caller closes it.

    :raises FormatError: if there is no bag, or nothing of it can be read
    """
    files = _storage_files(path)
    if any(map(has_log, files)):  # which rosbags does not read
        return SalvagedBag(path, files, None)
    try:
        return open_bag(path)
    except FormatError as error:
        metadata = path / 'metadata.yaml'
        known = metadata.is_file()
        # Messages that are compressed one by one look like others.
        text = metadata.read_text(errors='replace') if known else ''
        if not files or re.search(r'compression_mode:\s*["\']?message', text, re.IGNORECASE):
            raise
        unfit = isinstance(error, MetadataError)  # the storage files may be whole
        bag = SalvagedBag(path, files, str(error) if known and not unfit else None)
        if not bag.message_count:
            bag.close()
            raise
        if unfit:
            warn(f'{error.path}: {error.fault}; read without it')
        return bag


class SalvagedBag:
    """
    The storage files of a bag, without its metadata.yaml; has what `rosbags` has in a `Reader`.

    :param path: of the bag
    :param files: its storage files, in order
    :param damage: what is wrong with its metadata; None: it has none
    """

    def __init__(self, path: Path, files: list[Path], damage: str | None) -> None:
        #: what is wrong with the bag; None: it is whole
        self.damage = damage
        self.path = path
        self.connections: list[Connection] = []
        self._storages: list[Any] = []
        self._stack = ExitStack()
        for file in files:
            self._open(file)
        self.message_count = sum(c.msgcount for c in self.connections)

    @property
    def topics(self) -> dict[str, TopicInfo]:
        """The topics, by name."""
        found: dict[str, TopicInfo] = {}
        for name in dict.fromkeys(c.topic for c in self.connections):
            own = [c for c in self.connections if c.topic == name]
            types, definitions = {c.msgtype for c in own}, {c.msgdef for c in own}
            none = MessageDefinition(MessageDefinitionFormat.NONE, '')
            found[name] = TopicInfo(
                types.pop() if len(types) == 1 else None,
                definitions.pop() if len(definitions) == 1 else none,
                sum(c.msgcount for c in own),
                own,
            )
        return found

    @property
    def storage(self) -> Any:
        """The first storage file."""
        return self._storages[0][0]

    def messages(self) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of receipt in nanoseconds, and bytes of each message."""
        for storage, places in self._storages:
            for connection, received, data in storage.messages(storage.connections):
                yield self.connections[places[connection.id]], received, data

    def close(self) -> None:
        """Close the files."""
        self._stack.close()

    def _open(self, file: Path) -> None:
        storage, damage = self._storage(file)
        if damage is not None:
            self.damage = f'{file.name} is cut off or damaged ({damage})'
        if storage is None:
            return
        self._stack.callback(storage.close)
        places = {}
        for connection in storage.connections:
            own = (connection.topic, connection.msgtype, connection.ext)
            for place, known in enumerate(self.connections):
                if (known.topic, known.msgtype, known.ext) == own:
                    count = known.msgcount + connection.msgcount
                    self.connections[place] = known._replace(msgcount=count)
                    break
            else:
                place = len(self.connections)
                self.connections.append(connection._replace(id=place + 1, owner=self))
            places[connection.id] = place
        self._storages.append((storage, places))

    def _storage(self, file: Path) -> tuple[Any, str | None]:
        """Open a storage file; return it, or None, and what is wrong with it, or None."""
        damage = None
        if file.suffix == _COMPRESSED:
            folder = self._stack.enter_context(TemporaryDirectory())
            file, damage = _decompress(file, Path(folder) / file.stem)
        try:
            if has_log(file):
                reader = CutSqlite(file)
                return reader, reader.damage
            reader = Reader(file)
            reader.open()
            return reader.storage, damage
        except Exception as error:  # a damaged file can raise anything
            damage = damage or str(error) or type(error).__name__
        try:
            return (CutMcap if file.suffix == '.mcap' else CutSqlite)(file), damage
        except Exception as error:
            return None, f'{damage}; {error}'


def _decompress(file: Path, out: Path) -> tuple[Path, str | None]:
    """Decompress a file as far as possible; return it, and what is wrong, or None."""
    with out.open('wb') as target:
        try:
            with zstd.open(file, 'rb') as source:
                shutil.copyfileobj(source, target, 1 << 16)
        except Exception as error:
            return out, str(error) or type(error).__name__
    return out, None


def _storage_files(path: Path) -> list[Path]:
    """Return the storage files of a bag, the parts of a split one in order."""
    if not path.is_dir():
        known = path.name.removesuffix(_COMPRESSED).endswith(STORAGE_SUFFIXES)
        return [path] if known and path.is_file() else []

    def number(file: Path) -> tuple[int, str]:
        found = re.search(r'_(\d+)\.', file.name)
        return int(found[1]) if found else 0, file.name

    names = (file.name.removesuffix(_COMPRESSED) for file in path.iterdir())
    wanted = {name for name in names if name.endswith(STORAGE_SUFFIXES)}
    files = (f for f in path.iterdir() if f.name.removesuffix(_COMPRESSED) in wanted)
    return sorted((f for f in files if f.is_file()), key=number)
