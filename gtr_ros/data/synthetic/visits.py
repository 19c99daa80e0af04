# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes of people who leave the image and return after seconds to minutes, with ground truth.

People cross the image of a static camera. Some appear several times, in different light; others
appear once. A scene lasts about 20 minutes, but has frames only while there are people in the
image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from itertools import pairwise
import math
from typing import NamedTuple

import numpy as np

from gtr_ros.boxes import clip_boxes
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic.drawing import Look
from gtr_ros.data.synthetic.drawing import make_looks
from gtr_ros.data.synthetic.drawing import Renderer
from gtr_ros.data.synthetic.scene import ASPECT
from gtr_ros.data.synthetic.scene import check_ranges
from gtr_ros.data.synthetic.scene import make_image_key
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.scene import write_text
from gtr_ros.data.synthetic.world import simulate_detections
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.data.synthetic.world import World
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

# Numbers of the random streams; those of `Scene` end at 8.
_TIMES, _PATH, _STATURE, _LIGHT, _TINT = range(20, 25)

_LENGTH = (4.0, 8.0)  # s, duration of a visit
_FEET = (0.66, 0.96)  # farthest and nearest feet, image heights from the top
_HEIGHT = (0.24, 0.42)  # heights of the farthest and the nearest, image heights


@dataclass(frozen=True)
class Visits:
    """
    Parameters of a scene with visits, filmed by a static camera.

    :param people: number of people who return
    :param visits: number of visits by each of them
    :param shortest_absence: seconds between two visits; drawn log-uniformly
    :param longest_absence: seconds
    :param strangers: number of people who appear only once
    :param similarity: in [0, 1]; 0: every person has different colours and patterns; 1: all have
        the same appearance
    :param rate: frames per second
    :param missed: in [0, 1], probability that a visible person is not detected in a frame
    :param false: mean number of false detections per frame
    :param jitter: standard deviation of a detected box's sides, in widths and heights of the box
    :param size: (height, width), pixels
    :param seed: of all random streams
    :raises ValueError: if a value is out of range
    """

    people: int = 12
    visits: int = 3
    shortest_absence: float = 10.0
    longest_absence: float = 600.0
    strangers: int = 12
    similarity: float = 0.3
    rate: float = 5.0
    missed: float = 0.05
    false: float = 0.05
    jitter: float = 0.03
    size: tuple[int, int] = (480, 640)
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            people=(0, 500),
            visits=(1, 100),
            shortest_absence=(1, 86400),
            longest_absence=(self.shortest_absence, 86400),
            strangers=(0, 500),
            similarity=(0, 1),
            rate=(0.5, 1000),
            missed=(0, 1),
            false=(0, 1000),
            jitter=(0, 0.5),
            seed=(0, math.inf),
        )

    def __str__(self) -> str:
        return write_text('visits', self)

    @property
    def image_key(self) -> str:
        """Hex digest of the parameters that the pixels depend on; detection noise is not one."""
        return make_image_key('visits', self, noise=('missed', 'false', 'jitter'))


class Visit(NamedTuple):
    """
    A time when at least half of a person is in the image.

    :param id: in the ground truth
    :param begin: nanoseconds; in the ground truth for begin <= stamp < end
    :param end: nanoseconds
    """

    id: int
    begin: int
    end: int


class Absence(NamedTuple):
    """
    The time between two visits of a person.

    :param id: in the ground truth
    :param left: end of the previous visit, nanoseconds
    :param back: start of the next visit, nanoseconds
    """

    id: int
    left: int
    back: int


@dataclass(frozen=True)
class GeneratedVisits:
    """
    A generated scene with visits.

    :param sequence: ground truth of each of T frames, and their images, which are drawn when read;
        stamps skip the times without people
    :param detections: of each frame, by a simulated imperfect detector; features are zeros
    :param returns: by person, then in order of time
    """

    sequence: Sequence
    detections: list[Detections]
    returns: tuple[Absence, ...]


