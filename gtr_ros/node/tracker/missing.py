# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""How many images of a camera did not arrive, and why. Needs no rclpy."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from gtr_ros.stamps import NANOSECONDS

#: share of images, lost by the middleware in `SECONDS`, from which the diagnostics warn
LOST_SHARE = 0.1
#: number of lost images below which nobody is warned
LEAST_LOST = 5
#: share of images, missing according to the stamps, from which the diagnostics warn
MISSING_SHARE = 0.2
#: the time over which lost images are counted, reports of a second each
SECONDS = 10

_WINDOW = 64  # gaps between stamps
_PARTS = 4  # of the window, each of which must show the same
_PAUSE = 5 * NANOSECONDS
_LONGEST_GAP = 20  # intervals; longer gaps are not lost images
_TOLERANCE = 0.2  # of an interval
_REGULAR_SHARE = 0.9
_LONGEST_PATTERN = 8  # gaps

_PROFILE_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


class Estimate(NamedTuple):
    """
    What the stamps of the images that arrived say about those that did not.

    :param rate: at which images are stamped, Hz; 0: unknown, because the stamps are irregular
    :param missing: share of the images that did not arrive, 0 to 1
    """

    rate: float = 0.0
    missing: float = 0.0


class Arrivals:
    """
    The stamps of the newest images of a camera.

    An image is missing where the gap between two stamps is two or more intervals, and the interval
    is the smallest regular gap. Only gaps that look like random losses count: cameras change their
    rate, bags are paused, videos have variable rates, and nodes pass on every second image.
    """

    def __init__(self) -> None:
        self._gaps: deque[int] = deque(maxlen=_WINDOW)
        self._newest: int | None = None

    def add(self, stamp: int) -> None:
        """
        Add the stamp of an image.

        :param stamp: nanoseconds; 0: it has none
        """
        gap = stamp - self._newest if self._newest and stamp else 0
        if 0 < gap < _PAUSE:
            self._gaps.append(gap)
        else:
            self._gaps.clear()
        self._newest = stamp

    def estimate(self) -> Estimate:
        """Return the rate and the share of missing images; nothing is missing in case of doubt."""
        if len(self._gaps) < _WINDOW:
            return Estimate()
        interval = _interval(self._gaps)
        steps = [round(gap / interval) for gap in self._gaps]
        regular = sum(
            abs(gap / interval - step) <= _TOLERANCE for gap, step in zip(self._gaps, steps)
        )
        if regular < _REGULAR_SHARE * _WINDOW:
            return Estimate()
        rate = NANOSECONDS / interval
        size = _WINDOW // _PARTS
        parts = [steps[i : i + size] for i in range(0, _WINDOW, size)]
        seldom = min(map(_missing, parts)) < MISSING_SHARE / 2
        if seldom or any(1 not in part for part in parts) or _has_pattern(steps):
            return Estimate(rate)
        return Estimate(rate, _missing(steps))


def _interval(gaps: Sequence[int]) -> float:
    """Return the smallest regular gap, nanoseconds."""
    smallest = sorted(gaps)[_WINDOW // 16]
    alike = [gap for gap in gaps if abs(gap - smallest) <= _TOLERANCE * smallest]
    return sum(alike) / len(alike)


def _missing(steps: Sequence[int]) -> float:
    """Return the share of missing images, without gaps that are too long to be lost images."""
    counted = [step for step in steps if step <= _LONGEST_GAP]
    return 1 - len(counted) / max(sum(counted), 1)


def _has_pattern(steps: Sequence[int]) -> bool:
    """Return whether the gaps repeat, as if the publisher left out images."""
    return any(
        sum(a == b for a, b in zip(steps, steps[period:]))
        >= _REGULAR_SHARE * (len(steps) - period)
        for period in range(1, _LONGEST_PATTERN + 1)
    )


class LostImages:
    """The share of images that the middleware has lost in the last seconds."""

    def __init__(self) -> None:
        self._counts: deque[tuple[int, int]] = deque([(0, 0)], maxlen=SECONDS + 1)

    def add(self, received: int, lost: int) -> tuple[int, int]:
        """
        Add the counters, once a second.

        :param received: images since activation
        :param lost: images since activation
        :return: images lost and images sent in the last `SECONDS`, or (0, 0) if they are too few
            to warn
        """
        self._counts.append((received, lost))
        lost_lately = lost - self._counts[0][1]
        sent = received - self._counts[0][0] + lost_lately
        if lost_lately < LEAST_LOST or lost_lately < LOST_SHARE * sent:
            return 0, 0
        return lost_lately, sent


def remedy(environment: Mapping[str, str], profile: str) -> str:
    """
    Return what helps against lost images.

    :param environment: of this process
    :param profile: path of the profile of Fast DDS that is included in this package
    """
    rmw = environment.get('RMW_IMPLEMENTATION') or 'rmw_fastrtps_cpp'
    if not rmw.startswith('rmw_fastrtps'):
        return (
            f'Enlarge the buffers of {rmw} (docs/troubleshooting.md), or lower the rate or the '
            'size of the images'
        )
    used = next((environment[name] for name in _PROFILE_VARIABLES if environment.get(name)), '')
    who = 'this node and the publisher'
    before = 'The defaults of Fast DDS lose large images. '
    if used:
        who = 'the publisher, too,'
        before = f'This node uses the Fast DDS profile {used}. '
    return (
        f'{before}Start {who} with FASTRTPS_DEFAULT_PROFILES_FILE={used or profile} '
        '(from ROS 2 Kilted on: FASTDDS_DEFAULT_PROFILES_FILE)'
    )
