# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate the positions of people, their hidings, and an imperfect detector."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
import math

import numpy as np
import torch

from gtr_ros.boxes import clip_boxes
from gtr_ros.data.synthetic.scene import ASPECT
from gtr_ros.data.synthetic.scene import CAMERA
from gtr_ros.data.synthetic.scene import FALSE
from gtr_ros.data.synthetic.scene import FARTHEST
from gtr_ros.data.synthetic.scene import HIDING
from gtr_ros.data.synthetic.scene import Hiding
from gtr_ros.data.synthetic.scene import JITTER
from gtr_ros.data.synthetic.scene import MISSED
from gtr_ros.data.synthetic.scene import ORDER
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.scene import SEEN
from gtr_ros.data.synthetic.scene import WALK
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections

_STEP = 1 / 60  # s, time step of the simulation; frames are interpolated
_SHORTEST, _TALLEST = 50 / 480, 130 / 480  # of a person, in image heights
_NEAREST = 0.97  # position of the nearest feet, image heights from the top
_VISIBLE = 0.3  # minimum visible fraction of a detected person
_GRID = (16, 8)  # points of a box, down and across, where visibility is sampled


@dataclass(frozen=True)
class World:
    """
    The state of N people in T frames.

    :param boxes: (T, N, 4) float64, xyxy, pixels of the image, not clipped
    :param phases: (T, N) float64, number of strides
    :param camera: (T, 2) float64, x and y of the image's corner in the background, pixels
    :param margin: (2,) int, upper bounds of x and y of the camera in both directions
    :param hidden: (T, N) bool
    """

    boxes: np.ndarray
    phases: np.ndarray
    camera: np.ndarray
    margin: tuple[int, int]
    hidden: np.ndarray

    @classmethod
    def at(cls, scene: Scene, stamps: np.ndarray, hidings: Iterable[Hiding]) -> World:
        """Simulate a scene at (T,) int64 stamps, nanoseconds."""
        feet, phases = _walk(scene)
        camera = _pan(scene)
        margin = np.ceil(np.abs(camera).max(axis=0)).astype(int) + 1
        hidden = np.zeros((len(stamps), scene.objects), bool)
        for hiding in hidings:
            hidden[:, hiding.id - 1] |= (hiding.begin <= stamps) & (stamps < hiding.end)

        # Interpolated, so that the world is the same at any frame rate.
        steps = stamps / (NANOSECONDS * _STEP)
        feet, phases, camera = (_interpolate(values, steps) for values in (feet, phases, camera))
        x, y = feet[..., 0], feet[..., 1]
        heights = _height(y, scene.size)
        halves = heights * (ASPECT / 2)
        boxes = np.stack([x - halves, y - heights, x + halves, y], axis=-1)
        boxes -= np.tile(camera, 2)[:, None]
        return cls(boxes, phases, camera, (int(margin[0]), int(margin[1])), hidden)


