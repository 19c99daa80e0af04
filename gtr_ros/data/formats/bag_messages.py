# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages of bags, made and read without ROS: images, and vision_msgs' detections."""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from rosbags.typesys.store import Typestore

from gtr_ros.media.pixels import decompress
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import PLAIN_ENCODINGS
from gtr_ros.media.pixels import view_pixels
from gtr_ros.stamps import NANOSECONDS

#: types of the topics that are read
IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
DETECTIONS = 'vision_msgs/msg/Detection2DArray'

# The fields that vision_msgs 4 publishes.
_VISION_MSGS = {
    'Point2D': 'float64 x\nfloat64 y',
    'Pose2D': 'vision_msgs/Point2D position\nfloat64 theta',
    'BoundingBox2D': 'vision_msgs/Pose2D center\nfloat64 size_x\nfloat64 size_y',
    'ObjectHypothesis': 'string class_id\nfloat64 score',
    'ObjectHypothesisWithPose': (
        'vision_msgs/ObjectHypothesis hypothesis\ngeometry_msgs/PoseWithCovariance pose'
    ),
    'Detection2D': (
        'std_msgs/Header header\nvision_msgs/ObjectHypothesisWithPose[] results\n'
        'vision_msgs/BoundingBox2D bbox\nstring id'
    ),
    'Detection2DArray': 'std_msgs/Header header\nvision_msgs/Detection2D[] detections',
}
_JPEG_QUALITY = 95


@cache
def typestore() -> Typestore:
    """Return the types of Jazzy, vision_msgs 4 among them."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for name, definition in _VISION_MSGS.items():
        types.update(get_types_from_msg(definition, f'vision_msgs/msg/{name}'))
    store.register(types)
    return store


def image_of(message) -> np.ndarray:
    """
    Read an Image or a CompressedImage: (H, W, 3) uint8 RGB, contiguous, the reader's own.

    :raises ImageError: if it holds no image that can be read
    """
    if not hasattr(message, 'encoding'):
        return decompress(message)
    pixels = view_pixels(message)
    if pixels is None:
        raise ImageError(
            f'encoding {message.encoding!r} cannot be read; expected one of '
            f'{", ".join(PLAIN_ENCODINGS)}'
        )
    return pixels.copy(order='C')


def box_of(detection, class_names: tuple[str, ...]) -> tuple | None:
    """
    Read a detection: xyxy, score, label and id; None if it is of another class.

    :raises ValueError: if it is no upright box with a class and a score in [0, 1]
    """
    box, centre = detection.bbox, detection.bbox.center.position
    x, y, width, height = centre.x, centre.y, box.size_x, box.size_y
    if not np.isfinite((x, y, width, height)).all() or width <= 0 or height <= 0:
        raise ValueError(
            f'bbox has centre ({x:g}, {y:g}) and size {width:g} x {height:g}; expected finite '
            'numbers and a positive size'
        )
    if box.center.theta != 0:
        raise ValueError(f'bbox is rotated by {box.center.theta:g} rad; expected upright boxes')
    if not detection.results:
        raise ValueError('it has no results; expected a hypothesis with class_id and score')
    hypothesis = detection.results[0].hypothesis
    if not 0 <= hypothesis.score <= 1:
        raise ValueError(f'score is {hypothesis.score:g}; expected one in [0, 1]')
    label = _label_of(hypothesis.class_id, class_names)
    if label is None:
        return None
    corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    return corners, hypothesis.score, label, detection.id


def _label_of(class_id: str, class_names: tuple[str, ...]) -> int | None:
    if class_id in class_names:
        return class_names.index(class_id)
    label = decimal(class_id)
    return label if label is not None and label < len(class_names) else None


def decimal(text: str) -> int | None:
    """Read a whole number that fits into int64; None: the text is none."""
    # Up to 18 digits fit into int64.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def make_message(name: str, *fields):
    """Make a message of a type, as 'std_msgs/Header', of its fields in their order."""
    package, kind = name.split('/')
    return typestore().types[f'{package}/msg/{kind}'](*fields)


def make_header(stamp: int, frame_id: str):
    """Make a header of a stamp in nanoseconds."""
    time = make_message('builtin_interfaces/Time', *divmod(int(stamp), NANOSECONDS))
    return make_message('std_msgs/Header', time, frame_id)


def image_message(row: tuple, compressed: bool, frame_id: str):
    """Make an Image, or a CompressedImage, of (stamp, image), (H, W, 3) uint8 RGB."""
    stamp, image = row
    header = make_header(stamp, frame_id)
    if compressed:
        buffer = BytesIO()
        Image.fromarray(image).save(buffer, 'JPEG', quality=_JPEG_QUALITY)
        data = np.frombuffer(buffer.getvalue(), np.uint8)
        # As image_transport names it: of what it was made, and what a decoder makes of it.
        return make_message(
            'sensor_msgs/CompressedImage', header, 'rgb8; jpeg compressed bgr8', data
        )
    height, width = image.shape[:2]
    data = np.ascontiguousarray(image).reshape(-1)
    return make_message('sensor_msgs/Image', header, height, width, 'rgb8', 0, width * 3, data)


def detections_message(row: tuple, class_names: tuple[str, ...], frame_id: str):
    """Make a Detection2DArray of (stamp, boxes, scores, labels, ids)."""
    stamp, boxes, scores, labels, ids = row
    header = make_header(stamp, frame_id)
    pose = make_message(
        'geometry_msgs/Pose',
        make_message('geometry_msgs/Point', 0.0, 0.0, 0.0),
        make_message('geometry_msgs/Quaternion', 0.0, 0.0, 0.0, 1.0),
    )
    pose = make_message('geometry_msgs/PoseWithCovariance', pose, np.zeros(36))
    detections = []
    boxes = np.asarray(boxes, np.float64).reshape(-1, 4).tolist()
    for (x1, y1, x2, y2), score, label, identity in zip(boxes, scores, labels, ids, strict=True):
        centre = make_message('vision_msgs/Point2D', (x1 + x2) / 2, (y1 + y2) / 2)
        centre = make_message('vision_msgs/Pose2D', centre, 0.0)
        box = make_message('vision_msgs/BoundingBox2D', centre, x2 - x1, y2 - y1)
        name = class_names[int(label)]
        hypothesis = make_message('vision_msgs/ObjectHypothesis', name, float(score))
        results = [make_message('vision_msgs/ObjectHypothesisWithPose', hypothesis, pose)]
        detections.append(
            make_message('vision_msgs/Detection2D', header, results, box, str(identity))
        )
    return make_message('vision_msgs/Detection2DArray', header, detections)
