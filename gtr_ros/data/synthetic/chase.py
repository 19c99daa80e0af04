# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate a moving subject, passers-by, and a camera that follows the subject."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import NamedTuple

import numpy as np

from gtr_ros.data.synthetic.scene import ASPECT
from gtr_ros.data.synthetic.scene import check_ranges
from gtr_ros.data.synthetic.scene import make_image_key
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import write_text
from gtr_ros.stamps import NANOSECONDS

#: classes of the objects in a film
CLASSES = ('cow', 'horse', 'dog', 'person', 'bicycle')

# Numbers of the random streams; those of `Scene` end at 8.
_SUBJECT, _RUN, _SIZE, _OTHERS, _SHAKE, _WHIPS, _TREES = range(40, 47)

#: size of the drawn world, in image widths and heights
WORLD = (8.0, 1.6)

_STEP = 1 / 60  # s, time step of the simulation; frames are interpolated
_HEIGHTS = {'cow': 0.23, 'horse': 0.25, 'dog': 0.16, 'person': 0.3, 'bicycle': 0.17}  # of image
_ANIMAL_ASPECT = 1.5  # width of a box over its height, seen from the side
_RIDER_ASPECT = 0.5
_NARROWEST = 0.4  # width seen from the front, relative to that from the side
_TURN = 9.0  # rad/s
_REACTION = 0.15  # s, time constant of a change of pace
_GROWTH = 0.55  # octaves/s, change of a subject's size as it comes nearer


class _Gait(NamedTuple):
    """
    How a subject moves; its motion changes at random times.

    :param pace: smallest and largest speed, box heights per second
    :param spell: shortest and longest time between changes, seconds
    :param reverse: probability that it turns round at a change
    :param aside: probability that it turns towards the camera at a change
    :param stop: probability that it stops at a change
    """

    pace: tuple[float, float]
    spell: tuple[float, float]
    reverse: float
    aside: float
    stop: float


_GAITS = {
    'run': _Gait((2.0, 5.0), (0.8, 2.5), reverse=0.35, aside=0.0, stop=0.2),
    'ride': _Gait((2.0, 4.0), (1.5, 4.0), reverse=0.25, aside=0.0, stop=0.1),
    'turn': _Gait((0.5, 2.0), (0.4, 1.2), reverse=0.5, aside=0.3, stop=0.15),
}


# Position of a rider, in units of the mount's height: forward offset, height of the feet, height
# of the rider.
_SEATS = {'horse': (0.03, 0.24, 0.98), 'bicycle': (-0.02, 0.2, 1.5)}


@dataclass(frozen=True)
class Filmed:
    """
    Parameters of a film and of its detector.

    :param kind: 'run': an animal gallops, stops and turns back; 'ride': a person rides a horse or
        a bicycle; 'turn': an animal turns often
    :param flips: in [0, 1], fraction of the time in which an object has a wrong label
    :param missed: in [0, 1], fraction of the time in which a visible object is not detected
    :param jitter: standard deviation of a detected box's sides, in widths and heights of the box
    :param rate: frames per second
    :param duration: seconds
    :param others: number of animals and people that pass by
    :param lag: time constant with which the camera follows its subject, seconds
    :param shake: rms of the camera's shake, pixels of an image 480 high
    :param whips: mean number, per second, of sudden pans away from the subject and back
    :param size: (height, width), pixels
    :param seed: of all random streams
    :raises ValueError: if a value is out of range
    """

    kind: str = 'run'
    flips: float = 0.2
    missed: float = 0.1
    jitter: float = 0.05
    rate: float = 10.0
    duration: float = 20.0
    others: int = 6
    lag: float = 0.25
    shake: float = 3.0
    whips: float = 0.2
    size: tuple[int, int] = (480, 640)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in _GAITS:
            raise ValueError(f'kind is {self.kind!r}; expected one of {", ".join(_GAITS)}')
        check_ranges(
            self,
            flips=(0, 1),
            missed=(0, 1),
            jitter=(0, 0.5),
            rate=(0.5, 1000),
            duration=(1, 3600),
            others=(0, 100),
            lag=(0.02, 10),
            shake=(0, 20),
            whips=(0, 10),
            seed=(0, math.inf),
        )

    def __str__(self) -> str:
        return write_text('filmed', self)

    @property
    def image_key(self) -> str:
        """Hex digest of the parameters that the pixels depend on; detection noise is not one."""
        return make_image_key('filmed', self, noise=('flips', 'missed', 'jitter'))


