# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a scene, and its random streams."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
from hashlib import sha256
import math
import re
from typing import NamedTuple

import numpy as np

#: of a parameter of a scene
Value = int | float | str | tuple[int, int]

#: prefix of a scene's text form
PREFIX = 'synthetic'

# To be incremented with every change to the drawing: different images must not share a cache key.
DRAWING = 1

# Numbers of the random streams.
WALK, CAMERA, HIDING, LOOK, SCENERY, MISSED, JITTER, FALSE, ORDER = range(9)

#: width of a person's box, in heights
ASPECT = 0.4
#: position of the farthest feet, image heights from the top
FARTHEST = 0.32
#: minimum time, seconds, for which a person is visible before, between and after hidings
SEEN = 2.0


@dataclass(frozen=True)
class Scene:
    """
    Parameters of a scene. Its text form is `synthetic:objects=20,occlusion=2,size=480x640`.

    :param objects: number of people, all present for the whole time
    :param occlusion: duration of each hiding, seconds; 0: no hidings
    :param similarity: in [0, 1]; 0: every person has different colours and patterns; 1: all have
        the same appearance
    :param rate: frames per second
    :param camera: strength of a smooth random pan, rms pixels per second
    :param missed: in [0, 1], probability that a visible person is not detected in a frame
    :param false: mean number of false detections per frame
    :param jitter: standard deviation of a detected box's sides, in widths and heights of the box
    :param duration: seconds
    :param size: (height, width), pixels
    :param seed: of all random streams
    :raises ValueError: if a value is out of range
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
        check_ranges(
            self,
            objects=(0, 1000),
            similarity=(0, 1),
            rate=(0.1, 1000),
            camera=(0, 1000),
            missed=(0, 1),
            false=(0, 1000),
            jitter=(0, 0.5),
            duration=(1, 3600),
            seed=(0, math.inf),
        )
        if not 0 <= self.occlusion <= self.duration - 1:
            raise ValueError(
                f'occlusion is {self.occlusion} s; expected 0 to {self.duration - 1:g}, so that 1 '
                f's of the duration of {self.duration:g} s is left without occlusion'
            )

    @classmethod
    def parse(cls, text: str) -> Scene:
        """
        Parse a scene's text form; parameters that it does not mention have their defaults.

        :raises ValueError: if a parameter is unknown, or a value is invalid
        """
        return cls(**parse_text(PREFIX, cls, text))

    def __str__(self) -> str:
        return write_text(PREFIX, self)

    @property
    def image_key(self) -> str:
        """Hex digest of the parameters that the pixels depend on; detection noise is not one."""
        return make_image_key('', self, noise=('missed', 'false', 'jitter'))


class Hiding(NamedTuple):
    """
    A time when a person is hidden: not drawn, not detected, not in the ground truth.

    :param id: in the ground truth
    :param begin: nanoseconds; hidden for begin <= stamp < end
    :param end: nanoseconds
    """

    id: int
    begin: int
    end: int


def check_ranges(parameters, **ranges: tuple[float, float]) -> None:
    """
    Check the parameters of a scene of any kind.

    :param parameters: a dataclass with a field `size`, (height, width), pixels
    :param ranges: smallest and largest value, by field name
    :raises ValueError: if a value is out of range
    """
    for name, (least, most) in ranges.items():
        value = getattr(parameters, name)
        if not least <= value <= most:
            rule = f'{least} to {most}' if most < math.inf else f'{least} or more'
            raise ValueError(f'{name} is {value}; expected {rule}')
    size = parameters.size
    if len(size) != 2 or not all(96 <= side <= 8192 for side in size):
        raise ValueError(f'size is {size}; expected height and width, 96 to 8192 each')


def parse_text(prefix: str, kind: type, text: str) -> dict[str, Value]:
    """
    Parse the text form of a scene of any kind, such as `synthetic:objects=20,size=480x640`.

    :param prefix: in front of the colon
    :param kind: a dataclass, each of whose fields has a default of the type of its values
    :return: values that the text mentions, by field name
    :raises ValueError: if a parameter is unknown, or a value is invalid
    """
    found, colon, rest = text.partition(':')
    if found != prefix:
        raise ValueError(f'scene {text!r}; expected {prefix}, or {prefix}:objects=20,...')
    kinds = {field.name: type(field.default) for field in fields(kind)}
    values: dict[str, Value] = {}
    for part in rest.split(',') if colon else ():
        key, _, value = part.partition('=')
        if key not in kinds:
            raise ValueError(f'key {key!r} in {text!r}; expected one of {", ".join(kinds)}')
        if key in values:
            raise ValueError(f'{key} occurs twice in {text!r}; expected once')
        values[key] = _parse_value(key, value, kinds[key])
    return values


def write_text(prefix: str, parameters) -> str:
    """Return the text form of a scene of any kind: its values that differ from the defaults."""
    values = {f.name: getattr(parameters, f.name) for f in fields(parameters)}
    texts = [
        f'{f.name}={"{}x{}".format(*values["size"]) if f.name == "size" else values[f.name]}'
        for f in fields(parameters)
        if values[f.name] != f.default
    ]
    return prefix + (':' + ','.join(texts) if texts else '')


def make_image_key(
    prefix: str, parameters, noise: tuple[str, ...] = (), drawing: int = DRAWING
) -> str:
    """
    Return a hex digest of a scene of any kind.

    :param prefix: tells kinds of scenes apart
    :param noise: names of the parameters of the detection noise: pixels do not depend on them
    :param drawing: number of this version of the drawing
    """
    names = [f.name for f in fields(parameters) if f.name not in noise]
    values = [(name, getattr(parameters, name)) for name in names]
    return sha256(f'{prefix}{drawing} {values}'.encode()).hexdigest()


def _parse_value(key: str, text: str, kind: type) -> Value:
    if kind is str:
        return text
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


def random_stream(scene, *purpose: int) -> np.random.Generator:
    """Return a random stream of a scene of any kind, which has a seed."""
    return np.random.default_rng([scene.seed, *purpose])
