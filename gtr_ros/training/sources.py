# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Sources of clips: stills, an augmented source, and a mixture of sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from PIL import Image

from gtr_ros.data.stills.still import Still
from gtr_ros.training.augmentation import Augmentation
from gtr_ros.training.clip import Clip
from gtr_ros.training.clip import ClipSource
from gtr_ros.training.crops import MovingCrop
from gtr_ros.training.pasting import Deformation
from gtr_ros.training.pasting import draw_path
from gtr_ros.training.pasting import paste
from gtr_ros.training.pasting import PastedObject

_MIN_CUTOUT_HEIGHT = 40  # pixels; smaller objects are not cut out
_MAX_CUTOUT_HEIGHT = 256  # pixels; larger cut-outs are scaled down
_SAME_CLASS = 0.7  # probability that all pasted objects of a clip have the same class


class StillClips:
    """
    Clips from stills: a crop that moves over an image, with pasted objects that move through it.

    :param stills: labelled images, at least one
    :param moving_crop: creates a clip from an image
    :param augmentation: of the clip
    :param pasted_objects: mean number of objects, cut out of any still, that are pasted
    :param pasted_labels: their classes; None: any
    """

    def __init__(
        self,
        stills: Sequence[Still],
        moving_crop: MovingCrop,
        augmentation: Augmentation = Augmentation(),
        pasted_objects: float = 0.0,
        pasted_labels: Sequence[int] | None = None,
    ) -> None:
        self.stills = stills
        self.moving_crop = moving_crop
        self.augmentation = augmentation
        self.pasted_objects = pasted_objects
        self._cutouts = [
            (index, k)
            for index, still in enumerate(stills)
            for k, (_, y1, _, y2) in enumerate(still.boxes.tolist())
            if y2 - y1 >= _MIN_CUTOUT_HEIGHT
            and (pasted_labels is None or still.labels[k] in pasted_labels)
        ]
        labels = np.array([stills[i].labels[k] for i, k in self._cutouts], np.int64)
        self._of_class = {
            label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()
        }
        # One cache per instance: cut-outs depend only on the index.
        self._cut_out = lru_cache(maxsize=4096)(self._cut_out)

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Create a clip."""
        still = self.stills[int(rng.integers(len(self.stills)))]
        clip = self.moving_crop(
            still.image(), still.boxes, still.labels, still.crowds, rng, still.file.name
        )
        if self.pasted_objects and self._cutouts:
            count = int(rng.poisson(self.pasted_objects))
            clip = paste(clip, self._draw_objects(clip, count, rng))
        return self.augmentation(clip, rng)

    def _draw_objects(
        self, clip: Clip, count: int, rng: np.random.Generator
    ) -> list[PastedObject]:
        every = np.arange(len(self._cutouts))
        candidates = every
        if rng.random() < _SAME_CLASS:
            # A class is as probable as its number of objects: draw a cut-out and use its class.
            index, k = self._cutouts[int(rng.choice(every))]
            candidates = self._of_class[int(self.stills[index].labels[k])]
        objects = []
        for number in rng.choice(candidates, min(count, len(candidates)), replace=False).tolist():
            picture, label = self._cut_out(number)
            aspect = picture.width / picture.height * rng.uniform(0.9, 1.1)
            boxes = draw_path(len(clip), clip.images[0].shape[:2], aspect, rng)
            mirrored_from = int(rng.integers(1, 2 * len(clip)))
            strength = self.augmentation.bend * rng.random()
            deformation = Deformation.draw(rng, strength, mirrored_from)
            objects.append(PastedObject(picture, label, boxes, deformation))
        return objects

    def _cut_out(self, number: int) -> tuple[Image.Image, int]:
        """Return the picture of an object and its class."""
        index, k = self._cutouts[number]
        still = self.stills[index]
        x1, y1, x2, y2 = still.boxes[k].round().astype(int).clip(0).tolist()
        picture = Image.fromarray(still.image()[y1:y2, x1:x2])
        picture.thumbnail((4 * _MAX_CUTOUT_HEIGHT, _MAX_CUTOUT_HEIGHT), Image.Resampling.BILINEAR)
        return picture, int(still.labels[k])


class Augmented:
    """
    The clips of a source, augmented.

    :param source: of the clips
    :param augmentation: applied to each clip
    :param detector: whether detectors may learn from the clips
    """

    def __init__(self, source: ClipSource, augmentation: Augmentation, detector: bool) -> None:
        self.source = source
        self.augmentation = augmentation
        self.detector = detector

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Create a clip."""
        clip = self.augmentation(self.source(rng), rng)
        return clip if self.detector else replace(clip, complete=False)


class Mixture:
    """
    Clips of several sources, each drawn in proportion to its weight.

    :param sources: at least one
    :param weights: of each source, positive
    """

    def __init__(self, sources: Sequence[ClipSource], weights: Sequence[float]) -> None:
        self.sources = sources
        self.shares = np.array(weights, np.float64) / np.sum(weights)

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Create a clip from one of the sources."""
        return self.sources[int(rng.choice(len(self.sources), p=self.shares))](rng)
