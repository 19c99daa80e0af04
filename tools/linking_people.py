# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Scenes of drawn or cut-out people; errors of the simulated detector last several frames."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as SequenceOf
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
import torch

from gtr_ros.boxes import box_areas
from gtr_ros.boxes import box_iou
from gtr_ros.boxes import clip_boxes
from gtr_ros.boxes import match_boxes
from gtr_ros.data.coco.stills import read_coco
from gtr_ros.data.sequence import regular_stamps
from gtr_ros.data.sequence import Sequence
from gtr_ros.data.sequence import Truth
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.data.synthetic.world import visibility
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Detections
from gtr_ros.training.clip import Clip
from gtr_ros.training.pasting import Deformation
from gtr_ros.training.pasting import MIN_VISIBLE
from gtr_ros.training.pasting import paste
from gtr_ros.training.pasting import PastedObject

#: fractions of the time in which a person is missed, and detected twice, and mean number of frames
#: in a spell: 5 of 161 people that the default detector found in images had a second box on a part
#: of them
MISSED, DOUBLED, SPELL = 0.08, 0.03, 3

_SIZE, _RATE, _SECONDS, _PEOPLE = (480, 640), 10, 20, 14  # of a street scene
_HEIGHTS = (70, 200)  # of its people, pixels
_CUT = (100, 30, 1.3)  # least height and width of a cut-out person, pixels; least height / width


def come_and_go(similarity: float, camera: float, seed: int) -> tuple[Sequence, list[Detections]]:
    """
    Generate a drawn scene whose people come and go, with detector errors of several frames.

    Each person is kept for a random period in the ground truth and detections. In the images, all
    people are drawn all the time, but trackers do not see the images.
    """
    made = Scene(
        objects=20,
        duration=40.0,
        similarity=similarity,
        camera=camera,
        missed=0.0,
        false=0.1,
        jitter=0.04,
        seed=seed,
    )
    whole = generate(made)
    stream = np.random.default_rng(seed + 100)
    begin = stream.uniform(-8, made.duration - 3, made.objects)
    end = begin + stream.uniform(6, 20, made.objects)
    frames = len(whole.detections)
    missed = spells(MISSED, frames, made.objects, stream)
    doubled = spells(DOUBLED, frames, made.objects, stream)
    truths, detections = [], []
    for t, (truth, found) in enumerate(zip(whole.sequence.truth, whole.detections)):
        time = found.stamp / NANOSECONDS
        person = truth.ids - 1
        there = (begin[person] <= time) & (time < end[person])
        kept = np.ones(len(found), bool)
        parts = []
        for i, j in zip(*match_boxes(box_iou(truth.boxes, found.boxes.astype(np.float64)))):
            kept[j] = there[i] and not missed[t, person[i]]
            if there[i] and doubled[t, person[i]]:
                parts.append(partial_box(found.boxes[j], stream))
        truths.append(Truth.of(truth.ids[there], truth.boxes[there]))
        detections.append(with_boxes(found.select(kept), parts))
    return replace(whole.sequence, truth=tuple(truths)), detections


def spells(share: float, frames: int, people: int, stream: np.random.Generator) -> np.ndarray:
    """Draw random spells, of SPELL frames on average, for each person, (T, N) bool."""
    starts = stream.random((frames, people)) < share / SPELL
    lengths = stream.geometric(1 / SPELL, (frames, people))
    spell = np.zeros((frames, people), bool)
    for t, i in zip(*np.nonzero(starts)):
        spell[t : t + lengths[t, i], i] = True
    return spell


def partial_box(box: np.ndarray, stream: np.random.Generator) -> np.ndarray:
    """Return the box of a part of a person, (4,), as if from a second detection."""
    sides = np.tile(box[2:] - box[:2], 2)
    inwards = stream.uniform(0.0, 0.45, 4) * (1, 1, -1, -1)
    return box + sides * inwards


def with_boxes(found: Detections, boxes: list[np.ndarray]) -> Detections:
    """Append boxes of people to a frame's detections."""
    if not boxes:
        return found
    count = len(found) + len(boxes)
    return replace(
        found,
        boxes=np.concatenate([found.boxes, np.stack(boxes).astype(np.float32)]),
        scores=np.append(found.scores, np.full(len(boxes), 0.5, np.float32)),
        labels=np.zeros(count, np.int64),
        features=torch.zeros((count, 1)),
    )


