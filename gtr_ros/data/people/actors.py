# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Walkers of whom the first ones follow a script; the others make room for them."""

from __future__ import annotations

import numpy as np

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.places import Place
from gtr_ros.data.people.script import ACTORS
from gtr_ros.data.people.script import Script
from gtr_ros.data.people.walkers import Walkers

_AHEAD = 0.7  # s, how far ahead the point of the script is that they walk to


class Actors(Walkers):
    """The state of N people as of `Walkers`, the first `ACTORS` of whom follow a script."""

    def __init__(
        self,
        script: Script,
        count: int,
        camera: Camera,
        places: tuple[Place, ...],
        absences: np.ndarray,
        stream: np.random.Generator,
    ) -> None:
        super().__init__(count, camera, places, absences, stream)
        self._script = script
        for i in range(ACTORS):
            self._leader[i] = -1
            self._begin(i, script.at(0.0)[i], script.at(_AHEAD)[i])

    def _decide(self, i: int, t: float) -> None:
        if i >= ACTORS:
            super()._decide(i, t)

    def _wanted(self, t: float) -> np.ndarray:
        wanted = super()._wanted(t)
        ahead = self._script.at(t + _AHEAD) - self.positions[:ACTORS]
        wanted[:ACTORS] = ahead / _AHEAD
        return wanted
