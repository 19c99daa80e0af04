# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Following one person through crossings and occlusions, measured."""

from __future__ import annotations

from functools import reduce
from operator import add

import pytest

from gtr_ros.data.synthetic.crossings import generate_crossing
from gtr_ros.data.synthetic.crossings import START
from gtr_ros.evaluation.following import crossing_tracker
from gtr_ros.evaluation.following import follow
from gtr_ros.evaluation.following import FollowCounts
from gtr_ros.evaluation.following import observe


def measure(kind: str, seeds: range, by_id: bool = False) -> FollowCounts:
    scenes = (observe(generate_crossing(kind, seed), crossing_tracker()) for seed in seeds)
    return reduce(add, (follow(frames, by_id=by_id, latest=START) for frames in scenes))


@pytest.mark.parametrize(('kind', 'share'), [('crossing', 0.7), ('company', 0.55), ('wall', 0.45)])
def test_nobody_else_is_followed_after_a_crossing_or_an_occlusion(kind, share):
    counts = measure(kind, range(100, 107))
    assert counts.scenes >= 4  # in the others the person is never apart from all others
    assert counts.hand_overs == counts.false_returns == 0
    assert counts.share > share


def test_the_id_alone_would_be_handed_over():
    """The measure finds hand-overs where there are some."""
    assert measure('wall', range(4), by_id=True).hand_overs > 0


def test_counts_add_up():
    a = FollowCounts(1, 0, 10, 5, 1, 2, 0)
    assert (a + a).values() == (2, 0, 20, 10, 2, 4, 0)
    assert a.share == 0.5
    assert FollowCounts().share == 0
