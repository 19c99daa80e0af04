# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
How people move over the ground.

The world is simulated in steps of 50 ms, whatever the frame rate, and interpolated between them.
"""

from __future__ import annotations

from functools import partial
import math
from typing import NamedTuple

import numpy as np

from gtr_ros.data.people.actors import Actors
from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.cast import Person
from gtr_ros.data.people.gait import stride_length
from gtr_ros.data.people.places import Place
from gtr_ros.data.people.scene import PATHS
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import stream_of
from gtr_ros.data.people.schedule import STEP
from gtr_ros.data.people.script import make_script
from gtr_ros.data.people.walkers import Walkers

#: what a person does; the position is the index in `Moment.actions`
ACTIONS = ('walk', 'run', 'sit', 'bend')
_RUNNING = 2.1  # m/s, slowest run


class Moment(NamedTuple):
    """
    The N people of a world at a time.

    :param present: (N,) bool; the others are away
    :param positions: (N, 2) float64, x and y on the ground between the feet, metres
    :param headings: (N,) float64, radians from the x axis to the left
    :param speeds: (N,) float64, m/s
    :param phases: (N,) float64, of the gait, strides
    :param actions: of each person, one of `ACTIONS`
    :param shares: (N,) float64 in [0, 1], of 'sit' and 'bend'
    """

    present: np.ndarray
    positions: np.ndarray
    headings: np.ndarray
    speeds: np.ndarray
    phases: np.ndarray
    actions: tuple[str, ...]
    shares: np.ndarray


class World:
    """
    The people of a scene over its time.

    :param people: their gaits and looks set the length of their strides
    :param places: people walk around these, and sit on their seats
    :param absences: (N, 2), from `make_absences`
    """

    def __init__(
        self,
        scene: PeopleScene,
        camera: Camera,
        people: tuple[Person, ...],
        places: tuple[Place, ...],
        absences: np.ndarray,
    ) -> None:
        self.absences = absences
        stream = stream_of(scene, PATHS)
        script = make_script(scene, camera)
        kind = Walkers if script is None else partial(Actors, script)
        walkers = kind(len(people), camera, places, absences, stream)
        steps = math.ceil(scene.duration / STEP) + 2
        self._positions = np.empty((steps, len(people), 2))
        self._headings, self._speeds, self._shares, self._phases = np.empty(
            (4, steps, len(people))
        )
        self._actions = np.zeros((steps, len(people)), np.int8)
        phases = stream.random(len(people))
        for k in range(steps):
            walkers.step(k * STEP)
            speeds = walkers.speeds
            self._positions[k], self._headings[k] = walkers.positions, walkers.headings
            self._speeds[k], self._shares[k] = speeds, walkers.shares
            self._actions[k] = np.where(
                walkers.shares > 0,
                ACTIONS.index('sit') + walkers.bending,
                walkers.preferred > _RUNNING,
            )
            strides = np.array(
                [
                    stride_length(p.gait, p.look, v)
                    for p, v in zip(people, speeds.tolist(), strict=True)
                ]
            )
            phases = phases + STEP * speeds / np.maximum(strides, 0.05)
            self._phases[k] = phases
        self._headings = np.unwrap(self._headings, axis=0)

    def at(self, t: float) -> Moment:
        """Return the people at a time in seconds."""
        index = min(max(t / STEP, 0.0), len(self._positions) - 1.001)
        low = int(index + 1e-9)
        # Who is out of view may be put elsewhere from one step to the next.
        moved = np.abs(self._positions[low + 1] - self._positions[low]).max(axis=1)
        shares = np.where(moved < 0.5, max(0.0, index - low), 0)

        def between(values: np.ndarray) -> np.ndarray:
            share = shares.reshape(-1, *[1] * (values.ndim - 2))
            return values[low] * (1 - share) + values[low + 1] * share

        begin, end = self.absences.T
        return Moment(
            present=~((begin <= t) & (t < end)),
            positions=between(self._positions),
            headings=between(self._headings),
            speeds=between(self._speeds),
            phases=between(self._phases),
            actions=tuple(ACTIONS[a] for a in self._actions[low].tolist()),
            shares=between(self._shares),
        )