def generate_visits(visits: Visits) -> GeneratedVisits:
    """Generate a scene; the same parameters always produce the same scene."""
    scene = Scene(
        objects=visits.people + visits.strangers,
        similarity=visits.similarity,
        missed=visits.missed,
        false=visits.false,
        jitter=visits.jitter,
        size=visits.size,
        seed=visits.seed,
    )
    plan = _plan(visits)
    stamps = _stamps(plan, visits.rate)
    world = _walk(scene, plan, stamps)
    ids = np.array([visit.id for visit in plan], np.int64)
    begins, ends = (np.array([v[k] for v in plan], np.int64) for k in (1, 2))
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = clip_boxes(world.boxes[t], visits.size)
        present = np.flatnonzero((begins <= stamp) & (stamp < ends))
        truth.append(Truth.of(ids[present], boxes[present]))
        visible = visibility(boxes[present], nearness=world.boxes[t, present, 3])
        detections.append(simulate_detections(scene, stamp, boxes, present, visible))
    sequence = Sequence(
        name=str(visits),
        class_names=('person',),
        image_size=visits.size,
        frame_rate=visits.rate,
        truth=tuple(truth),
        stamps=stamps,
        images=LitRenderer(scene, world, _tinted(scene, plan), _light(scene, stamps)),
        image_key=visits.image_key,
    )
    returns = [Absence(a.id, a.end, b.begin) for a, b in pairwise(plan) if a.id == b.id]
    return GeneratedVisits(sequence, detections, tuple(returns))


