# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publish the best picture of each object of one camera, while somebody subscribes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gtr_ros.msg import Crop
from gtr_ros.node.messages.images import compress
from gtr_ros.node.messages.tracks import bounding_box
from gtr_ros.tracking.best_views import BestViews

if TYPE_CHECKING:
    import numpy as np
    from std_msgs.msg import Header

    from gtr_ros.node.tracker.outputs import Outputs
    from gtr_ros.structures import Tracks

_HEADERS = 1000  # of images whose pictures may be published later
_QUALITY = 90  # of the JPEG


class CropPublisher:
    """
    Publishes pictures, on the worker's thread; without subscribers it does nothing.

    :param rate: pictures of each object per second, at most
    """

    def __init__(self, outputs: Outputs, rate: float) -> None:
        self._outputs = outputs
        self._views = BestViews(rate)
        self._headers: OrderedDict[int, Header] = OrderedDict()  # by stamp

    def update(
        self, stamp: int, header: Header, tracks: Tracks, image: np.ndarray, names: Sequence[str]
    ) -> None:
        """
        Publish the pictures that became better.

        :param stamp: of the image, nanoseconds
        :param header: of the image
        :param image: (H, W, 3) uint8 RGB
        :param names: name of each label
        """
        publisher = self._outputs.publishers['crops']
        if not publisher.get_subscription_count():
            # Who subscribes later gets a picture of every object.
            self._views.clear()
            self._headers.clear()
            return
        self._headers[stamp] = header
        if len(self._headers) > _HEADERS:
            self._headers.popitem(last=False)
        class_ids = self._outputs.class_ids(names)
        for view in self._views.update(stamp, tracks, image):
            taken = self._headers.get(view.stamp, header)
            publisher.publish(
                Crop(
                    header=taken,
                    id=str(view.id),
                    class_id=class_ids[view.label],
                    score=view.score,
                    quality=view.quality,
                    bbox=bounding_box(view.box.tolist()),
                    image=compress(view.crop, taken, _QUALITY),
                )
            )
