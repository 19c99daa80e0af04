# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Scenes in which one person is hidden by another one or by a wall, as detections with features.

No image is drawn: the features are random vectors whose cosines are those that the default
checkpoint has on rendered people. A person who is partly covered looks partly like the one in
front.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import box_intersection
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

#: what happens to person 0: somebody crosses in front; somebody walks in front for `HIDDEN`
#: seconds; a wall hides the person for that long while somebody else comes out from behind it
KINDS = ('crossing', 'company', 'wall')
#: seconds
HIDDEN = 5.0
#: when person 0 is covered, or the two cross, seconds
START = 5.0
#: frames per second
RATE = 10.0
#: mean cosine of the features of a person, of those in successive frames, and of two people
SAME, SUCCESSIVE, DIFFERENT = 0.65, 0.82, 0.21

_SIZE = (480, 640)  # height and width, pixels
_SECONDS = 18.0  # of the scene
_ASPECT = 0.4
_WIDTH = 64  # D
_TURN = 1.0  # seconds, in which a person's side that is seen changes
_LEAST_VISIBLE = 0.3
_MISSED, _JITTER = 0.05, 0.03


@dataclass(frozen=True)
class CrossingFrame:
    """
    One frame.

    :param detections: in any order
    :param people: (N,) int64, the person of each detection
    """

    detections: Detections
    people: np.ndarray


def generate_crossing(kind: str, seed: int, others: int = 4) -> list[CrossingFrame]:
    """
    Generate a scene; person 0 is in view from the first frame on.

    :param kind: one of `KINDS`
    :param others: number of people beside person 0 and the one who covers it
    :raises ValueError: if there is no such kind
    """
    if kind not in KINDS:
        raise ValueError(f'kind is {kind!r}; expected one of {", ".join(KINDS)}')
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    times = np.arange(round(_SECONDS * RATE)) / RATE
    heights = rng.uniform(130, 180, others + 2)
    heights[1] = heights[0] * rng.uniform(1.1, 1.3)  # in front of person 0
    x, hidden = _paths(kind, rng, times, others)
    feet = 300 + heights
    boxes = np.stack(
        [
            x - _ASPECT / 2 * heights,
            np.broadcast_to(feet - heights, x.shape),
            x + _ASPECT / 2 * heights,
            np.broadcast_to(feet, x.shape),
        ],
        axis=2,
    )
    looks = _looks(rng, len(heights), len(times))
    return [
        _frame(rng, t, boxes[t], ~hidden[t], heights, looks[t], round(time * NANOSECONDS))
        for t, time in enumerate(times.tolist())
    ]


def _paths(
    kind: str, rng: np.random.Generator, times: np.ndarray, others: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the middle of each person at each time, (T, P), and who is behind the wall."""
    count = others + 2
    speed = rng.uniform(25, 50, count) * rng.choice([-1, 1], count)
    phase = rng.uniform(0, 1200, count)
    x = _reflect(phase + speed * times[:, None])
    hidden = np.zeros(x.shape, bool)
    meeting = rng.uniform(280, 360)
    pace = rng.uniform(20, 32) * rng.choice([-1, 1])
    after = times - START
    x[:, 0] = _reflect(meeting + pace * after)
    if kind == 'crossing':
        x[:, 1] = _reflect(meeting - rng.uniform(1, 2) * pace * after)
        return x, hidden
    # During the time in which person 0 is covered, the two are at the same place.
    end = after - HIDDEN
    covered = (after >= 0) & (end < 0)
    turn = rng.choice([-1, 1])
    slow = 0.4 * pace
    place = meeting + slow * np.clip(after, 0, HIDDEN)
    before = np.minimum(after, 0)
    x[:, 0] = _reflect(place + pace * before + turn * pace * np.maximum(end, 0))
    if kind == 'company':
        x[:, 1] = _reflect(place - pace * before * 1.3 - turn * 1.4 * pace * np.maximum(end, 0))
        return x, hidden
    # Person 1 was behind the wall from the start, and comes out where person 0 is expected.
    early = np.maximum(after - rng.uniform(1.0, HIDDEN - 1.0), 0)
    x[:, 1] = _reflect(meeting + pace * 1.0 + pace * early)
    hidden[:, 0] = covered
    hidden[:, 1] = early == 0
    return x, hidden


def _reflect(x: np.ndarray) -> np.ndarray:
    """Keep paths in the image: people turn round near its edges."""
    low, width = 50.0, _SIZE[1] - 100.0
    return low + width - np.abs((x - low) % (2 * width) - width)


def _looks(rng: np.random.Generator, people: int, frames: int) -> np.ndarray:
    """Return features of whole people, (T, P, D), nearly of unit length."""

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=(*shape, _WIDTH)) / np.sqrt(_WIDTH)

    shared = DIFFERENT / SAME
    own = np.sqrt(shared) * draw(1) + np.sqrt(1 - shared) * draw(people)
    side = draw(people)
    keep = np.exp(-1 / (RATE * _TURN))
    found = []
    for _ in range(frames):
        side = keep * side + np.sqrt(1 - keep**2) * draw(people)
        found.append(
            np.sqrt(SAME) * own
            + np.sqrt(SUCCESSIVE - SAME) * side
            + np.sqrt(1 - SUCCESSIVE) * draw(people)
        )
    return np.stack(found)


def _frame(
    rng: np.random.Generator,
    index: int,
    boxes: np.ndarray,
    present: np.ndarray,
    heights: np.ndarray,
    looks: np.ndarray,
    stamp: int,
) -> CrossingFrame:
    shared = box_intersection(boxes, boxes) / box_areas(boxes)[:, None]
    nearer = (heights[None] > heights[:, None]) & present[None]
    shared = np.where(nearer, shared, 0.0)
    front, visible = shared.argmax(axis=1), 1 - shared.max(axis=1)
    seen = present & (visible >= _LEAST_VISIBLE) & (rng.random(len(boxes)) >= _MISSED)
    if not index:
        seen[0] = True
    people = rng.permutation(np.flatnonzero(seen))
    sides = np.column_stack([_ASPECT * heights, heights] * 2)
    noisy = boxes + rng.normal(size=boxes.shape) * _JITTER * sides
    mixed = visible[:, None] * looks + (1 - visible[:, None]) * looks[front]
    mixed /= np.linalg.norm(mixed, axis=1, keepdims=True)
    scores = rng.uniform(0.6, 0.95, len(boxes))
    return CrossingFrame(
        Detections(
            boxes=noisy[people].astype(np.float32),
            scores=scores[people].astype(np.float32),
            labels=np.zeros(len(people), np.int64),
            features=torch.from_numpy(mixed[people].astype(np.float32)),
            image_size=_SIZE,
            stamp=stamp,
        ),
        people,
    )
