# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a camera does to a picture: exposure, blur, noise, and the compression of its images."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
import math

import numpy as np
from PIL import Image

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.lighting import Light
from gtr_ros.data.people.scene import LENS
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import visit_stream

_TAPS = 9  # most pictures that motion blur adds up
_SHORTEST = 0.6  # pixels, shortest motion that is drawn as blur


@dataclass(frozen=True)
class Lens:
    """
    The camera's properties on a visit.

    :param shutter: exposure time, seconds
    :param blur: pixels
    :param vignette: loss of light at the corner, per squared half height
    :param balance: (3,) factors of RGB
    :param noise: (2,) standard deviation in black, and what is added in white, of 1
    :param quality: of the JPEG compression, 1 to 95
    :param drift: (3, 3) amplitudes in stops, frequencies in Hz and phases of the exposure's drift
    """

    shutter: float
    blur: float
    vignette: float
    balance: np.ndarray
    noise: tuple[float, float]
    quality: int
    drift: np.ndarray

    def exposure(self, t: float) -> float:
        """Return the factor of the exposure at a time in seconds."""
        sizes, frequencies, phases = self.drift
        return 2 ** float(sizes @ np.sin(2 * math.pi * frequencies * t + phases))


def make_lens(scene: PeopleScene, light: Light) -> Lens:
    """Draw the camera's properties on a visit."""
    stream = visit_stream(scene, LENS)
    dark = {'day': 0.0, 'indoor': 0.4, 'dusk': 1.0}[light.kind]
    # Balances undo part of the light's colour, with errors.
    colour = light.sky + light.main * 0.5
    balance = (colour.mean() / colour) ** (0.45 * stream.uniform(0.4, 1.0))
    balance *= np.exp(stream.normal(0, 0.025, 3))
    quality = round(100 - math.exp(stream.uniform(math.log(5), math.log(70))))
    return Lens(
        shutter=math.exp(stream.uniform(math.log(0.003), math.log(0.012))) * (1 + 2.5 * dark),
        blur=float(max(0.0, stream.uniform(-0.6, 1.0))) * scene.size[0] / 480,
        vignette=float(stream.uniform(0.0, 0.3)),
        balance=balance,
        noise=(
            float(stream.uniform(0.002, 0.008) * (1 + 1.5 * dark)),
            float(stream.uniform(0.002, 0.012) * (1 + 1.0 * dark)),
        ),
        quality=quality,
        drift=np.array(
            [
                stream.uniform(0, 0.12, 3),
                stream.uniform((0.02, 0.1, 0.3), (0.1, 0.3, 0.6)),
                stream.uniform(0, 2 * math.pi, 3),
            ]
        ),
    )


def motion_of(camera: Camera, t: float, shutter: float) -> tuple[np.ndarray, int]:
    """
    Return how the image moves during an exposure, as far as the camera turns.

    :return: (3, 3), maps pixels to where they were when it began; number of pictures to add up
    """
    begin, end = camera.pose(max(t - shutter, 0.0)), camera.pose(t)
    intrinsics = camera.view.intrinsics
    turn = begin[:3, :3].T @ end[:3, :3]
    motion = intrinsics @ turn @ np.linalg.inv(intrinsics)
    height, width = camera.view.size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], float)
    moved = corners @ motion.T
    length = np.hypot(*(moved[:, :2] / moved[:, 2:] - corners[:, :2]).T).max()
    return motion, 1 if length < _SHORTEST else min(_TAPS, 2 + math.ceil(length))


def compress(image: np.ndarray, quality: int) -> np.ndarray:
    """Return an image (H, W, 3) uint8 RGB as JPEG leaves it."""
    stored = BytesIO()
    Image.fromarray(image).save(stored, 'JPEG', quality=quality)
    with Image.open(stored) as opened:
        return np.array(opened)
