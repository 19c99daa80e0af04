# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 bags, read and written where ROS is not: images, and who is in them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
from rosbags.interfaces import MessageDefinitionFormat
from rosbags.rosbag2 import Reader
from rosbags.rosbag2 import StoragePlugin
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
import torch

from gtr_ros.data.formats.bag_messages import box_of
from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
from gtr_ros.data.formats.bag_messages import decimal
from gtr_ros.data.formats.bag_messages import DETECTIONS
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import image_of
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import files_key
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.video import VideoFrame
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

#: by the names that users give
STORAGES = {'mcap': StoragePlugin.MCAP, 'sqlite3': StoragePlugin.SQLITE3}

_DEFAULT_RATE = 10.0
# Seconds are int32.
_STAMP_END = 2**31 * NANOSECONDS


class LabelledBoxes(NamedTuple):
    """
    The detections of one message.

    :param stamp: nanoseconds
    :param boxes: (N, 4) float, xyxy, pixels
    :param scores: (N,) float in [0, 1]
    :param labels: (N,) int, index into the class names
    :param ids: of each box, as read: strings; as written: anything
    """

    stamp: int
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: list


class BagImages:
    """
    The images of one topic of a bag; to be iterated any number of times.

    :param path: the bag's folder, or a storage file of it
    :param topic: of type Image or CompressedImage; None: the only one in the bag
    :raises FormatError: if the bag or its first image cannot be read, or there is no such topic
    """

    def __init__(self, path: str | Path, topic: str | None = None) -> None:
        self.path = Path(path)
        self._topic = _find_topic(self.path, topic, (IMAGE, COMPRESSED_IMAGE), 'image')
        self.topic = self._topic.name
        #: images in the bag
        self.frame_count = self._topic.count
        height, width = next(iter(self)).image.shape[:2]
        #: (width, height) of the first image, which all have; pixels
        self.size = (width, height)

    def __len__(self) -> int:
        return self.frame_count

    def __iter__(self) -> Iterator[VideoFrame]:
        """
        Read image by image; the stamp is that of the header or, where it has none, of receipt.

        :raises FormatError: where the bag is damaged (says how many images came before), an image
            cannot be read or differs in size from those before, or a stamp does not ascend
        """
        shape = None
        for index, (stamp, message) in enumerate(self._messages()):
            try:
                image = image_of(message)
            except ImageError as error:
                raise self._error(index, str(error)) from None
            if shape not in (None, image.shape):
                raise self._error(
                    index,
                    f'its size is {image.shape[1]} x {image.shape[0]}, and that of those before '
                    f'{shape[1]} x {shape[0]}; a topic has images of one size',
                )
            shape = image.shape
            yield VideoFrame(image, stamp, index)

    @cached_property
    def stamps(self) -> np.ndarray:
        """
        (T,) int64, nanoseconds, strictly ascending; asking for them reads all of the bag once.

        :raises FormatError: where the bag is damaged, or a stamp does not ascend
        """
        return np.array([stamp for stamp, _ in self._messages()], np.int64)

    @cached_property
    def rate(self) -> float:
        """
        Images a second: one by the median time between two; 10 where there is only one image.

        :raises FormatError: as `stamps` does, which it asks for
        """
        if len(self.stamps) < 2:
            return _DEFAULT_RATE
        return float(NANOSECONDS / np.median(np.diff(self.stamps)))

    @property
    def key(self) -> str:
        """Changes when the bag does, and with the topic."""
        whole = self.path.is_dir()
        files = sorted(f for f in self.path.iterdir() if f.is_file()) if whole else [self.path]
        return f'{files_key(files)} {self.topic}'

    def _messages(self) -> Iterator[tuple[int, Any]]:
        last = None
        for index, (stamp, message) in enumerate(_read(self.path, self._topic)):
            if last is not None and stamp <= last:
                raise self._error(
                    index, f'its stamp {stamp} ns is not after {last} ns, that of the one before'
                )
            last = stamp
            yield stamp, message

    def _error(self, index: int, rule: str) -> FormatError:
        return FormatError(self.path, f'image {index} (from 0) of {self.topic}: {rule}')


def read_bag_images(path: str | Path, topic: str | None = None) -> BagImages:
    """
    Open the images of a bag; see `BagImages`.

    :raises FormatError: names the bag and the rule, and the topics where the choice is open
    """
    return BagImages(path, topic)


