# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Services that answer every request, also if they fail."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic
import traceback
from typing import Any
from typing import TYPE_CHECKING

from gtr_ros.node.throttle import shorten
from gtr_ros.node.throttle import Throttle

if TYPE_CHECKING:
    from rclpy.node import Node
    from rclpy.service import Service

_LOG_SECONDS = 5.0  # between log messages of one kind


def answer_always(node: Node) -> None:
    """
    Let all services of a node answer with their default response, which is no success, on errors.

    rclpy raises the error in the executor instead, and whoever called waits for ever. The service
    that changes the state of a lifecycle node fails for each transition that its state does not
    have, such as configuring it twice.
    """
    throttle = Throttle(_LOG_SECONDS)
    for service in node.services:
        service.callback = _answering(node, service, throttle)


def _answering(node: Node, service: Service, throttle: Throttle) -> Callable[[Any, Any], Any]:
    respond = service.callback

    def answer(request: Any, response: Any) -> Any:
        try:
            return respond(request, response)
        except Exception as error:
            is_known = type(error).__name__ == 'RCLError'  # a traceback would say no more
            text = str(error) if is_known else traceback.format_exc()
            text = f'{service.srv_name} failed for {shorten(str(request))}: {text}'
            if node.context.ok() and throttle.admits(text, monotonic()):
                node.get_logger().error(text)
            return response

    return answer
