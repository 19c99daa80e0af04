# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images, detections and labelled sequences in ROS 2 bags, read without ROS."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any
from typing import NamedTuple

import numpy as np
import torch

from gtr_ros.box_checks import boxes_fault
from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
from gtr_ros.data.formats.bag_messages import DETECTIONS
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import parse_whole_number
from gtr_ros.data.formats.bag_messages import read_box
from gtr_ros.data.formats.bag_messages import read_image_message
from gtr_ros.data.formats.bag_reader import find_topic
from gtr_ros.data.formats.bag_reader import read_messages
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.formats.images import files_key
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.input_warning import first_of
from gtr_ros.input_warning import warn
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.video import VideoFrame
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

_DEFAULT_RATE = 10.0


class LabelledBoxes(NamedTuple):
    """
    The detections of one message.

    :param stamp: nanoseconds
    :param boxes: (N, 4) float, xyxy, pixels
    :param scores: (N,) float in [0, 1]
    :param labels: (N,) int, index into the class names
    :param ids: of each box, strings
    """

    stamp: int
    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray
    ids: list[str]


class BagImages:
    """
    The images of one topic of a bag; can be iterated any number of times.

    :param path: the bag's folder, or a storage file of it
    :param topic: of type Image or CompressedImage; None: the only one in the bag
    :raises FormatError: if the bag or its first image cannot be read, or there is no such topic
    """

    def __init__(self, path: str | Path, topic: str | None = None) -> None:
        self.path = Path(path)
        self._topic = find_topic(self.path, topic, (IMAGE, COMPRESSED_IMAGE), 'image')
        self.topic = self._topic.name
        #: images in the bag
        self.frame_count = self._topic.count
        height, width = next(iter(self)).image.shape[:2]
        #: (width, height) of all images, pixels
        self.size = (width, height)

    def __len__(self) -> int:
        return self.frame_count

    def __iter__(self) -> Iterator[VideoFrame]:
        """
        Read image by image; the stamp is the header's, or the time of receipt if that is 0.

        :raises FormatError: where the bag is damaged (states how many images came before), an
            image cannot be read or differs in size from those before, or a stamp does not ascend
        """
        shape = None
        for index, (stamp, message) in enumerate(self._messages()):
            try:
                image = read_image_message(message)
            except ImageError as error:
                raise self._error(index, str(error)) from None
            if shape not in (None, image.shape):
                raise self._error(
                    index,
                    f'its size is {image.shape[1]} x {image.shape[0]}, but {shape[1]} x '
                    f'{shape[0]} before; all images of a topic must have the same size',
                )
            shape = image.shape
            yield VideoFrame(image, stamp, index)

    @cached_property
    def stamps(self) -> np.ndarray:
        """
        (T,) int64, nanoseconds, strictly ascending; the first access reads the whole bag.

        :raises FormatError: where the bag is damaged, or a stamp does not ascend
        """
        return np.array([stamp for stamp, _ in self._messages()], np.int64)

    @cached_property
    def rate(self) -> float:
        """
        Images per second, from the median interval; 10 if there is only one image.

        :raises FormatError: as `stamps`, which it reads
        """
        if len(self.stamps) < 2:
            return _DEFAULT_RATE
        return float(NANOSECONDS / np.median(np.diff(self.stamps)))

    @property
    def key(self) -> str:
        """A key that changes when the bag or the topic does."""
        whole = self.path.is_dir()
        files = sorted(f for f in self.path.iterdir() if f.is_file()) if whole else [self.path]
        return f'{files_key(files)} {self.topic}'

    def _messages(self) -> Iterator[tuple[int, Any]]:
        last = None
        for index, (stamp, message) in enumerate(read_messages(self.path, self._topic)):
            if last is not None and stamp <= last:
                raise self._error(
                    index,
                    f'its stamp {stamp} ns is not after the previous one, {last} ns',
                )
            last = stamp
            yield stamp, message

    def _error(self, index: int, rule: str) -> FormatError:
        return FormatError(self.path, f'image {index} (from 0) of {self.topic}: {rule}')


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
    :param class_names: a class_id is one of these or a decimal index into them; detections of
        other classes are left out
    :param image_size: (height, width) of their images, pixels
    :return: for each message its stamp (nanoseconds), detections with features of (N, 1) zeros,
        and ids
    :raises FormatError: names the bag, and message and detection, if a detection has no upright
        box of positive size, no hypothesis, or a score outside [0, 1]
    """
    messages = _read_boxes(Path(path), topic, tuple(class_names), image_size)
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
    Read a bag's images with their ground truth, which is a topic of detections with ids.

    Messages and images are matched by stamp. Images without a message have no objects; messages
    without an image are ignored. Decimal ids are kept; the others are numbered after the highest
    of them, in order of appearance.

    :param image_topic: None: the only topic of images
    :param truth_topic: of type vision_msgs/Detection2DArray; None: the only one
    :param class_names: as in `read_bag_detections`
    :param name: of the sequence; None: that of the bag
    :raises FormatError: as `BagImages` and `read_bag_detections` do; and if an id is missing or
        occurs twice in a message, if two messages have the same stamp, or if no message has the
        stamp of an image
    """
    path = Path(path)
    images = BagImages(path, image_topic)
    messages = _read_boxes(path, truth_topic, tuple(class_names), images.size[::-1])
    numbers = _number_ids(messages)
    truth: dict[int, Truth] = {}
    for index, message in enumerate(messages):
        ids = [numbers[text] for text in message.ids]
        context = f'message {index} (from 0) of the ground truth'
        if '' in message.ids:
            raise FormatError(path, f'{context}: a detection has no id; every box needs one')
        if len(set(ids)) < len(ids):
            twice = next(text for text, i in zip(message.ids, ids) if ids.count(i) > 1)
            raise FormatError(path, f'{context}: id {twice!r} occurs more than once')
        if message.stamp in truth:
            raise FormatError(
                path, f'{context}: an earlier message has the same stamp, {message.stamp} ns'
            )
        truth[message.stamp] = Truth.of(ids, message.boxes, message.labels)
    stamps = images.stamps
    if not truth.keys() & set(stamps.tolist()):
        raise FormatError(
            path,
            'no ground truth has the stamp of an image; expected the same header.stamp in both. '
            f'The first stamps are {messages[0].stamp} ns and {stamps[0]} ns',
        )
    warn_unmatched(path, 'ground truth', truth, stamps.tolist())
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


