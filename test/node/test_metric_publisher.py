# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Images that wait for their transforms are published in order, or given up in time."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import PointField
from std_msgs.msg import Header

from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.messages.tracks import stamp_to_nanoseconds
from gtr_ros.node.messages.tracks_3d import obstacles_message
from gtr_ros.node.tracker import metric
from gtr_ros.node.tracker.metric import MetricPublisher
from gtr_ros.node.tracker.outputs import Outputs
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.tracker.transforms import Transforms
from gtr_ros.stamps import NANOSECONDS
from gtr_ros.structures import Tracks
from gtr_ros.tracking.footprints import POINT

STEP = NANOSECONDS // 10
SIZE = (480, 640)
INFO = CameraInfo(
    height=480, width=640, k=np.array([500, 0, 319.5, 0, 500, 239.5, 0, 0, 1], float)
)
STILL = (0.0, 0.0, 0.0, 1.0)


class World:
    """A publisher of tracks whose transforms, time and results the test sees."""

    def __init__(self, monkeypatch, share=None, **parameters) -> None:
        self.now, self.published, self.obstacles, self.warnings = 0.0, [], [], []
        monkeypatch.setattr(metric, 'monotonic', lambda: self.now)
        self.listener = SimpleNamespace(transforms=Transforms(), on_arrival=[], newest_image=0)
        self.statistics = CameraStatistics()
        settings = {'target_frame': 'odom', 'depth': True, 'transform_timeout': 0.5}
        outputs = SimpleNamespace(
            class_ids=list,
            publish_tracks_3d=lambda detections, tracks: self.published.append(tracks),
            publish_obstacles=lambda *given: self.obstacles.append(given),
        )
        self.publisher = MetricPublisher(
            lambda: '/image',
            NodeParameters(**{**settings, **parameters}),
            outputs,
            self.listener,
            self.statistics,
            self.warnings.append,
            share,
        )

    def image(
        self, t: int, *depths: float, frame: str = 'camera', info=INFO, middles=None
    ) -> None:
        tracks = Tracks(
            ids=np.array([3, 8]),
            boxes=np.array([[300, 100, 360, 320], [30, 100, 60, 200]], np.float32),
            scores=np.array([0.9, 0.8], np.float32),
            labels=np.array([0, 0]),
            confirmed=np.array([True, False]),
        )
        header = Header(stamp=nanoseconds_to_stamp(t * STEP), frame_id=frame)
        depths = np.array(depths or [4.0])
        self.publisher.add(header, SIZE, tracks, ['person'], info, depths, middles)

    def move(self, t: int) -> None:
        """Add where the camera is at a time: it drives along z, 1 m/s."""
        self.listener.transforms.add('odom', 'camera', t * STEP, (0, 0, t / 10), STILL)
        for call in self.listener.on_arrival:
            call()

    @property
    def times(self) -> list[int]:
        return [stamp_to_nanoseconds(m.header.stamp) // STEP for m in self.published]


def test_confirmed_tracks_are_published_in_the_target_frame(monkeypatch):
    world = World(monkeypatch)
    world.move(10)
    world.image(10)
    [message] = world.published
    assert message.header.frame_id == 'odom'
    [track] = message.tracks
    assert (track.id, track.class_id, track.coasted) == ('3', 'person', False)
    assert track.pose.pose.position.z == pytest.approx(4 + 1 + 0.085, abs=0.01)
    # The outlines are made of the same state, for the seconds that are configured.
    [(state, header, seconds)] = world.obstacles
    assert (state.ids.tolist(), header, seconds) == ([3], message.header, 2.0)


def test_people_are_where_their_upper_bodies_are(monkeypatch):
    plain, moved = World(monkeypatch), World(monkeypatch)
    for world, middles in ((plain, None), (moved, np.array([350.0]))):
        world.move(10)
        world.image(10, middles=middles)
    x = [world.published[0].tracks[0].pose.pose.position.x for world in (plain, moved)]
    assert x[1] - x[0] == pytest.approx(20 / 500 * 4.085, abs=0.01)


def test_all_tracks_are_placed_to_share_ids_and_confirmed_ones_are_published(monkeypatch):
    shared = []
    world = World(monkeypatch, share=lambda *given: shared.append(given))
    world.image(10, 4.0, 6.0)
    assert not shared
    world.move(10)
    [(stamp, objects, positions)] = shared
    assert (stamp, objects.ids.tolist(), len(objects.kinds)) == (10 * STEP, [3, 8], 2)
    np.testing.assert_allclose(positions.points[:, 2], [5.085, 7.085], atol=0.02)
    [message] = world.published
    assert [track.id for track in message.tracks] == ['3']
    assert message.tracks[0].pose.pose.position.z == pytest.approx(5.085, abs=0.01)


def test_outlines_become_a_cloud_that_has_all_points():
    points = np.zeros(2, POINT)
    points[1] = (1.5, -2.0, 0.9, 2**32 - 1, 0.25)
    header = Header(frame_id='odom')
    cloud = obstacles_message(points, header)
    assert (cloud.header, cloud.height, cloud.width) == (header, 1, 2)
    assert (cloud.point_step, cloud.row_step, cloud.is_bigendian) == (20, 40, False)
    assert cloud.is_dense
    assert all(field.count == 1 for field in cloud.fields)
    values = [
        struct.unpack_from('<I' if field.datatype == PointField.UINT32 else '<f', cloud.data, at)
        for field in cloud.fields
        for at in [cloud.point_step + field.offset]
    ]
    assert [field.name for field in cloud.fields] == ['x', 'y', 'z', 'id', 'time']
    assert np.ravel(values) == pytest.approx([1.5, -2.0, 0.9, 2**32 - 1, 0.25])
    assert len(obstacles_message(points[:0], header).data) == 0


@pytest.mark.parametrize('subscribers', [0, 1])
def test_outlines_are_published_only_for_subscribers(monkeypatch, subscribers):
    world = World(monkeypatch)
    world.move(10)
    world.image(10)
    clouds = []
    publisher = SimpleNamespace(get_subscription_count=lambda: subscribers, publish=clouds.append)
    Outputs.publish_obstacles(SimpleNamespace(_obstacles=publisher), *world.obstacles[0])
    assert [cloud.width > 0 for cloud in clouds] == [True] * subscribers


def test_images_wait_for_transforms_and_keep_their_order(monkeypatch):
    world = World(monkeypatch)
    for t in (10, 11, 12):
        world.image(t)
    assert world.times == []
    world.move(10)
    assert world.times == [10]
    world.move(12)  # 11 is between the two
    assert world.times == [10, 11, 12]
    assert world.statistics.without_transform == 0
    assert world.warnings == []


def test_an_image_is_given_up_after_the_timeout_and_the_next_one_follows(monkeypatch):
    world = World(monkeypatch)
    world.move(11)
    world.image(10)  # before the first transform
    world.image(11)
    assert world.times == []
    world.now = 0.49
    world.publisher.publish_ready()
    assert world.times == []
    world.now = 0.5
    world.publisher.publish_ready()
    assert world.times == [11]
    assert world.statistics.without_transform == 1
    [warning] = world.warnings
    assert warning == (
        "an image of /image has no tracks in 'odom': the oldest transform of frame 'camera' in "
        "'odom' is 0.100 s newer than the image; waited for it 0.5 s"
    )


@pytest.mark.parametrize(
    ('image', 'words'),
    [
        ({'t': 0}, 'no stamp'),
        ({'t': 10, 'frame': ''}, 'no frame_id'),
        ({'t': 10, 'info': None}, 'no camera_info has arrived'),
        ({'t': 10, 'info': CameraInfo(height=480, width=640)}, 'focal lengths [0.0, 0.0]'),
    ],
)
def test_what_no_transform_can_help_is_given_up_at_once(monkeypatch, image, words):
    world = World(monkeypatch)
    world.move(10)
    world.image(**image)
    assert world.published == []
    assert world.statistics.without_transform == 1
    assert words in world.warnings[0]
    world.image(10)
    assert world.times == [10]


def test_without_depth_an_object_is_predicted_for_as_long_as_it_is_coasted(monkeypatch):
    world = World(monkeypatch, coast=0.3)
    for t in range(10, 20):
        world.move(t)
        world.image(t, 4.0 if t < 15 else np.nan)
    coasted = [[track.coasted for track in message.tracks] for message in world.published]
    assert coasted == 5 * [[False]] + 3 * [[True]] + 2 * [[]]


def test_the_ground_places_what_has_no_depth(monkeypatch):
    world = World(monkeypatch, ground_frame='floor')
    # The camera looks along x, 1 m above the floor.
    world.listener.transforms.add('floor', 'camera', 0, (0, 0, 1), (-0.5, 0.5, -0.5, 0.5), True)
    world.listener.transforms.add('odom', 'floor', 0, (10, 0, 0), STILL, True)
    world.image(10, np.nan)
    [track] = world.published[0].tracks
    # 80 pixels below the horizon, at a focal length of 500 pixels.
    assert track.pose.pose.position.x == pytest.approx(10 + 500 / 80 + 0.09, abs=0.01)
    assert track.pose.pose.position.z == pytest.approx(220 / 80 / 2, abs=0.01)


def test_a_reset_ends_tracks_and_forgets_what_waits(monkeypatch):
    world = World(monkeypatch)
    world.move(10)
    world.image(10)
    world.image(11)
    world.publisher.clear()
    world.move(11)
    assert world.times == [10]
    world.image(11, np.nan)
    assert world.published[-1].tracks == []
