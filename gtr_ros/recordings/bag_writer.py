# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing of a copy of a bag: topics keep the definition that is in the file, or have none."""

from __future__ import annotations

from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import ClassVar

from rosbags.interfaces import Connection
from rosbags.interfaces import ConnectionExtRosbag2
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.rosbag2.metadata import dump_qos_v8
from rosbags.rosbag2.metadata import dump_qos_v9
from rosbags.rosbag2.storage_mcap import McapReader
from rosbags.rosbag2.storage_mcap import McapWriter
from rosbags.rosbag2.storage_mcap import Schema
from rosbags.rosbag2.storage_mcap import write_schema
from rosbags.rosbag2.storage_sqlite3 import Sqlite3Writer
from ruamel.yaml import YAML

from gtr_ros.data.formats.bag_reader import type_hash
from gtr_ros.recordings.cut_storage import CutMcap
from gtr_ros.recordings.salvage import SalvagedBag


class _Mcap(McapWriter):
    """As rosbags, and types without a definition have an empty schema, as rosbag2 writes it."""

    def add_msgtype(self, connection: Connection) -> None:
        if connection.msgdef.format != MessageDefinitionFormat.NONE:
            super().add_msgtype(connection)
            return
        self.schemas.append(Schema(len(self.schemas) + 1, connection.msgtype, '', ''))
        write_schema(self.chunk.bio, self.schemas[-1])


class _Sqlite(Sqlite3Writer):
    """As rosbags, and types without a definition have no row, as in bags from before Iron."""

    def add_msgtype(self, connection: Connection) -> None:
        if connection.msgdef.format != MessageDefinitionFormat.NONE:
            super().add_msgtype(connection)


class CopyWriter(Writer):
    """
    A writer whose topics may have no definition; not used as a context manager.

    :param path: folder of the new bag
    :param version: of metadata.yaml, 8 or 9; releases of ROS before Jazzy do not read 9
    :param storage_plugin: of its file
    """

    STORAGE_PLUGINS: ClassVar = {StoragePlugin.SQLITE3: _Sqlite, StoragePlugin.MCAP: _Mcap}

    def copy_connection(self, connection: Connection) -> Connection:
        """Add a topic of another bag, with its type, definition, hash and QoS."""
        digest = connection.digest
        if not digest and connection.msgdef.format == MessageDefinitionFormat.MSG:
            with suppress(Exception):  # a definition that only its own program can read
                digest = type_hash(connection)
        profiles = list(connection.ext.offered_qos_profiles)
        own = Connection(
            len(self.connections) + 1,
            connection.topic,
            connection.msgtype,
            connection.msgdef,
            digest,
            0,
            ConnectionExtRosbag2(connection.ext.serialization_format, profiles),
            self,
        )
        if own.msgtype not in self.added_types:
            self.storage.add_msgtype(own)
            self.added_types.add(own.msgtype)
        dumped = (dump_qos_v9 if self.version >= 9 else dump_qos_v8)(profiles)
        if not isinstance(dumped, str):
            yaml, stream = YAML(typ='safe'), StringIO()
            yaml.default_flow_style = False
            yaml.dump(dumped, stream)
            dumped = stream.getvalue().strip()
        self.storage.add_connection(own, dumped)
        self.connections.append(own)
        self.counts[own.id] = 0
        return own


def storage_of(reader: Reader | SalvagedBag) -> StoragePlugin:
    """Return the format of an open bag."""
    storage = reader.storage
    first = (getattr(storage, 'storages', None) or [storage])[0]
    return StoragePlugin.MCAP if isinstance(first, McapReader | CutMcap) else StoragePlugin.SQLITE3


def version_of(path: Path) -> int:
    """Return the version of a copy's metadata.yaml: 8 if the bag's is older than 9."""
    metadata = path / 'metadata.yaml'
    if not metadata.is_file():
        return 9
    try:
        known = YAML(typ='safe').load(metadata.read_text())['rosbag2_bagfile_information']
        return 9 if known['version'] >= 9 else 8
    except Exception:  # damaged: the storage files are read without it
        return 9
