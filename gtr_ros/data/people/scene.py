# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of a scene of rendered people, and its random streams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
import math
from pathlib import Path

import numpy as np

from gtr_ros.data.people.avatars import SPLITS
from gtr_ros.data.synthetic.scene import check_ranges
from gtr_ros.data.synthetic.scene import make_image_key
from gtr_ros.data.synthetic.scene import parse_text
from gtr_ros.data.synthetic.scene import write_text

#: prefix of a scene's text form
PREFIX = 'people'
#: kinds of cameras
CAMERAS = ('wall', 'stand', 'drive', 'pan', 'shake')
#: kinds of light; '' draws one
LIGHTS = ('', 'day', 'dusk', 'indoor')
#: what happens to the first person; '': nothing in particular
SCRIPTS = ('', 'crossing', 'company', 'wall')
#: minimum time, seconds, for which a person is there before and after an absence
SEEN = 2.0

# To be incremented with every change to the pictures: different images must not share a cache key.
_DRAWING = 1

# Numbers of the random streams: of the scene, and of one visit to it.
CAST, CAMERA, PATHS, PLACES, ABSENCES, SCRIPT = range(6)
LIGHT, SCENERY, LENS = range(100, 103)
_VISIT = 99  # no stream of a visit is one of the scene


@dataclass(frozen=True)
class PeopleScene:
    """
    Parameters of a scene. Its text form is `people:objects=20,camera=drive,size=480x640`.

    :param objects: number of people
    :param split: whose avatars: 'train', 'validation', 'test' or 'all'
    :param pool: number of identities that the people are drawn from
    :param avatars: folder of avatars; '': those that the package contains, all of the split 'test'
    :param backgrounds: folder of photos to be seen behind the people; '': painted ones
    :param camera: 'wall': fixed, high; 'stand': fixed, low; 'drive': on a robot; 'pan': turns;
        'shake': in a hand
    :param height: of the camera above the ground, metres; 0: drawn, as usual for its kind
    :param fov: horizontal field of view, degrees; 0: drawn from 45 to 100
    :param rate: frames per second
    :param duration: seconds
    :param size: (height, width), pixels
    :param occluders: number of pillars, hedges and the like that hide people
    :param likeness: in [0, 1], share of the people who look like another one of the scene
    :param absence: seconds for which each person is away, once; 0: nobody goes away
    :param visit: light, exposure and background differ between visits; nothing else does
    :param light: 'day', 'dusk' or 'indoor'; '': drawn for each visit
    :param script: 'crossing': somebody crosses in front of the first person; 'company': somebody
        walks in front of them for 5 s; 'wall': a wall hides them for 5 s; '': nothing of this
    :param seed: of all random streams
    :raises ValueError: if a value is out of range
    """

    objects: int = 12
    split: str = 'test'
    pool: int = 10000
    avatars: str = ''
    backgrounds: str = ''
    camera: str = 'stand'
    height: float = 0.0
    fov: float = 0.0
    rate: float = 10.0
    duration: float = 12.0
    size: tuple[int, int] = (480, 640)
    occluders: int = 2
    likeness: float = 0.0
    absence: float = 0.0
    visit: int = 0
    light: str = ''
    script: str = ''
    seed: int = 0

    def __post_init__(self) -> None:
        check_ranges(
            self,
            objects=(0, 200),
            pool=(1, 10**9),
            rate=(0.1, 1000),
            duration=(0.1, 3600),
            occluders=(0, 50),
            likeness=(0, 1),
            visit=(0, math.inf),
            seed=(0, math.inf),
        )
        for name, least, most in (('height', 0.1, 10), ('fov', 20, 120)):
            value = getattr(self, name)
            if value != 0 and not least <= value <= most:
                raise ValueError(f'{name} is {value}; expected 0 (drawn), or {least} to {most}')
        for name, values in (('split', SPLITS), ('camera', CAMERAS), ('light', LIGHTS)):
            value = getattr(self, name)
            if value not in values:
                expected = ', '.join(v or "'' (drawn)" for v in values)
                raise ValueError(f'{name} is {value!r}; expected one of {expected}')
        if self.script not in SCRIPTS:
            expected = ', '.join(v or "'' (none)" for v in SCRIPTS)
            raise ValueError(f'script is {self.script!r}; expected one of {expected}')
        if self.script and (self.camera in ('drive', 'pan') or self.objects < 2 or self.absence):
            raise ValueError(
                f'script {self.script!r} with camera={self.camera}, objects={self.objects}, '
                f'absence={self.absence:g}; expected a camera that stays (wall, stand, shake), '
                '2 objects or more, and absence 0'
            )
        if self.pool < self.objects:
            raise ValueError(
                f'pool is {self.pool}; expected an identity for each of {self.objects} objects'
            )
        longest = max(0.0, self.duration - 2 * SEEN)
        if not 0 <= self.absence <= longest:
            raise ValueError(
                f'absence is {self.absence} s; expected 0 to {longest:g}, so that people are '
                f'there for {SEEN:g} s before and after it: give a longer duration'
            )

    @classmethod
    def parse(cls, text: str) -> PeopleScene:
        """
        Parse a scene's text form; parameters that it does not mention have their defaults.

        :raises ValueError: if a parameter is unknown, or a value is invalid
        """
        return cls(**parse_text(PREFIX, cls, text))

    def __str__(self) -> str:
        return write_text(PREFIX, self)

    @cached_property
    def image_key(self) -> str:
        """Hex digest of all parameters, the files of the folders, and the drawing's version."""
        files = (_list(self.avatars), _list(self.backgrounds))
        return make_image_key(f'{PREFIX} {files}', self, drawing=_DRAWING)


def _list(folder: str) -> str:
    """Return names and sizes of the files in a folder, as text; '' if there is none."""
    if not folder or not Path(folder).is_dir():
        return ''
    files = sorted(file for file in Path(folder).iterdir() if file.is_file())
    return str([(file.name, file.stat().st_size) for file in files])


def stream_of(scene: PeopleScene, *purpose: int) -> np.random.Generator:
    """Return a random stream of a scene; it is the same in all of its visits."""
    return np.random.default_rng([scene.seed, *purpose])


def visit_stream(scene: PeopleScene, *purpose: int) -> np.random.Generator:
    """Return a random stream of a visit to a scene."""
    return np.random.default_rng([scene.seed, _VISIT, scene.visit, *purpose])
