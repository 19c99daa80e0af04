# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Lost images are noticed, and images that a camera never sent are not missed."""

import numpy as np
import pytest

from gtr_ros.node.tracker.missing import Arrivals
from gtr_ros.node.tracker.missing import Estimate
from gtr_ros.node.tracker.missing import LEAST_LOST
from gtr_ros.node.tracker.missing import LostImages
from gtr_ros.node.tracker.missing import MISSING_SHARE
from gtr_ros.node.tracker.missing import remedy
from gtr_ros.node.tracker.missing import SECONDS

RANDOM = np.random.default_rng(3)
START = 1_800_000_000_000_000_000


def estimates(seconds: np.ndarray) -> list[Estimate]:
    """Return the estimate after each image stamped at these times."""
    arrivals, found = Arrivals(), []
    for second in seconds:
        arrivals.add(START + round(1e9 * second))
        found.append(arrivals.estimate())
    return found


def stamps(rate: float, count: int, jitter: float = 0.001) -> np.ndarray:
    return np.arange(count) / rate + RANDOM.normal(0, jitter, count)


@pytest.mark.parametrize('rate', [5.0, 25.0])
@pytest.mark.parametrize('lost', [0.3, 0.5, 0.7])
def test_rate_and_losses_of_a_regular_camera_are_estimated(rate, lost):
    sent = stamps(rate, 1000)
    found = estimates(sent[RANDOM.random(len(sent)) >= lost])[-200:]
    rates, missing = zip(*found, strict=True)
    assert np.median(rates) == pytest.approx(rate, rel=0.02)
    assert np.median(missing) == pytest.approx(lost, abs=0.1)
    assert np.median(missing) >= MISSING_SHARE


@pytest.mark.parametrize('lost', [0.0, 0.02, 0.05])
def test_few_losses_are_not_called_missing(lost):
    sent = stamps(30, 1000)
    found = estimates(sent[RANDOM.random(len(sent)) >= lost])
    assert max(estimate.missing for estimate in found) < MISSING_SHARE
    assert found[-1].rate == pytest.approx(30, rel=0.02)


def accumulate(*gaps: np.ndarray) -> np.ndarray:
    joined = np.concatenate(gaps)
    return np.cumsum(joined) + RANDOM.normal(0, 0.0005, len(joined))


def fifteen_after_thirty() -> np.ndarray:
    return accumulate(np.full(150, 1 / 30), np.full(150, 1 / 15))


CAMERAS = {
    'a camera that halves its rate in the dark': fifteen_after_thirty,
    'and doubles it again and again': lambda: accumulate(
        *[np.full(75, 1 / 30), np.full(75, 1 / 15)] * 4
    ),
    'a topic throttled to two of three images': lambda: accumulate(np.tile([1 / 30, 2 / 30], 200)),
    'a topic throttled to three of five images': lambda: accumulate(
        np.tile([1 / 30, 2 / 30, 2 / 30], 150)
    ),
    'a bag that is paused': lambda: stamps(25, 600) + np.repeat(np.arange(6) * 1.7, 100),
    'a bag in a loop': lambda: np.tile(stamps(25, 150), 4),
    'a trigger at any time': lambda: accumulate(RANDOM.exponential(0.1, 500)),
    'a video with a few double frames': lambda: accumulate(
        np.where(RANDOM.random(500) < 0.1, 2, 1) / 30
    ),
    'stamps by a busy computer': lambda: accumulate(RANDOM.uniform(0.02, 0.05, 500)),
    'a still camera': lambda: np.full(500, 3.0),
}


@pytest.mark.parametrize('name', CAMERAS)
def test_nothing_is_missing_from(name):
    found = estimates(CAMERAS[name]())
    assert max(estimate.missing for estimate in found) < MISSING_SHARE


def test_images_without_stamps_tell_nothing():
    arrivals = Arrivals()
    for _ in range(200):
        arrivals.add(0)
    assert arrivals.estimate() == Estimate(0, 0)


def test_images_lost_by_the_middleware_are_counted_over_the_last_seconds():
    images = LostImages()
    assert images.add(received=10, lost=30) == (30, 40)
    for second in range(1, SECONDS + 1):
        images.add(received=10 + 40 * second, lost=30)
    assert images.add(received=50 + 40 * SECONDS, lost=30) == (0, 0)


def test_a_few_lost_images_are_no_reason_to_warn():
    assert LostImages().add(received=0, lost=LEAST_LOST - 1) == (0, 0)
    assert LostImages().add(received=300, lost=20) == (0, 0)
    assert LostImages().add(received=100, lost=20) == (20, 120)


def test_images_of_which_none_arrives_are_lost():
    assert LostImages().add(received=0, lost=25) == (25, 25)


@pytest.mark.parametrize('rmw', ['', 'rmw_fastrtps_cpp', 'rmw_fastrtps_dynamic_cpp'])
def test_with_fast_dds_the_profile_is_named(rmw):
    text = remedy({'RMW_IMPLEMENTATION': rmw}, '/share/large.xml')
    assert 'this node and the publisher' in text
    assert 'FASTRTPS_DEFAULT_PROFILES_FILE=/share/large.xml' in text


def test_if_this_node_has_a_profile_it_is_named_for_the_publisher():
    text = remedy({'FASTDDS_DEFAULT_PROFILES_FILE': '/mine.xml'}, '/share/large.xml')
    assert 'the publisher, too' in text
    assert '/mine.xml' in text
    assert '/share/large.xml' not in text


def test_with_another_rmw_no_profile_of_fast_dds_is_named():
    text = remedy({'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp'}, '/share/large.xml')
    assert 'rmw_cyclonedds_cpp' in text
    assert 'docs/troubleshooting.md' in text
    assert 'FASTRTPS' not in text