def read_bag_detections(
    path: str | Path,
    topic: str | None = None,
    class_names: tuple[str, ...] = ('person',),
    *,
    image_size: tuple[int, int],
) -> list[tuple[int, Detections, list[str]]]:
    """
    Read the detections of a topic, in the bag's order.

    :param topic: of type vision_msgs/Detection2DArray; None: the only one in the bag
    :param class_names: a class_id is one of these or a decimal index into them; what is of another
        class is left out
    :param image_size: (height, width) of the images that they are of, pixels
    :return: stamp (nanoseconds), detections with features of (N, 1) zeros, and ids of each message
    :raises FormatError: names the bag, and message and detection where it is one that breaks the
        rule: an upright box of positive size, a first hypothesis, its score in [0, 1]
    """
    messages = _read_detections(Path(path), topic, tuple(class_names))
    return [
        (
            message.stamp,
            Detections(
                boxes=message.boxes.astype(np.float32),
                scores=message.scores.astype(np.float32),
                labels=message.labels,
                features=torch.zeros((len(message.boxes), 1)),
                image_size=image_size,
                stamp=message.stamp,
            ),
            message.ids,
        )
        for message in messages
    ]


def read_rosbag(
    path: str | Path,
    image_topic: str | None = None,
    truth_topic: str | None = None,
    class_names: tuple[str, ...] = ('person',),
    name: str | None = None,
) -> Sequence:
    """
    Read the images of a bag with their truth, which is a topic of detections with ids.

    A message is the truth of the image that has its stamp; images without one have nothing in
    them, messages without an image are left out. Decimal ids are kept; others are numbered from
    the highest of those on, in order of appearance.

    :param image_topic: None: the only one of images
    :param truth_topic: of type vision_msgs/Detection2DArray; None: the only one
    :param class_names: as `read_bag_detections` takes them
    :param name: of the sequence; None: that of the bag
    :raises FormatError: as `read_bag_images` and `read_bag_detections` do; and if an id is missing
        or comes twice in a message, two messages have one stamp, or none has that of an image
    """
    path = Path(path)
    images = BagImages(path, image_topic)
    messages = _read_detections(path, truth_topic, tuple(class_names))
    numbers = _number(messages)
    truth: dict[int, Truth] = {}
    for index, message in enumerate(messages):
        ids = [numbers[text] for text in message.ids]
        place = f'message {index} (from 0) of the truth'
        if '' in message.ids:
            raise FormatError(path, f'{place}: a detection has no id; every true box has one')
        if len(set(ids)) < len(ids):
            twice = next(text for text, i in zip(message.ids, ids) if ids.count(i) > 1)
            raise FormatError(path, f'{place}: id {twice!r} comes more than once')
        if message.stamp in truth:
            raise FormatError(path, f'{place}: one before has its stamp, {message.stamp} ns')
        truth[message.stamp] = Truth.of(ids, message.boxes, message.labels)
    stamps = images.stamps
    if not truth.keys() & set(stamps.tolist()):
        raise FormatError(
            path,
            'no truth has the stamp of an image; expected the same header.stamp in both. The '
            f'first are {messages[0].stamp} ns and {stamps[0]} ns',
        )
    return Sequence(
        name=name or (path.name if path.is_dir() else path.stem),
        class_names=tuple(class_names),
        image_size=images.size[::-1],
        frame_rate=images.rate,
        truth=tuple(truth.get(stamp, Truth.of([], [])) for stamp in stamps.tolist()),
        stamps=stamps,
        images=lambda: (frame.image for frame in images),
        image_key=images.key,
    )


class _Topic(NamedTuple):
    name: str
    kind: str
    count: int


def guarded(path: Path, place: str, step: Callable, *arguments):
    """
    Call a step of reading a bag.

    :param place: what is said if it raises anything
    :raises FormatError: names the file that is to blame
    """
    # Of a damaged file anything can be raised: what reads it trusts lengths, offsets and names.
    try:
        return step(*arguments)
    except FormatError:
        raise
    except Exception as error:
        file, reason = _blame(path, error)
        said = f'{type(reason).__name__}: {reason}' if str(reason) else type(reason).__name__
        raise FormatError(file, f'{place} ({said})') from error


def _blame(path: Path, error: Exception) -> tuple[Path, Exception]:
    if not path.is_dir():
        return path, error
    files = sorted(f for f in path.iterdir() if f.suffix in ('.mcap', '.db3'))
    for file in files:
        try:
            with Reader(file):
                pass
        except Exception as reason:
            return file, reason
    return (files[0] if len(files) == 1 else path), error


