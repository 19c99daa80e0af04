# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A short video of drawn people, whom the default detector finds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from gtr_ros.data.sequence import images_of
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.media.video import VideoWriter

RATE = 10.0
SIZE = (320, 240)  # width and height, pixels


@cache
def _scene() -> Sequence:
    scene = Scene(objects=4, occlusion=0, duration=1.2, rate=RATE, size=SIZE[::-1], seed=0)
    return generate(scene).sequence


def images() -> list[np.ndarray]:
    """Return the 12 frames, (H, W, 3) uint8 RGB."""
    return [np.asarray(image) for image in images_of(_scene())]


def boxes() -> list[np.ndarray]:
    """Return the true boxes of each frame, (N, 5): id, xyxy in pixels."""
    return [np.column_stack([truth.ids, truth.boxes]) for truth in _scene().truth]


def write_video(path: Path) -> Path:
    """Write the frames as a video."""
    with VideoWriter(path, RATE, SIZE) as writer:
        for image in images():
            writer.write(image)
    return path
