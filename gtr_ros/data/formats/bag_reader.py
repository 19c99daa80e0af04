# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Open ROS 2 bags without ROS, find their topics, and read messages; damage is reported."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from typing import NamedTuple

from rosbags.interfaces import Connection
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores

from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_metadata import check_metadata
from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.file_kinds import describe_file
from gtr_ros.stamps import NANOSECONDS

#: storage plugins, by the names that users write
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}


# Words in the kind of a file, see `describe_file`, that its suffix promises.
_OWN_KINDS = {'.mcap': ('MCAP',), '.db3': ('SQLite',)}


class TopicInfo(NamedTuple):
    """
    A topic of a bag.

    :param name: with its namespace
    :param kind: message type, such as 'sensor_msgs/msg/Image'
    :param count: number of messages
    """

    name: str
    kind: str
    count: int


def guarded(path: Path, context: str, function: Callable, *arguments: Any) -> Any:
    """
    Call a function that reads a bag, and report whatever it raises as FormatError.

    :param context: beginning of the message
    :raises FormatError: names the damaged file
    """
    # A damaged file can raise anything: its readers trust lengths, offsets and names.
    try:
        return function(*arguments)
    except FormatError:
        raise
    except Exception as error:
        file, reason = _find_damage(path, error)
        kind = describe_file(file)
        if kind and not any(word in kind for word in _OWN_KINDS.get(file.suffix, ('',))):
            raise FormatError(file, f'not a bag but {kind}') from error
        text = f'{type(reason).__name__}: {reason}' if str(reason) else type(reason).__name__
        raise FormatError(file, f'{context} ({text})') from error


def _find_damage(path: Path, error: Exception) -> tuple[Path, Exception]:
    """Return the storage file of a bag that cannot be opened, and why."""
    if not path.is_dir():
        return path, error
    files = sorted(f for f in path.iterdir() if f.suffix in STORAGE_SUFFIXES)
    for file in files:
        try:
            with Reader(file):
                pass
        except Exception as reason:
            return file, reason
    return (files[0] if len(files) == 1 else path), error


def open_bag(path: Path) -> Reader:
    """
    Open a bag, given by its folder or one of its storage files; the caller closes it.

    :raises FormatError: if there is no bag, or it is damaged
    """
    if not path.exists():
        raise FormatError(path, 'no such bag; expected a folder with metadata.yaml')
    if path.is_dir():
        if not (path / 'metadata.yaml').is_file():
            raise FormatError(path, _explain_folder(path))
        check_metadata(path)

    def opened() -> Reader:
        reader = Reader(path)
        reader.open()
        return reader

    return guarded(path, 'cannot be read as a bag; it may be cut off or damaged', opened)


def _explain_folder(path: Path) -> str:
    """Return why a folder without metadata.yaml is no bag."""
    files = sorted(path.iterdir())
    if not files:
        return 'the folder is empty'
    older = [file.name for file in files if file.suffix == '.bag']
    if older:
        return f'not a bag of ROS 2: {older[0]} is {describe_file(path / older[0]) or "unknown"}'
    return (
        'not a bag: the folder has no metadata.yaml. If recording was interrupted, `ros2 bag '
        'reindex` creates one'
    )


def find_topic(path: Path, name: str | None, kinds: tuple[str, ...], what: str) -> TopicInfo:
    """
    Find a topic of a bag that has messages.

    :param name: of the topic; None: the only topic of these types
    :param kinds: accepted message types
    :param what: content of the messages, for error messages
    :raises FormatError: if there is no such topic, if there are several and no name is given, or
        if the message definition is not the expected one
    """
    reader = open_bag(path)
    try:
        topics = guarded(path, 'its topics cannot be read', _list_topics, reader)
        if not any(topic.count for topic in topics):
            raise FormatError(path, 'the bag is empty: it has no messages')
        listed = ', '.join(f'{t.name} ({t.kind}, {t.count} messages)' for t in topics)
        fitting = [t for t in topics if t.kind in kinds and t.count and name in (None, t.name)]
        if len(fitting) != 1:
            problem = 'several topics' if fitting else 'no topic'
            named = '' if name is None else f' named {name}'
            way_out = '; name one' if fitting else ''
            raise FormatError(
                path,
                f'{problem} of {what} messages ({" or ".join(kinds)}){named}{way_out}. '
                f'The bag has {listed}',
            )
        for connection in reader.topics[fitting[0].name].connections:
            context = 'a message definition cannot be read'
            guarded(path, context, _check_definition, path, connection)
    finally:
        reader.close()
    return fitting[0]


def _list_topics(reader: Reader) -> list[TopicInfo]:
    return [
        TopicInfo(str(name), str(info.msgtype or '?'), int(info.msgcount))
        for name, info in reader.topics.items()
    ]


def _check_definition(path: Path, connection: Connection) -> None:
    """Raise FormatError if a bag's message definition differs from the one used to read it."""
    # Bags from before Iron contain no definitions; the current ones are assumed.
    if connection.msgdef.format != MessageDefinitionFormat.MSG:
        return
    expected = typestore().hash_rihs01(connection.msgtype)
    if type_hash(connection) != expected:
        raise FormatError(
            path,
            f'{connection.topic} has a {connection.msgtype} with other fields; expected those of '
            f'ROS 2 Jazzy and vision_msgs 4 ({expected})',
        )


def type_hash(connection: Connection) -> str:
    """Return the hash (RIHS01) of a connection's type, from the definition in the bag."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
    return store.hash_rihs01(connection.msgtype)


def read_messages(path: Path, topic: TopicInfo) -> Iterator[tuple[int, Any]]:
    """
    Yield the stamp and message of each message of a topic whose messages have headers.

    The stamp, in nanoseconds, is the header's, or the time of receipt if the header's is 0.

    :raises FormatError: where the bag is damaged or cut off; states how many messages came before
    """
    reader = open_bag(path)
    store = typestore()
    try:
        messages = reader.messages(reader.topics[topic.name].connections)
        count = 0
        while True:
            context = f'damaged after {count} of {topic.count} messages of {topic.name}'
            received = guarded(path, context, next, messages, None)
            if received is None:
                break
            message = guarded(path, context, store.deserialize_cdr, received[2], topic.kind)
            time = message.header.stamp
            yield (time.sec * NANOSECONDS + time.nanosec) or received[1], message
            count += 1
        # If a storage file is cut off between messages, metadata.yaml still has the full count.
        if count < topic.count:
            raise FormatError(
                path,
                f'cut off: {topic.name} has {count} messages, and {topic.count} by its metadata',
            )
    finally:
        reader.close()
