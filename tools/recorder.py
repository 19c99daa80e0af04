# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Record a tracker node: its topics in a bag, its debug image in a video, and its statistics."""

from __future__ import annotations

from pathlib import Path
import queue
import threading

from ament_index_python.packages import get_package_share_directory
from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from PIL import Image as Picture
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.serialization import deserialize_message
from rclpy.serialization import serialize_message
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer
from rosbags.typesys import get_types_from_msg
from rosbags.typesys import get_typestore
from rosbags.typesys import Stores
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from vision_msgs.msg import Detection2DArray

from gtr_ros.media.pixels import encode_jpeg
from gtr_ros.media.video import VideoError
from gtr_ros.media.video import VideoWriter
from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds

TYPE_NAMES = {
    Detection2DArray: 'vision_msgs/msg/Detection2DArray',
    TrajectoryArray: 'gtr_ros/msg/TrajectoryArray',
    CompressedImage: 'sensor_msgs/msg/CompressedImage',
}


def message_types():
    """Return the message types of ROS 2 Jazzy, vision_msgs and this package, for `rosbags`."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for package in ('vision_msgs', 'gtr_ros'):
        for file in Path(get_package_share_directory(package), 'msg').glob('*.msg'):
            types.register(get_types_from_msg(file.read_text(), f'{package}/msg/{file.stem}'))
    return types


class Recorder(Node):
    """
    Records the topics of the node `/tracker` until `close`.

    :param folder: receives `bag/` (MCAP), `tracked.mp4` and `tracked.png`
    :param rate: frames per second of the video
    """

    def __init__(self, folder: Path, rate: float) -> None:
        super().__init__('recorder')
        self.bag = folder / 'bag'
        self.video = folder / 'tracked.mp4'
        self.picture = folder / 'tracked.png'
        self.ages_ms: list[float] = []
        self.ids: set[str] = set()
        self.first = self.last = 0.0
        self.status: dict[str, str] = {}
        #: the error if the video could not be written, otherwise None
        self.failure: Exception | None = None
        self._rate = rate
        self._types = message_types()
        self._writer = Writer(self.bag, version=9, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        self._connections: dict[str, object] = {}
        for kind, topic, callback in (
            (Detection2DArray, 'detections', self._on_detections),
            (TrajectoryArray, 'trajectories', self._on_trajectories),
        ):
            self.create_subscription(kind, f'/tracker/{topic}', callback, 100, raw=True)
        self.create_subscription(
            Image, '/tracker/debug_image', self._on_image, QoSProfile(depth=10)
        )
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        # In a separate thread, because compressing an image takes longer than receiving one.
        self._images: queue.SimpleQueue[Image | None] = queue.SimpleQueue()
        self._compressed: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_images)
        self._thread.start()

    def close(self) -> None:
        """Finish the bag and the video."""
        self._images.put(None)
        self._thread.join()
        self._write_compressed()
        self._writer.close()
        self.destroy_node()

    def _on_detections(self, data: bytes) -> None:
        now = self.get_clock().now().nanoseconds
        message = deserialize_message(data, Detection2DArray)
        self.ages_ms.append((now - stamp_to_nanoseconds(message.header.stamp)) / 1e6)
        self.ids.update(detection.id for detection in message.detections)
        self.first = self.first or now / 1e9
        self.last = now / 1e9
        self._write('/tracker/detections', Detection2DArray, data)
        self._write_compressed()

    def _on_trajectories(self, data: bytes) -> None:
        self._write('/tracker/trajectories', TrajectoryArray, data)

    def _on_image(self, message: Image) -> None:
        if self.failure is None:
            self._images.put(message)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == 'tracker: tracker':
                self.status = {value.key: value.value for value in status.values}

    def _write(self, topic: str, kind: type, data: bytes) -> None:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, TYPE_NAMES[kind], typestore=self._types
            )
        self._writer.write(self._connections[topic], self.get_clock().now().nanoseconds, data)

    def _write_compressed(self) -> None:
        """Write the compressed images to the bag, which only the main thread may write to."""
        while not self._compressed.empty():
            self._write('/tracker/debug_image/compressed', CompressedImage, self._compressed.get())

    def _write_images(self) -> None:
        try:
            self._write_video()
        except (VideoError, OSError) as error:
            self.failure = error

    def _write_video(self) -> None:
        """Write images to the video, and compress them for the bag, until `close`."""
        writer, count, written, start = None, 0, 0, 0
        while (message := self._images.get()) is not None:
            image = np.ascontiguousarray(image_to_array(message))
            if writer is None:
                writer = VideoWriter(self.video, self._rate, (message.width, message.height))
                start = stamp_to_nanoseconds(message.header.stamp)
            # Repeat the image in place of frames that the node dropped, so that the video runs in
            # real time.
            elapsed = (stamp_to_nanoseconds(message.header.stamp) - start) / 1e9
            for _ in range(round(elapsed * self._rate) + 1 - written):
                writer.write(image)
                written += 1
            self._compressed.put(
                serialize_message(
                    CompressedImage(
                        header=message.header, format='jpeg', data=encode_jpeg(image, 85)
                    )
                )
            )
            count += 1
            if count & (count - 1) == 0:  # images 1, 2, 4, 8, ...; each overwrites the previous
                Picture.fromarray(image).save(self.picture)
        if writer is not None:
            writer.close()