class LitRenderer:
    """
    Draws the frames of a world in changing light; see `gtr_ros.data.sequence.Images`.

    :param looks: appearance of the person in each visit
    :param light: (T, 3) float64, gains of red, green and blue
    """

    def __init__(self, scene: Scene, world: World, looks: list[Look], light: np.ndarray) -> None:
        self._plain = Renderer(scene, world, looks)
        self._empty = Renderer(scene, replace(world, hidden=np.ones_like(world.hidden)), looks)
        self._light = light

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over all frames, (H, W, 3) uint8 RGB each."""
        return map(self.at, range(len(self._light)))

    def at(self, t: int) -> np.ndarray:
        """Draw frame t."""
        return self._lit(self._plain.at(t), t)

    def empty(self, t: int) -> np.ndarray:
        """Draw frame t without people."""
        return self._lit(self._empty.at(t), t)

    def _lit(self, image: np.ndarray, t: int) -> np.ndarray:
        table = np.clip(np.arange(256) * self._light[t, :, None], 0, 255).astype(np.uint8)
        return np.stack([table[c][image[..., c]] for c in range(3)], axis=-1)


def _plan(visits: Visits) -> list[Visit]:
    """Choose the visits of all people; by person, then in order of time."""
    plan: list[Visit] = []
    # Long enough for people to appear one by one, even with short absences.
    span = max(visits.longest_absence, 12.0 * visits.people)
    arrival = 0.0
    for i in range(visits.people):
        stream = random_stream(visits, _TIMES, i)
        # Every third person appears together with the previous one.
        late, alone = stream.random(2)
        arrival = arrival + late if i % 3 == 2 else alone * span
        lengths = stream.uniform(*_LENGTH, visits.visits)
        bounds = math.log(visits.shortest_absence), math.log(visits.longest_absence)
        absences = np.exp(stream.uniform(*bounds, visits.visits - 1))
        begins = arrival + np.append(0, np.cumsum(lengths[:-1] + absences))
        plan += [_visit(i + 1, begin, length) for begin, length in zip(begins, lengths)]
    known = plan.copy()
    span = max((visit.end / NANOSECONDS for visit in plan), default=12.0 * visits.strangers)
    for i in range(visits.strangers):
        stream = random_stream(visits, _TIMES, visits.people + i)
        late, alone, which = stream.random(3)
        # Every second stranger appears together with a person who appears several times.
        begin = alone * span
        if known and i % 2:
            begin = known[int(which * len(known))].begin / NANOSECONDS + late
        plan.append(_visit(visits.people + i + 1, begin, stream.uniform(*_LENGTH)))
    return plan


def _visit(person: int, begin: float, length: float) -> Visit:
    return Visit(person, round(begin * NANOSECONDS), round((begin + length) * NANOSECONDS))


def _stamps(plan: list[Visit], rate: float) -> np.ndarray:
    """Return the stamps of the frames with people, (T,) int64 nanoseconds, ascending."""
    step = NANOSECONDS / rate
    frames = {
        frame
        for visit in plan
        for frame in range(math.ceil(visit.begin / step), math.ceil(visit.end / step))
    }
    return np.round(np.array(sorted(frames), np.float64) * step).astype(np.int64)


def _walk(scene: Scene, plan: list[Visit], stamps: np.ndarray) -> World:
    """Simulate all visits; each visit is a separate person in the simulated world."""
    height, width = scene.size
    shape = (len(stamps), len(plan))
    boxes, phases = np.zeros((*shape, 4)), np.zeros(shape)
    hidden = np.ones(shape, bool)
    for k, visit in enumerate(plan):
        draws = random_stream(scene, _PATH, visit.id, visit.begin).random(5)
        stature = 0.93 + 0.14 * random_stream(scene, _STATURE, visit.id).random()
        # 0 to 1 during the visit; before and after, less than half of the person is visible.
        part = (stamps - visit.begin) / (visit.end - visit.begin)
        near = np.clip(0.1 + 0.8 * draws[0] + 0.4 * (draws[1] - 0.5) * (part - 0.5), 0, 1)
        tall = stature * height * (_HEIGHT[0] + (_HEIGHT[1] - _HEIGHT[0]) * near)
        feet = height * (_FEET[0] + (_FEET[1] - _FEET[0]) * near)
        # Fast at first and slow later, or vice versa.
        way = part + 0.4 * (draws[2] - 0.5) * np.sin(2 * np.pi * part) / np.pi
        x = width * (way if draws[3] < 0.5 else 1 - way)
        half = ASPECT / 2 * tall
        boxes[:, k] = np.stack([x - half, feet - tall, x + half, feet], axis=-1)
        phases[:, k] = draws[4] + 1.1 * np.abs(way) * width / tall.mean()
        hidden[:, k] = (part < -0.2) | (part > 1.2)
    return World(boxes, phases, np.zeros((len(stamps), 2)), (0, 0), hidden)


def _tinted(scene: Scene, plan: list[Visit]) -> list[Look]:
    """Return the appearance in each visit: the person's, slightly brighter or redder."""
    looks, tinted = make_looks(scene), []
    for visit in plan:
        look = looks[visit.id - 1]
        stream = random_stream(scene, _TINT, visit.id, visit.begin)
        gain = np.exp(0.08 * stream.standard_normal() + 0.03 * stream.standard_normal(3))
        bag = np.append(look.bag[:3] * gain, look.bag[3])
        tinted.append(look._replace(colours=look.colours * gain, bag=bag))
    return tinted


def _light(scene: Scene, stamps: np.ndarray) -> np.ndarray:
    """Return gains of red, green and blue that change over minutes, (T, 3) float64."""
    stream = random_stream(scene, _LIGHT)
    periods = stream.uniform(120, 900, (4, 2))  # s
    starts = stream.uniform(0, 2 * np.pi, (4, 2))
    seconds = stamps / NANOSECONDS
    waves = np.sin(2 * np.pi * seconds[:, None, None] / periods + starts).sum(axis=1) / 2
    brightness, warmth = 0.2 * waves[:, :1], 0.06 * waves[:, 1:]
    return np.exp(brightness + warmth * [1, 0, -1])
