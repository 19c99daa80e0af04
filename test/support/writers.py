# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writers of formats that the package only reads: bags, MOTChallenge, KITTI, boxes."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence as SequenceOf
from heapq import merge
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from rosbags.rosbag2 import Writer
from rosbags.rosbag2 import WriterError

from gtr_ros.data.formats.bag_messages import bag_detections_message
from gtr_ros.data.formats.bag_messages import COMPRESSED_IMAGE
from gtr_ros.data.formats.bag_messages import DETECTIONS
from gtr_ros.data.formats.bag_messages import IMAGE
from gtr_ros.data.formats.bag_messages import make_header
from gtr_ros.data.formats.bag_messages import make_message
from gtr_ros.data.formats.bag_messages import typestore
from gtr_ros.data.formats.bag_reader import STORAGES
from gtr_ros.data.formats.errors import FormatError
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.media.pixels import encode_jpeg
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

# Seconds are int32.
_STAMP_END = 2**31 * NANOSECONDS


def write_motchallenge(folder: str | Path, sequence: Sequence) -> None:
    """Write `seqinfo.ini`, and `gt/gt.txt` with nine columns; counted boxes as pedestrians."""
    folder = Path(folder)
    (folder / 'gt').mkdir(parents=True, exist_ok=True)
    height, width = sequence.image_size
    (folder / 'seqinfo.ini').write_text(
        f'[Sequence]\nname={sequence.name}\nimDir=img1\nframeRate={sequence.frame_rate:g}\n'
        f'seqLength={len(sequence)}\nimWidth={width}\nimHeight={height}\nimExt=.jpg\n'
    )
    classes = {Role.COUNTED: (1, 1), Role.DISTRACTOR: (0, 8), Role.VOID: (0, 1)}
    lines = []
    for t, truth in enumerate(sequence.truth):
        for identity, (x1, y1, x2, y2), role in zip(truth.ids, truth.boxes, truth.roles):
            flag, kind = classes[Role(role)]
            lines.append(
                f'{t + 1},{identity},{x1:.3f},{y1:.3f},{x2 - x1:.3f},{y2 - y1:.3f},'
                f'{flag},{kind},1\n'
            )
    (folder / 'gt' / 'gt.txt').write_text(''.join(lines))


def write_kitti(path: str | Path, sequence: Sequence) -> None:
    """Write the ground truth of cars and people; distractors as Van and Person."""
    names = {
        (0, Role.COUNTED): 'Car',
        (0, Role.DISTRACTOR): 'Van',
        (1, Role.COUNTED): 'Pedestrian',
        (1, Role.DISTRACTOR): 'Person',
    }
    rest = '-1 -1 -1 -1000 -1000 -1000 -10'
    lines = []
    for t, truth in enumerate(sequence.truth):
        for identity, box, label, role in zip(truth.ids, truth.boxes, truth.labels, truth.roles):
            corners = ' '.join(f'{x:.3f}' for x in box)
            lines.append(f'{t} {identity} {names[label, Role(role)]} 0 0 -10 {corners} {rest}\n')
        for box in truth.regions:
            corners = ' '.join(f'{x:.3f}' for x in box)
            lines.append(f'{t} -1 DontCare -1 -1 -10 {corners} {rest}\n')
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(''.join(lines))


def write_boxes(
    path: str | Path, detections: SequenceOf[Detections], class_names: SequenceOf[str]
) -> None:
    """Write boxes as npz, for `read_boxes`; features are not written."""
    rows = [
        np.column_stack([np.full(len(d), t + 1), d.boxes, d.scores])
        for t, d in enumerate(detections)
    ]
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        det=np.concatenate([np.zeros((0, 6)), *rows]).astype(np.float32),
        label=np.concatenate([np.zeros(0, np.int64), *(d.labels for d in detections)]),
        class_names=np.array(list(class_names)),
    )


def write_bag(
    path: str | Path,
    storage: str = 'mcap',
    *,
    image_topic: str = '/camera/image_raw',
    images: Iterable[tuple[int, np.ndarray]] = (),
    detections_topic: str = '/detections',
    detections: Iterable[tuple[int, np.ndarray, np.ndarray, np.ndarray, Iterable]] = (),
    class_names: tuple[str, ...] = ('person',),
    compressed: bool = False,
    frame_id: str = 'camera',
) -> None:
    """
    Write a bag as ROS 2 Jazzy does; it gets its name only when it is complete.

    :param path: the bag's folder, which is created
    :param storage: 'mcap' or 'sqlite3'
    :param images: (stamp, image) each, stamps in nanoseconds, ascending; (H, W, 3) uint8 RGB
    :param detections: (stamp, boxes, scores, labels, ids) each, as `LabelledBoxes`, ascending
    :param compressed: whether the images are JPEG; False: rgb8
    :raises FormatError: if the path exists, or the bag cannot be written
    """
    path = Path(path)
    if storage not in STORAGES:
        raise FormatError(path, f'storage is {storage!r}; expected {" or ".join(STORAGES)}')
    if path.exists():
        raise FormatError(
            path, 'exists, and is not overwritten; remove it, or choose another name'
        )
    image_type = COMPRESSED_IMAGE if compressed else IMAGE
    # At one stamp the image comes first: merge keeps the order of its arguments.
    messages = merge(
        ((row[0], image_topic, image_type, row) for row in images),
        ((row[0], detections_topic, DETECTIONS, row) for row in detections),
        key=lambda message: message[0],
    )
    store = typestore()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=path.parent, prefix=f'.{path.name}.') as folder:
            # The writer names the storage file after the folder.
            part = Path(folder) / path.name
            with Writer(part, version=9, storage_plugin=STORAGES[storage]) as writer:
                connections: dict[str, Any] = {}
                for stamp, topic, kind, row in messages:
                    if not 0 <= stamp < _STAMP_END:
                        raise FormatError(
                            path,
                            f'stamp is {stamp} ns; a header has 0 to {_STAMP_END - 1}',
                        )
                    if topic not in connections:
                        connections[topic] = writer.add_connection(topic, kind, typestore=store)
                    if kind == DETECTIONS:
                        message = bag_detections_message(*row, class_names, frame_id)
                    else:
                        message = bag_image_message(*row, compressed, frame_id)
                    data = store.serialize_cdr(message, kind)
                    writer.write(connections[topic], int(stamp), data)
            part.replace(path)
    except (WriterError, OSError) as error:
        raise FormatError(path, f'cannot be written: {error}') from error


def bag_image_message(
    stamp: int, image: np.ndarray, compressed: bool = False, frame_id: str = ''
) -> Any:
    """
    Return an Image, or a CompressedImage, that rosbags can serialise.

    :param stamp: nanoseconds
    :param image: (H, W, 3) uint8, RGB
    :param compressed: JPEG; False: rgb8
    """
    header = make_header(stamp, frame_id)
    if compressed:
        data = np.frombuffer(encode_jpeg(image, 95), np.uint8)
        # As in image_transport: the encoding before compression, then that of a decoded image.
        return make_message(
            'sensor_msgs/CompressedImage', header, 'rgb8; jpeg compressed bgr8', data
        )
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).reshape(-1)
    return make_message('sensor_msgs/Image', header, height, width, 'rgb8', 0, width * 3, data)
