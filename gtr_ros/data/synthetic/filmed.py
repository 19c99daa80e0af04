# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
An animal or a rider that a moving camera follows, with exact truth.

The subject gallops, stops, turns and comes nearer; the camera is behind, shakes and pans away. A
detector takes it for another class at times. The truth counts the subject, and its rider; those
who pass by are in the truth as distractors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import clip_boxes
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Role
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic import Generated
from gtr_ros.data.synthetic.chase import CLASSES
from gtr_ros.data.synthetic.chase import Film
from gtr_ros.data.synthetic.chase import film
from gtr_ros.data.synthetic.chase import Filmed
from gtr_ros.data.synthetic.meadow import FilmRenderer
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.world import detect
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.stamps import NANOSECONDS

__all__ = ['Filmed', 'GeneratedFilm', 'generate_filmed']

_FLIPS, _CONFUSED, _MISSED = range(80, 83)  # purposes that have random streams of their own

_SPELL = (0.3, 0.9)  # s, of a wrong label, and of being missed
_POINTS = 16  # of a box, across, at which trees are looked for

_CONFUSIONS = {
    'cow': ('horse', 'dog'),
    'horse': ('cow', 'dog'),
    'dog': ('cow', 'horse'),
    'person': ('dog', 'bicycle'),
    'bicycle': ('person', 'dog'),
}


@dataclass(frozen=True)
class GeneratedFilm(Generated):
    """
    A film, made.

    :param camera: (T, 2, 3) float64, from pixels of the frame before to this one's, of what does
        not move itself: `camera[t] @ [x, y, 1]`; the first is the identity
    """

    camera: np.ndarray


def generate_filmed(filmed: Filmed) -> GeneratedFilm:
    """Make a film; the same parameters always give the same."""
    stamps = regular_stamps(max(1, round(filmed.duration * filmed.rate)), filmed.rate)
    made = film(filmed, stamps)
    true = np.array([CLASSES.index(kind) for kind in made.kinds])
    main = 1 + made.rides
    roles = np.array([Role.COUNTED] * main + [Role.DISTRACTOR] * filmed.others)
    taken_for, missed = _labels(filmed, made.kinds, stamps), _missed(filmed, len(true), stamps)
    # Who is missed is decided here.
    scene = Scene(missed=0.0, false=0.0, jitter=filmed.jitter, size=filmed.size, seed=filmed.seed)
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = clip_boxes(made.boxes[t], filmed.size)
        present = np.flatnonzero(box_areas(boxes) >= 0.5 * box_areas(made.boxes[t]))
        truth.append(Truth.of(present + 1, boxes[present], true[present], roles[present]))
        visible = visibility(boxes[present], made.nearness[t, present])
        visible *= _beside_trees(made, t)[present]
        found = ~missed[t, present]
        detections.append(
            detect(scene, stamp, boxes, present[found], visible[found], taken_for[t])
        )
    sequence = Sequence(
        name=str(filmed),
        class_names=CLASSES,
        image_size=filmed.size,
        frame_rate=filmed.rate,
        truth=tuple(truth),
        stamps=stamps,
        images=FilmRenderer(filmed, made),
        image_key=filmed.image_key,
    )
    return GeneratedFilm(sequence, detections, (), _camera(made.view))


def _camera(view: np.ndarray) -> np.ndarray:
    """Return (T, 2, 3) how pixels move from frame to frame; view is from one world to each."""
    full = np.concatenate([view, np.tile([[[0.0, 0, 1]]], (len(view), 1, 1))], axis=1)
    before = full[np.maximum(np.arange(len(full)) - 1, 0)]
    camera = (full @ np.linalg.inv(before))[:, :2]
    camera[0] = np.eye(2, 3)
    return camera


def _spells(
    stream: np.random.Generator, share: float, duration: float, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Draw when something happens, for some tenths of a second at a time.

    :return: (T,) bool, whether it does; (T,) int64, the number of the spell
    """
    if share in (0, 1):
        return np.full(len(seconds), share == 1), np.zeros(len(seconds), np.int64)
    starts_on = on = stream.random() < share
    rest = np.mean(_SPELL) * (1 - share) / share
    ends = [0.0]
    while ends[-1] <= duration:
        ends.append(ends[-1] + (stream.uniform(*_SPELL) if on else stream.exponential(rest)))
        on = not on
    number = np.searchsorted(ends, seconds, side='right') - 1
    return (number % 2 == 0) == starts_on, number


def _labels(filmed: Filmed, kinds: tuple[str, ...], stamps: np.ndarray) -> np.ndarray:
    """Return (T, N) int64, what a detector takes everybody for."""
    labels = np.empty((len(stamps), len(kinds)), np.int64)
    for i, kind in enumerate(kinds):
        flipped, spell = _spells(
            random_stream(filmed, _FLIPS, i), filmed.flips, filmed.duration, stamps / NANOSECONDS
        )
        confused = np.array([CLASSES.index(other) for other in _CONFUSIONS[kind]])
        which = random_stream(filmed, _CONFUSED, i).integers(len(confused), size=spell[-1] + 1)
        labels[:, i] = np.where(flipped, confused[which[spell]], CLASSES.index(kind))
    return labels


def _missed(filmed: Filmed, count: int, stamps: np.ndarray) -> np.ndarray:
    """Return (T, N) bool, whom a detector does not find."""
    seconds = stamps / NANOSECONDS
    streams = [random_stream(filmed, _MISSED, i) for i in range(count)]
    spells = [_spells(s, filmed.missed, filmed.duration, seconds)[0] for s in streams]
    return np.stack(spells, axis=1)


def _beside_trees(made: Film, t: int) -> np.ndarray:
    """Return (N,) float64 in [0, 1], the part of each box that is not behind trunks, about."""
    boxes, view = made.boxes[t], made.view[t]
    parts = (np.arange(_POINTS) + 0.5) / _POINTS
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * parts  # [N,P]
    y = np.broadcast_to(boxes[:, 1:2] + boxes[:, 3:4], x.shape) / 2
    points = np.stack([x, y], axis=-1) - view[:, 2]
    world = (points @ np.linalg.inv(view[:, :2]).T)[..., 0]
    behind = np.abs(world[..., None] - made.trees[:, 0]) < 0.48 * made.trees[:, 1]  # [N,P,K]
    return 1 - behind.any(axis=-1).mean(axis=1)
