# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Storage files of bags that are cut off, MCAP and SQLite, read up to where they end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from collections.abc import Iterable
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
import sqlite3
import struct
import sys
from typing import BinaryIO

from lz4.frame import LZ4FrameDecompressor
from rosbags.interfaces import Connection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.interfaces import MessageDefinition
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2.metadata import parse_qos

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_MAGIC = b'\x89MCAP0\r\n'
# Kinds of records; https://mcap.dev/spec
_FOOTER, _SCHEMA, _CHANNEL, _MESSAGE, _CHUNK, _DATA_END = 0x02, 0x03, 0x04, 0x05, 0x06, 0x0F
_FORMATS = {
    'ros2msg': MessageDefinitionFormat.MSG,
    'ros2idl': MessageDefinitionFormat.IDL,
    'omgidl': MessageDefinitionFormat.IDL,
}


class CutMcap:
    """
    An MCAP file that has no end; opening it reads it once.

    :param path: of the file
    :raises ValueError: if it is not an MCAP file
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open('rb')
        #: topics, with the number of messages that can be read
        self.connections: list[Connection] = []
        schemas: dict[int, MessageDefinition] = {}
        names: dict[int, str] = {}
        counts: Counter[int] = Counter()
        for kind, data in self._records():
            if kind == _SCHEMA:
                key = int.from_bytes(data[:2], 'little')
                name, encoding, text = _strings(data[2:], 3)
                names[key] = name.decode()
                form = _FORMATS.get(encoding.decode(), MessageDefinitionFormat.NONE)
                schemas[key] = MessageDefinition(form, text.decode())
            elif kind == _CHANNEL:
                self._add(data, names, schemas)
            elif kind == _MESSAGE:
                counts[int.from_bytes(data[:2], 'little')] += 1
        self.connections = [c._replace(msgcount=counts[c.id]) for c in self.connections]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of receipt in nanoseconds, and bytes, in the file's order."""
        known = {connection.id: connection for connection in connections}
        for kind, data in self._records():
            if kind == _MESSAGE:
                channel, _, received, _ = struct.unpack_from('<HIQQ', data)
                if channel in known:
                    yield known[channel], received, data[22:]

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _add(self, data: bytes, names: dict[int, str], schemas: dict) -> None:
        key, schema = struct.unpack_from('<HH', data)
        if any(c.id == key for c in self.connections):
            return  # repeated in each chunk
        topic, encoding, pairs = _strings(data[4:], 3)
        texts = _strings(pairs)
        metadata = dict(zip(texts[::2], texts[1::2]))
        qos = parse_qos(metadata.get(b'offered_qos_profiles', b'').decode())
        none = MessageDefinition(MessageDefinitionFormat.NONE, '')
        self.connections.append(
            Connection(
                key,
                topic.decode(),
                names.get(schema, ''),
                schemas.get(schema, none),
                '',
                0,
                ConnectionExtRosbag2(encoding.decode(), qos),
                self,
            )
        )

    def _records(self) -> Iterator[tuple[int, bytes]]:
        self._file.seek(0)
        if self._file.read(len(_MAGIC)) != _MAGIC:
            raise ValueError('it does not begin as an MCAP file')
        return _read_records(self._file)


