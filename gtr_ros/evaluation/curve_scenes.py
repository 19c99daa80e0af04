# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scenes of `--curves`: drawn or rendered, and what is measured in them."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
import math
from typing import ClassVar
from typing import NamedTuple
from typing import Protocol

import numpy as np

from gtr_ros.data.people import generate as generate_people
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.evaluation.gaps import Gap
from gtr_ros.evaluation.gaps import Gaps
from gtr_ros.evaluation.gaps import gaps_of
from gtr_ros.evaluation.gaps import SHORTEST
from gtr_ros.evaluation.names import split_scenes
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

#: number of frames while everybody is away: more than those for which baselines keep a lost track
IDLE_FRAMES = 40
_CROWD = 24  # people in the scenes whose natural gaps are measured by their duration
_MARGIN = 1.0  # seconds before the first returns, and after the last has left, with all frames


class Part(NamedTuple):
    """
    What one seed contributes to one value of a factor.

    :param scene: its parameters
    :param stride: trackers get every stride-th frame
    :param gaps: which of the scene's gaps are measured
    """

    scene: Scene | PeopleScene
    stride: int = 1
    gaps: Gaps = Gaps(shortest=0.0)


class Made(NamedTuple):
    """
    A scene that was made.

    :param sequence: with the ground truth
    :param boxes: of each frame; None: the model finds them
    :param gaps: of all objects
    """

    sequence: Sequence
    boxes: list[Detections] | None
    gaps: list[Gap]


class Scenes(Protocol):
    """A kind of scene."""

    #: axis labels of its factors
    units: ClassVar[dict[str, str]]

    def part(self, factor: str, values: tuple, value: float | str, seed: int) -> Part:
        """
        Return what a seed contributes to a value of a factor.

        :param values: all values of the factor
        :raises ValueError: if the value is not valid
        """

    def make(self, scene: Scene | PeopleScene) -> Made:
        """Make a scene."""


class DrawnScenes:
    """
    Flat drawn scenes with simulated detections.

    :param base: all that does not vary
    """

    units: ClassVar[dict[str, str]] = {
        'occlusion': 'seconds hidden',
        'objects': 'people in the image',
        'similarity': 'similarity of appearance (1: identical)',
        'rate': 'frames per second',
        'camera': 'camera motion, pixels per second',
    }

    def __init__(self, base: Scene = Scene()) -> None:
        self.base = base

    def part(self, factor: str, values: tuple, value: float, seed: int) -> Part:
        """Return the scene with this value."""
        return Part(replace(self.base, **{factor: value, 'seed': seed}))

    def make(self, scene: Scene) -> Made:
        """Draw a scene; its gaps are the hidings."""
        made = generate(scene)
        gaps = [Gap(*hiding, in_view=True) for hiding in made.hidings]
        return Made(made.sequence, made.detections, gaps)


class RenderedScenes:
    """
    Scenes of rendered people; the model finds the boxes.

    :param base: all that does not vary
    """

    units: ClassVar[dict[str, str]] = {
        'occlusion': 'seconds hidden, from this value to the next',
        'objects': 'people in the scene',
        'likeness': 'share of people who look like another one',
        'rate': 'frames per second',
        'camera': 'kind of camera',
        'absence': 'seconds away',
    }

    def __init__(self, base: PeopleScene = PeopleScene()) -> None:
        self.base = base

    def part(self, factor: str, values: tuple, value: float | str, seed: int) -> Part:
        """Return the scene with this value, or the gaps of this value in a crowded scene."""
        base = replace(self.base, seed=seed)
        if factor == 'occlusion':
            following = dict(pairwise(sorted(values))).get(value, math.inf)
            return Part(replace(base, objects=_CROWD), gaps=Gaps(value, following, in_view=True))
        if factor == 'rate':
            # The same pictures at all rates: those of every stride-th frame.
            stride = round(base.rate / value) if value > 0 else 0
            if stride < 1 or abs(base.rate - stride * value) > 1e-6:
                raise ValueError(
                    f'rate={value:g}; expected the rate of the scenes, {base.rate:g}, divided by '
                    'a whole number'
                )
            return Part(base, stride, Gaps())
        if factor == 'absence':
            longer = replace(base, absence=value, duration=base.duration + value)
            return Part(longer, gaps=Gaps(max(SHORTEST, value)))
        return Part(replace(base, **{factor: value}), gaps=Gaps())

    def make(self, scene: PeopleScene) -> Made:
        """Prepare a scene; its images are drawn when they are read."""
        people = generate_people(scene)
        sequence = people.sequence
        gaps = gaps_of(sequence)
        frames = frames_of_visits(sequence.stamps, people.world.absences)
        if len(frames) < len(sequence):
            sequence = sequence.select(frames)
        return Made(sequence, None, gaps)


def frames_of_visits(stamps: np.ndarray, absences: np.ndarray) -> list[int]:
    """
    Return the frames to be used: all but those in which everybody is away.

    Of these, `IDLE_FRAMES` evenly spaced ones are used.

    :param stamps: (T,) int64, nanoseconds
    :param absences: (N, 2) float64, begin and end of each person's absence, seconds
    """
    if not len(absences):
        return list(range(len(stamps)))
    seconds = stamps / NANOSECONDS
    idle = seconds > absences[:, 0].max() + _MARGIN
    idle &= seconds < absences[:, 1].min() - _MARGIN
    positions = np.flatnonzero(idle)
    chosen = np.linspace(0, len(positions) - 1, min(len(positions), IDLE_FRAMES)).round()
    return sorted({*np.flatnonzero(~idle).tolist(), *positions[chosen.astype(int)].tolist()})


def scenes_of(text: str) -> Scenes:
    """
    Return the scenes of `--scenes`.

    :param text: such as 'drawn', or 'people:avatars=DIR,size=240x320'
    :raises ValueError: if the kind or a parameter is unknown, or a value is not valid
    """
    kind, rest = split_scenes(text)
    after = f':{rest}' if rest else ''
    if kind == 'drawn':
        return DrawnScenes(Scene.parse(f'synthetic{after}'))
    return RenderedScenes(PeopleScene.parse(f'people{after}'))
