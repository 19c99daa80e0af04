# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera is, and which part of the ground it sees."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np

from gtr_ros.data.people.scene import CAMERA
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import stream_of

#: height of a person that distances are estimated with, metres
STATURE = 1.7

_STEP = 1 / 60  # s, between computed poses; others are interpolated
_HEIGHTS = {  # metres, smallest and largest
    'wall': (2.2, 3.0),
    'stand': (0.2, 1.6),
    'drive': (0.2, 1.3),
    'pan': (0.5, 1.8),
    'shake': (1.3, 1.7),
}
#: where the horizon is, image heights from the top
_HORIZONS = {
    'wall': (0.05, 0.22),
    'stand': (0.38, 0.55),
    'drive': (0.4, 0.55),
    'pan': (0.36, 0.52),
    'shake': (0.34, 0.5),
}


@dataclass(frozen=True)
class View:
    """
    The camera's lens.

    :param focal: focal length, pixels
    :param size: (height, width), pixels
    """

    focal: float
    size: tuple[int, int]

    @property
    def intrinsics(self) -> np.ndarray:
        """(3, 3) float64; (0, 0) is the top left corner of the image, not a pixel's centre."""
        height, width = self.size
        return np.array([[self.focal, 0, width / 2], [0, self.focal, height / 2], [0, 0, 1]])

    @property
    def half_angle(self) -> float:
        """Horizontal, from the middle of the image to its side, radians."""
        return math.atan(self.size[1] / 2 / self.focal)

    def distance_of(self, height: float) -> float:
        """Return at what distance, metres, a person has this height, pixels of 480 rows."""
        return self.focal * STATURE / (height * self.size[0] / 480)


class Camera:
    """
    The camera of a scene over its time.

    :param scene: it depends on the camera's parameters, size, duration and seed only
    """

    def __init__(self, scene: PeopleScene) -> None:
        stream = stream_of(scene, CAMERA)
        kind, (rows, columns) = scene.camera, scene.size
        fov = scene.fov or math.degrees(
            2 * math.atan(stream.uniform(math.tan(math.radians(22)), math.tan(math.radians(50))))
        )
        self.view = View(columns / 2 / math.tan(math.radians(fov / 2)), scene.size)
        height = stream.uniform(*_HEIGHTS[kind])
        height = scene.height or height
        horizon = stream.uniform(*_HORIZONS[kind])
        tilt = math.atan((0.5 - horizon) * rows / self.view.focal)
        times = np.arange(math.ceil(scene.duration / _STEP) + 2) * _STEP
        # x, y, z in metres; yaw to the left, tilt down, roll, in radians
        path = np.zeros((len(times), 6))
        path[:, 2], path[:, 4] = height, tilt
        if kind == 'drive':
            _drive(path, times, stream)
        elif kind == 'pan':
            _pan(path, times, stream)
        elif kind == 'shake':
            _shake(path, times, stream)
        self._path = path
        self.travels = kind == 'drive'

    @classmethod
    def fixed(cls, place: Sequence[float], fov: float, size: tuple[int, int]) -> Camera:
        """
        Return a camera that does not move.

        :param place: x, y, z, metres; yaw to the left, tilt down, roll, radians
        :param fov: horizontal field of view, degrees
        :param size: (height, width), pixels
        """
        camera = cls.__new__(cls)
        camera.view = View(size[1] / 2 / math.tan(math.radians(fov / 2)), size)
        camera._path = np.tile(np.array(place, np.float64), (2, 1))
        camera.travels = False
        return camera

    def place(self, t: float | np.ndarray) -> np.ndarray:
        """Return (6,) x, y, z, metres; yaw, tilt, roll, radians; (T, 6) for T times."""
        index = np.clip(np.asarray(t) / _STEP, 0, len(self._path) - 1.001)
        low = np.floor(index).astype(int)
        share = (index - low)[..., None]
        return self._path[low] * (1 - share) + self._path[low + 1] * share

    def pose(self, t: float) -> np.ndarray:
        """
        Return (4, 4) float64, from the camera's optical frame to the world, metres.

        Optical: x right, y down, z forward. World: x forward, y left, z up.
        """
        x, y, z, yaw, tilt, roll = self.place(t)
        forward = np.array(
            [math.cos(yaw) * math.cos(tilt), math.sin(yaw) * math.cos(tilt), -math.sin(tilt)]
        )
        right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
        down = np.cross(forward, right)
        pose = np.eye(4)
        pose[:3, 0] = math.cos(roll) * right + math.sin(roll) * down
        pose[:3, 1] = math.cos(roll) * down - math.sin(roll) * right
        pose[:3, 2] = forward
        pose[:3, 3] = x, y, z
        return pose

    def ground(self, t: float, distance: float, bearing: float) -> np.ndarray:
        """
        Return a point on the ground, (2,) x and y, metres.

        :param distance: from the camera, metres
        :param bearing: from the middle of the view to the left, radians
        """
        x, y, _, yaw, _, _ = self.place(t)
        angle = yaw + bearing
        return np.array([x + distance * math.cos(angle), y + distance * math.sin(angle)])


