# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Conversions of ROS messages, as subjects of `tools/fuzz.py`."""

from __future__ import annotations

import copy
from io import BytesIO
from pathlib import Path
import re
from typing import Any

from fuzz_files import Subject
from fuzz_mutations import mutate_bytes
from fuzz_mutations import special_value
import numpy as np
from PIL import Image as Picture

_INTEGER = re.compile(r'(u?)int(\d+)')


def mutate_message(message: Any, chance: np.random.Generator) -> Any:
    """Change one to three fields of a message to special values of their types."""
    message = copy.deepcopy(message)
    for _ in range(int(chance.integers(1, 4))):
        _change_field(message, chance)
    return message


def _change_field(message: Any, chance: np.random.Generator) -> None:
    names = message.get_fields_and_field_types()
    name = list(names)[int(chance.integers(len(names)))]
    kind, value = names[name], getattr(message, name)
    if hasattr(value, 'get_fields_and_field_types'):
        _change_field(value, chance)
    elif kind in ('double', 'float'):
        setattr(message, name, _number(kind, chance))
    elif kind == 'boolean':
        setattr(message, name, special_value(bool, chance, (0, 0)))
    elif kind == 'string':
        setattr(message, name, special_value(str, chance, (0, 0)))
    elif match := _INTEGER.fullmatch(kind):
        bits = int(match[2]) - (not match[1])
        limits = (0 if match[1] else -(2**bits), 2**bits - 1)
        setattr(message, name, special_value(int, chance, limits))
    elif len(value) and hasattr(value[0], 'get_fields_and_field_types'):
        if chance.random() < 0.2:
            setattr(message, name, [*value, *value][: int(chance.integers(4))])
        else:
            _change_field(value[int(chance.integers(len(value)))], chance)
    elif kind.startswith(('double', 'float')):
        value = np.array(value, np.float64)
        if len(value):
            value[int(chance.integers(len(value)))] = _number('double', chance)
        setattr(message, name, value)
    elif kind == 'sequence<uint8>':
        setattr(message, name, mutate_bytes((bytes(value),), chance))


def _number(kind: str, chance: np.random.Generator) -> float:
    value = special_value(float, chance, (0, 0))
    return float(np.clip(value, -3e38, 3e38)) if kind == 'float' and np.isfinite(value) else value


def _samples() -> dict[str, Any]:
    from sensor_msgs.msg import CameraInfo
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image
    from std_msgs.msg import Header
    from vision_msgs.msg import Detection2D
    from vision_msgs.msg import Detection2DArray
    from vision_msgs.msg import ObjectHypothesisWithPose

    chance = np.random.default_rng(0)
    pixels = chance.integers(0, 256, (6, 8, 3), np.uint8)
    image = Image(height=6, width=8, encoding='bgr8', step=24, data=pixels.tobytes())
    depth = chance.random((6, 8), np.float32)
    depth = Image(height=6, width=8, encoding='32FC1', step=32, data=depth.tobytes())
    stream = BytesIO()
    Picture.fromarray(pixels).save(stream, 'JPEG')
    detections = Detection2DArray(header=Header(frame_id='camera'))
    for i in range(3):
        each = Detection2D(id=str(i))
        each.bbox.center.position.x, each.bbox.center.position.y = 20.0 + 9 * i, 30.0
        each.bbox.size_x, each.bbox.size_y = 8.0, 16.0
        result = ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = 'person', 0.5
        each.results = [result]
        detections.detections.append(each)
    info = CameraInfo(height=48, width=64)
    info.k = [50.0, 0, 32, 0, 50, 24, 0, 0, 1]
    info.p = [50.0, 0, 32, 0, 0, 50, 24, 0, 0, 0, 1, 0]
    return {
        'image': image,
        'depth': depth,
        'compressed': CompressedImage(format='jpeg', data=stream.getvalue()),
        'detections': detections,
        'info': info,
    }


def _change_image(message: Any, encodings: tuple[str, ...], chance: np.random.Generator) -> Any:
    """Change an image; often also to another encoding, and to small sizes that may fit."""
    message = mutate_message(message, chance)
    if chance.random() < 0.5:
        message.encoding = encodings[int(chance.integers(len(encodings)))]
    if chance.random() < 0.5:
        message.height, message.width = (int(side) for side in chance.integers(0, 9, 2))
        message.step = int(chance.integers(40))
    return message


def image_message(folder: Path) -> Subject:
    from gtr_ros.media.pixels import ImageError
    from gtr_ros.media.pixels import PLAIN_ENCODINGS
    from gtr_ros.node.messages.images import image_to_array

    sample = _samples()['image']

    def read(message: Any) -> None:
        pixels = image_to_array(message)
        assert pixels.shape == (message.height, message.width, 3)
        int(pixels[-1, -1].sum())  # the last pixel is inside the data

    return Subject(
        lambda chance: _change_image(sample, (*PLAIN_ENCODINGS, 'mono16', 'yuv422'), chance),
        read,
        (ImageError,),
    )


def compressed_message(folder: Path) -> Subject:
    from gtr_ros.media.pixels import ImageError
    from gtr_ros.node.messages.images import image_to_array

    sample = _samples()['compressed']
    return Subject(lambda chance: mutate_message(sample, chance), image_to_array, (ImageError,))


def depth_message(folder: Path) -> Subject:
    from gtr_ros.media.pixels import ImageError
    from gtr_ros.node.messages.depth import depth_to_metres

    sample = _samples()['depth']

    def read(message: Any) -> None:
        metres = depth_to_metres(message)
        assert metres.shape == (message.height, message.width)
        assert not (metres <= 0).any()
        assert not np.isinf(metres).any()

    return Subject(
        lambda chance: _change_image(sample, ('32FC1', '16UC1', 'mono16'), chance),
        read,
        (ImageError,),
    )


def detections_message(folder: Path) -> Subject:
    from gtr_ros.node.messages.received import read_detections

    sample = _samples()['detections']

    def read(message: Any) -> None:
        found = read_detections(message, (48, 64), lambda name: 0)
        assert np.isfinite(found.boxes).all()
        assert ((found.scores >= 0) & (found.scores <= 1)).all()
        assert (found.boxes[:, 2:] > found.boxes[:, :2]).all()

    return Subject(lambda chance: mutate_message(sample, chance), read, (ValueError,))


def camera_info_message(folder: Path) -> Subject:
    from std_msgs.msg import Header

    from gtr_ros.media.pixels import ImageError
    from gtr_ros.node.messages.depth import detections_3d_message
    from gtr_ros.structures import Tracks

    sample = _samples()['info']
    depth = np.full((48, 64), 2.0, np.float32)
    tracks = Tracks(
        ids=np.array([1]),
        boxes=np.array([[10, 10, 30, 40]], np.float32),
        scores=np.array([0.5], np.float32),
        labels=np.array([0]),
        confirmed=np.array([True]),
    )

    def read(message: Any) -> None:
        made, _ = detections_3d_message(tracks, Header(), ['person'], (48, 64), depth, message)
        for detection in made.detections:
            centre, size = detection.bbox.center.position, detection.bbox.size
            assert np.isfinite([centre.x, centre.y, centre.z, size.x, size.y, size.z]).all()

    return Subject(lambda chance: mutate_message(sample, chance), read, (ImageError,))