def _read_records(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield kind and content of the whole records, also of those in chunks."""
    while len(head := stream.read(9)) == 9:
        kind, size = head[0], int.from_bytes(head[1:], 'little')
        if kind in (_FOOTER, _DATA_END):
            return
        data = stream.read(min(size, sys.maxsize))
        if kind == _CHUNK:
            yield from _read_records(BytesIO(_chunk(data)))
        if len(data) < size:
            return
        if kind != _CHUNK:
            yield kind, data


def _chunk(data: bytes) -> bytes:
    """Return the records of a chunk, as far as they are there."""
    if len(data) < 40:
        return b''
    length = int.from_bytes(data[28:32], 'little')
    compression, records = data[32 : 32 + length], data[32 + length + 8 :]
    if not compression:
        return records
    try:
        if compression == b'zstd':
            return zstd.ZstdDecompressor().decompress(records)
        return LZ4FrameDecompressor().decompress(records)
    except Exception:  # damaged: the next chunk may be readable
        return b''


def _strings(data: bytes, most: int = sys.maxsize) -> list[bytes]:
    """Return texts that are preceded by their lengths."""
    found, place = [], 0
    while place < len(data) and len(found) < most:
        end = place + 4 + int.from_bytes(data[place : place + 4], 'little')
        found.append(data[place + 4 : end])
        place = end
    return found


def has_log(path: Path) -> bool:
    """Return whether an SQLite file has messages in a write-ahead log beside it."""
    log = path.with_name(f'{path.name}-wal')
    return log.is_file() and log.stat().st_size > 0


def _ascending(rows: Iterable[tuple]) -> Iterator[tuple]:
    """
    Yield rows whose last column, an id, ascends: damaged pages can form a circle.

    :raises sqlite3.DatabaseError: where it does not
    """
    last = None
    for row in rows:
        if not isinstance(row[-1], int) or (last is not None and row[-1] <= last):
            raise sqlite3.DatabaseError(f'id {row[-1]!r} follows {last}: its pages are damaged')
        last = row[-1]
        yield row


class CutSqlite:
    """
    An SQLite file that is shorter than its header says, or has a log; opening it reads it once.

    In its write-ahead log, see `has_log`, are the last messages of a recorder that was killed.

    :param path: of the file
    :raises sqlite3.DatabaseError: if its topics cannot be read
    """

    def __init__(self, path: Path) -> None:
        #: why not all messages can be read; None: they can
        self.damage: str | None = None
        mode = 'mode=ro' if has_log(path) else 'immutable=1'
        self._database = sqlite3.connect(f'{path.absolute().as_uri()}?{mode}', uri=True)
        try:
            # SQLite reads files without their last pages only in this mode.
            self._database.execute('PRAGMA writable_schema=ON')
            columns = [row[1] for row in self._database.execute('PRAGMA table_info(topics)')]
            self.connections = [
                self._connection(dict(zip(columns, row)))
                for row in _ascending(
                    self._database.execute('SELECT *, id FROM topics ORDER BY id')
                )
            ]
        except BaseException:
            self._database.close()
            raise
        # The last byte is only there if all of the message is.
        rows = self._rows('SELECT topic_id, substr(data, -1), id FROM messages ORDER BY id')
        counts = Counter(row[0] for row in rows)
        self.connections = [c._replace(msgcount=counts[c.id]) for c in self.connections]

    def messages(
        self, connections: Collection[Connection]
    ) -> Iterator[tuple[Connection, int, bytes]]:
        """Yield connection, time of receipt in nanoseconds, and bytes, as they were recorded."""
        known = {connection.id: connection for connection in connections}
        for topic, received, data, _ in self._rows(
            'SELECT topic_id, timestamp, data, id FROM messages ORDER BY id'
        ):
            if topic in known:
                yield known[topic], received, data

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _rows(self, query: str) -> Iterator[tuple]:
        """Yield rows up to the first that is missing."""
        try:
            yield from _ascending(self._database.execute(query))
        except sqlite3.DatabaseError as error:
            self.damage = str(error)

    def _connection(self, row: dict) -> Connection:
        form, text = MessageDefinitionFormat.NONE, ''
        query = (
            'SELECT encoding, encoded_message_definition FROM message_definitions '
            'WHERE topic_type = ?'
        )
        try:
            found = self._database.execute(query, (row['type'],)).fetchone()
        except sqlite3.DatabaseError:  # from before Iron, or behind the end
            found = None
        if found and found[0] in _FORMATS:
            form, text = _FORMATS[found[0]], found[1]
        qos = parse_qos(row.get('offered_qos_profiles', ''))
        return Connection(
            row['id'],
            row['name'],
            row['type'],
            MessageDefinition(form, text),
            row.get('type_description_hash', ''),
            0,
            ConnectionExtRosbag2(row['serialization_format'], qos),
            self,
        )