def _height(y: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the heights in pixels of people whose feet are at y."""
    nearness = (y / size[0] - FARTHEST) / (_NEAREST - FARTHEST)
    return size[0] * (_SHORTEST + (_TALLEST - _SHORTEST) * nearness)


def _interpolate(values: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return (T, ...) values at T fractional steps of (S, ...) ones."""
    whole = steps.astype(int)
    part = (steps - whole).reshape(-1, *[1] * (values.ndim - 1))
    return values[whole] * (1 - part) + values[whole + 1] * part


def _step_count(scene: Scene) -> int:
    return math.ceil(scene.duration / _STEP) + 2


def _walk(scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """
    Simulate random walks that turn smoothly, and inwards near the borders.

    :return: (S, N, 2) feet, x and y in pixels, and (S, N) number of strides, at each time step
    """
    steps, (height, width) = _step_count(scene), scene.size
    streams = [random_stream(scene, WALK, i) for i in range(scene.objects)]
    starts = np.array([stream.random(5) for stream in streams]).reshape(-1, 5)
    turns = np.array([stream.standard_normal(steps) for stream in streams]).reshape(-1, steps)

    top, bottom = FARTHEST * height, _NEAREST * height
    border = np.array([0.12 * width, 0.15 * (bottom - top)])
    x = border[0] + starts[:, 0] * (width - 2 * border[0])
    y = top + border[1] + starts[:, 1] * (bottom - top - 2 * border[1])
    heading = starts[:, 2] * 2 * np.pi
    pace = 0.35 + 0.45 * starts[:, 3]  # heights of the person per second
    phase = starts[:, 4]
    turning = np.zeros(len(x))  # rad/s
    feet, phases = np.empty((steps, len(x), 2)), np.empty((steps, len(x)))
    for s in range(steps):
        feet[s, :, 0], feet[s, :, 1], phases[s] = x, y, phase
        body_height = _height(y, scene.size)
        side = ASPECT / 2 * body_height
        # Random turns decay within a second; near a border, people turn inwards.
        turning += -turning * _STEP + 0.6 * math.sqrt(2 * _STEP) * turns[:, s]
        inward_x = _repulsion(x, side, width - side, border[0])
        inward_y = _repulsion(y, top, bottom, border[1])
        angle = np.arctan2(inward_y, inward_x) - heading
        angle = (angle + np.pi) % (2 * np.pi) - np.pi
        heading += (turning + 3 * np.hypot(inward_x, inward_y) * angle) * _STEP
        y = np.clip(y + 0.4 * pace * body_height * np.sin(heading) * _STEP, top, bottom)
        side = ASPECT / 2 * _height(y, scene.size)
        x = np.clip(x + pace * body_height * np.cos(heading) * _STEP, side, width - side)
        phase = phase + 1.1 * pace * _STEP
    return feet, phases


def _repulsion(value: np.ndarray, least, most, border: float) -> np.ndarray:
    """Return the strength, in [-1, 1], with which each value is pushed away from its bounds."""
    low = np.clip((least + border - value) / border, 0, 1)
    return low - np.clip((value - most + border) / border, 0, 1)


def _pan(scene: Scene) -> np.ndarray:
    """Return (S, 2) float64, the camera's x and y at each step, pixels, around 0."""
    seconds = np.arange(_step_count(scene)) * _STEP
    stream = random_stream(scene, CAMERA)
    frequencies = 2 * np.pi * stream.uniform(0.1, 0.4, (3, 2))  # rad/s
    starts = stream.uniform(0, 2 * np.pi, (3, 2))
    # Amplitudes fall with frequency, so all waves are equally fast; vertical motion is weaker.
    waves = np.sin(frequencies * seconds[:, None, None] + starts) / frequencies
    path = waves.sum(axis=1) * [1, 0.4]
    speed = np.sqrt((np.diff(path, axis=0) ** 2).sum(axis=1).mean()) / _STEP
    path *= scene.camera / speed
    return path - (path.min(axis=0) + path.max(axis=0)) / 2


def choose_hidings(scene: Scene) -> tuple[Hiding, ...]:
    """Choose one or two hidings for each person; one if two do not fit."""
    hidings = []
    for i in range(scene.objects if scene.occlusion > 0 else 0):
        stream = random_stream(scene, HIDING, i)
        number, draws = int(stream.integers(1, 3)), stream.random(2)
        if scene.duration < number * scene.occlusion + (number + 1) * SEEN:
            number = 1
        free = scene.duration - number * scene.occlusion
        seen = min(SEEN, free / (number + 1))
        starts = seen + np.sort(draws[:number]) * (free - (number + 1) * seen)
        for k, start in enumerate(starts):
            begin = round((start + k * (seen + scene.occlusion)) * NANOSECONDS)
            hidings.append(Hiding(i + 1, begin, begin + round(scene.occlusion * NANOSECONDS)))
    return tuple(hidings)


def simulate_detections(
    scene: Scene,
    stamp: int,
    boxes: np.ndarray,
    present: np.ndarray,
    visible: np.ndarray,
    labels: np.ndarray | None = None,
) -> Detections:
    """
    Simulate an imperfect detector.

    The noise depends only on the person and the stamp, so it is the same in scenes that differ in
    rate or hidings.

    :param boxes: (N, 4) float64, xyxy, pixels, of all people
    :param present: (P,) int64, indices of the people in the ground truth
    :param visible: (P,) float64, visible fraction of each of them
    :param labels: (N,) int64, detected labels; None: class 0
    """
    count = len(boxes)
    found = random_stream(scene, MISSED, stamp).random(count)[present] >= scene.missed
    found &= visible >= _VISIBLE
    present, visible = present[found], visible[found]
    noise = random_stream(scene, JITTER, stamp).standard_normal((count, 5))[present]
    sides = np.tile(boxes[present, 2:] - boxes[present, :2], 2)
    seen = boxes[present] + scene.jitter * noise[:, :4] * sides
    scores = np.clip(0.45 + 0.4 * visible + 0.05 * noise[:, 4], 0.5, 0.95)

    stream = random_stream(scene, FALSE, stamp)
    extra = stream.poisson(scene.false)
    draws = stream.random((extra, 5))
    height, width = scene.size
    y = height * (FARTHEST + (_NEAREST - FARTHEST) * draws[:, 0])
    body_height = _height(y, scene.size) * (0.8 + 0.45 * draws[:, 1])
    half = body_height * ASPECT / 2 * (0.8 + 0.4 * draws[:, 2])
    x = half + draws[:, 3] * (width - 2 * half)
    false = np.stack([x - half, y - body_height, x + half, y], axis=1)

    order = random_stream(scene, ORDER, stamp).permutation(len(seen) + extra)
    seen = clip_boxes(np.concatenate([seen, false])[order], scene.size)
    scores = np.concatenate([scores, 0.4 + 0.2 * draws[:, 4]])[order]
    known = np.zeros(count, np.int64) if labels is None else labels
    labels = np.append(known[present], np.zeros(extra, np.int64))[order]
    # Strong jitter can swap the sides of a box.
    good = (seen[:, 2:] - seen[:, :2] >= 2).all(axis=1)
    return Detections(
        boxes=seen[good].astype(np.float32),
        scores=scores[good].astype(np.float32),
        labels=labels[good],
        features=torch.zeros((int(good.sum()), 1)),
        image_size=scene.size,
        stamp=stamp,
    )


def visibility(boxes: np.ndarray, nearness: np.ndarray) -> np.ndarray:
    """
    Return the approximate fraction of each box that no nearer box covers, (N,) float64.

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
