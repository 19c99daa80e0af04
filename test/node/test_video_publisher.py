# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The publisher publishes the frames of a video when they are due, and then ends."""

from __future__ import annotations

from itertools import pairwise
import signal
from time import monotonic

import numpy as np
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2')

from node_processes import ANSWER_SECONDS
from node_processes import executable
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from gtr_ros.media.video import VideoWriter
from gtr_ros.node.messages.images import image_to_array
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.usage import video_parser

pytestmark = pytest.mark.ros

LEVELS = [20, 60, 100, 140, 180, 220]


@pytest.fixture(scope='module', autouse=True)
def environment():
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp('videos') / 'steps.mp4'
    with VideoWriter(path, 5, (64, 48)) as writer:
        for level in LEVELS:
            writer.write(np.full((48, 64, 3), level, np.uint8))
    return path


class Viewer:
    """Keeps the images published on `image`."""

    def __init__(self) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context)
        self.node = rclpy.create_node('viewer', context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)
        self.images: list[Image] = []
        # Reliable: these tests are of every frame.
        self.node.create_subscription(Image, 'image', self.images.append, 100)

    def receive(self, count: int) -> list[Image]:
        deadline = monotonic() + START_SECONDS
        while len(self.images) < count and monotonic() < deadline:
            self.executor.spin_once(timeout_sec=0.1)
        assert len(self.images) >= count, f'received {len(self.images)} of {count} images'
        return self.images

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def viewer():
    viewer = Viewer()
    yield viewer
    viewer.close()


def test_every_frame_arrives_in_order_and_the_process_ends(video, viewer):
    with process(*executable('video_publisher'), video, '--frame-id', 'eye') as publisher:
        images = viewer.receive(len(LEVELS))
        assert publisher.wait(STOP_SECONDS) == 0
    levels = [image_to_array(image).mean() for image in images]
    np.testing.assert_allclose(levels, LEVELS, atol=4)
    assert {image.header.frame_id for image in images} == {'eye'}
    stamps = [stamp_to_nanoseconds(image.header.stamp) for image in images]
    # Due every 0.2 s; on a busy machine a frame may be late, but never early.
    assert all(later > earlier for earlier, later in pairwise(stamps))
    assert stamps[-1] - stamps[0] > 0.8e9


def test_images_of_a_folder_are_published_in_the_order_of_their_numbers(tmp_path, viewer):
    for number, level in enumerate(LEVELS, 8):  # 8.png to 13.png
        Picture.new('RGB', (64, 48), (level,) * 3).save(tmp_path / f'{number}.png')
    with process(*executable('video_publisher'), tmp_path, '--rate', '20') as publisher:
        images = viewer.receive(len(LEVELS))
        assert publisher.wait(STOP_SECONDS) == 0
    assert [image_to_array(image).mean() for image in images] == LEVELS


def test_a_loop_repeats_until_it_is_interrupted(video, viewer):
    command = [*executable('video_publisher'), video, '--loop', '--rate', '50']
    with process(*command) as publisher:
        viewer.receive(2 * len(LEVELS) + 1)
        publisher.send(signal.SIGINT)
        assert publisher.wait(STOP_SECONDS) == 0
        assert 'Traceback' not in publisher.output
        assert 'Failed to publish' not in publisher.output


def test_a_still_in_a_loop_is_published_at_the_rate(tmp_path, viewer):
    Picture.new('RGB', (64, 48), (90, 90, 90)).save(tmp_path / 'still.png')
    command = [*executable('video_publisher'), tmp_path / 'still.png', '--loop', '--rate', '10']
    with process(*command) as publisher:
        images = viewer.receive(6)[:6]
        publisher.send(signal.SIGINT)
        assert publisher.wait(STOP_SECONDS) == 0
    stamps = [stamp_to_nanoseconds(image.header.stamp) for image in images]
    assert stamps[-1] - stamps[0] > 0.4e9


@pytest.mark.parametrize(
    'flags', ['--rate=-1', '--rate=nan', '--rate=0', '--frames=0', '--wait=-1']
)
def test_a_number_out_of_its_range_is_refused(capsys, flags):
    with pytest.raises(SystemExit):
        video_parser().parse_args(['video.mp4', flags])
    assert 'is not a ' in capsys.readouterr().err


def test_a_missing_video_is_one_clear_error():
    with process(*executable('video_publisher'), 'nowhere.mp4') as publisher:
        assert publisher.wait(ANSWER_SECONDS) == 1
        assert 'no video at nowhere.mp4' in publisher.output
        assert 'Traceback' not in publisher.output
