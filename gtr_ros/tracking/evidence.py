# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
Evidence that a detection continues a track: the sum of the log-likelihood ratios of several cues.

Every cue compares "the same object" with "a new object, which may be of any kind and anywhere". In
natural units, and at any frame rate, the evidence is

    L(m, k) = motion + size + appearance + class - fading * gap

Detection m can continue track k only if L(m, k) is above a threshold.
"""

from __future__ import annotations

import numpy as np


def ratio_evidence(ratio: np.ndarray, outlier: float) -> np.ndarray:
    """
    Turn a likelihood ratio into evidence, log((1 - e) ratio + e).

    :param ratio: p(observed | same) / p(observed | new)
    :param outlier: e, probability that the model of "same" is wrong and the object appears to be a
        new one: evidence is never below log e
    """
    return np.log((1 - outlier) * ratio + outlier)


def motion_evidence(density: np.ndarray, area: float, outlier: float) -> np.ndarray:
    """
    Compare the predicted position with a uniform one: log((1 - e) sum_j w_j N_j A + e).

    :param density: (M, K) float, sum_j w_j N_j over the motion hypotheses, 1 / pixels^2, from
        `MotionFilters.density`
    :param area: A, area of the image, pixels^2
    :return: (M, K)
    """
    return ratio_evidence(density * area, outlier)


def size_evidence(
    log_height: np.ndarray,
    expected: np.ndarray,
    variance: np.ndarray,
    spread: float,
    outlier: float,
) -> np.ndarray:
    """
    Compare box heights: log-ratio of N(log h; expected, variance) to N(log h; expected, s^2).

    The height of a new object is modelled as a wide distribution around the track's height.

    :param log_height: (M,) float, of the detections
    :param expected: (K,) float, of the tracks
    :param variance: (K,) float
    :param spread: s, standard deviation of the log-ratio of two objects' heights
    :return: (M, K)
    """
    offset = (log_height[:, None] - expected) ** 2
    same = np.exp(-offset / (2 * variance)) / np.sqrt(variance)
    new = np.exp(-offset / (2 * spread**2)) / spread
    return ratio_evidence(same / np.maximum(new, 1e-12), outlier)


def appearance_evidence(
    similarity: np.ndarray, slope: np.ndarray, level: np.ndarray, limit: float
) -> np.ndarray:
    """
    Turn similarity into evidence, slope * (similarity - level), clipped to +-limit.

    :param similarity: (M, K) float, a cosine or the logit of the transformer
    :param slope: (K,) float, evidence per unit of similarity
    :param level: (K,) float, similarity at which the evidence is 0
    """
    return np.clip(slope * (similarity - level), -limit, limit)


def class_evidence(
    votes: np.ndarray, boxes: np.ndarray, frequency: np.ndarray, prior: float, error: float
) -> np.ndarray:
    """
    Compare class labels: log((1 - e) (v / f + a) / (n + a) + e).

    v of a track's n boxes have the detection's label, whose frequency in this camera's images is
    f. A detector may label an animal as a cow and then as a horse; with few boxes, this is to be
    expected. If all objects have the same class, the label is no evidence: the result is 0.

    :param votes: (M, K) float, v
    :param boxes: (K,) float, n
    :param frequency: (M,) float, f, in (0, 1]
    :param prior: a, number of boxes that weigh as much as the prior doubt about a track's label
    :param error: e, probability of any other label, however many boxes the track has
    :return: (M, K)
    """
    ratio = (votes / np.maximum(frequency, 1e-6)[:, None] + prior) / (boxes + prior)
    return ratio_evidence(ratio, error)
