# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Tracking of a ROS 2 bag: copies the bag and adds the detections with their track ids."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
import re
import shutil
import sqlite3
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import WriterError

from gtr_ros.data.formats.bag_messages import bag_detections_message
from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
from gtr_ros.data.formats.bag_messages import DETECTIONS
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import read_image_message
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_paths import STORAGE_SUFFIXES
from gtr_ros.data.formats.bag_reader import guarded
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.files import partial_path
from gtr_ros.input_warning import first_of
from gtr_ros.media.pixels import ImageError
from gtr_ros.recordings.bag_writer import CopyWriter
from gtr_ros.recordings.bag_writer import storage_of
from gtr_ros.recordings.bag_writer import version_of
from gtr_ros.recordings.salvage import open_recorded
from gtr_ros.recordings.salvage import SalvagedBag
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks

#: tracks an image, (H, W, 3) uint8 RGB, with its stamp in nanoseconds
TrackImage = Callable[[np.ndarray, int], Tracks]

# Final parts of topic names that do not identify the camera.
_ENDINGS = ('compressed', 'image_raw', 'image_rect', 'image_color', 'image')


@dataclass
class BagTracks:
    """
    The tracks of a bag.

    :param images: number of images tracked
    :param boxes: number of boxes written, of confirmed tracks
    :param identities: ids of the confirmed tracks by image topic
    :param skipped: an error message for each image that could not be read; the image is copied
        nevertheless
    """

    images: int = 0
    boxes: int = 0
    identities: dict[str, set[int]] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


class DamagedBagError(FormatError):
    """
    A bag that could be read only in part; the rest was tracked and written.

    :param rule: what is wrong
    :param tracks: of what was read
    """

    def __init__(self, path: Path, rule: str, tracks: BagTracks) -> None:
        self.tracks = tracks
        super().__init__(path, rule)


def count_messages(path: str | Path) -> int:
    """Return the number of messages in a bag; raise FormatError if it cannot be read."""
    reader = open_recorded(Path(path))
    try:
        return reader.message_count
    finally:
        reader.close()


def output_topics(
    path: str | Path, image_topics: Sequence[str] = (), node_name: str = 'tracker'
) -> dict[str, str]:
    """
    Return each image topic's topic of detections, as published by a node.

    :param image_topics: topics to track; empty: the only one in the bag that has messages
    :param node_name: name of the node
    :return: /tracker/detections for one topic; /tracker/CAMERA/detections for several
    :raises FormatError: if the bag has no such topic, has several and none is given, if a topic
        has no messages, or if the bag already has a topic of the results' name
    :raises ValueError: if the node's name is not one of ROS
    """
    if not re.fullmatch(r'[A-Za-z_]\w*(/[A-Za-z_]\w*)*', node_name, re.ASCII):
        raise ValueError(
            f'--name is {node_name!r}; expected a name of ROS: letters, digits and _, not a digit '
            'first'
        )
    path = Path(path)
    reader = open_recorded(path)
    try:
        types = {name: info.msgtype for name, info in reader.topics.items()}
        counts = {name: info.msgcount for name, info in reader.topics.items()}
    finally:
        reader.close()
    images = [name for name, kind in types.items() if kind in (IMAGE, COMPRESSED_IMAGE)]
    chosen = list(dict.fromkeys(image_topics)) or [n for n in images if counts[n]] or images
    available = ', '.join(f'{name} ({kind})' for name, kind in types.items()) or 'no topics'
    for name in chosen:
        if name not in images:
            raise FormatError(path, f'no image topic named {name}. The bag has {available}')
    if len(chosen) != 1 and not image_topics:
        problem = 'several image topics; name those to track' if chosen else 'no images'
        raise FormatError(path, f'{problem}. The bag has {available}')
    for name in chosen:
        if not counts[name]:
            raise FormatError(path, f'{name} has no messages: there is nothing to track')
    if len(chosen) == 1:
        topics = {chosen[0]: f'/{node_name}/detections'}
    else:
        cameras = [_camera_name(name) for name in chosen]
        if len(set(cameras)) < len(cameras):
            cameras = [name.strip('/').replace('/', '_') for name in chosen]
        topics = {n: f'/{node_name}/{c}/detections' for n, c in zip(chosen, cameras)}
    for name in topics.values():
        if name in types:
            raise FormatError(
                path,
                f'already has a topic {name}: has it been tracked before? --name gives the new '
                'topics another name',
            )
    return topics


