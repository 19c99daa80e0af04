# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What speaks for a detection being a known track: log-likelihood ratios that add up.

Every cue compares "the same object" with "a new object, which may be anywhere and anything". In
natural units, at any frame rate, evidence of all cues is one sum:

    L(m, k) = motion + size + appearance + class - fading * gap

A detection m continues a track k only where L(m, k) is above a threshold.
"""

from __future__ import annotations

import numpy as np


def ratio_evidence(ratio: np.ndarray, outlier: float) -> np.ndarray:
    """
    Turn a likelihood ratio into evidence, log((1 - e) ratio + e).

    :param ratio: p(observed | same) / p(observed | new)
    :param outlier: e, probability that the model of "same" is wrong and the object is seen as a
        new one would be: evidence is never below log e
    """
    return np.log((1 - outlier) * ratio + outlier)


def motion_evidence(density: np.ndarray, area: float, outlier: float) -> np.ndarray:
    """
    Compare a track's predicted place with anywhere in the image: log((1 - e) sum_j w_j N_j A + e).

    :param density: (M, K) float, sum_j w_j N_j over the hypotheses of motion, a square pixel, of
        `MotionFilters.density`
    :param area: A, of the image, square pixels
    :return: (M, K)
    """
    return ratio_evidence(density * area, outlier)


def size_evidence(
    log_height: np.ndarray,
    expected: np.ndarray,
    variance: np.ndarray,
    anything: float,
    outlier: float,
) -> np.ndarray:
    """
    Compare a box's height with a track's: log of N(log h; expected, variance) / N(.; 0, s^2).

    A new object's height is any, around the track's: s is wide.

    :param log_height: (M,) float, of the detections
    :param expected: (K,) float, of the tracks
    :param variance: (K,) float
    :param anything: s, standard deviation of the log-ratio of two objects' heights
    :return: (M, K)
    """
    offset = (log_height[:, None] - expected) ** 2
    same = np.exp(-offset / (2 * variance)) / np.sqrt(variance)
    new = np.exp(-offset / (2 * anything**2)) / anything
    return ratio_evidence(same / np.maximum(new, 1e-12), outlier)


def appearance_evidence(
    likeness: np.ndarray, slope: np.ndarray | float, level: np.ndarray | float, limit: float
) -> np.ndarray:
    """
    Turn likeness into evidence, slope * (likeness - level), at most limit either way.

    :param likeness: (M, K) float, a cosine or the transformer's logit
    :param slope: evidence that one more of it is
    :param level: of it that says nothing either way
    """
    return np.clip(slope * (likeness - level), -limit, limit)


def class_evidence(
    votes: np.ndarray, boxes: np.ndarray, frequency: np.ndarray, doubt: float, error: float
) -> np.ndarray:
    """
    Compare labels: log((1 - e) (v / f + a) / (n + a) + e).

    Of a track's n boxes v have the detection's label, which the camera gives with the frequency f.
    A detector that calls an animal a cow and then a horse is to be expected, the more so of a
    track of few boxes. Where all objects are of one class, the same label says nothing: 0.

    :param votes: (M, K) float, v
    :param boxes: (K,) float, n
    :param frequency: (M,) float, f, in (0, 1]
    :param doubt: a, boxes that weigh as much as the doubt whether a track's label is true
    :param error: e, probability that an object gets any label, however many boxes it has
    :return: (M, K)
    """
    ratio = (votes / np.maximum(frequency, 1e-6)[:, None] + doubt) / (boxes + doubt)
    return ratio_evidence(ratio, error)
