# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How the followed object looks, and how those look that were seen beside it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gtr_ros.structures import Tracks
from gtr_ros.tracking.colours import box_colours
from gtr_ros.tracking.gallery import fisher_z
from gtr_ros.tracking.gallery import GalleryOptions
from gtr_ros.tracking.gallery import Prototypes

_GALLERY = GalleryOptions()
_MEMORY = 0.5  # seconds, time constant of the mean feature of a track
_LIMIT = 8.0  # of the evidence
_LEARNT = 4  # boxes of the object, without which its appearance is not known
_OWN = 0.7  # share of the way from different objects to the same, beyond which a box is usual
_MOST_OTHERS = 1000  # tracks that were seen beside the object and are remembered
_NEWEST = 0.1  # weight of the newest box in the look of another track
_NEARER = 0.1  # cosine by which a track must be nearer to the object than to another one
_DROP = 0.15  # by which an object that was hidden looks less like itself, in Fisher's z
# Fisher's z of the same and of different objects, before it is measured.
_BY_FEATURES, _BY_COLOURS, _BY_BOTH = (1.1, 0.42), (2.2, 1.0), (1.5, 0.65)
_INITIAL_BOXES = 20.0  # number of boxes that these weigh as much as
_INITIAL_DEVIATION = 0.3


class Looks(NamedTuple):
    """
    What the tracks of a frame look like.

    :param vectors: (N, D) float32, unit length; less where the model gave no finite features
    :param usual: Fisher's z of the cosines of the same and of different objects, on average
    """

    vectors: np.ndarray
    usual: tuple[float, float]


@dataclass
class TrackLook:
    """
    How a track has looked since it may last have become somebody else.

    :param mean: (D,) mean of its features
    :param seen: stamp of the newest box, nanoseconds
    :param boxes: number of them
    :param unlike: number of the newest ones, without a break, that look more like others
    :param evidence: that it is the object
    """

    mean: np.ndarray
    seen: int
    boxes: int = 0
    unlike: int = 0
    evidence: float = 0.0

    def add(self, feature: np.ndarray, elapsed: float) -> None:
        """Add a box, `elapsed` seconds after the one before."""
        self.boxes += 1
        gain = max(1 - np.exp(-elapsed / _MEMORY), 1 / self.boxes)
        self.mean = self.mean + gain * (feature - self.mean)