def track_bag(
    path: str | Path,
    out: str | Path,
    topics: Mapping[str, str],
    trackers: Mapping[str, TrackImage],
    class_names: Sequence[str],
    storage: str | None = None,
    on_message: Callable[[], None] = lambda: None,
) -> BagTracks:
    """
    Copy a bag and add the detections of its images.

    Messages keep their bytes and times; topics keep their types, the definitions that are in the
    file, and QoS. Each image is followed by a message with the detections of confirmed tracks,
    which may be empty, with the header and the receive time of the image. Of a damaged bag, `out`
    has what could be read. If tracking ends early, by Ctrl-C or a full disk, the part that is done
    is kept under `partial_path(out)`. There is no output without a tracked image.

    :param path: of the bag
    :param out: folder of the new bag
    :param topics: the topic of the detections by image topic, see `output_topics`
    :param trackers: a tracker for each image topic
    :param class_names: of the labels
    :param storage: of the new bag, one of `STORAGES`; None: the same as that of the old bag
    :param on_message: called after each message of the bag
    :raises DamagedBagError: if only a part of the bag could be read, and tracked
    :raises FormatError: names the bag and what is wrong with it; an existing `out` is not changed
    """
    path, out = Path(path), Path(out)
    if out.exists():
        raise FormatError(
            out, 'already exists and is not overwritten; remove it, or choose another name'
        )
    if storage is not None and storage not in STORAGES:
        raise FormatError(out, f'storage is {storage!r}; expected {" or ".join(STORAGES)}')
    partial = partial_path(out)
    if partial.exists() and not _is_left(partial):
        raise FormatError(
            partial, 'is not an unfinished copy of a bag; it is kept. Choose another output'
        )
    tracks = BagTracks(identities={name: set() for name in topics})
    reader = open_recorded(path)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=out.parent, prefix=f'.{out.name}.') as folder:
            # The writer names the storage file after the folder.
            part = Path(folder) / out.name
            plugin = STORAGES[storage] if storage else storage_of(reader)
            # Not as a context manager, which would delete the bag after an error.
            writer = CopyWriter(part, version=version_of(path), storage_plugin=plugin)
            writer.open()
            kept = partial
            try:
                _copy(
                    reader, writer, path, topics, trackers, tuple(class_names), tracks, on_message
                )
                kept = out
            except DamagedBagError:
                kept = out
                raise
            finally:
                try:
                    writer.close()
                except BaseException:
                    kept = partial
                    raise
                finally:
                    if tracks.images:
                        if partial.exists():  # of an earlier try
                            shutil.rmtree(partial)
                        part.replace(kept)
    except (WriterError, OSError, sqlite3.Error) as error:
        left = f'; {partial} has what was tracked' if tracks.images else ''
        raise FormatError(out, f'cannot be written: {error}{left}') from error
    finally:
        reader.close()
    if not tracks.images:
        raise FormatError(
            path, f'none of its images can be read: {first_of(tracks.skipped, 2)}; nothing is kept'
        )
    return tracks


def _is_left(path: Path) -> bool:
    """Return whether a path is a folder with just a bag."""
    return path.is_dir() and all(
        file.name == 'metadata.yaml' or file.suffix in STORAGE_SUFFIXES for file in path.iterdir()
    )


def _copy(
    reader: Reader | SalvagedBag,
    writer: CopyWriter,
    path: Path,
    topics: Mapping[str, str],
    trackers: Mapping[str, TrackImage],
    class_names: tuple[str, ...],
    tracks: BagTracks,
    on_message: Callable[[], None],
) -> None:
    store = typestore()
    connections = {c.id: writer.copy_connection(c) for c in reader.connections}
    outputs = {
        name: writer.add_connection(topic, DETECTIONS, typestore=store)
        for name, topic in topics.items()
    }
    messages, count = reader.messages(), 0
    delay: dict[str, int] = {}  # by topic, receive time minus stamp of the last stamped image
    while True:
        place = f'damaged after {count} of {reader.message_count} messages'
        try:
            read = guarded(path, place, next, messages, None)
        except FormatError as error:
            rule = str(error).removeprefix(f'{error.path}: ')
            raise DamagedBagError(error.path, rule, tracks) from error
        if read is None:
            break
        connection, received, data = read
        writer.write(connections[connection.id], received, data)
        count += 1
        name = connection.topic
        if name in topics:
            try:
                message = store.deserialize_cdr(data, connection.msgtype)
            except Exception as error:  # as in `guarded`
                tracks.skipped.append(
                    f'{name}, image at {received / NANOSECONDS:.3f} s: not a message of '
                    f'{connection.msgtype}: {error}'
                )
                on_message()
                continue
            time = message.header.stamp
            stamp = time.sec * NANOSECONDS + time.nanosec
            if stamp:
                delay[name] = received - stamp
            try:
                # An image without a stamp is assumed to have the same delay as the previous one.
                image = read_image_message(message)
                result = trackers[name](image, stamp or received - delay.get(name, 0))
            except ImageError as error:
                tracks.skipped.append(f'{name}, image at {received / NANOSECONDS:.3f} s: {error}')
            else:
                row = _confirmed_row(stamp, result)
                tracks.images += 1
                tracks.boxes += len(row[1])
                tracks.identities[name].update(row[4])
                output = bag_detections_message(*row, class_names, message.header.frame_id)
                writer.write(outputs[name], received, store.serialize_cdr(output, DETECTIONS))
        on_message()
    if count < reader.message_count:
        raise DamagedBagError(
            path,
            f'truncated: {count} messages of the {reader.message_count} in its metadata',
            tracks,
        )
    damage = getattr(reader, 'damage', None)
    if damage is not None:
        raise DamagedBagError(path, f'{damage}; {count} messages could be read', tracks)


def _confirmed_row(stamp: int, tracks: Tracks) -> tuple[int, Any, Any, Any, list[int]]:
    """Return stamp, boxes, scores, labels and ids of the confirmed tracks."""
    keep = tracks.confirmed
    return (
        stamp,
        tracks.boxes[keep],
        tracks.scores[keep],
        tracks.labels[keep],
        tracks.ids[keep].tolist(),
    )


def _camera_name(topic: str) -> str:
    """Return the camera's part of a topic name: front_camera in /front_camera/image_raw."""
    parts = topic.strip('/').split('/')
    while len(parts) > 1 and parts[-1] in _ENDINGS:
        parts.pop()
    return '_'.join(parts)
