# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""
What the two cameras of a soak see: drawn people and animals who come and go, for ever.

Run as a program with a camera's name, a topic and a rate, this publishes its images.
"""

from __future__ import annotations

from contextlib import suppress
import sys
from time import monotonic

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.data.sequence import images_of
from gtr_ros.data.synthetic import generate
from gtr_ros.data.synthetic import Scene
from gtr_ros.node.messages.images import array_to_image

#: seconds of a round: a scene, then a view without objects
SCENE, EMPTY = 10.0, 3.0
ROUND = SCENE + EMPTY
_RATE = 15.0  # images per second that are drawn; cameras repeat them
_SCENES = {
    'front': Scene(objects=8, occlusion=1, duration=SCENE, rate=_RATE, size=(240, 320), seed=1),
    'rear': Scene(objects=4, occlusion=1, duration=SCENE, rate=_RATE, size=(240, 320), seed=0),
}
CAMERAS = tuple(_SCENES)


class Scenery:
    """
    What a camera sees at each time: the same in every process.

    :param camera: one of `CAMERAS`
    :param with_images: whether images are needed, or only what they show
    """

    def __init__(self, camera: str, with_images: bool = False) -> None:
        sequence = generate(_SCENES[camera]).sequence
        self._images = [np.array(image) for image in images_of(sequence)] if with_images else []
        self._counts = [len(truth.ids) for truth in sequence.truth]
        #: number of different objects in a round
        self.objects = len({i for truth in sequence.truth for i in truth.ids.tolist()})

    def image(self, seconds: float) -> np.ndarray:
        """Return the image at a time, (H, W, 3) uint8 RGB."""
        index = self._index(seconds)
        return np.full_like(self._images[0], 90) if index is None else self._images[index]

    def count(self, seconds: float) -> int:
        """Return how many objects can be seen at a time."""
        index = self._index(seconds)
        return 0 if index is None else self._counts[index]

    def _index(self, seconds: float) -> int | None:
        index = int(seconds % ROUND * _RATE)
        return index if index < len(self._counts) else None


def main() -> None:
    """Publish until interrupted."""
    camera, topic, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
    scenery = Scenery(camera, with_images=True)
    rclpy.init()
    node = rclpy.create_node(f'{camera}_driver')
    publisher = node.create_publisher(Image, topic, qos_profile_sensor_data)
    start, sent = monotonic(), 0
    with suppress(KeyboardInterrupt, ExternalShutdownException):
        while rclpy.ok():
            stamp = node.get_clock().now()
            image = scenery.image(stamp.nanoseconds / 1e9)
            header = Header(stamp=stamp.to_msg(), frame_id=camera)
            publisher.publish(array_to_image(image, header))
            sent = max(sent + 1, int((monotonic() - start) * rate))  # late images are left out
            while (wait := start + sent / rate - monotonic()) > 0:
                rclpy.spin_once(node, timeout_sec=wait)


if __name__ == '__main__':
    main()