def open_bag(path: Path) -> Reader:
    """
    Open a bag, a folder or a storage file of it; the caller closes it.

    :raises FormatError: if it is none, or damaged
    """
    if not path.exists():
        raise FormatError(path, 'no such bag; expected a folder with metadata.yaml')
    if path.is_dir() and not (path / 'metadata.yaml').is_file():
        raise FormatError(
            path,
            'no bag: there is no metadata.yaml in it. Where its recording was cut off, '
            '`ros2 bag reindex` makes one',
        )

    def opened() -> Reader:
        reader = Reader(path)
        reader.open()
        return reader

    return guarded(path, 'not a bag that can be read; it may be cut off or damaged', opened)


def _find_topic(path: Path, name: str | None, kinds: tuple[str, ...], what: str) -> _Topic:
    reader = open_bag(path)
    try:
        topics = [_Topic(t, i.msgtype or '?', i.msgcount) for t, i in reader.topics.items()]
        if not any(topic.count for topic in topics):
            raise FormatError(path, 'the bag is empty: it has no messages')
        listed = ', '.join(f'{t.name} ({t.kind}, {t.count} messages)' for t in topics)
        fitting = [t for t in topics if t.kind in kinds and t.count and name in (None, t.name)]
        if len(fitting) != 1:
            problem = 'several topics' if fitting else 'no topic'
            named = '' if name is None else f' named {name}'
            way = '; name one' if fitting else ''
            raise FormatError(
                path,
                f'{problem} of {what} messages ({" or ".join(kinds)}){named}{way}. '
                f'The bag has {listed}',
            )
        for connection in reader.topics[fitting[0].name].connections:
            guarded(path, 'a message definition cannot be read', _check_layout, path, connection)
    finally:
        reader.close()
    return fitting[0]


def _check_layout(path: Path, connection) -> None:
    # Bags of before Iron say nothing of their types: those are taken to be as they are today.
    if connection.msgdef.format != MessageDefinitionFormat.MSG:
        return
    expected = typestore().hash_rihs01(connection.msgtype)
    if hash_of(connection) != expected:
        raise FormatError(
            path,
            f'{connection.topic} has a {connection.msgtype} of other fields; expected those of '
            f'ROS 2 Jazzy and vision_msgs 4 ({expected})',
        )


def hash_of(connection) -> str:
    """Return the hash (RIHS01) of a connection's type, by the definition that the bag holds."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(connection.msgdef.data, connection.msgtype))
    return store.hash_rihs01(connection.msgtype)


def _read(path: Path, topic: _Topic) -> Iterator[tuple[int, Any]]:
    """Yield stamp and message; the stamp is when it was received where the header has none."""
    reader = open_bag(path)
    store = typestore()
    try:
        messages = reader.messages(reader.topics[topic.name].connections)
        count = 0
        while True:
            place = f'damaged after {count} of {topic.count} messages of {topic.name}'
            received = guarded(path, place, next, messages, None)
            if received is None:
                break
            message = guarded(path, place, store.deserialize_cdr, received[2], topic.kind)
            time = message.header.stamp
            yield (time.sec * NANOSECONDS + time.nanosec) or received[1], message
            count += 1
        # A storage that lost its end without a trace: metadata.yaml still has their number.
        if count < topic.count:
            raise FormatError(
                path,
                f'cut off: {topic.name} has {count} messages, and {topic.count} by its metadata',
            )
    finally:
        reader.close()


def _read_detections(
    path: Path, name: str | None, class_names: tuple[str, ...]
) -> list[LabelledBoxes]:
    topic = _find_topic(path, name, (DETECTIONS,), 'detection')
    messages = []
    for index, (stamp, message) in enumerate(_read(path, topic)):
        rows = []
        for number, detection in enumerate(message.detections):
            try:
                row = box_of(detection, class_names)
            except ValueError as error:
                raise FormatError(
                    path,
                    f'message {index} (from 0) of {topic.name}, detection {number} (from 0): '
                    f'{error}',
                ) from None
            if row is not None:
                rows.append(row)
        boxes, scores, labels, ids = zip(*rows) if rows else ((), (), (), ())
        messages.append(
            LabelledBoxes(
                stamp,
                np.array(boxes, np.float64).reshape(-1, 4),
                np.array(scores, np.float64),
                np.array(labels, np.int64),
                list(ids),
            )
        )
    return messages


def _number(messages: list[LabelledBoxes]) -> dict[str, int]:
    texts = dict.fromkeys(text for message in messages for text in message.ids)
    numbers = {text: decimal(text) for text in texts}
    last = max((i for i in numbers.values() if i is not None), default=0)
    for text in texts:
        if numbers[text] is None:
            last += 1
            numbers[text] = last
    return numbers