@dataclass(frozen=True)
class FilmWorld:
    """
    The state of N objects in T frames: the subject, its rider if there is one, then the others.

    :param kinds: class of each object, one of `CLASSES`
    :param rides: whether the second object rides the first
    :param boxes: (T, N, 4) float64, xyxy, pixels of the image, not clipped
    :param facing: (T, N) float64 in [-1, 1], 1: to the right, 0: towards the camera
    :param phases: (T, N) float64, number of strides
    :param nearness: (T, N) float64, greater is nearer
    :param view: (T, 2, 3) float64, maps pixels of the drawn world to those of the image
    :param trees: (K, 2) float64, x of the centre and width of trunks, pixels of the drawn world
    """

    kinds: tuple[str, ...]
    rides: bool
    boxes: np.ndarray
    facing: np.ndarray
    phases: np.ndarray
    nearness: np.ndarray
    view: np.ndarray
    trees: np.ndarray


def simulate_film(filmed: Filmed, stamps: np.ndarray) -> FilmWorld:
    """Simulate a film at (T,) int64 stamps, nanoseconds."""
    seconds = stamps / NANOSECONDS
    steps = np.arange(math.ceil(filmed.duration / _STEP) + 2) * _STEP
    subject, rider = _choose_subject(filmed)
    columns = _run(filmed, subject, steps)  # x, feet, height, facing, phase
    camera = _aim_camera(filmed, steps, columns[0], columns[1] - columns[2] / 2)

    # Interpolated, so that the world is the same at any frame rate.
    x, feet, tall, facing, phase = (np.interp(seconds, steps, c) for c in columns)
    left, top, zoom, roll, shift_x, shift_y = (np.interp(seconds, steps, c) for c in camera)
    kinds, placed = [subject], [(x, feet, tall, facing, phase)]
    if rider:
        forward, up, high = (part * tall for part in _SEATS[subject])
        placed.append((x + forward * facing, feet - up, high, facing, phase))
        kinds.append('person')
    for i in range(filmed.others):
        kind, place = _pass_by(filmed, i, seconds)
        kinds.append(kind)
        placed.append(place)
    x, feet, tall, facing, phase = (np.stack(values, axis=1) for values in zip(*placed))
    turned = zoom[:, None, None] * np.stack(
        [np.cos(roll), -np.sin(roll), np.sin(roll), np.cos(roll)], axis=-1
    ).reshape(-1, 2, 2)
    height, width = filmed.size
    middle = np.stack([width / 2 + shift_x, height / 2 + shift_y], axis=-1)
    moved = middle - (turned @ np.stack([left, top], axis=-1)[..., None])[..., 0]
    view = np.concatenate([turned, moved[..., None]], axis=-1)

    points = np.stack([x, feet], axis=-1) @ turned.transpose(0, 2, 1) + moved[:, None]
    tall = tall * zoom[:, None]
    nearness = feet.copy()
    aspects = np.array([ASPECT if kind == 'person' else _ANIMAL_ASPECT for kind in kinds])
    if rider:
        nearness[:, 1], aspects[1] = nearness[:, 0] + 1e-3, _RIDER_ASPECT
    wide = tall * aspects * np.maximum(np.abs(facing), _NARROWEST)
    middle, low = points[..., 0], points[..., 1]
    boxes = np.stack([middle - wide / 2, low - tall, middle + wide / 2, low], axis=-1)
    return FilmWorld(
        tuple(kinds), rider, boxes, facing, phase, nearness, view, _place_trees(filmed)
    )


def _choose_subject(filmed: Filmed) -> tuple[str, bool]:
    """Choose the subject, and whether it has a rider."""
    stream = random_stream(filmed, _SUBJECT)
    if filmed.kind == 'ride':
        return ('horse', 'bicycle')[stream.integers(2)], True
    return CLASSES[stream.integers(3)], False


def _feet(filmed: Filmed, octave):
    """Return y of the feet, pixels of the drawn world, at 2**octave times the usual size."""
    return filmed.size[0] * (WORLD[1] / 2 + 0.1 + 0.16 * octave)


