# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A ROS 2 bag tracked: all that was in it, and the detections with their identities."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rosbags.interfaces import Connection
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.rosbag2 import WriterError

from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
from gtr_ros.data.formats.bag_messages import DETECTIONS
from gtr_ros.data.formats.bag_messages import detections_message
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import image_of
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.rosbag import guarded
from gtr_ros.data.formats.rosbag import hash_of
from gtr_ros.data.formats.rosbag import open_bag
from gtr_ros.data.formats.rosbag import STORAGES
from gtr_ros.media.pixels import ImageError
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks

#: tracks an image, (H, W, 3) uint8 RGB, at a time in nanoseconds
TrackImage = Callable[[np.ndarray, int], Tracks]

# What ends a topic's name and says nothing of the camera.
_ENDINGS = ('compressed', 'image_raw', 'image_rect', 'image_color', 'image')


@dataclass
class BagTracks:
    """
    What was tracked in a bag.

    :param images: that were tracked
    :param boxes: of confirmed tracks
    :param identities: of each image topic
    :param skipped: what was said of images that could not be read; they are in the new bag, too
    """

    images: int = 0
    boxes: int = 0
    identities: dict[str, set[int]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def count_messages(path: str | Path) -> int:
    """Return how many messages a bag has, of all topics; raises FormatError if it is none."""
    reader = open_bag(Path(path))
    try:
        return reader.message_count
    finally:
        reader.close()


def output_topics(path: str | Path, image_topics: Sequence[str] = ()) -> dict[str, str]:
    """
    Say where the detections of each image topic go: as a node named `tracker` would publish them.

    :param image_topics: those to be tracked; none: the only one in the bag
    :return: /tracker/detections for one topic; /tracker/CAMERA/detections for several
    :raises FormatError: if there is no such topic, or it is not clear which
    """
    path = Path(path)
    reader = open_bag(path)
    try:
        there = {name: info.msgtype for name, info in reader.topics.items()}
    finally:
        reader.close()
    images = [name for name, kind in there.items() if kind in (IMAGE, COMPRESSED_IMAGE)]
    wanted = list(dict.fromkeys(image_topics)) or images
    listed = ', '.join(f'{name} ({kind})' for name, kind in there.items()) or 'nothing'
    for name in wanted:
        if name not in images:
            raise FormatError(path, f'no topic of images named {name}. The bag has {listed}')
    if len(wanted) != 1 and not image_topics:
        problem = 'several topics of images; name those to track' if wanted else 'no images'
        raise FormatError(path, f'{problem}. The bag has {listed}')
    if len(wanted) == 1:
        topics = {wanted[0]: '/tracker/detections'}
    else:
        cameras = [_camera_of(name) for name in wanted]
        if len(set(cameras)) < len(cameras):
            cameras = [name.strip('/').replace('/', '_') for name in wanted]
        topics = {n: f'/tracker/{c}/detections' for n, c in zip(wanted, cameras)}
    for name in topics.values():
        if name in there:
            raise FormatError(path, f'it has a topic {name} already: was it tracked before?')
    return topics


def track_bag(
    path: str | Path,
    out: str | Path,
    topics: Mapping[str, str],
    trackers: Mapping[str, TrackImage],
    class_names: Sequence[str],
    storage: str | None = None,
    step: Callable[[], None] = lambda: None,
) -> BagTracks:
    """
    Write a bag with all that is in another, and the detections of its images.

    Every message keeps its bytes, its topic's type and QoS, and its time. The detections of an
    image follow it, at the time it was received, with its header: those of confirmed tracks, none
    where there are none. Whatever ends it early, Ctrl-C or damage in a bag that could be opened,
    what was done until then is kept.

    :param out: the new bag's folder
    :param topics: of images, and where their detections go; see `output_topics`
    :param trackers: the tracker of each topic of images
    :param class_names: of the labels
    :param storage: of the new bag, one of `STORAGES`; None: as the old one's
    :param step: called after each message
    :raises FormatError: names the bag and the rule it broke; if there is something under the new
        name, it is left alone
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise FormatError(out, 'exists, and is not overwritten; remove it, or name another')
    if storage is not None and storage not in STORAGES:
        raise FormatError(out, f'storage is {storage!r}; expected {" or ".join(STORAGES)}')
    tracks = BagTracks(identities={name: set() for name in topics})
    reader = open_bag(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=f'.{out.name}.') as folder:
            # The writer names the storage file after the folder.
            part = Path(folder) / out.name
            plugin = STORAGES[storage] if storage else _storage_of(path)
            # Not as a context: that would throw away what was written before an error.
            writer = Writer(part, version=9, storage_plugin=plugin)
            writer.open()
            try:
                _copy(reader, writer, path, topics, trackers, tuple(class_names), tracks, step)
            finally:
                writer.close()
                if any(writer.counts.values()):
                    part.replace(out)
    except (WriterError, OSError) as error:
        raise FormatError(out, f'cannot be written: {error}') from error
    finally:
        reader.close()
    return tracks


def _copy(
    reader: Reader,
    writer: Writer,
    path: Path,
    topics: Mapping[str, str],
    trackers: Mapping[str, TrackImage],
    class_names: tuple[str, ...],
    tracks: BagTracks,
    step: Callable[[], None],
) -> None:
    store = typestore()
    connections = {c.id: _add(writer, path, c) for c in reader.connections}
    found = {
        name: writer.add_connection(topic, DETECTIONS, typestore=store)
        for name, topic in topics.items()
    }
    messages, count = reader.messages(), 0
    delay: dict[str, int] = {}  # of each topic, from the newest stamp until it was received
    while True:
        place = f'damaged after {count} of {reader.message_count} messages'
        read = guarded(path, place, next, messages, None)
        if read is None:
            break
        connection, received, data = read
        writer.write(connections[connection.id], received, data)
        count += 1
        name = connection.topic
        if name in topics:
            message = guarded(path, place, store.deserialize_cdr, data, connection.msgtype)
            time = message.header.stamp
            stamp = time.sec * NANOSECONDS + time.nanosec
            if stamp:
                delay[name] = received - stamp
            try:
                # Without a stamp, an image was as old as the one before when it was received.
                result = trackers[name](image_of(message), stamp or received - delay.get(name, 0))
            except ImageError as error:
                tracks.skipped.append(f'{name}, image at {received / 1e9:.3f} s: {error}')
            else:
                row = _row(stamp, result)
                tracks.images += 1
                tracks.boxes += len(row[1])
                tracks.identities[name].update(row[4])
                answer = detections_message(row, class_names, message.header.frame_id)
                writer.write(found[name], received, store.serialize_cdr(answer, DETECTIONS))
        step()
    if count < reader.message_count:
        raise FormatError(
            path, f'cut off: it has {count} messages, and {reader.message_count} by its metadata'
        )


def _row(stamp: int, tracks: Tracks) -> tuple[int, Any, Any, Any, list[int]]:
    """Return what is written of the confirmed tracks."""
    keep = tracks.confirmed
    return (
        stamp,
        tracks.boxes[keep],
        tracks.scores[keep],
        tracks.labels[keep],
        tracks.ids[keep].tolist(),
    )


def _add(writer: Writer, path: Path, connection: Connection) -> Connection:
    """Announce a topic as the old bag has it."""
    definition, digest = connection.msgdef, connection.digest
    if not digest and definition.format == MessageDefinitionFormat.MSG:
        digest = hash_of(connection)  # an MCAP without its metadata.yaml
    options: dict[str, Any] = {'msgdef': definition.data, 'rihs01': digest}
    if not digest:
        # Bags of before Iron say nothing of their types.
        if connection.msgtype not in typestore().types:
            raise FormatError(
                path,
                f'{connection.topic} has a {connection.msgtype}, and nothing says what that is; '
                '`ros2 bag convert` of Iron or later writes bags that do',
            )
        options = {'typestore': typestore()}
    return writer.add_connection(
        connection.topic,
        connection.msgtype,
        serialization_format=connection.ext.serialization_format,
        offered_qos_profiles=connection.ext.offered_qos_profiles,
        **options,
    )


def _storage_of(path: Path) -> StoragePlugin:
    files = path.iterdir() if path.is_dir() else [path]
    # Compressed files have another suffix after it.
    is_mcap = any('.mcap' in file.suffixes for file in files)
    return StoragePlugin.MCAP if is_mcap else StoragePlugin.SQLITE3


def _camera_of(topic: str) -> str:
    """Return what is particular in a topic's name: front_camera of /front_camera/image_raw."""
    parts = topic.strip('/').split('/')
    while len(parts) > 1 and parts[-1] in _ENDINGS:
        parts.pop()
    return '_'.join(parts)
