# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes of walking people with exact truth, drawn as pixels.

They measure one difficulty at a time: how long people are hidden, how many there are, how alike
they look, how seldom they are seen. The world runs in continuous time and each of its aspects has
a random stream of its own, so that scenes that differ in one parameter differ in nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import fields
from functools import cached_property
from hashlib import sha256
import math
import re
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL import ImageDraw
from scipy.optimize import linear_sum_assignment
import torch

from gtr_ros.evaluation.sequence import NANOSECONDS
from gtr_ros.evaluation.sequence import regular_stamps
from gtr_ros.evaluation.sequence import Sequence
from gtr_ros.evaluation.sequence import Truth
from gtr_ros.structures import Detections
from gtr_ros.tracking.linking import box_iou

#: what a scene's text begins with
PREFIX = 'synthetic'

# Raise it with every change of what is drawn: images of another drawing must not share a key.
_DRAWING = 1

# The purposes that have random streams of their own.
_WALK, _CAMERA, _HIDING, _LOOK, _SCENERY, _MISSED, _JITTER, _FALSE, _ORDER = range(9)

_STEP = 1 / 60  # s, of the walk; frames lie between steps
_SHORTEST, _TALLEST = 50 / 480, 130 / 480  # of a person, in image heights
_FARTHEST, _NEAREST = 0.32, 0.97  # where feet stand, in image heights from the top
_ASPECT = 0.4  # width of a person's box in heights
_SEEN = 2.0  # s that a person is visible at least before, between and after hidings
_VISIBLE = 0.3  # part of a person that has to be seen for a detection
_VOTES = 5  # frames that say which identity a person has
_GRID = (16, 8)  # points of a box, down and across, at which visibility is looked at

_PHASES = 8  # drawings of a stride
_MASTER = 320  # pixels, height of the drawing that sprites are scaled from