def _read_boxes(
    path: Path, name: str | None, class_names: tuple[str, ...], image_size: tuple[int, int]
) -> list[LabelledBoxes]:
    topic = find_topic(path, name, (DETECTIONS,), 'detection')
    messages, others = [], Counter()
    for index, (stamp, message) in enumerate(read_messages(path, topic)):
        rows = []
        for number, detection in enumerate(message.detections):
            try:
                row = read_box(detection, class_names)
            except ValueError as error:
                raise FormatError(
                    path,
                    f'message {index} (from 0) of {topic.name}, detection {number} (from 0): '
                    f'{error}',
                ) from None
            if row is not None:
                rows.append(row)
            else:
                others[detection.results[0].hypothesis.class_id] += 1
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
    boxes = [message.boxes for message in messages]
    fault = boxes_fault(np.concatenate(boxes), image_size) if boxes else None
    if fault:
        raise FormatError(path, f'{topic.name}: {fault}')
    if others and not any(map(len, boxes)):
        warn(
            f'{path}: none of the {others.total()} detections on {topic.name} is of '
            f'{first_of(class_names)}; their class_id is {first_of(map(repr, others))}'
        )
    return messages


def warn_unmatched(path: Path, what: str, found: Collection[int], stamps: Collection[int]) -> None:
    """Warn if messages have no frame, and frames have no message: then their stamps may differ."""
    frames = set(stamps)
    lost, empty = len(set(found) - frames), len(frames - set(found))
    if lost and empty:
        warn(
            f'{path}: {lost} of {len(found)} messages of {what} have the stamp of no frame, and '
            f'{empty} of {len(frames)} frames have none; they are matched by equal stamps'
        )


def _number_ids(messages: list[LabelledBoxes]) -> dict[str, int]:
    """Return a number for each id: the id itself if it is decimal, otherwise a new number."""
    texts = dict.fromkeys(text for message in messages for text in message.ids)
    numbers = {text: parse_whole_number(text) for text in texts}
    last = max((i for i in numbers.values() if i is not None), default=0)
    for text in texts:
        if numbers[text] is None:
            last += 1
            numbers[text] = last
    return numbers
