# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Clips of rendered people: any number of identities, seen from all sides, in any light."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace

import numpy as np

from gtr_ros.data.people import generate
from gtr_ros.data.people import PeopleScene
from gtr_ros.data.people.scene import CAMERAS
from gtr_ros.training.clip import Clip

#: frames per second at which the times of a clip are rounded
RATE = 20.0

_MIN_HEIGHT = 24  # pixels of a labelled person
_MIN_VISIBILITY = 0.3  # of a labelled person
_SETTLED = 2.0  # seconds of the world before the first possible frame


@dataclass(frozen=True)
class PeopleClips:
    """
    A source of clips, each of another scene with people drawn from one pool.

    :param scene: the parameters that all scenes share; its seed, camera, visit, rate and duration,
        and the number and likeness of its people, are drawn for each clip
    :param label: of a person, an index into the model's class names
    :param frames: T
    :param gaps: range of the seconds from one frame to the next; its logarithm is uniform
    :param objects: range of the number of people
    :param likeness: maximum of a scene's likeness
    :param returns: probability that one of the gaps is `away` seconds instead
    :param away: seconds after which the camera sees the place again
    """

    scene: PeopleScene
    label: int = 0
    frames: int = 8
    gaps: tuple[float, float] = (0.05, 4.0)
    objects: tuple[int, int] = (6, 16)
    likeness: float = 0.5
    returns: float = 0.3
    away: float = 20.0

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Render a clip."""
        numbers = self.draw_frames(rng)
        scene = replace(
            self.scene,
            seed=int(rng.integers(2**31)),
            visit=int(rng.integers(2**31)),
            camera=str(rng.choice(CAMERAS)),
            objects=int(rng.integers(self.objects[0], self.objects[1] + 1)),
            likeness=float(rng.uniform(0, self.likeness)),
            rate=RATE,
            duration=float(numbers[-1] + 1) / RATE + _SETTLED,
        )
        rendered = generate(scene)
        parts = [self._frame(rendered.frame(number)) for number in numbers.tolist()]
        images, boxes, ids = zip(*parts)
        return Clip(
            images=images,
            boxes=boxes,
            labels=tuple(np.full(len(i), self.label, np.int64) for i in ids),
            ids=ids,
            complete=False,  # the detector learns from photos
            source=str(scene),
            pool=f'people {scene.split}',
        )

    def draw_frames(self, rng: np.random.Generator) -> np.ndarray:
        """Draw the numbers of the frames of a clip at `RATE`, (T,) int64, ascending."""
        low, high = np.log(self.gaps)
        gaps = np.exp(rng.uniform(low, high, self.frames - 1))
        if rng.random() < self.returns:
            gaps[rng.integers(len(gaps))] = self.away
        steps = np.maximum(np.round(gaps * RATE), 1).astype(int)
        first = round(rng.uniform(0, _SETTLED) * RATE)
        return first + np.concatenate([[0], np.cumsum(steps)])

    @staticmethod
    def _frame(frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return image, boxes of the visible parts, and ids of a rendered frame."""
        heights = frame.boxes[:, 3] - frame.boxes[:, 1]
        seen = (frame.visibility >= _MIN_VISIBILITY) & (heights >= _MIN_HEIGHT)
        return frame.image, frame.boxes[seen].astype(np.float32), frame.ids[seen] + 1
