# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the tracker node logs about images and cameras: each kind of message rarely."""

from __future__ import annotations

from time import monotonic
import traceback
from typing import TYPE_CHECKING

from gtr_ros.media.pixels import ImageError
from gtr_ros.node.throttle import shorten
from gtr_ros.node.throttle import Throttle
from gtr_ros.node.tracker.batching import is_out_of_memory

if TYPE_CHECKING:
    from rclpy.node import Node

    from gtr_ros.node.tracker.camera import Camera

_SECONDS = 5.0  # between messages of one kind
_CHARACTERS = 4000  # of a message, which may quote what another node has sent


class Reporter:
    """
    Logs in the name of a node, from any thread.

    Once the context is shut down, nothing can be published, which is not an error.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._throttle = Throttle(_SECONDS)

    def failure(self, camera: Camera, error: Exception) -> None:
        """Log why an image was not tracked."""
        text = str(error)
        kind = f'{camera.name} {type(error).__name__}: {text}'
        if not self._node.context.ok() or not self._throttle.admits(kind, monotonic()):
            return
        if not isinstance(error, ImageError):
            text = ''.join(traceback.format_exception(type(error), error, error.__traceback__))
        text = shorten(text, _CHARACTERS)
        self._node.get_logger().error(f'skipped an image of {camera.inputs.topic}: {text}')

    def split(self, size: int, error: Exception) -> None:
        """Log that a batch of several cameras' images did not fit in the memory."""
        if is_out_of_memory(error):
            self.warn(
                f'the images of {size} cameras do not fit in the memory of the device together: '
                'they are detected in smaller batches, which takes longer; split in /diagnostics '
                'counts them. Publish smaller images, or free memory there'
            )

    def warn(self, text: str) -> bool:
        """Log a warning, unless it was logged a moment ago; return whether it was logged."""
        text = shorten(text, _CHARACTERS)
        admitted = self._node.context.ok() and self._throttle.admits(text, monotonic())
        if admitted:
            self._node.get_logger().warning(text)
        return admitted
