# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The parameters of the web viewer: the source of every default, range and description."""

from __future__ import annotations

from dataclasses import dataclass

from gtr_ros.node.image_transport import image_transport_option
from gtr_ros.options import option
from gtr_ros.options import Options


@dataclass(frozen=True)
class ViewerParameters(Options):
    """The parameters of the viewer, all of them read-only."""

    tracker: str = option(
        'tracker',
        'Name of the tracker node, to whose topics the viewer subscribes, and whose service '
        'follow it calls. With several cameras: followed by the name of the camera, such as '
        'tracker/front.',
    )
    image_transport: str = image_transport_option()
    address: str = option(
        '127.0.0.1',
        'Address to serve on. There is no authentication: unless it is a loopback address, '
        'anyone who can reach it can see the images.',
    )
    port: int = option(8090, 'Port to serve on; 0: any free one.', limits=(0, 65535))
    max_rate: float = option(15.0, 'Maximum rate of encoded frames, Hz.', limits=(0.1, 1000.0))
    jpeg_quality: int = option(80, 'Quality of the JPEGs sent to browsers.', limits=(1, 95))
