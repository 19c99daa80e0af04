# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The services that choose the object to follow. Needs no torch."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TYPE_CHECKING

from std_srvs.srv import Trigger

from gtr_ros.srv import Follow

if TYPE_CHECKING:
    from rclpy.node import Node

#: ids with a meaning of their own
NEAREST, PIXEL = 'nearest', 'pixel'


class FollowError(ValueError):
    """A request names no object; the message says why."""


class FollowServices:
    """
    `~/follow` and `~/unfollow`.

    :param cameras: returns the `Camera`s by name; none unless the node is active
    :param warn: logs a warning unless it was logged a moment ago
    """

    def __init__(
        self,
        node: Node,
        cameras: Callable[[], Mapping[str, Any]],
        warn: Callable[[str], object],
    ) -> None:
        self._node, self._cameras, self._warn = node, cameras, warn
        node.create_service(Follow, '~/follow', self._on_follow)
        node.create_service(Trigger, '~/unfollow', self._on_unfollow)

    def _on_follow(self, request: Follow.Request, response: Follow.Response) -> Follow.Response:
        camera = None
        try:
            camera = self._camera(request.camera)
            if not request.id:
                camera.observers.following.stop()
                response.message = 'nothing is followed'
            else:
                following = camera.observers.following
                response.id = str(following.choose(request.id, request.x, request.y))
                response.message = f'following object {response.id}'
            response.success = True
            self._node.get_logger().info(response.message)
        except FollowError as error:
            response.message = str(error)
            for one in [camera] if camera else self._cameras().values():
                one.statistics.refused_follows += 1
            self._warn(f'~/follow was refused: {error}')
        return response

    def _on_unfollow(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for camera in self._cameras().values():
            camera.observers.following.stop()
        response.success, response.message = True, 'nothing is followed'
        return response

    def _camera(self, name: str) -> Any:
        cameras = self._cameras()
        if not cameras:
            raise FollowError('the node is not active')
        if not name and len(cameras) == 1:
            return next(iter(cameras.values()))
        if name not in cameras:
            raise FollowError(
                f'there is no camera {name[:80]!r}; expected one of {", ".join(cameras)}'
            )
        return cameras[name]
