# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The light of a visit."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

from gtr_ros.data.people.scene import LIGHT
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import visit_stream

_SHARES = {'day': 0.5, 'dusk': 0.15, 'indoor': 0.35}
_WARM, _COLD = np.array([1.0, 0.78, 0.52]), np.array([0.82, 0.92, 1.0])


@dataclass(frozen=True)
class Light:
    """
    Light in linear units; 1 lights white as much as the film can take, before the exposure.

    :param kind: 'day', 'dusk' or 'indoor'
    :param direction: (3,) towards the main light, unit vector of the world frame
    :param main: (3,) RGB of the main light
    :param sky: (3,) RGB of the light from above
    :param ground: (3,) RGB of the light from the ground
    :param side: (3,) direction of a broad light from one side, such as windows
    :param side_colour: (3,) RGB of it
    :param softness: of shadows, metres
    :param patches: strength of patches of light and shade, in [0, 1]
    :param patch_size: metres
    :param zenith: (3,) RGB of the sky above everything
    :param exposure: factor that makes grey look grey, with the error of an automatic exposure
    """

    kind: str
    direction: np.ndarray
    main: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    side: np.ndarray
    side_colour: np.ndarray
    softness: float
    patches: float
    patch_size: float
    zenith: np.ndarray
    exposure: float


def make_light(scene: PeopleScene) -> Light:
    """Draw the light of a visit to a scene."""
    stream = visit_stream(scene, LIGHT)
    kind = str(stream.choice(list(_SHARES), p=list(_SHARES.values())))
    kind = scene.light or kind
    azimuth, side_azimuth = stream.uniform(0, 2 * math.pi, 2)
    between = stream.uniform
    if kind == 'day':
        elevation = math.radians(between(18, 65))
        clouds = between(0, 1) ** 1.3
        low = 1 - math.sin(elevation)
        main = 3.2 * (1 - 0.85 * clouds) * _mix(np.ones(3), _WARM, 0.75 * low**2)
        sky = (0.45 + 0.55 * clouds) * _mix(np.array([0.72, 0.86, 1.08]), np.ones(3), clouds)
        softness, patches = 0.03 + 0.15 * clouds**2, between(0, 0.75)
        zenith = _mix(np.array([0.28, 0.5, 0.95]), np.array([0.8, 0.83, 0.88]), clouds)
        side = between(0.02, 0.15) * np.ones(3)
    elif kind == 'dusk':
        elevation = math.radians(between(8, 22))
        main = between(0.25, 1.1) * np.array([1.0, 0.6, 0.32])
        sky = between(0.25, 0.45) * np.array([0.75, 0.85, 1.15])
        softness, patches = between(0.04, 0.15), between(0, 0.6)
        zenith = np.array([0.12, 0.17, 0.3])
        side = between(0.05, 0.3) * _mix(_WARM, np.array([1.0, 0.7, 0.8]), between(0, 1))
    else:
        elevation = math.radians(between(48, 80))
        lamp = _mix(_WARM, _COLD, between(0, 1) ** 0.6)
        main = between(0.25, 0.9) * lamp
        sky = between(0.25, 0.5) * _mix(lamp, np.ones(3), 0.4)
        softness, patches = between(0.06, 0.18), between(0.2, 0.8)
        zenith = 0.6 * lamp
        side = between(0.0, 0.6) * _mix(_COLD, np.ones(3), between(0, 1))
    ground = between(0.25, 0.5) * (sky + 0.35 * main * math.sin(elevation))
    level = float(np.mean(sky + ground * 0.5 + side * 0.5 + main * math.sin(elevation)))
    return Light(
        kind=kind,
        direction=_direction(azimuth, elevation),
        main=main,
        sky=sky,
        ground=ground * _mix(np.ones(3), np.array([1.0, 0.92, 0.8]), between(0, 1)),
        side=_direction(side_azimuth, math.radians(15)),
        side_colour=side,
        softness=softness,
        patches=patches,
        patch_size=between(3, 9),
        zenith=zenith,
        exposure=(1.0 if kind == 'dusk' else 1.7) / level * 2 ** between(-0.5, 0.4),
    )


def _mix(a: np.ndarray, b: np.ndarray, share: float) -> np.ndarray:
    return a * (1 - share) + b * share


def _direction(azimuth: float, elevation: float) -> np.ndarray:
    return np.array(
        [
            math.cos(azimuth) * math.cos(elevation),
            math.sin(azimuth) * math.cos(elevation),
            math.sin(elevation),
        ]
    )