class Person(NamedTuple):
    """
    A person in a photograph.

    :param file: of the image
    :param box: (4,) float32, xyxy, pixels
    """

    file: Path
    box: np.ndarray

    @property
    def aspect(self) -> float:
        """Width over height."""
        return float((self.box[2] - self.box[0]) / (self.box[3] - self.box[1]))

    def picture(self) -> Image.Image:
        """Return the crop of the person, RGB."""
        picture = Image.open(self.file).convert('RGB').crop(tuple(self.box.tolist()))
        picture.thumbnail((1024, 256))
        return picture


def cut_out(annotations: Path) -> tuple[list[Person], list[Path]]:
    """Return the clearly visible people in COCO images, and all images as backgrounds."""
    found = read_coco(annotations, class_names=('person',))
    people = []
    for still in found.stills:
        wide, tall = (still.boxes[:, 2:] - still.boxes[:, :2]).T
        seen = (tall >= _CUT[0]) & (wide >= _CUT[1]) & (tall > _CUT[2] * wide)
        people += [Person(still.file, box) for box in still.boxes[seen]]
    return people, [still.file for still in found.stills]


class Street:
    """
    The images of photographed people who walk across a background with uneven light.

    :param place: file of the background
    :param people: (N,)
    :param boxes: (T, N, 4) float64, xyxy, pixels
    :param deformations: (N,)
    :param light: (W,) float64, gain of each column
    :param seed: of the noise
    """

    def __init__(
        self,
        place: Path,
        people: list[Person],
        boxes: np.ndarray,
        deformations: list[Deformation],
        light: np.ndarray,
        seed: int,
    ) -> None:
        self._place = place
        self._people = people
        self._boxes = boxes
        self._deformations = deformations
        self._light = light
        self._seed = seed

    def __call__(self) -> Iterator[np.ndarray]:
        """Iterate over all frames, (H, W, 3) uint8 RGB each."""
        background = Image.open(self._place).convert('RGB').resize(_SIZE[::-1])
        boxes, labels = np.zeros((0, 4), np.float32), np.zeros(0, np.int64)
        clip = Clip((np.asarray(background),), (boxes,), (labels,), (labels,))
        pictures = [person.picture() for person in self._people]
        for t in range(len(self._boxes)):
            pasted = [
                PastedObject(
                    picture, 0, self._boxes[t : t + 1, i], _frozen(self._deformations[i], t)
                )
                for i, picture in enumerate(pictures)
            ]
            noise = np.random.default_rng([self._seed, t]).normal(0, 4, (*_SIZE, 1))
            image = paste(clip, pasted).images[0] * self._light[:, None] + noise
            yield image.clip(0, 255).astype(np.uint8)


def street(
    people: SequenceOf[Person], places: SequenceOf[Path], seed: int
) -> tuple[Sequence, list[Detections]]:
    """
    Generate a scene of photographed people who walk, stop, turn back, and occlude each other.

    :param people: to choose from
    :param places: images to choose the background from
    """
    stream = np.random.default_rng([seed, 77])
    frames = _SECONDS * _RATE
    place = places[int(stream.integers(len(places)))]
    chosen = [people[i] for i in stream.choice(len(people), _PEOPLE, replace=False)]
    boxes = np.zeros((frames, _PEOPLE, 4))
    deformations = []
    for i, person in enumerate(chosen):
        boxes[:, i], turned = _stroll(person.aspect, frames, stream)
        # Some people are mirrored from some frame onwards, but not those who turn back.
        mirrored_from = None if turned else int(stream.integers(1, 2 * frames))
        deformations.append(replace(Deformation.draw(stream, 0.1, mirrored_from), frequency=0.6))
    waves = np.sin(np.linspace(0, stream.uniform(1, 4), _SIZE[1]) + stream.uniform(0, 6))
    light = 1 + stream.uniform(-0.35, 0.35) * waves
    stamps = regular_stamps(frames, _RATE)
    truths, detections = _detected(boxes, stamps, stream)
    sequence = Sequence(
        name=f'street {seed}',
        class_names=('person',),
        image_size=_SIZE,
        frame_rate=float(_RATE),
        truth=tuple(truths),
        stamps=stamps,
        images=Street(place, chosen, boxes, deformations, light, seed),
        image_key=f'street {seed} {place.name} {[p.file.name for p in chosen]}',
    )
    return sequence, detections


