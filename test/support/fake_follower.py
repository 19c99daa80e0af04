# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
A fake tracker with zones, counters, and a service that follows one of its objects.

A request for the id `hidden` or `lost` makes the followed object that. Run as a program, this
prints each request.
"""

from __future__ import annotations

from contextlib import suppress
import sys

from fake_tracker import OBJECTS
from fake_tracker import Publisher
from geometry_msgs.msg import Point
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile

from gtr_ros.msg import Counts
from gtr_ros.msg import FollowedState
from gtr_ros.msg import LineCount
from gtr_ros.msg import Zone
from gtr_ros.msg import ZoneArray
from gtr_ros.msg import ZoneCount
from gtr_ros.srv import Follow

#: corners, in the units of the message
YARD = ((0.05, 0.55), (0.25, 0.55), (0.25, 0.9), (0.05, 0.9))
GATE = ((180.0, 215.0), (310.0, 215.0))
BAY = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0))
DISTANCE, SECONDS = 2.5, 3.5
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


def zone(name: str, unit: int, corners: tuple, is_line: bool = False) -> Zone:
    points = [Point(x=x, y=y) for x, y in corners]
    return Zone(name=name, unit=unit, corners=points, is_line=is_line)


ZONES = ZoneArray(
    zones=[
        zone('yard', Zone.FRACTION, YARD),
        zone('gate', Zone.PIXEL, GATE, True),
        zone('bay', Zone.METRE, BAY),
    ]
)
COUNTS = Counts(
    zones=[
        ZoneCount(zone='yard', inside=2, entered=5, left=3),
        ZoneCount(zone='bay', inside=1, entered=1, left=0),
    ],
    lines=[LineCount(line='gate', left_to_right=4, right_to_left=6)],
)


class Follower(Publisher):
    """Follows what it is asked to follow."""

    def __init__(self) -> None:
        super().__init__('rgb8')
        self.create_publisher(ZoneArray, 'tracker/zones', LATCHED).publish(ZONES)
        self.create_publisher(Counts, 'tracker/counts', LATCHED).publish(COUNTS)
        self._states = self.create_publisher(FollowedState, 'tracker/followed/state', LATCHED)
        self._state = FollowedState(distance=float('nan'))
        self._states.publish(self._state)
        self.create_service(Follow, 'tracker/follow', self._on_follow)

    def _on_follow(self, request: Follow.Request, response: Follow.Response) -> Follow.Response:
        print(f'asked to follow {request.id!r} of camera {request.camera!r}', flush=True)
        state, response.success = self._state, True
        if request.id in [str(identity) for identity, *_ in OBJECTS]:
            state.state, state.id, state.distance = state.FOLLOWING, request.id, DISTANCE
        elif request.id in ('hidden', 'lost'):
            state.state = state.HIDDEN if request.id == 'hidden' else state.LOST
            state.seconds, state.distance = SECONDS, float('nan')
        elif not request.id:
            state.state, state.id = state.NONE, ''
        else:
            response.success = False
        response.message = f'{"following" if response.success else "there is no"} {request.id}'
        self._states.publish(state)
        return response


def main() -> None:
    rclpy.init(args=sys.argv)
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(Follower())


if __name__ == '__main__':
    main()
