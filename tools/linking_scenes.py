# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The scenes on which constants of linking are chosen: real boxes, and images of training alone.

What a network says of their boxes is computed once and kept.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from linking_people import come_and_go
from linking_people import cut_out
from linking_people import street
import numpy as np

from gtr_ros.data.opening import open_sequences
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.stored_boxes import read_boxes
from gtr_ros.data.synthetic.filmed import Filmed
from gtr_ros.data.synthetic.filmed import generate_filmed
from gtr_ros.data.synthetic.visits import Absence
from gtr_ros.data.synthetic.visits import generate_visits
from gtr_ros.data.synthetic.visits import Visits
from gtr_ros.evaluation.appearance import describe_all
from gtr_ros.evaluation.cache import cache_key
from gtr_ros.evaluation.cache import load_arrays
from gtr_ros.evaluation.cache import network_key
from gtr_ros.evaluation.cache import save_arrays
from gtr_ros.evaluation.run import PreparedSequence
from gtr_ros.evaluation.trackers import MODEL
from gtr_ros.model.gtr import GTR
from gtr_ros.structures import Detections
from gtr_ros.tracking import camera_motion

#: likeness of the people, strength of the camera's pan, seed; other seeds than training's
DRAWN = ((0.3, 0.0, 1), (0.7, 0.0, 2), (0.6, 30.0, 4))
#: likeness of the people, seed
STORIES = ((0.3, 0), (0.0, 3), (0.6, 4))
FILMS = ('run', 'ride', 'turn')
#: in each repetition: boxes that are left out, and how far the sides of others are off
DROPPED, SHAKEN = 0.04, 0.01


class Film(NamedTuple):
    """An animal or a rider, filmed; the kind is of `FILMS`."""

    kind: str
    prepared: PreparedSequence


class Story(NamedTuple):
    """People who come back, and how alike people look."""

    likeness: float
    prepared: PreparedSequence
    returns: tuple[Absence, ...]


class Scenes:
    """
    Makes scenes, with features of one network.

    :param data: holds `mot15_boxes` and `coco_mini`
    :param cache: folder for what is computed
    :param model: the network
    :param key: changes when the network does
    """

    def __init__(self, data: Path, cache: Path, model: GTR, key: str) -> None:
        self.data = data
        self.cache = cache
        self.model = model
        self.key = key

    def real(self, count: int) -> list[PreparedSequence]:
        """Return the public detections of MOT15, without images."""
        prepared = []
        for folder in sorted((self.data / 'mot15_boxes').iterdir())[:count]:
            [opened] = open_sequences(str(folder))
            boxes = read_boxes(folder / 'det.txt', opened.sequence)
            prepared.append(PreparedSequence(opened.sequence, boxes, {}))
        return prepared

    def drawn(self, count: int) -> list[PreparedSequence]:
        """Return drawn people who come and go."""
        return [self._described(*come_and_go(*numbers)) for numbers in DRAWN[:count]]

    def photographed(self, count: int) -> list[PreparedSequence]:
        """Return people cut out of training images."""
        people, places = cut_out(self.data / 'coco_mini' / 'train.json')
        return [self._described(*street(people, places, seed)) for seed in range(count)]

    def films(self, count: int) -> list[Film]:
        """Return so many films of each kind."""
        films = []
        for kind in FILMS:
            for seed in range(count):
                made = generate_filmed(Filmed(kind=kind, seed=seed, whips=0.4))
                films.append(Film(kind, self._described(made.sequence, made.detections)))
        return films

    def stories(self, count: int) -> list[Story]:
        """Return stories of people who come back."""
        stories = []
        for likeness, seed in STORIES[:count]:
            made = generate_visits(Visits(similarity=likeness, seed=seed))
            prepared = self._described(made.sequence, made.detections)
            stories.append(Story(likeness, prepared, made.returns))
        return stories

    def _described(self, sequence: Sequence, detections: list[Detections]) -> PreparedSequence:
        file = self.cache / f'{cache_key(self.key, sequence, detections)}.npz'
        boxes = describe_all(self.model.describe, sequence, detections, file)
        return PreparedSequence(
            sequence, boxes, {MODEL: boxes}, self._camera(sequence, detections)
        )

    def _camera(self, sequence: Sequence, detections: list[Detections]) -> np.ndarray:
        """Estimate how the background moved from frame to frame, (T, 2, 3); NaN: unknown."""
        network = network_key(camera_motion.__file__)
        file = self.cache / f'{cache_key(network, sequence, detections)}.npz'
        moved = (load_arrays(file) or {}).get('camera')
        if moved is None:
            estimate = camera_motion.CameraMotion()
            moved = np.full((len(sequence), 2, 3), np.nan)
            for t, (image, found) in enumerate(zip(sequence.images(), detections)):
                motion = estimate.update(image, found.boxes)
                if motion is not None:
                    moved[t] = motion
            save_arrays(file, {'camera': moved})
        return moved


def shaken(prepared: PreparedSequence, seed: int) -> PreparedSequence:
    """Return a prepared with some boxes left out and the others shaken: another of its kind."""
    stream = np.random.default_rng([seed, len(prepared.boxes)])
    boxes = []
    for found in prepared.boxes:
        found = found.select(stream.random(len(found)) >= DROPPED)
        sides = np.tile(found.boxes[:, 2:] - found.boxes[:, :2], 2)
        noise = SHAKEN * stream.standard_normal(sides.shape) * sides
        boxes.append(replace(found, boxes=(found.boxes + noise).astype(np.float32)))
    described = dict.fromkeys(prepared.described, boxes)
    return replace(prepared, boxes=boxes, described=described)