def _stroll(aspect: float, frames: int, stream: np.random.Generator) -> tuple[np.ndarray, bool]:
    """Draw the boxes of a random walk, (T, 4) float64, xyxy, and whether it turns back."""
    height, width = _SIZE
    time = np.arange(frames) / _RATE
    tall = np.exp(stream.uniform(*np.log(_HEIGHTS)))
    pace = stream.uniform(0.3, 1.0) * tall * stream.choice([-1, 1])  # pixels per second
    middle = int(stream.uniform(0, frames))  # frame near the middle of the image
    x = stream.uniform(0.2, 0.8) * width
    nearness = (tall - _HEIGHTS[0]) / (_HEIGHTS[1] - _HEIGHTS[0])
    feet = height * (0.45 + 0.5 * nearness) + stream.normal(0, 10)
    velocity = np.full(frames, pace)
    stop, wait, turn = stream.uniform(0, _SECONDS), stream.uniform(1, 4), stream.uniform()
    stops, turned = stream.random() < 0.4, stream.random() < 0.2
    if stops:
        velocity[(time > stop) & (time < stop + wait)] = 0
    if turned:
        velocity[time > turn * _SECONDS] *= -1
    way = velocity.cumsum() / _RATE
    x = x + way - way[middle]
    y = feet + 0.3 * stream.normal(0, 0.01 * tall, frames).cumsum()
    tall = tall * np.exp(0.02 * stream.normal() * (time - time[middle]))
    half = tall * aspect / 2
    return np.stack([x - half, y - tall, x + half, y], axis=1), turned


def _detected(
    boxes: np.ndarray, stamps: np.ndarray, stream: np.random.Generator
) -> tuple[list[Truth], list[Detections]]:
    """Return ground truth and detections of people with (T, N, 4) boxes."""
    frames, count = boxes.shape[:2]
    missed, doubled = (spells(share, frames, count, stream) for share in (MISSED, DOUBLED))
    truths, detections = [], []
    for t, stamp in enumerate(stamps.tolist()):
        # The same visibility as in `paste`.
        clipped = clip_boxes(boxes[t], _SIZE)
        seen = visibility(boxes[t], boxes[t, :, 3]) * box_areas(clipped) / box_areas(boxes[t])
        large = (clipped[:, 2:] - clipped[:, :2] >= 4).all(axis=1)
        there = np.flatnonzero((seen >= MIN_VISIBLE) & large)
        truths.append(Truth.of(there + 1, clipped[there]))
        sides = np.tile(clipped[there, 2:] - clipped[there, :2], 2)
        noisy = clipped[there] + stream.normal(0, 0.04, sides.shape) * sides
        found = [noisy[~missed[t, there]]]
        found += [
            partial_box(box, stream)[None]
            for box, person in zip(noisy, there)
            if doubled[t, person] and not missed[t, person]
        ]
        if stream.random() < 0.1:  # a false detection
            tall = stream.uniform(60, 180)
            x, y = stream.random(2) * (_SIZE[1] - 60, _SIZE[0] - tall)
            found.append(np.array([[x, y, x + 0.4 * tall, y + tall]]))
        own = clip_boxes(np.concatenate(found), _SIZE).astype(np.float32)
        own = own[(own[:, 2:] - own[:, :2] > 4).all(axis=1)]
        detections.append(
            Detections(
                boxes=own,
                scores=stream.uniform(0.4, 0.95, len(own)).astype(np.float32),
                labels=np.zeros(len(own), np.int64),
                features=torch.zeros(len(own), 1),
                image_size=_SIZE,
                stamp=stamp,
            )
        )
    return truths, detections


def _frozen(deformation: Deformation, t: int) -> Deformation:
    """Return a deformation whose only frame is frame t of the given deformation."""
    start = deformation.mirrored_from
    return replace(
        deformation,
        phase=deformation.phase + deformation.frequency * t,
        mirrored_from=0 if start is not None and t >= start else None,
    )
