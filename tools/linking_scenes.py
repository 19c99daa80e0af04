# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
The scenes on which the constants of the rule `evidence` are chosen: real boxes, training images.

The features of their boxes are cached.
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

#: similarity of the people, strength of the camera's pan, seed; differs from the seeds in training
DRAWN = ((0.3, 0.0, 1), (0.7, 0.0, 2), (0.6, 30.0, 4))
#: similarity of the people, seed
VISITS = ((0.3, 0), (0.0, 3), (0.6, 4))
FILMS = ('run', 'ride', 'turn')
#: in each repetition: fraction of boxes that are dropped, and relative noise of the others' sides
DROPPED, NOISE = 0.04, 0.01


class FilmScene(NamedTuple):
    """An animal or a rider, filmed; the kind is one of `FILMS`."""

    kind: str
    prepared: PreparedSequence


class VisitsScene(NamedTuple):
    """People who return, and the similarity of their appearance."""

    similarity: float
    prepared: PreparedSequence
    returns: tuple[Absence, ...]


class Scenes:
    """
    Generates scenes with the features of one model.

    :param data: folder with `mot15_boxes` and `coco_mini`
    :param cache: folder for computed features
    :param model: computes the features
    :param key: changes when the model does
    """

    def __init__(self, data: Path, cache: Path, model: GTR, key: str) -> None:
        self.data = data
        self.cache = cache
        self.model = model
        self.key = key

    def real(self, count: int) -> list[PreparedSequence]:
        """Return MOT15 sequences with their public detections, without images."""
        prepared = []
        for folder in sorted((self.data / 'mot15_boxes').iterdir())[:count]:
            [opened] = open_sequences(str(folder))
            boxes = read_boxes(folder / 'det.txt', opened.sequence)
            prepared.append(PreparedSequence(opened.sequence, boxes, {}))
        return prepared

    def drawn(self, count: int) -> list[PreparedSequence]:
        """Return scenes of drawn people who come and go."""
        return [self._prepare(*come_and_go(*parameters)) for parameters in DRAWN[:count]]

    def photographed(self, count: int) -> list[PreparedSequence]:
        """Return scenes of people cut out from training images."""
        people, places = cut_out(self.data / 'coco_mini' / 'train.json')
        return [self._prepare(*street(people, places, seed)) for seed in range(count)]

    def films(self, count: int) -> list[FilmScene]:
        """Return films of each kind."""
        films = []
        for kind in FILMS:
            for seed in range(count):
                made = generate_filmed(Filmed(kind=kind, seed=seed, whips=0.4))
                films.append(FilmScene(kind, self._prepare(made.sequence, made.detections)))
        return films

    def visits(self, count: int) -> list[VisitsScene]:
        """Return scenes of people who return."""
        scenes = []
        for similarity, seed in VISITS[:count]:
            made = generate_visits(Visits(similarity=similarity, seed=seed))
            prepared = self._prepare(made.sequence, made.detections)
            scenes.append(VisitsScene(similarity, prepared, made.returns))
        return scenes

    def _prepare(self, sequence: Sequence, detections: list[Detections]) -> PreparedSequence:
        file = self.cache / f'{cache_key(self.key, sequence, detections)}.npz'
        boxes = describe_all(self.model.describe, sequence, detections, file)
        return PreparedSequence(
            sequence, boxes, {MODEL: boxes}, self._camera_motion(sequence, detections)
        )

    def _camera_motion(self, sequence: Sequence, detections: list[Detections]) -> np.ndarray:
        """Return the motion of the background from frame to frame, (T, 2, 3); NaN if unknown."""
        network = network_key(camera_motion.__file__)
        file = self.cache / f'{cache_key(network, sequence, detections)}.npz'
        motions = (load_arrays(file) or {}).get('camera')
        if motions is None:
            estimator = camera_motion.CameraMotion()
            motions = np.full((len(sequence), 2, 3), np.nan)
            for t, (image, found) in enumerate(zip(sequence.images(), detections)):
                motion = estimator.update(image, found.boxes)
                if motion is not None:
                    motions[t] = motion
            save_arrays(file, {'camera': motions})
        return motions


def perturb(prepared: PreparedSequence, seed: int) -> PreparedSequence:
    """Return a sequence with some boxes dropped, and noise added to the others."""
    stream = np.random.default_rng([seed, len(prepared.boxes)])
    boxes = []
    for found in prepared.boxes:
        found = found.select(stream.random(len(found)) >= DROPPED)
        sides = np.tile(found.boxes[:, 2:] - found.boxes[:, :2], 2)
        noise = NOISE * stream.standard_normal(sides.shape) * sides
        boxes.append(replace(found, boxes=(found.boxes + noise).astype(np.float32)))
    described = dict.fromkeys(prepared.described, boxes)
    return replace(prepared, boxes=boxes, described=described)
