# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Films of an animal or a rider followed by a moving camera, with exact ground truth.

The subject gallops, stops, turns and comes nearer; the camera lags, shakes and pans away. The
detector sometimes reports a wrong class. The ground truth counts the subject and its rider;
passers-by are distractors.
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
from gtr_ros.data.synthetic.chase import Filmed
from gtr_ros.data.synthetic.chase import FilmWorld
from gtr_ros.data.synthetic.chase import simulate_film
from gtr_ros.data.synthetic.meadow import FilmRenderer
from gtr_ros.data.synthetic.scene import random_stream
from gtr_ros.data.synthetic.scene import Scene
from gtr_ros.data.synthetic.world import simulate_detections
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.stamps import NANOSECONDS

__all__ = ['Filmed', 'GeneratedFilm', 'generate_filmed']

_FLIPS, _CONFUSED, _MISSED = range(80, 83)  # numbers of the random streams

_SPELL = (0.3, 0.9)  # s, durations of wrong labels, and of missed detections
_POINTS = 16  # points across a box where trees are looked up

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
    A generated film.

    :param camera: (T, 2, 3) float64, motion of the background: maps pixels of the previous frame
        to those of this one, `camera[t] @ [x, y, 1]`; the first is the identity
    """

    camera: np.ndarray


def generate_filmed(filmed: Filmed) -> GeneratedFilm:
    """Generate a film; the same parameters always produce the same film."""
    stamps = regular_stamps(max(1, round(filmed.duration * filmed.rate)), filmed.rate)
    world = simulate_film(filmed, stamps)
    true = np.array([CLASSES.index(kind) for kind in world.kinds])
    main = 1 + world.rides
    roles = np.array([Role.COUNTED] * main + [Role.DISTRACTOR] * filmed.others)
    detected, missed = _labels(filmed, world.kinds, stamps), _missed(filmed, len(true), stamps)
    # Missed detections are chosen here.
    scene = Scene(missed=0.0, false=0.0, jitter=filmed.jitter, size=filmed.size, seed=filmed.seed)
    truth, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        boxes = clip_boxes(world.boxes[t], filmed.size)
        present = np.flatnonzero(box_areas(boxes) >= 0.5 * box_areas(world.boxes[t]))
        truth.append(Truth.of(present + 1, boxes[present], true[present], roles[present]))
        visible = visibility(boxes[present], world.nearness[t, present])
        visible *= _not_behind_trees(world, t)[present]
        found = ~missed[t, present]
        detections.append(
            simulate_detections(scene, stamp, boxes, present[found], visible[found], detected[t])
        )
    sequence = Sequence(
        name=str(filmed),
        class_names=CLASSES,
        image_size=filmed.size,
        frame_rate=filmed.rate,
        truth=tuple(truth),
        stamps=stamps,
        images=FilmRenderer(filmed, world),
        image_key=filmed.image_key,
    )
    return GeneratedFilm(sequence, detections, (), _camera(world.view))


def _camera(view: np.ndarray) -> np.ndarray:
    """Return the motion of the background from frame to frame, (T, 2, 3), from all views."""
    full = np.concatenate([view, np.tile([[[0.0, 0, 1]]], (len(view), 1, 1))], axis=1)
    before = full[np.maximum(np.arange(len(full)) - 1, 0)]
    camera = (full @ np.linalg.inv(before))[:, :2]
    camera[0] = np.eye(2, 3)
    return camera


def _spells(
    stream: np.random.Generator, share: float, duration: float, seconds: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """
    Draw random spells of a few tenths of a second.

    :param share: fraction of the time in spells
    :return: (T,) bool, whether a time is in a spell; (T,) int64, number of the spell or pause
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
    """Return the detected labels of all objects, (T, N) int64."""
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
    """Return which objects the detector misses, (T, N) bool."""
    seconds = stamps / NANOSECONDS
    streams = [random_stream(filmed, _MISSED, i) for i in range(count)]
    spells = [_spells(s, filmed.missed, filmed.duration, seconds)[0] for s in streams]
    return np.stack(spells, axis=1)


def _not_behind_trees(film: FilmWorld, t: int) -> np.ndarray:
    """Return the approximate fraction of each box that is not behind trunks, (N,) float64."""
    boxes, view = film.boxes[t], film.view[t]
    parts = (np.arange(_POINTS) + 0.5) / _POINTS
    x = boxes[:, :1] + (boxes[:, 2:3] - boxes[:, :1]) * parts  # [N,P]
    y = np.broadcast_to(boxes[:, 1:2] + boxes[:, 3:4], x.shape) / 2
    points = np.stack([x, y], axis=-1) - view[:, 2]
    drawn_x = (points @ np.linalg.inv(view[:, :2]).T)[..., 0]
    behind = np.abs(drawn_x[..., None] - film.trees[:, 0]) < 0.48 * film.trees[:, 1]  # [N,P,K]
    return 1 - behind.any(axis=-1).mean(axis=1)