class FollowedLook:
    """
    What the followed object and the others in view look like; a feature is one of `Looks.vectors`.

    Similarities are compared as Fisher's z of the cosine. How similar the object is to itself and
    to others is measured while it is followed; both begin at a prior.

    :param usual: that prior, see `Looks`
    """

    def __init__(self, usual: tuple[float, float] = _BY_FEATURES) -> None:
        self._usual = usual
        self._prototypes = Prototypes(_GALLERY.prototypes)
        self._different = _Normal(usual[1], _INITIAL_DEVIATION)
        # Tracks that were seen beside the object, with their mean features, (D,).
        self._others: dict[int, np.ndarray] = {}

    @property
    def begun(self) -> bool:
        """Whether any box of the object was seen."""
        return len(self._prototypes) > 0

    @property
    def known(self) -> bool:
        """Whether enough of the object was seen to know how it looks."""
        return self.begun and float(self._prototypes.boxes[0]) >= _LEARNT

    @property
    def others(self) -> Collection[int]:
        """The ids of the tracks that were seen beside the object."""
        return self._others.keys()

    def is_of(self, features: np.ndarray) -> bool:
        """Return whether features, (N, D), can be of the model that was used so far."""
        return not self.begun or self._prototypes.features.shape[2] == features.shape[1]

    def resembles(self, feature: np.ndarray) -> bool:
        """Return whether one box, (D,), looks more like the object than like others."""
        return not self.begun or self._similarity(feature) > self._between(0.5)

    def is_usual(self, feature: np.ndarray) -> bool:
        """Return whether one box, (D,), looks as much like the object as its own usually do."""
        return not self.begun or self._similarity(feature) > self._between(_OWN)

    def evidence(self, track: TrackLook, hidden: bool) -> float:
        """
        Return the evidence, by appearance, that a track is the object.

        :param hidden: whether the object may have been hidden before
        """
        same, different = self._same(), self._different.mean
        if hidden:
            same -= _DROP
        variance = max(self._different.deviation, _GALLERY.deviation) ** 2
        slope = max(same - different, 0.0) / (variance * (1 + 1 / track.boxes))
        similarity = self._similarity(_unit(track.mean))
        return min(max(slope * (similarity - (same + different) / 2), -_LIMIT), _LIMIT)

    def is_another(self, track: TrackLook, present: Collection[int]) -> bool:
        """
        Return whether a track looks as much like another object that is not in view any more.

        The tracker may have continued the track of the object on it, when one of them was hidden.

        :param present: ids that are in view, or the object's
        """
        gone = [look for i, look in self._others.items() if i not in present]
        if not gone:
            return False
        mean = _unit(track.mean)
        own = float(self._prototypes.compare(mean[None].astype(np.float32))[0, 0])
        looks = np.stack(gone)
        cosines = looks @ mean / np.maximum(np.linalg.norm(looks, axis=1), 1e-12)
        return bool(cosines.max() > own - _NEARER)

    def learn(self, feature: np.ndarray, ids: list[int], others: np.ndarray, sure: bool) -> None:
        """
        Learn from an image that shows the object.

        :param feature: (D,) of the object
        :param ids: of the N other tracks in view
        :param others: (N, D), their features
        :param sure: whether the box is the object's, so that it is learnt however it looks
        """
        for track_id, other in zip(ids, others):
            before = self._others.get(track_id, other)
            self._others[track_id] = before + _NEWEST * (other - before)
        if len(self._others) > _MOST_OTHERS:
            self._others = {i: self._others[i] for i in ids}
        if not self.begun:
            self._prototypes.begin(feature[None])
            return
        if len(others):
            self._different.add(fisher_z(self._prototypes.compare(others)[:, 0]))
        # What may be somebody else is not learnt: it would be the object from then on.
        if (sure and not self.known) or self.is_usual(feature):
            self._prototypes.update(np.zeros(1, np.int64), feature[None])

    def no_other(self, track_id: int) -> None:
        """Forget that a track was seen beside the object: it is the object."""
        self._others.pop(track_id, None)

    def _similarity(self, feature: np.ndarray) -> float:
        return float(fisher_z(self._prototypes.compare(feature[None].astype(np.float32))[0, 0]))

    def _between(self, share: float) -> float:
        return share * self._same() + (1 - share) * self._different.mean

    def _same(self) -> float:
        """Return the mean similarity of the object to itself."""
        boxes = float(self._prototypes.boxes[0])
        own = float(self._prototypes.self_similarity[0])
        return (boxes * own + _INITIAL_BOXES * self._usual[0]) / (boxes + _INITIAL_BOXES)


def looks_of(tracks: Tracks, image: np.ndarray | None) -> Looks | None:
    """
    Return what tracks look like, by their features and, with an image, by their colours.

    The cosine of two vectors is the mean of the cosines of both.

    :param image: (H, W, 3) uint8 RGB
    :return: None: neither is known
    """
    features = _unit_features(tracks)
    if image is None:
        return None if features is None else Looks(features, _BY_FEATURES)
    colours = box_colours(image, tracks.boxes)
    if features is None:
        return Looks(colours, _BY_COLOURS)
    both = np.concatenate([features, colours], axis=1) * np.float32(0.5**0.5)
    return Looks(both, _BY_BOTH)


def _unit_features(tracks: Tracks) -> np.ndarray | None:
    """Return the features of tracks, (N, D) float32 of unit length; None: they have none."""
    if tracks.features is None or not tracks.features.shape[1]:
        return None
    features = tracks.features.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0).numpy()
    length = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, 1e-12)


class _Normal:
    """A running mean and standard deviation that begin at a prior."""

    def __init__(self, mean: float, deviation: float) -> None:
        self._sums = _INITIAL_BOXES * np.array([1, mean, mean**2 + deviation**2])

    def add(self, values: np.ndarray) -> None:
        """Add values; those before lose weight, so that others in view later count."""
        if len(values):
            most = 50 * _INITIAL_BOXES
            self._sums *= min(1.0, most / self._sums[0])
            self._sums += len(values), values.sum(), (values * values).sum()

    @property
    def mean(self) -> float:
        return float(self._sums[1] / self._sums[0])

    @property
    def deviation(self) -> float:
        return float(max(self._sums[2] / self._sums[0] - self.mean**2, 0.0) ** 0.5)


def _unit(feature: np.ndarray) -> np.ndarray:
    return feature / max(float(np.linalg.norm(feature)), 1e-12)