@dataclass(frozen=True)
class Scene:
    """
    What makes a scene hard. Its text form is `synthetic:objects=20,occlusion=2,size=480x640`.

    :param objects: people in the scene, all of them for the whole time
    :param occlusion: seconds that each hiding lasts, exactly; 0: nobody hides
    :param similarity: in [0, 1]; 0: everybody has colours and a pattern of their own; 1: all look
        the same
    :param rate: frames a second
    :param camera: strength of a smooth random pan, rms pixels a second
    :param missed: in [0, 1], probability that a visible person is not detected in a frame
    :param false: mean number of false detections a frame
    :param jitter: standard deviation of a detected box's sides, in widths and heights of the box
    :param duration: seconds
    :param size: (height, width), pixels
    :param seed: of everything random
    :raises ValueError: if one of them is out of its range
    """

    objects: int = 10
    occlusion: float = 1.0
    similarity: float = 0.3
    rate: float = 10.0
    camera: float = 0.0
    missed: float = 0.05
    false: float = 0.05
    jitter: float = 0.03
    duration: float = 12.0
    size: tuple[int, int] = (480, 640)
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least, most in (
            ('objects', 0, 1000),
            ('similarity', 0, 1),
            ('rate', 0.1, 1000),
            ('camera', 0, 1000),
            ('missed', 0, 1),
            ('false', 0, 1000),
            ('jitter', 0, 0.5),
            ('duration', 1, 3600),
            ('seed', 0, math.inf),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                rule = f'{least} to {most}' if most < math.inf else f'{least} or more'
                raise ValueError(f'{name} is {value}; expected {rule}')
        if not 0 <= self.occlusion <= self.duration - 1:
            raise ValueError(
                f'occlusion is {self.occlusion} s; expected 0 to {self.duration - 1:g}, which '
                f'leaves 1 s of the duration of {self.duration:g} s to be seen in'
            )
        if len(self.size) != 2 or not all(96 <= side <= 8192 for side in self.size):
            raise ValueError(f'size is {self.size}; expected height and width, 96 to 8192 each')

    @classmethod
    def parse(cls, text: str) -> Scene:
        """
        Read a scene's text form; what it does not name is as by default.

        :raises ValueError: if it names no such parameter, or a value that does not fit
        """
        prefix, colon, rest = text.partition(':')
        if prefix != PREFIX:
            raise ValueError(f'scene {text!r}; expected {PREFIX}, or {PREFIX}:objects=20,...')
        kinds = {field.name: type(field.default) for field in fields(cls)}
        values: dict[str, int | float | tuple[int, int]] = {}
        for part in rest.split(',') if colon else ():
            key, _, value = part.partition('=')
            if key not in kinds:
                raise ValueError(f'key {key!r} in {text!r}; expected one of {", ".join(kinds)}')
            if key in values:
                raise ValueError(f'{key} is there twice in {text!r}; expected once')
            values[key] = _parse_value(key, value, kinds[key])
        return cls(**values)

    def __str__(self) -> str:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        texts = [
            f'{f.name}={"{}x{}".format(*self.size) if f.name == "size" else values[f.name]}'
            for f in fields(self)
            if values[f.name] != f.default
        ]
        return PREFIX + (':' + ','.join(texts) if texts else '')

    @property
    def image_key(self) -> str:
        """Hex digest of what decides the pixels; noise of detections does not."""
        values = [
            (f.name, getattr(self, f.name))
            for f in fields(self)
            if f.name not in ('missed', 'false', 'jitter')
        ]
        return sha256(f'{_DRAWING} {values}'.encode()).hexdigest()


class Hiding(NamedTuple):
    """
    A time when a person is behind something: not drawn, not detected, not in the truth.

    :param id: of the truth
    :param begin: nanoseconds; hidden for begin <= stamp < end
    :param end: nanoseconds
    """

    id: int
    begin: int
    end: int


@dataclass(frozen=True)
class Generated:
    """
    A scene, made.

    :param sequence: the truth of each of T frames, and their images, which are drawn when read
    :param detections: of each frame, as an imperfect detector finds them; features are zeros
    :param hidings: by person, then in order of time
    """

    sequence: Sequence
    detections: list[Detections]
    hidings: tuple[Hiding, ...]


def generate(scene: Scene) -> Generated:
    """Make a scene; the same parameters always give the same."""
    frames = max(1, round(scene.duration * scene.rate))
    stamps = regular_stamps(frames, scene.rate)
    hidings = _hide(scene)
    world = _World.at(scene, stamps, hidings)
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = _clip(world.boxes[t], scene.size)
        inside = _areas(boxes) >= 0.5 * _areas(world.boxes[t])
        present = np.flatnonzero(~world.hidden[t] & inside)
        truth.append(Truth.of(present + 1, boxes[present]))
        visible = _visibility(boxes[present], nearness=world.boxes[t, present, 3])
        detections.append(_detect(scene, stamp, boxes, present, visible))
    sequence = Sequence(
        name=str(scene),
        class_names=('person',),
        image_size=scene.size,
        frame_rate=scene.rate,
        truth=tuple(truth),
        stamps=stamps,
        images=_Renderer(scene, world),
        image_key=scene.image_key,
    )
    return Generated(sequence, detections, hidings)


def identities_kept(
    sequence: Sequence,
    hidings: Iterable[Hiding],
    results: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[int, int]:
    """
    Count the hidings over which a tracker knew who it was.

    A person's identity before a hiding is the one it was given most often in its last 5 frames
    there, of those at most 2 s before; after a hiding, likewise in its first 5. Of identities that
    were given equally often, the latest counts.

    :param sequence: the truth
    :param hidings: of the sequence
    :param results: of each frame, ids (K,) int and boxes (K, 4), xyxy, pixels; they are matched
        with the truth where their IoU is 0.5 or more
    :return: hidings after which the identity is that of before; all hidings but those that have no
        matched frame on one side
    """
    given: dict[int, list[tuple[int, int]]] = {}
    for truth, stamp, (ids, boxes) in zip(
        sequence.truth, sequence.stamps.tolist(), results, strict=True
    ):
        iou = box_iou(truth.boxes, np.asarray(boxes, np.float64).reshape(-1, 4))
        iou[iou < 0.5] = 0
        for i, j in zip(*linear_sum_assignment(iou, maximize=True)):
            if iou[i, j] > 0:
                given.setdefault(int(truth.ids[i]), []).append((stamp, int(ids[j])))
    kept = total = 0
    reach = round(_SEEN * NANOSECONDS)
    for hiding in hidings:
        seen = given.get(hiding.id, [])
        before = [i for stamp, i in seen if hiding.begin - reach <= stamp < hiding.begin]
        after = [i for stamp, i in seen if hiding.end <= stamp < hiding.end + reach]
        if before and after:
            total += 1
            kept += _vote(before[-_VOTES:]) == _vote(after[:_VOTES])
    return kept, total


def _vote(ids: list[int]) -> int:
    """Return the most frequent of ids, of equally frequent ones the latest."""
    counts = Counter(ids)
    return max(reversed(ids), key=counts.__getitem__)


def _parse_value(key: str, text: str, kind: type) -> int | float | tuple[int, int]:
    if kind is tuple:
        match = re.fullmatch(r'(\d+)x(\d+)', text, re.ASCII)
        if match is None:
            raise ValueError(f'{key}={text}; expected HEIGHTxWIDTH, such as 480x640')
        return int(match[1]), int(match[2])
    try:
        return kind(text)
    except ValueError:
        expected = 'a whole number' if kind is int else 'a number'
        raise ValueError(f'{key}={text}; expected {expected}') from None


def _random(scene: Scene, *purpose: int) -> np.random.Generator:
    return np.random.default_rng([scene.seed, *purpose])


@dataclass(frozen=True)
class _World:
    """
    Where everybody is in T frames.

    :param boxes: (T, N, 4) float64, xyxy, pixels of the image, also outside of it
    :param phases: (T, N) float64, strides made
    :param camera: (T, 2) float64, x and y of the image's corner in the scenery, pixels
    :param margin: (2,) int, what x and y of the camera are at most, either way
    :param hidden: (T, N) bool
    """

    boxes: np.ndarray
    phases: np.ndarray
    camera: np.ndarray
    margin: tuple[int, int]
    hidden: np.ndarray

    @classmethod
    def at(cls, scene: Scene, stamps: np.ndarray, hidings: Iterable[Hiding]) -> _World:
        feet, phases = _walk(scene)
        camera = _pan(scene)
        margin = np.ceil(np.abs(camera).max(axis=0)).astype(int) + 1
        hidden = np.zeros((len(stamps), scene.objects), bool)
        for hiding in hidings:
            hidden[:, hiding.id - 1] |= (hiding.begin <= stamps) & (stamps < hiding.end)

        # Between steps, so that two rates see one world.
        steps = stamps / (NANOSECONDS * _STEP)
        feet, phases, camera = (_between(values, steps) for values in (feet, phases, camera))
        x, y = feet[..., 0], feet[..., 1]
        heights = _height(y, scene.size)
        halves = heights * (_ASPECT / 2)
        boxes = np.stack([x - halves, y - heights, x + halves, y], axis=-1)
        boxes -= np.tile(camera, 2)[:, None]
        return cls(boxes, phases, camera, (int(margin[0]), int(margin[1])), hidden)


def _height(y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the heights in pixels of people whose feet are at y."""
    nearness = (y / size[0] - _FARTHEST) / (_NEAREST - _FARTHEST)
    return size[0] * (_SHORTEST + (_TALLEST - _SHORTEST) * nearness)


def _between(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return (T, ...) values at T fractional steps of (S, ...) ones."""
    whole = steps.astype(int)
    part = (steps - whole).reshape(-1, *[1] * (values.ndim - 1))
    return values[whole] * (1 - part) + values[whole + 1] * part


def _step_count(scene: Scene) -> int:
    return math.ceil(scene.duration / _STEP) + 2


def _walk(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """
    Walk about, turning smoothly, and back inwards near the borders.

    :return: (S, N, 2) feet, x and y in pixels, and (S, N) strides made, at each step
    """
    steps, (height, width) = _step_count(scene), scene.size
    streams = [_random(scene, _WALK, i) for i in range(scene.objects)]
    starts = np.array([stream.random(5) for stream in streams]).reshape(-1, 5)
    turns = np.array([stream.standard_normal(steps) for stream in streams]).reshape(-1, steps)

    top, bottom = _FARTHEST * height, _NEAREST * height
    border = np.array([0.12 * width, 0.15 * (bottom - top)])
    x = border[0] + starts[:, 0] * (width - 2 * border[0])
    y = top + border[1] + starts[:, 1] * (bottom - top - 2 * border[1])
    heading = starts[:, 2] * 2 * np.pi
    pace = 0.35 + 0.45 * starts[:, 3]  # in own heights a second
    phase = starts[:, 4]
    turning = np.zeros(len(x))  # rad/s
    feet, phases = np.empty((steps, len(x), 2)), np.empty((steps, len(x)))
    for s in range(steps):
        feet[s, :, 0], feet[s, :, 1], phases[s] = x, y, phase
        tall = _height(y, scene.size)
        side = _ASPECT / 2 * tall
        # The wanderlust forgets within a second; the walls turn everybody towards the middle.
        turning += -turning * _STEP + 0.6 * math.sqrt(2 * _STEP) * turns[:, s]
        inward_x = _push(x, side, width - side, border[0])
        inward_y = _push(y, top, bottom, border[1])
        angle = np.arctan2(inward_y, inward_x) - heading
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        heading += (turning + 3 * np.hypot(inward_x, inward_y) * angle) * _STEP
        y = np.clip(y + 0.4 * pace * tall * np.sin(heading) * _STEP, top, bottom)
        side = _ASPECT / 2 * _height(y, scene.size)
        x = np.clip(x + pace * tall * np.cos(heading) * _STEP, side, width - side)
        phase = phase + 1.1 * pace * _STEP
    return feet, phases


def _push(value: np.ndarray, least, most, border: float) -> np.ndarray:
    """Return in [-1, 1] how strongly each value is to grow to get away from its bounds."""
    low = np.clip((least + border - value) / border, 0, 1)
    return low - np.clip((value - most + border) / border, 0, 1)


def _pan(scene: Scene) -> np.ndarray:
    """Return (S, 2) float64, the camera's x and y at each step, pixels, around 0."""
    seconds = np.arange(_step_count(scene)) * _STEP
    stream = _random(scene, _CAMERA)
    frequencies = 2 * np.pi * stream.uniform(0.1, 0.4, (3, 2))  # rad/s
    starts = stream.uniform(0, 2 * np.pi, (3, 2))
    # Amplitudes fall with the frequency, so that each wave is as fast; up and down much less.
    waves = np.sin(frequencies * seconds[:, None, None] + starts) / frequencies
    path = waves.sum(axis=1) * [1, 0.4]
    speed = np.sqrt((np.diff(path, axis=0) ** 2).sum(axis=1).mean()) / _STEP
    path *= scene.camera / speed
    return path - (path.min(axis=0) + path.max(axis=0)) / 2


def _hide(scene: Scene) -> tuple[Hiding, ...]:
    """Choose when each person is hidden: twice or once, once where twice does not fit."""
    hidings = []
    for i in range(scene.objects if scene.occlusion > 0 else 0):
        stream = _random(scene, _HIDING, i)
        times, chances = int(stream.integers(1, 3)), stream.random(2)
        if scene.duration < times * scene.occlusion + (times + 1) * _SEEN:
            times = 1
        free = scene.duration - times * scene.occlusion
        seen = min(_SEEN, free / (times + 1))
        starts = seen + np.sort(chances[:times]) * (free - (times + 1) * seen)
        for k, start in enumerate(starts):
            begin = round((start + k * (seen + scene.occlusion)) * NANOSECONDS)
            hidings.append(Hiding(i + 1, begin, begin + round(scene.occlusion * NANOSECONDS)))
    return tuple(hidings)


def _detect(
    scene: Scene, stamp: int, boxes: np.ndarray, present: np.ndarray, visible: np.ndarray
) -> Detections:
    """
    Find people as a detector does.

    The noise is that of the person and the time, whoever else is there, so that it is the same in
    scenes that differ in rate or hidings.

    :param boxes: (N, 4) float64, xyxy, pixels, of everybody
    :param present: (P,) int64, who is in the truth
    :param visible: (P,) float64, the part of each that is seen
    """
    count = len(boxes)
    found = _random(scene, _MISSED, stamp).random(count)[present] >= scene.missed
    found &= visible >= _VISIBLE
    present, visible = present[found], visible[found]
    noise = _random(scene, _JITTER, stamp).standard_normal((count, 5))[present]
    sides = np.tile(boxes[present, 2:] - boxes[present, :2], 2)
    seen = boxes[present] + scene.jitter * noise[:, :4] * sides
    scores = np.clip(0.45 + 0.4 * visible + 0.05 * noise[:, 4], 0.5, 0.95)

    stream = _random(scene, _FALSE, stamp)
    extra = stream.poisson(scene.false)
    draws = stream.random((extra, 5))
    height, width = scene.size
    y = height * (_FARTHEST + (_NEAREST - _FARTHEST) * draws[:, 0])
    tall = _height(y, scene.size) * (0.8 + 0.45 * draws[:, 1])
    half = tall * _ASPECT / 2 * (0.8 + 0.4 * draws[:, 2])
    x = half + draws[:, 3] * (width - 2 * half)
    false = np.stack([x - half, y - tall, x + half, y], axis=1)

    order = _random(scene, _ORDER, stamp).permutation(len(seen) + extra)
    seen = _clip(np.concatenate([seen, false])[order], scene.size)
    scores = np.concatenate([scores, 0.4 + 0.2 * draws[:, 4]])[order]
    # Strong jitter can turn a box inside out.
    good = (seen[:, 2:] - seen[:, :2] >= 2).all(axis=1)
    count = int(good.sum())
    return Detections(
        boxes=seen[good].astype(np.float32),
        scores=scores[good].astype(np.float32),
        labels=np.zeros(count, np.int64),
        features=torch.zeros((count, 1)),
        image_size=scene.size,
        stamp=stamp,
    )


def _visibility(boxes: np.ndarray, nearness: np.ndarray) -> np.ndarray:
    """
    Return (N,) float64 in [0, 1], the part of each box that no nearer one covers, about.

    :param boxes: (N, 4) float64, xyxy, pixels
    :param nearness: (N,) float64, greater is nearer
    """
    down, across = ((np.arange(n) + 0.5) / n for n in _GRID)
    x = boxes[:, None, 0:1] + (boxes[:, 2:3] - boxes[:, 0:1])[:, None] * across[:, None]
    y = boxes[:, None, 1:2] + (boxes[:, 3:4] - boxes[:, 1:2])[:, None] * down[:, None]
    columns = (boxes[:, 0] <= x) & (x < boxes[:, 2])  # [N,across,N]
    rows = (boxes[:, 1] <= y) & (y < boxes[:, 3])  # [N,down,N]
    nearer = nearness[None] > nearness[:, None]  # [N,N]
    covered = rows[:, :, None] & columns[:, None] & nearer[:, None, None]
    return 1 - covered.any(axis=-1).mean(axis=(1, 2))


def _clip(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    height, width = size
    return boxes.clip(0, [width, height, width, height])


def _areas(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


class _Renderer:
    """Draws the frames of a world, in order, as often as it is called."""

    def __init__(self, scene: Scene, world: _World) -> None:
        self._scene = scene
        self._world = world
        self._masters: dict[tuple[int, int], Image.Image] = {}
        self._sprites: dict[tuple[int, int, int], Image.Image] = {}

    def __call__(self) -> Iterator[np.ndarray]:
        """Yield (H, W, 3) uint8 RGB for each frame."""
        return (self._draw(t) for t in range(len(self._world.boxes)))

    @cached_property
    def _scenery(self) -> Image.Image:
        return _paint_scenery(self._scene, self._world.margin)

    @cached_property
    def _looks(self) -> list[_Look]:
        return _dress(self._scene)

    def _draw(self, t: int) -> np.ndarray:
        world, (height, width) = self._world, self._scene.size
        left, top = (
            round(m + c) for m, c in zip(world.margin, world.camera[t].tolist(), strict=True)
        )
        frame = self._scenery.crop((left, top, left + width, top + height))
        boxes = world.boxes[t]
        for i in np.argsort(boxes[:, 3], kind='stable').tolist():
            if not world.hidden[t, i]:
                x1, y1, x2, y2 = boxes[i].tolist()
                phase = int(world.phases[t, i] * _PHASES) % _PHASES
                sprite = self._sprite(i, phase, round(y2) - round(y1))
                frame.paste(sprite, (round((x1 + x2 - sprite.width) / 2), round(y1)), sprite)
        return np.array(frame)

    def _sprite(self, person: int, phase: int, height: int) -> Image.Image:
        """Return (height, width) RGBA of one person in one phase of the stride."""
        if (person, phase, height) not in self._sprites:
            if (person, phase) not in self._masters:
                self._masters[person, phase] = _paint_person(self._looks[person], phase / _PHASES)
            if len(self._sprites) >= 4096:  # some 50 MB at 480 x 640
                self._sprites.clear()
            size = (max(1, round(_ASPECT * height)), height)
            master = self._masters[person, phase]
            self._sprites[person, phase, height] = master.resize(size, Image.Resampling.BOX)
        return self._sprites[person, phase, height]


class _Look(NamedTuple):
    """
    How a person is dressed; numbers only, so that two looks can be blended.

    :param colours: (6, 3) in [0, 1], RGB of shirt, its pattern, trousers, skin, hair and shoes
    :param patterns: (4,) in [0, 1], strength of stripes across, stripes down, checks and a logo
    :param period: of the pattern, in heights of the person
    :param sleeves: in [0, 1], how much arms are of the shirt's colour, not of the skin's
    :param bag: (4,) in [0, 1], RGB and opacity of a shoulder bag
    """

    colours: np.ndarray
    patterns: np.ndarray
    period: np.ndarray
    sleeves: np.ndarray
    bag: np.ndarray


_COMMON = _Look(
    colours=np.array(
        [
            [0.35, 0.42, 0.50],
            [0.62, 0.62, 0.60],
            [0.22, 0.23, 0.30],
            [0.80, 0.62, 0.50],
            [0.22, 0.16, 0.12],
            [0.12, 0.11, 0.11],
        ]
    ),
    patterns=np.zeros(4),
    period=np.array(0.07),
    sleeves=np.array(1.0),
    bag=np.array([0.3, 0.25, 0.2, 0.0]),
)
_SKINS = ((0.96, 0.80, 0.69), (0.85, 0.64, 0.50), (0.62, 0.43, 0.31), (0.40, 0.27, 0.20))
_HAIRS = ((0.10, 0.08, 0.07), (0.32, 0.20, 0.10), (0.78, 0.62, 0.35), (0.60, 0.58, 0.56))


def _dress(scene: Scene) -> list[_Look]:
    """Return everybody's look."""
    looks = []
    first_hue = _random(scene, _LOOK).random()
    for i in range(scene.objects):
        stream = _random(scene, _LOOK, i)
        # Steps of the golden ratio keep the hues of any number of people apart.
        hue = first_hue + 0.618034 * i
        own = _Look(
            colours=np.array(
                [
                    _colour(hue, stream.uniform(0.5, 1), stream.uniform(0.35, 1)),
                    _colour(stream.random(), stream.uniform(0, 1), stream.uniform(0.1, 1)),
                    _colour(stream.random(), stream.uniform(0, 0.7), stream.uniform(0.1, 0.8)),
                    _SKINS[stream.integers(4)],
                    _HAIRS[stream.integers(4)],
                    _colour(stream.random(), stream.uniform(0, 0.6), stream.uniform(0.05, 0.9)),
                ]
            ),
            patterns=np.eye(5)[stream.integers(5), :4],
            period=np.array(stream.uniform(0.045, 0.11)),
            sleeves=np.array(float(stream.integers(2))),
            bag=np.array([*_colour(stream.random(), 0.7, 0.6), float(stream.random() < 0.4)]),
        )
        alike = scene.similarity
        looks.append(_Look(*(alike * c + (1 - alike) * o for c, o in zip(_COMMON, own))))
    return looks


def _colour(hue: float, saturation: float, value: float) -> list[float]:
    """Return RGB in [0, 1] of a hue in turns."""
    return [
        value * (1 - saturation * min(max(2 - abs((hue * 6 + shift) % 6 - 3), 0), 1))
        for shift in (0, 4, 2)
    ]


def _paint_person(look: _Look, phase: float) -> Image.Image:
    """
    Draw a person from the front.

    :param phase: in [0, 1), of the stride
    :return: RGBA, as high as `_MASTER`; the person reaches its borders
    """
    size = (round(_ASPECT * _MASTER), _MASTER)
    colours = [_bytes(colour) for colour in look.colours]
    shirt, _, trousers, skin, hair, shoes = colours
    sleeve = _bytes(look.sleeves * look.colours[0] + (1 - look.sleeves) * look.colours[3])
    person = Image.new('RGBA', size)
    draw = ImageDraw.Draw(person)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * _MASTER, y * _MASTER) for x, y in points]

    def disc(x: float, y: float, rx: float, ry: float, colour: tuple[int, ...]) -> None:
        draw.ellipse(at((x - rx, y - ry), (x + rx, y + ry)), fill=colour)

    def limb(points: list[tuple[float, float]], thick: float, colour: tuple[int, ...]) -> None:
        draw.line(at(*points), fill=colour, width=round(thick * _MASTER), joint='curve')
        for x, y in points:
            disc(x, y, thick / 2, thick / 2, colour)

    swing = math.sin(2 * math.pi * phase)
    for side, step in ((-1, swing), (1, -swing)):
        # Of the two feet one is always on the ground, where the box ends.
        lift = 0.045 * max(0.0, math.cos(2 * math.pi * phase) * side)
        foot = (0.2 + side * 0.055 + 0.06 * step, 0.955 - lift)
        hip, knee = (0.2 + side * 0.042, 0.5), (0.2 + side * 0.05, 0.72 - lift / 2)
        limb([hip, knee, foot], 0.082, trousers)
        disc(foot[0] + 0.01 * side, 0.975 - lift, 0.045, 0.025, shoes)

    limb([(0.2, 0.1), (0.2, 0.18)], 0.05, skin)
    torso = Image.new('L', size)
    right = [(0.24, 0.155), (0.3, 0.185), (0.275, 0.54)]
    outline = [*right, *[(0.4 - x, y) for x, y in reversed(right)]]
    ImageDraw.Draw(torso).polygon(at(*outline), fill=255)
    person.paste(_weave(look, size), (0, 0), torso)
    for side, step in ((-1, -swing), (1, swing)):
        shoulder, elbow = (0.2 + side * 0.09, 0.2), (0.2 + side * 0.15, 0.35)
        hand = (0.2 + side * 0.17, 0.485 + 0.025 * step)
        limb([shoulder, elbow], 0.055, shirt)
        limb([elbow, hand], 0.045, sleeve)
        disc(*hand, 0.028, 0.03, skin)
    disc(0.2, 0.082, 0.056, 0.08, hair)
    disc(0.2, 0.098, 0.044, 0.058, skin)

    *bag, opacity = look.bag.tolist()
    if opacity > 0:
        layer = Image.new('RGBA', size)
        drawn = ImageDraw.Draw(layer)
        fill = (*_bytes(bag), round(255 * opacity))
        drawn.line(at((0.13, 0.17), (0.3, 0.42)), fill=fill, width=round(0.018 * _MASTER))
        drawn.rounded_rectangle(at((0.235, 0.42), (0.365, 0.57)), 8, fill=fill)
        person = Image.alpha_composite(person, layer)

    # Light comes from the left.
    pixels = np.array(person)
    light = 1.1 - 0.45 * (np.arange(size[0]) / size[0])[None, :, None]
    pixels[..., :3] = np.clip(pixels[..., :3] * light, 0, 255)
    return Image.fromarray(pixels)


def _weave(look: _Look, size: tuple[int, int]) -> Image.Image:
    """Return the RGB fabric of a shirt, as large as the drawing; size is (width, height)."""
    x = (np.arange(size[0]) / _MASTER)[None]
    y = (np.arange(size[1]) / _MASTER)[:, None]
    across = np.broadcast_to(y / look.period % 1 < 0.5, size[::-1])
    down = np.broadcast_to(x / look.period % 1 < 0.5, size[::-1])
    logo = np.hypot(x - 0.2, y - 0.29) < look.period * 0.7
    parts = np.stack([across, down, across ^ down, logo], axis=-1) @ look.patterns
    shirt, accent = look.colours[0], look.colours[1]
    return Image.fromarray(_to_bytes(shirt + parts[..., None] * (accent - shirt)))


def _paint_scenery(scene: Scene, margin: tuple[int, int]) -> Image.Image:
    """
    Draw a wall with doors and posters, and the pavement before it.

    :param margin: what there is beyond the image to the left and right, and above and below
    """
    stream = _random(scene, _SCENERY)
    height, width = scene.size[0] + 2 * margin[1], scene.size[1] + 2 * margin[0]
    horizon = margin[1] + round((_FARTHEST - 0.06) * scene.size[0])
    unit = scene.size[0] / 480
    y = np.arange(height)[:, None, None]
    wall = np.array(_colour(stream.random(), 0.15, 0.62)) * np.ones((height, width, 1))
    ground = np.array(_colour(stream.random(), 0.12, 0.48)) * (0.8 + 0.35 * y / height)
    image = Image.fromarray(_to_bytes(np.where(y < horizon, wall, ground)))
    draw = ImageDraw.Draw(image)

    # Bricks, and the joints of slabs that run to a point above.
    for row in range(0, horizon, max(4, round(12 * unit))):
        draw.line([(0, row), (width, row)], fill=_bytes(wall[0, 0] * 0.88))
    for _ in range(round(width / unit / 40)):
        x, wide = stream.uniform(0, width), stream.uniform(15, 55) * unit
        tall = stream.uniform(25, 90) * unit
        low = horizon - stream.choice([0, 25]) * unit
        fill = _bytes(_colour(stream.random(), stream.uniform(0.1, 0.6), stream.uniform(0.2, 0.8)))
        frame = _bytes(wall[0, 0] * 0.6)
        draw.rectangle((x, low - tall, x + wide, low), fill=fill, outline=frame, width=2)
    joint = _bytes(ground[height // 2, 0] * 0.82)
    for x in np.arange(-2 * width, 3 * width, 70 * unit):
        far = width / 2 + (x - width / 2) * 0.4
        draw.line([(far, horizon), (x, height)], fill=joint)
    row = 8 * unit
    while horizon + row < height:
        draw.line([(0, horizon + row), (width, horizon + row)], fill=joint)
        row *= 1.45
    for _ in range(round(width / unit / 30)):
        x, low = stream.uniform(0, width), stream.uniform(horizon, height)
        wide = stream.uniform(8, 50) * unit
        shade = stream.uniform(0.7, 1.2)
        fill = _bytes(np.clip(ground[int(low), 0] * shade, 0, 1))
        draw.ellipse((x - wide, low - 0.3 * wide, x + wide, low + 0.3 * wide), fill=fill)

    grain = np.zeros((height, width))
    for cell, strength in ((1, 5), (4, 5), (24, 7), (160, 14)):
        small = stream.standard_normal((height // cell + 2, width // cell + 2)) * strength
        layer = Image.fromarray(small.astype(np.float32))
        grain += np.asarray(layer.resize((width, height), Image.Resampling.BICUBIC))
    pixels = np.clip(np.asarray(image) + grain[..., None], 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def _to_bytes(colours: np.ndarray) -> np.ndarray:
    return np.clip(np.round(np.asarray(colours) * 255), 0, 255).astype(np.uint8)


def _bytes(colour) -> tuple[int, ...]:
    return tuple(_to_bytes(colour).tolist())
