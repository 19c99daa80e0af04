# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Comparison of a model in another runtime with the same model in torch, and a mark for CUDA."""

from __future__ import annotations

import numpy as np
from photographs import moving_people
import pytest
import torch

from gtr_ros.model.build import build
from gtr_ros.model.gtr import GTR
from gtr_ros.tracking import RULES
from gtr_ros.tracking import Tracker

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')


def assert_same_as_torch(other: GTR, size: tuple[int, int], rule: str) -> None:
    """
    Assert that boxes, features and ids of people who move are those of `gtr_mobile` in torch.

    :param other: `gtr_mobile` in another runtime
    :param size: width and height of the images, pixels
    :param rule: that links the boxes
    """
    plain = build('mobile')
    trackers = [Tracker(m.association, RULES[rule], 8, 1) for m in (plain, other)]
    seen = 0
    for t, image in enumerate(moving_people(*size)):
        [expected], [found] = (m.detect([image], [t * 100_000_000]) for m in (plain, other))
        np.testing.assert_allclose(found.boxes, expected.boxes, atol=0.02)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
        np.testing.assert_array_equal(found.labels, expected.labels)
        torch.testing.assert_close(found.features, expected.features, atol=1e-3, rtol=0)
        tracks, others = (k.update(d) for k, d in zip(trackers, (expected, found)))
        np.testing.assert_array_equal(others.ids, tracks.ids)
        for one, same in zip(tracks.trajectories, others.trajectories, strict=True):
            np.testing.assert_allclose(same.likelihoods, one.likelihoods, atol=2e-3)
        seen += len(tracks)
    assert seen > 12
