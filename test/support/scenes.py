# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Hand-made frames for tests of the tracker: positions and features of people."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from gtr_ros.model.association import CosineAssociation
from gtr_ros.structures import Detections
from gtr_ros.tracking import Tracker

SECOND = 1_000_000_000
WIDTH = 32  # D, of the features

_LOOKS = np.random.default_rng(11).normal(size=(400, WIDTH))
LOOKS = _LOOKS / np.linalg.norm(_LOOKS, axis=1, keepdims=True)


def looks(people: Sequence[int], seed: int | None = None, noise: float = 0.5) -> np.ndarray:
    """
    Return the features of people in one frame, (N, D); those of different people are dissimilar.

    :param seed: of the noise; None: without noise
    :param noise: length of the noise, relative to the feature's
    """
    features = LOOKS[list(people)].reshape(-1, WIDTH)
    if seed is not None:
        chance = np.random.default_rng(seed).normal(size=features.shape)
        features = features + noise * chance / np.sqrt(WIDTH)
    return features


def frame(
    places: Sequence[tuple[float, float]],
    seconds: float | None,
    features: np.ndarray | None = None,
    labels: Sequence[int] | None = None,
    scores: Sequence[float] | float = 0.9,
    height: float = 80.0,
    camera: np.ndarray | None = None,
    image_size: tuple[int, int] = (480, 640),
) -> Detections:
    """
    Return a frame with people half as wide as they are high.

    :param places: x and y of each person's centre, pixels
    :param seconds: stamp of the frame; None: it has none
    :param features: (N, D); None: of length 0
    """
    centre = np.array(places, np.float64).reshape(-1, 2)
    half = np.array([height / 4, height / 2])
    count = len(centre)
    features = np.zeros((count, 0)) if features is None else features
    return Detections(
        boxes=np.hstack([centre - half, centre + half]).astype(np.float32),
        scores=np.full(count, scores, np.float32) if np.isscalar(scores) else np.array(scores),
        labels=np.zeros(count, np.int64) if labels is None else np.array(labels, np.int64),
        features=torch.from_numpy(np.ascontiguousarray(features, np.float32)),
        image_size=image_size,
        stamp=None if seconds is None else round(seconds * SECOND),
        camera=camera,
    )


def make_tracker(**options) -> Tracker:
    return Tracker(CosineAssociation(), **options)