def _waves(
    times: np.ndarray, stream: np.random.Generator, rms: float, low: float, high: float
) -> np.ndarray:
    """Return a smooth random signal: a sum of six sines, whose frequencies are in Hz."""
    frequencies = np.geomspace(low, high, 6) * stream.uniform(0.8, 1.25, 6)
    phases = stream.uniform(0, 2 * math.pi, 6)
    sizes = frequencies**-0.6 * stream.uniform(0.5, 1, 6)
    sizes *= rms * math.sqrt(2 / np.sum(sizes**2))
    return np.sin(2 * math.pi * frequencies * times[:, None] + phases) @ sizes


def _drive(path: np.ndarray, times: np.ndarray, stream: np.random.Generator) -> None:
    """Drive along curves; the wheels shake the camera a little."""
    speed = stream.uniform(0.3, 1.2) * (1 + 0.25 * np.tanh(_waves(times, stream, 1, 0.03, 0.3)))
    turn = _waves(times, stream, stream.uniform(0.06, 0.25), 0.03, 0.3)
    yaw = np.cumsum(turn) * _STEP
    path[:, 3] = yaw - yaw[0]
    path[:, 0] = np.cumsum(speed * np.cos(path[:, 3])) * _STEP
    path[:, 1] = np.cumsum(speed * np.sin(path[:, 3])) * _STEP
    rough = stream.uniform(0.2, 1.0)
    path[:, 4] += math.radians(0.35) * rough * _waves(times, stream, 1, 1.5, 9)
    path[:, 5] += math.radians(0.25) * rough * _waves(times, stream, 1, 1.5, 9)
    path[:, 2] += 0.004 * rough * _waves(times, stream, 1, 1.5, 9)


def _pan(path: np.ndarray, times: np.ndarray, stream: np.random.Generator) -> None:
    """Turn from side to side."""
    reach = math.radians(stream.uniform(15, 45))
    period = stream.uniform(7, 18)
    turn = 2 * math.pi * times / period + stream.uniform(0, 2 * math.pi)
    path[:, 3] = reach * np.sin(turn + 0.3 * np.sin(2 * turn))
    path[:, 4] += math.radians(0.8) * _waves(times, stream, 1, 0.1, 0.6)


def _shake(path: np.ndarray, times: np.ndarray, stream: np.random.Generator) -> None:
    """Move as a camera in a hand."""
    strength = stream.uniform(0.6, 1.5)
    path[:, 3] += math.radians(1.6 * strength) * _waves(times, stream, 1, 0.3, 5)
    path[:, 4] += math.radians(1.0 * strength) * _waves(times, stream, 1, 0.3, 5)
    path[:, 5] += math.radians(0.8 * strength) * _waves(times, stream, 1, 0.3, 3)
    for axis in range(3):
        path[:, axis] += 0.03 * strength * _waves(times, stream, 1, 0.3, 2)
