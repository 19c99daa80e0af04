# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The scenes in which one person is hidden: who is seen when, and how alike features are."""

from __future__ import annotations

import numpy as np
import pytest

from gtr_ros.data.synthetic.crossings import generate_crossing
from gtr_ros.data.synthetic.crossings import HIDDEN
from gtr_ros.data.synthetic.crossings import KINDS
from gtr_ros.data.synthetic.crossings import RATE


def seen(frames) -> np.ndarray:
    """Return in which frames person 0 was detected, (T,) bool."""
    return np.array([bool((frame.people == 0).any()) for frame in frames])


@pytest.mark.parametrize('kind', ['company', 'wall'])
def test_the_person_is_hidden_for_seconds_and_seen_before_and_after(kind):
    found = seen(generate_crossing(kind, 3, others=0))
    start, end = round(5 * RATE), round((5 + HIDDEN) * RATE)
    assert found[: start - 10].mean() > 0.8
    assert not found[start + 5 : end - 5].any()
    assert found[end + 20 :].mean() > 0.8


def test_somebody_crosses_in_front_of_the_person():
    frames = generate_crossing('crossing', 3, others=0)
    assert not seen(frames)[round(5 * RATE)]
    assert seen(frames).mean() > 0.8


def test_features_of_a_person_are_more_alike_than_those_of_two():
    same, different = [], []
    for seed in range(4):
        frames = generate_crossing('crossing', seed)
        first, last = frames[0].detections, frames[-1].detections
        cosine = (first.features @ last.features.T).numpy()
        match = frames[0].people[:, None] == frames[-1].people
        same += cosine[match].tolist()
        different += cosine[~match].tolist()
    assert np.mean(same) == pytest.approx(0.65, abs=0.12)
    assert np.mean(different) == pytest.approx(0.21, abs=0.1)


def test_a_scene_is_always_the_same_and_another_seed_is_another_scene():
    a, b, c = (generate_crossing('wall', seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(a[7].detections.boxes, b[7].detections.boxes)
    assert a[7].detections.boxes.tolist() != c[7].detections.boxes.tolist()


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match=f'expected one of {", ".join(KINDS)}'):
        generate_crossing('fog', 0)
