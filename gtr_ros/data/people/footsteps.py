# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The path of a foot through a stride: heel strike, roll over ball and toes, swing."""

from __future__ import annotations

import math

import numpy as np

from gtr_ros.data.people.rig import Measures

#: most that the toes bend, degrees
_BEND = 55.0
#: metres over which a swinging foot gives way to the ground
_YIELD = 0.008


def smooth(x: float, start: float = 0.0, stop: float = 1.0) -> float:
    """Return 0 before `start`, 1 after `stop`, and a smooth step between them."""
    x = min(max((x - start) / (stop - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _turned(angle: float, y: float, z: float) -> np.ndarray:
    """Return (y, z) after a turn by an angle, degrees, that takes the toes down."""
    sine, cosine = math.sin(math.radians(angle)), math.cos(math.radians(angle))
    return np.array([cosine * y - sine * z, cosine * z + sine * y])


class Footsteps:
    """
    The path of one foot in the person's frame, which moves with the person.

    While the foot is on the ground, the point that it turns about moves back as fast as the person
    moves forward: first the end of the heel, then the ball, then the end of the toes.

    :param stride: metres, in the bind pose's scale
    :param duty: share of the stride in which the foot is on the ground
    :param run: 0 walk, 1 run
    :param lift: height that the swing adds, metres
    """

    def __init__(
        self, body: Measures, stride: float, duty: float, run: float, lift: float
    ) -> None:
        self.body, self.stride, self.duty, self.lift = body, stride, duty, lift
        share = smooth(stride, 0.2, 1.3)
        self.strike = -20 * share * (1 - 0.75 * run)
        self.off = (20 + 48 * share) * (1 - run) + 70 * run
        # Where the ankle would be in the middle of the stance, relative to the hips.
        self.middle = -0.055 * stride - 0.02

    def stance(self, s: float) -> np.ndarray:
        """Return (y, z, pitch) of the ankle at a share of the stance; metres, degrees."""
        body = self.body
        flat = np.array([body.height, self.middle + (0.5 - s) * self.duty * self.stride])
        if s < 0.5:
            pitch = max(2 * self.strike * (1 - smooth(s, -0.12, 0.16)), self.strike)
            pivot = body.heel
        else:
            pitch = self.off * ((s - 0.5) / 0.5) ** 1.6
            # The ball rises only as far as the foot turns more than the toes bend.
            rise = pitch - self.bend(pitch)
            pivot = body.toe + _turned(rise, *(body.ball - body.toe))
            return np.array([*(flat + pivot + _turned(pitch, *-body.ball)), pitch])
        return np.array([*(flat + pivot + _turned(pitch, *-pivot)), pitch])

    @staticmethod
    def bend(pitch: float) -> float:
        """Return how far the toes bend, degrees, when the foot on the ground has a pitch."""
        return _BEND * math.tanh(max(pitch, 0.0) / _BEND)

    def swing(self, u: float) -> tuple[np.ndarray, float]:
        """Return (y, z, pitch) of the ankle at a share of the swing, and the bend of the toes."""
        step = 1e-3
        ratio = (1 - self.duty) / self.duty
        start, end = self.stance(1.0), self.stance(0.0)
        first = (start - self.stance(1.0 - step)) / step * ratio
        last = (self.stance(step) - end) / step * ratio
        u2, u3 = u * u, u * u * u
        path = (
            (2 * u3 - 3 * u2 + 1) * start
            + (u3 - 2 * u2 + u) * first
            + (3 * u2 - 2 * u3) * end
            + (u3 - u2) * last
        )
        path[2] = start[2] + (end[2] - start[2]) * smooth(u, -0.1, 0.85)
        bend = self.bend(start[2]) * (1 - smooth(u, 0.0, 0.5))
        rise = math.sin(math.pi * u)
        path[0] += self.lift * rise**2 * (1 - u) * 1.6
        body = self.body
        toe = _turned(path[2], *body.ball) + _turned(path[2] - bend, *(body.toe - body.ball))
        lowest = path[0] + min(_turned(path[2], *body.heel)[0], toe[0])
        below = (0.012 * rise - lowest) / _YIELD
        give = max(below, 0.0) + math.log1p(math.exp(-abs(below)))
        path[0] += _YIELD * min(1.0, 5 * rise) * give
        return path, bend

    def at(self, phase: float) -> tuple[np.ndarray, float]:
        """Return (y, z, pitch) of the ankle, and the bend of the toes, degrees."""
        phase = phase % 1.0
        if phase < self.duty:
            path = self.stance(phase / self.duty)
            return path, self.bend(path[2])
        return self.swing((phase - self.duty) / (1 - self.duty))
