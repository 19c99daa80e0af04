# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Messages in bags, created and read without ROS: images, and detections in vision_msgs types."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from rosbags.typesys.store import Typestore

from gtr_ros.box_checks import area_fault
from gtr_ros.box_checks import scores_fault
from gtr_ros.box_checks import unit_scores
from gtr_ros.boxes import centre_to_corners
from gtr_ros.boxes import corners_to_centre
from gtr_ros.media.pixels import ImageError
from gtr_ros.media.pixels import PLAIN_ENCODINGS
from gtr_ros.media.pixels import read_pixels
from gtr_ros.stamps import NANOSECONDS

#: message types
IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
DETECTIONS = 'vision_msgs/msg/Detection2DArray'

# Message definitions of vision_msgs 4.
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


@cache
def typestore() -> Typestore:
    """Return the message types of ROS 2 Jazzy and vision_msgs 4."""
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for name, definition in _VISION_MSGS.items():
        types.update(get_types_from_msg(definition, f'vision_msgs/msg/{name}'))
    store.register(types)
    return store


def read_image_message(message: Any) -> np.ndarray:
    """
    Return the pixels of an Image or a CompressedImage, (H, W, 3) uint8 RGB, contiguous; a copy.

    :raises ImageError: if it has no valid image of a supported encoding
    """
    pixels = read_pixels(message)
    if pixels is None:
        raise ImageError(
            f'encoding {message.encoding!r} is not supported; expected one of '
            f'{", ".join(PLAIN_ENCODINGS)}'
        )
    # Decoded pixels are already a new array.
    return pixels.copy(order='C') if hasattr(message, 'encoding') else pixels


def read_box(
    detection: Any, class_names: tuple[str, ...]
) -> tuple[tuple[float, float, float, float], float, int, str] | None:
    """
    Return xyxy, score, label and id of a Detection2D; None if it has another class.

    :raises ValueError: if it has no upright box, no class, or a score outside [0, 1]
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
        raise ValueError('results is empty; expected a hypothesis with class_id and score')
    # As in the node, see gtr_ros.node.messages.received.
    hypothesis = max(detection.results, key=lambda result: result.hypothesis.score).hypothesis
    fault = scores_fault([result.hypothesis.score for result in detection.results])
    if fault:
        raise ValueError(fault[1])
    label = _find_label(hypothesis.class_id, class_names)
    if label is None:
        return None
    score = float(unit_scores(hypothesis.score))
    corners = centre_to_corners(x, y, width, height)
    if fault := area_fault(*corners):
        raise ValueError(fault)
    return corners, score, label, detection.id


def _find_label(class_id: str, class_names: tuple[str, ...]) -> int | None:
    if class_id in class_names:
        return class_names.index(class_id)
    label = parse_whole_number(class_id)
    return label if label is not None and label < len(class_names) else None


def parse_whole_number(text: str) -> int | None:
    """Parse a decimal number that fits into int64; None if the text is not one."""
    # Up to 18 digits fit into int64.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def make_message(name: str, *fields: Any) -> Any:
    """Return a message of a type such as 'std_msgs/Header', with its fields in order."""
    package, kind = name.split('/')
    return typestore().types[f'{package}/msg/{kind}'](*fields)


def make_header(stamp: int, frame_id: str) -> Any:
    """Return a header with a stamp in nanoseconds."""
    time = make_message('builtin_interfaces/Time', *divmod(int(stamp), NANOSECONDS))
    return make_message('std_msgs/Header', time, frame_id)


def bag_detections_message(
    stamp: int,
    boxes: np.ndarray,
    scores: Iterable[float],
    labels: Iterable[int],
    ids: Iterable[Any],
    class_names: Sequence[str],
    frame_id: str = '',
) -> Any:
    """
    Return a Detection2DArray that rosbags can serialise.

    :param stamp: nanoseconds
    :param boxes: (N, 4) float, xyxy, pixels
    :param labels: indices into the class names
    :param ids: numbers or strings
    """
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
        x, y, width, height = corners_to_centre(x1, y1, x2, y2)
        centre = make_message('vision_msgs/Point2D', x, y)
        centre = make_message('vision_msgs/Pose2D', centre, 0.0)
        box = make_message('vision_msgs/BoundingBox2D', centre, width, height)
        name = class_names[int(label)]
        hypothesis = make_message('vision_msgs/ObjectHypothesis', name, float(score))
        results = [make_message('vision_msgs/ObjectHypothesisWithPose', hypothesis, pose)]
        detections.append(
            make_message('vision_msgs/Detection2D', header, results, box, str(identity))
        )
    return make_message('vision_msgs/Detection2DArray', header, detections)
