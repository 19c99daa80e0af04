# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The style in which one person moves."""

from __future__ import annotations

from dataclasses import dataclass
import math

import numpy as np

#: what the arms of standing people do
GESTURES = ('hang', 'phone', 'reading', 'folded', 'behind', 'hip')


@dataclass(frozen=True)
class Gait:
    """
    The style of one person.

    :param stride: factor of the stride's length; the cadence at a speed is its inverse
    :param swing: factor of the arms' swing
    :param lean: of the trunk forward, degrees
    :param bounce: factor of the pelvis's rise and fall
    :param sway: factor of the pelvis's roll
    :param toe_out: degrees
    :param track: distance of a foot from the line that the person walks on, metres
    :param uneven: in [-1, 1], difference between left and right
    :param abduct: of the hanging arms, degrees
    :param elbow: its bend when the arm hangs, degrees
    :param shrug: height of the shoulders, degrees
    :param nod: of the head forward, degrees
    :param gaze: of the head to the left, degrees
    :param stance: in [0, 1], from feet together to feet apart
    :param gesture: of the arms when standing, one of `GESTURES`
    :param busy: whether 'phone' and 'reading' go on while the person walks
    :param left_handed: which hand does it
    :param offset: of the idle movements, radians
    """

    stride: float = 1.0
    swing: float = 1.0
    lean: float = 0.0
    bounce: float = 1.0
    sway: float = 1.0
    toe_out: float = 7.0
    track: float = 0.06
    uneven: float = 0.0
    abduct: float = 6.0
    elbow: float = 14.0
    shrug: float = 0.0
    nod: float = 3.0
    gaze: float = 0.0
    stance: float = 0.3
    gesture: str = 'hang'
    busy: bool = False
    left_handed: bool = False
    offset: float = 0.0


def make_gait(seed: int) -> Gait:
    """Return the style that belongs to a seed."""
    rng = np.random.default_rng([seed, 7])
    between = rng.uniform
    return Gait(
        stride=between(0.88, 1.12),
        swing=between(0.5, 1.35),
        lean=between(-2, 6),
        bounce=between(0.7, 1.3),
        sway=between(0.5, 1.4),
        toe_out=between(0, 14),
        track=between(0.04, 0.085),
        uneven=between(-0.25, 0.25),
        abduct=between(4.5, 8),
        elbow=between(8, 24),
        shrug=between(-3, 2),
        nod=between(-2, 10),
        gaze=between(-8, 8),
        stance=between(0, 1),
        gesture=str(rng.choice(GESTURES, p=(0.4, 0.12, 0.16, 0.14, 0.1, 0.08))),
        busy=bool(rng.random() < 0.4),
        left_handed=bool(rng.random() < 0.25),
        offset=between(0, 2 * math.pi),
    )
