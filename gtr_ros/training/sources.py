# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where clips come from: still images, labelled videos, and a mixture of such."""

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
from gtr_ros.training.pasting import Gait
from gtr_ros.training.pasting import paste
from gtr_ros.training.pasting import walk
from gtr_ros.training.pasting import Walker
from gtr_ros.training.views import Views

_LEAST_CUTOUT = 40  # pixels, height of an object that can be cut out
_MOST_CUTOUT = 256  # pixels, height at which cut-outs are kept
_ALIKE = 0.7  # probability that all walkers of a clip are of one class


class StillClips:
    """
    Clips of single images: two views of one, and the way between them.

    :param stills: labelled images, at least one
    :param views: makes a clip of an image
    :param augmentation: of the clip
    :param walkers: mean number of objects of other images that walk through the clip
    :param walker_labels: their classes; None: any
    """

    def __init__(
        self,
        stills: Sequence[Still],
        views: Views,
        augmentation: Augmentation = Augmentation(),
        walkers: float = 0.0,
        walker_labels: Sequence[int] | None = None,
    ) -> None:
        self.stills = stills
        self.views = views
        self.augmentation = augmentation
        self.walkers = walkers
        self._cutouts = [
            (index, k)
            for index, still in enumerate(stills)
            for k, (_, y1, _, y2) in enumerate(still.boxes.tolist())
            if y2 - y1 >= _LEAST_CUTOUT
            and (walker_labels is None or still.labels[k] in walker_labels)
        ]
        labels = np.array([stills[i].labels[k] for i, k in self._cutouts], np.int64)
        self._of_class = {
            label: np.flatnonzero(labels == label) for label in np.unique(labels).tolist()
        }
        # An instance's own: what is cut out is decided by the index alone.
        self._cut = lru_cache(maxsize=4096)(self._cut)

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Make a clip."""
        still = self.stills[int(rng.integers(len(self.stills)))]
        clip = self.views(
            still.image(), still.boxes, still.labels, still.crowds, rng, still.file.name
        )
        if self.walkers and self._cutouts:
            clip = paste(clip, self._draw_walkers(clip, int(rng.poisson(self.walkers)), rng))
        return self.augmentation(clip, rng)

    def _draw_walkers(self, clip: Clip, count: int, rng: np.random.Generator) -> list[Walker]:
        everything = np.arange(len(self._cutouts))
        candidates = everything
        if rng.random() < _ALIKE:
            # By the number of objects of the class, as a cut-out is drawn first.
            index, k = self._cutouts[int(rng.choice(everything))]
            candidates = self._of_class[int(self.stills[index].labels[k])]
        walkers = []
        for chosen in rng.choice(candidates, min(count, len(candidates)), replace=False).tolist():
            picture, label = self._cut(chosen)
            aspect = picture.width / picture.height * rng.uniform(0.9, 1.1)
            boxes = walk(len(clip), clip.images[0].shape[:2], aspect, rng)
            turn = int(rng.integers(1, 2 * len(clip)))
            gait = Gait.draw(rng, self.augmentation.bend * rng.random(), turn)
            walkers.append(Walker(picture, label, boxes, gait))
        return walkers

    def _cut(self, number: int) -> tuple[Image.Image, int]:
        """Return the picture of an object and its class."""
        index, k = self._cutouts[number]
        still = self.stills[index]
        x1, y1, x2, y2 = still.boxes[k].round().astype(int).clip(0).tolist()
        picture = Image.fromarray(still.image()[y1:y2, x1:x2])
        picture.thumbnail((4 * _MOST_CUTOUT, _MOST_CUTOUT), Image.Resampling.BILINEAR)
        return picture, int(still.labels[k])


class Augmented:
    """
    Clips of a source, changed.

    :param source: of the clips
    :param augmentation: what is done to them
    :param detector: whether detectors may learn of them
    """

    def __init__(self, source: ClipSource, augmentation: Augmentation, detector: bool) -> None:
        self.source = source
        self.augmentation = augmentation
        self.detector = detector

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Make a clip."""
        clip = self.augmentation(self.source(rng), rng)
        return clip if self.detector else replace(clip, complete=False)


class Mixture:
    """
    Clips of several sources, each as often as its weight says.

    :param sources: at least one
    :param weights: of each, positive
    """

    def __init__(self, sources: Sequence[ClipSource], weights: Sequence[float]) -> None:
        self.sources = sources
        self.shares = np.array(weights, np.float64) / np.sum(weights)

    def __call__(self, rng: np.random.Generator) -> Clip:
        """Make a clip of one of the sources."""
        return self.sources[int(rng.choice(len(self.sources), p=self.shares))](rng)
