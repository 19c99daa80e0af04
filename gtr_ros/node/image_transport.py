# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Raw and compressed images, by the conventions of the package image_transport."""

from __future__ import annotations

from typing import Any
from typing import TYPE_CHECKING

from gtr_ros.options import option

if TYPE_CHECKING:
    from rclpy.node import Node


def image_transport_option() -> Any:
    """Make the field `image_transport` of a node's parameters."""
    return option(
        'raw',
        'Type of the images: raw subscribes to sensor_msgs/Image on the topic image, compressed '
        'to sensor_msgs/CompressedImage (JPEG, PNG) on image/compressed.',
        choices=('raw', 'compressed'),
    )


def image_topic(node: Node, base: str, transport: str) -> tuple[str, type]:
    """
    Return the topic of a camera's images, and their message type.

    :param node: that subscribes
    :param base: topic of the raw images; remapping applies to this name
    :param transport: 'raw' or 'compressed'
    """
    from sensor_msgs.msg import CompressedImage
    from sensor_msgs.msg import Image

    if transport == 'compressed':
        return f'{node.resolve_topic_name(base)}/compressed', CompressedImage
    return base, Image
