# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""When each person is away."""

from __future__ import annotations

import math

import numpy as np

from gtr_ros.data.people.scene import ABSENCES
from gtr_ros.data.people.scene import PeopleScene
from gtr_ros.data.people.scene import SEEN
from gtr_ros.data.people.scene import stream_of

#: seconds between the steps of the world; absences begin at one
STEP = 1 / 20


def make_absences(scene: PeopleScene) -> np.ndarray:
    """
    Draw the absences of all people.

    :return: (N, 2) float64, seconds; each is away for begin <= t < end, inf if never
    """
    if scene.absence == 0:
        return np.full((scene.objects, 2), math.inf)
    starts = [
        stream_of(scene, ABSENCES, i).uniform(SEEN, scene.duration - SEEN - scene.absence)
        for i in range(scene.objects)
    ]
    begin = np.round(np.array(starts, float) / STEP) * STEP
    return np.column_stack([begin, begin + scene.absence])
