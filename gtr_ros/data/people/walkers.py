# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Simulate people who walk to goals, around each other, stop, sit, go away and come back."""

from __future__ import annotations

from enum import IntEnum
import math

import numpy as np

from gtr_ros.data.people.camera import Camera
from gtr_ros.data.people.places import Place
from gtr_ros.data.people.schedule import STEP
from gtr_ros.data.people.steering import push_apart
from gtr_ros.data.people.steering import push_out
from gtr_ros.data.people.steering import steer_around
from gtr_ros.data.people.steering import steer_around_people

_LEAVES = 5.0  # s before an absence in which a person walks out of view
_TALLEST, _SMALLEST = 330, 45  # pixels of 480 rows, of people at their goals
_USUAL = (105, 0.5)  # median of these heights, and the deviation of the logarithm
_REACTION = 0.35  # s, time constant of a change of velocity
_TURN = 3.5  # rad/s
_PARKED = 1e4  # metres, where people are who are away
_CAMERA = 0.7  # metres that people keep from the camera's axis
_SITS_DOWN = 1.1  # s


class _Mode(IntEnum):
    WALK = 0
    STAND = 1
    TO_SEAT = 2
    SIT = 3
    BEND = 4
    AWAY = 5


class Walkers:
    """
    The state of N people, which `step` advances.

    :ivar positions: (N, 2) float64, metres
    :ivar headings: (N,) float64, radians
    :ivar speeds: (N,) float64, m/s
    :ivar preferred: (N,) float64, m/s
    :ivar shares: (N,) float64 in [0, 1], how far they sit or bend down
    :ivar bending: (N,) bool, which of these it is
    """

    def __init__(
        self,
        count: int,
        camera: Camera,
        places: tuple[Place, ...],
        absences: np.ndarray,
        stream: np.random.Generator,
    ) -> None:
        self._camera, self._stream, self._absences = camera, stream, absences
        circles = [place.circles() for place in places]
        self._circles = np.concatenate([*circles, np.zeros((0, 3))])
        self._seats = np.concatenate([*[place.seats() for place in places], np.zeros((0, 3))])
        self._seat_of = np.full(count, -1)
        self._mode = np.full(count, _Mode.WALK)
        self._until = np.zeros(count)
        self._velocities = np.zeros((count, 2))
        self._face = np.full(count, math.nan)  # heading that a standing person turns to
        self.shares, self.bending = np.zeros(count), np.zeros(count, bool)
        kinds = stream.choice(3, count, p=(0.12, 0.81, 0.07))
        self.preferred = np.select(
            [kinds == 0, kinds == 1],
            [stream.uniform(0.4, 0.8, count), stream.normal(1.25, 0.22, count).clip(0.8, 2.0)],
            stream.uniform(2.3, 3.2, count),
        )
        self._leader = np.full(count, -1)
        self._side = stream.choice((-0.65, 0.65), count)
        for i in range(1, count, 2):
            if stream.random() < 0.25:
                self._leader[i] = i - 1
                self.preferred[i - 1 : i + 1] = min(self.preferred[i - 1], 1.5)
        self.positions = np.array([self._goal(0.0, 0.1) for _ in range(count)]).reshape(-1, 2)
        for i in np.flatnonzero(self._leader >= 0):
            self.positions[i] = self.positions[i - 1] + stream.uniform(0.4, 0.6, 2)
        self._fixed = np.zeros(count, bool)
        for _ in range(20):
            self._separate()
        self._goals = np.array([self._goal(0.0) for _ in range(count)]).reshape(-1, 2)
        ahead = self._goals - self.positions
        self.headings = np.arctan2(ahead[:, 1], ahead[:, 0])
        along = np.stack([np.cos(self.headings), np.sin(self.headings)], axis=1)
        self._velocities = along * self.preferred[:, None]
        self.speeds = self.preferred.copy()
        self._until[:] = 1e9
        for i in np.flatnonzero(stream.random(count) < 0.12):
            self._stand(i, 0.0)
            self._velocities[i], self.speeds[i] = 0, 0

    def step(self, t: float) -> None:
        """Advance to a time in seconds, which is one `STEP` after the last."""
        for i in range(len(self.positions)):
            self._decide(i, t)
        wanted = self._wanted(t)
        self._velocities += (wanted - self._velocities) * (STEP / _REACTION)
        still = np.isin(self._mode, (_Mode.SIT, _Mode.BEND))
        self._velocities[still | (self._mode == _Mode.AWAY)] = 0
        before = self.positions.copy()
        self.positions = self.positions + self._velocities * STEP
        self._fixed = still | (self._mode == _Mode.AWAY)
        self._separate()
        self._settle(t)
        moved = np.hypot(*(self.positions - before).T) / STEP
        moved = np.minimum(moved, 1.3 * self.preferred + 0.2)
        moved[self._fixed | (moved < 0.08)] = 0
        self.speeds += (moved - self.speeds) * 0.35
        self.speeds[self.speeds < 0.03] = 0
        self._turn(wanted)

    def _goal(self, t: float, outside: float = 0.22) -> np.ndarray:
        """Draw a point of the ground that the camera sees, or sometimes one beside the view."""
        view, stream = self._camera.view, self._stream
        median, deviation = _USUAL
        point = np.zeros(2)
        for _ in range(8):
            height = median * math.exp(deviation * stream.standard_normal())
            distance = view.distance_of(min(max(height, _SMALLEST), _TALLEST))
            distance = min(max(distance, 1.6), 22.0)
            bearing = stream.uniform(-0.92, 0.92) * view.half_angle
            if stream.random() < outside:
                bearing = self._beside(distance) * stream.choice((-1, 1))
            later = stream.uniform(2, 8) if self._camera.travels else stream.uniform(0, 3)
            point = self._camera.ground(t + later, distance, bearing)
            gaps = np.hypot(*(self._circles[:, :2] - point).T) - self._circles[:, 2]
            if gaps.min(initial=9) > 0.5:
                break
        return point

    def _beside(self, distance: float) -> float:
        """Return a bearing, radians, that is beside the view."""
        return self._camera.view.half_angle + math.atan(0.8 / distance) + 0.03

    def _decide(self, i: int, t: float) -> None:
        """Change what a person does, if it is time."""
        begin, end = self._absences[i]
        mode = self._mode[i]
        if begin < t <= end - STEP:
            self._leave_seat(i)
            self._mode[i], self.shares[i] = _Mode.AWAY, 0
            self.positions[i] = _PARKED + 10 * i, _PARKED
        elif mode == _Mode.AWAY:
            self._enter(i, t)
        elif begin - _LEAVES <= t <= begin:
            self._leave(i, t)
        elif self._is_lost(i, t):
            self._leave_seat(i)
            self._enter(i, t)
        elif mode in (_Mode.WALK, _Mode.TO_SEAT):
            if np.hypot(*(self._goals[i] - self.positions[i])) < 0.35:
                self._arrive(i, t)
            elif t > self._until[i]:
                self._leave_seat(i)
                self._walk(i, t)
        elif t > self._until[i] and self.shares[i] <= 0:
            self._leave_seat(i)
            self._walk(i, t)

    def _walk(self, i: int, t: float) -> None:
        stream, free = self._stream, self._free_seats()
        self._mode[i], self._face[i] = _Mode.WALK, math.nan
        self._goals[i] = self._goal(t)
        if len(free) and stream.random() < 0.3 and self.preferred[i] < 2.1:
            seat = int(stream.choice(free))
            self._mode[i], self._seat_of[i] = _Mode.TO_SEAT, seat
            x, y, heading = self._seats[seat]
            self._goals[i] = x + 0.3 * math.cos(heading), y + 0.3 * math.sin(heading)
        length = np.hypot(*(self._goals[i] - self.positions[i]))
        self._until[i] = t + 2 * length / self.preferred[i] + 3

    def _arrive(self, i: int, t: float) -> None:
        stream = self._stream
        if self._mode[i] == _Mode.TO_SEAT:
            self._mode[i], self._until[i] = _Mode.SIT, t + stream.uniform(5, 25)
            self.bending[i] = False
            self._face[i] = self._seats[self._seat_of[i], 2]
        elif stream.random() < 0.25 and self.preferred[i] < 2.1:
            self._stand(i, t)
        else:
            self._walk(i, t)

    def _stand(self, i: int, t: float) -> None:
        stream = self._stream
        self._mode[i], self._until[i] = _Mode.STAND, t + stream.uniform(2, 8)
        self._face[i] = self.headings[i] + stream.normal(0, 0.9)
        if stream.random() < 0.12:
            self._mode[i], self._until[i] = _Mode.BEND, t + stream.uniform(2, 4)
            self.bending[i] = True

    def _leave(self, i: int, t: float) -> None:
        """Walk out of view; a person who sits or bends gets up first."""
        self._until[i] = t
        if self.shares[i] > 0:
            return
        self._leave_seat(i)
        self._mode[i], self._face[i] = _Mode.WALK, math.nan
        bearing, distance = self._seen_at(i, t)
        angle = math.copysign(self._beside(distance) + 0.1, bearing)
        self._goals[i] = self._camera.ground(t, distance + 0.5, angle)

    def _enter(self, i: int, t: float) -> None:
        """Come back into view, from one of its sides."""
        distance = self._camera.view.distance_of(self._stream.uniform(70, 170))
        angle = self._beside(distance) * self._stream.choice((-1, 1))
        self._begin(i, self._camera.ground(t, distance, angle), self._goal(t + 2, outside=0.0))
        self._until[i] = t + 30

    def _begin(self, i: int, position: np.ndarray, goal: np.ndarray) -> None:
        """Put a person on the ground, who walks to a goal."""
        self._mode[i], self._face[i] = _Mode.WALK, math.nan
        self.positions[i], self._goals[i] = position, goal
        ahead = self._goals[i] - self.positions[i]
        self.headings[i] = math.atan2(ahead[1], ahead[0])
        self._velocities[i] = ahead / max(np.hypot(*ahead), 1e-9) * self.preferred[i]

    def _is_lost(self, i: int, t: float) -> bool:
        """Return whether the camera has turned or moved so that a person is far out of view."""
        if self.shares[i] > 0:
            return False
        bearing, distance = self._seen_at(i, t)
        farthest = self._camera.view.distance_of(_SMALLEST)
        return abs(bearing) > self._beside(distance) + 0.5 or distance > 1.5 * farthest + 2

    def _seen_at(self, i: int, t: float) -> tuple[float, float]:
        """Return bearing, radians to the left, and distance from the camera."""
        x, y, _, yaw, _, _ = self._camera.place(t)
        dx, dy = self.positions[i] - (x, y)
        bearing = (math.atan2(dy, dx) - yaw + math.pi) % (2 * math.pi) - math.pi
        return bearing, max(1.0, math.hypot(dx, dy))

    def _free_seats(self) -> np.ndarray:
        return np.setdiff1d(np.arange(len(self._seats)), self._seat_of)

    def _leave_seat(self, i: int) -> None:
        self._seat_of[i] = -1

    def _led(self) -> np.ndarray:
        """Return (N,) bool: who follows somebody now."""
        walks = np.isin(self._mode, (_Mode.WALK, _Mode.STAND))
        return (self._leader >= 0) & walks & walks[self._leader]

    def _wanted(self, t: float) -> np.ndarray:
        """Return the velocities that people would like to have, (N, 2), m/s."""
        ahead = self._goals - self.positions
        led = self._led() & ~((self._absences[:, 0] - _LEAVES <= t) & (t <= self._absences[:, 0]))
        for i in np.flatnonzero(led):
            j = self._leader[i]
            turn = self.headings[j] + math.pi / 2
            beside = self._side[i] * np.array([math.cos(turn), math.sin(turn)])
            gap = self.positions[j] + beside - self.positions[i]
            ahead[i] = self._velocities[j] + 1.2 * gap
        far = np.hypot(*ahead.T)[:, None]
        wanted = ahead / np.maximum(far, 1e-6) * self.preferred[:, None]
        wanted[led] = ahead[led] * np.minimum(1, 1.5 * self.preferred[led, None] / far[led])
        walking = led | np.isin(self._mode, (_Mode.WALK, _Mode.TO_SEAT))
        wanted[~walking] = 0
        leaving = (self._absences[:, 0] - _LEAVES <= t) & (t <= self._absences[:, 0])
        wanted[leaving] *= np.maximum(1, 1.6 / self.preferred[leaving, None])
        error = np.arctan2(wanted[:, 1], wanted[:, 0]) - self.headings
        wanted *= (0.35 + 0.65 * np.maximum(0, np.cos(error)))[:, None]
        moving = walking | (self._mode == _Mode.STAND)
        aside = steer_around_people(self.positions, wanted)
        near_seat = (self._mode == _Mode.TO_SEAT) & (far[:, 0] < 0.9)
        around = steer_around(self.positions, wanted, self._obstacles(t))
        around[near_seat] = 0
        return wanted + (aside + around) * moving[:, None]

    def _obstacles(self, t: float) -> np.ndarray:
        """Return (K, 3) circles that people walk around: places, and the camera if it is low."""
        x, y, z = self._camera.place(t)[:3]
        if z > 2:
            return self._circles
        return np.concatenate([self._circles, [[x, y, _CAMERA]]])

    def _separate(self) -> None:
        """Nobody is in another person or in a thing."""
        seated = np.isin(self._mode, (_Mode.SIT, _Mode.TO_SEAT, _Mode.AWAY))
        for _ in range(2):
            pushed = push_apart(self.positions, self._fixed)
            self.positions = np.where(
                seated[:, None], pushed, push_out(pushed, self._circles, 0.25)
            )

    def _settle(self, t: float) -> None:
        """Sit or bend down, or get up."""
        for i in np.flatnonzero(np.isin(self._mode, (_Mode.SIT, _Mode.BEND))):
            sits = self._mode[i] == _Mode.SIT
            turned = abs(math.remainder(self._face[i] - self.headings[i], 2 * math.pi)) < 0.2
            down = t <= self._until[i] and (turned or not sits or self.shares[i] > 0)
            rate = STEP / _SITS_DOWN * (1 if down else -1)
            self.shares[i] = min(max(self.shares[i] + rate, 0.0), 1.0)
            if sits and down:
                gap = self._seats[self._seat_of[i], :2] - self.positions[i]
                self.positions[i] += gap * min(1.0, 3 * STEP)

    def _turn(self, wanted: np.ndarray) -> None:
        """Turn towards the way, or, when standing, to where they look."""
        way = np.arctan2(self._velocities[:, 1], self._velocities[:, 0])
        walking = np.hypot(*wanted.T) > 0.15
        target = np.where(walking, way, np.where(np.isnan(self._face), self.headings, self._face))
        still = np.isin(self._mode, (_Mode.SIT, _Mode.BEND))
        target[still] = np.where(
            self._mode[still] == _Mode.SIT, self._face[still], self.headings[still]
        )
        error = np.remainder(target - self.headings + math.pi, 2 * math.pi) - math.pi
        self.headings = self.headings + np.clip(error * 0.25, -_TURN * STEP, _TURN * STEP)