def _run(filmed: Filmed, kind: str, steps: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return (S,) x, feet and height of the subject in the drawn world, its facing and phase."""
    gait, width = _GAITS[filmed.kind], filmed.size[1]
    stream, growth = random_stream(filmed, _RUN), random_stream(filmed, _SIZE)
    usual = _HEIGHTS[kind] * filmed.size[0]
    low, high = 0.6 * width, (WORLD[0] - 0.6) * width
    x, octave, yaw, pace, phase = WORLD[0] / 2 * width, -0.5, 0.0, 0.0, stream.random()
    goal_yaw, goal_pace, goal_octave = math.pi * float(stream.integers(2)), gait.pace[0], 0.5
    change, grow = stream.uniform(*gait.spell), growth.uniform(1, 3)
    rows = np.empty((len(steps), 5))
    for s, time in enumerate(steps.tolist()):
        if time >= change:
            change += stream.uniform(*gait.spell)
            turns, leans, stands = stream.random(3)
            ahead = 0.0 if goal_yaw < math.pi / 2 else math.pi
            goal_yaw = math.pi - ahead if turns < gait.reverse else ahead
            if leans < gait.aside:
                goal_yaw = math.pi / 2 + (0.3 if ahead else -0.3)
            goal_pace = 0.0 if stands < gait.stop else stream.uniform(*gait.pace)
        if time >= grow:
            grow, goal_octave = time + growth.uniform(2.5, 5), -goal_octave
        if not low < x < high:
            goal_yaw = 0.0 if x <= low else math.pi
        tall = usual * 2**octave
        rows[s] = x, _feet(filmed, octave), tall, math.cos(yaw), phase
        yaw += min(max(goal_yaw - yaw, -_TURN * _STEP), _TURN * _STEP)
        octave += min(max(goal_octave - octave, -_GROWTH * _STEP), _GROWTH * _STEP)
        pace += (goal_pace - pace) * _STEP / _REACTION
        x += pace * tall * math.cos(yaw) * _STEP
        phase += pace / 1.8 * _STEP
    return tuple(rows.T)


def _aim_camera(
    filmed: Filmed, steps: np.ndarray, x: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, ...]:
    """
    Follow a subject with the camera.

    :param x: (S,) of the subject in the drawn world
    :param y: (S,) of the subject in the drawn world
    :return: (S,) x and y of the camera's target in the drawn world; zoom; roll in radians; x and y
        shifts of the image due to shaking, pixels
    """
    height, width = filmed.size
    stream, whips = random_stream(filmed, _SHAKE), random_stream(filmed, _WHIPS)
    starts, frequencies = stream.uniform(0, 2 * np.pi, (4, 3)), stream.uniform(1.5, 6, (3, 3))
    waves = np.sin(2 * np.pi * frequencies * steps[:, None, None] + starts[:3]).sum(axis=-1)
    waves *= filmed.shake / 480 / math.sqrt(1.5)  # rms
    zoom = 1 + 0.06 * np.sin(2 * np.pi * 0.1 * steps + starts[3, 0])

    away = np.zeros(len(steps))
    for _ in range(whips.poisson(filmed.whips * filmed.duration)):
        begin = whips.uniform(0, filmed.duration)
        offset = width * whips.uniform(0.2, 0.35) * whips.choice([-1, 1])
        away[(begin <= steps) & (steps < begin + 0.5)] = offset

    # The target stays close enough to the subject to keep the subject's centre in the image.
    reach = 0.46 * width / zoom
    looks = np.empty((2, len(steps)))
    at_x, at_y = x[0], y[0]
    for s in range(len(steps)):
        at_x += (x[s] + away[s] - at_x) * _STEP / filmed.lag
        at_y += (y[s] - at_y) * _STEP / filmed.lag
        at_x = min(max(at_x, x[s] - reach[s]), x[s] + reach[s])
        looks[:, s] = at_x, at_y
    border = 0.57 * width, 0.59 * height
    looks[0] = looks[0].clip(border[0], WORLD[0] * width - border[0])
    looks[1] = looks[1].clip(border[1], WORLD[1] * height - border[1])
    return (*looks, zoom, 1.2 * waves[:, 2], height * waves[:, 0], height * waves[:, 1])


def _pass_by(filmed: Filmed, i: int, seconds: np.ndarray) -> tuple[str, tuple[np.ndarray, ...]]:
    """Return the kind of a passer-by, and (T,) x, feet, height, facing and phase."""
    stream = random_stream(filmed, _OTHERS, i)
    kind = CLASSES[stream.integers(4)]  # a bicycle needs a rider
    begin, octave, phase = stream.random(), stream.uniform(-0.6, 0.5), stream.random()
    pace = stream.uniform(0.2, 0.9) * stream.choice([-1, 1])  # heights/s
    tall = _HEIGHTS[kind] * filmed.size[0] * 2**octave
    ones = np.ones(len(seconds))
    x = begin * WORLD[0] * filmed.size[1] + pace * tall * seconds
    feet = _feet(filmed, octave) * ones
    return kind, (x, feet, tall * ones, np.sign(pace) * ones, phase + abs(pace) * seconds)


def _place_trees(filmed: Filmed) -> np.ndarray:
    """Return (K, 2) float64, x of the centre and width of trunks, pixels of the drawn world."""
    stream, width = random_stream(filmed, _TREES), filmed.size[1]
    gaps = stream.uniform(0.8, 2.0, math.ceil(WORLD[0] / 0.8)) * width
    widths = stream.uniform(0.05, 0.11, len(gaps)) * width
    x = np.cumsum(gaps) - 0.3 * width
    inside = x < WORLD[0] * width
    return np.stack([x, widths], axis=-1)[inside]
