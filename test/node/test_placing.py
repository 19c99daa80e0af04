# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What is published in 3D, counted and warned of when depth is missing or does not fit."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip('vision_msgs', reason='needs the messages')

from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.node.tracker.placing import Placing
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.structures import Tracks

STAMP = 7_000_000_001
HEADER = Header(frame_id='camera', stamp=nanoseconds_to_stamp(STAMP))
SIZE = (48, 64)
INFO = CameraInfo(height=48, width=64, k=np.array([50.0, 0, 32, 0, 50, 24, 0, 0, 1]))
TRACKS = Tracks(
    ids=np.array([1, 2, 3]),
    boxes=np.array([[10, 10, 30, 40], [0, 0, 9, 9], [40, 10, 60, 40]], np.float32),
    scores=np.full(3, 0.9, np.float32),
    labels=np.zeros(3, np.int64),
    confirmed=np.array([True, False, True]),
)


def depth(frame: str = 'camera', encoding: str = '32FC1', hole: bool = False) -> Image:
    metres = np.full(SIZE, 2.0, np.float32)
    if hole:
        metres[:, 35:] = np.nan
    return Image(
        header=Header(frame_id=frame),
        height=48,
        width=64,
        step=256,
        encoding=encoding,
        data=metres.tobytes(),
    )


class Camera:
    """Publishes the tracks once, and keeps what came of it."""

    def __init__(self, image: Image | None, info: CameraInfo | None = INFO, **options) -> None:
        self.warnings, self.published, self.metric = [], [], []
        self.statistics = CameraStatistics(without_depth=10)
        with_depth, metric = options.get('with_depth', True), options.get('metric', False)
        Placing(
            SimpleNamespace(
                topic='/image',
                camera_info=info,
                depth_at=lambda stamp: image if stamp == STAMP else None,
            ),
            with_depth,
            SimpleNamespace(add=lambda *given: self.metric.append(given)) if metric else None,
            SimpleNamespace(class_ids=lambda names: names, publish_in_3d=self.published.append),
            self.statistics,
            self.warnings.append,
            tentative=options.get('tentative', False),
        ).publish(HEADER, SIZE, TRACKS, ['person'])


def test_confirmed_objects_are_published_at_their_depth():
    camera = Camera(depth())
    [message] = camera.published
    assert [d.id for d in message.detections] == ['1', '3']
    assert [d.bbox.center.position.z for d in message.detections] == pytest.approx([2, 2])
    assert (camera.statistics.without_depth, camera.warnings) == (10, [])


def test_an_object_without_depth_is_left_out_and_counted():
    camera = Camera(depth(hole=True))
    [message] = camera.published
    assert [d.id for d in message.detections] == ['1']
    assert camera.statistics.without_depth == 11


@pytest.mark.parametrize(('image', 'info'), [(None, INFO), (depth(), None), (None, None)])
def test_without_depth_or_calibration_all_confirmed_objects_are_counted(image, info):
    camera = Camera(image, info)
    assert (camera.published, camera.statistics.without_depth) == ([], 12)


def test_depth_of_another_frame_is_used_and_warned_of():
    camera = Camera(depth(frame='depth_camera'))
    assert len(camera.published) == 1
    [warning] = camera.warnings
    assert "have the frame 'depth_camera', the images of /image have 'camera'" in warning


def test_depth_that_cannot_be_read_is_warned_of_and_counted():
    camera = Camera(depth(encoding='rgb8'))
    assert (camera.published, camera.statistics.without_depth) == ([], 12)
    [warning] = camera.warnings
    assert warning.startswith('no objects of /image in 3D: ')


def test_nothing_is_published_without_depth_images():
    camera = Camera(depth(), with_depth=False)
    assert (camera.published, camera.warnings, camera.statistics.without_depth) == ([], [], 10)


def test_tracks_in_metres_get_the_depths_if_there_are_any():
    [(header, size, tracks, names, info, depths, middles)] = Camera(depth(), metric=True).metric
    assert (header, size, tracks, names, info) == (HEADER, SIZE, TRACKS, ['person'], INFO)
    np.testing.assert_allclose(depths, [2, 2])
    np.testing.assert_allclose(middles, [20, 50])
    assert Camera(depth(), metric=True, with_depth=False).metric[0][-2:] == (None, None)
    assert Camera(None, metric=True).metric[0][-2:] == (None, None)


def test_tracks_that_are_not_confirmed_get_depths_if_asked_and_are_not_published():
    camera = Camera(depth(), metric=True, tentative=True)
    depths, middles = camera.metric[0][-2:]
    np.testing.assert_allclose(depths, [2, 2, 2])
    np.testing.assert_allclose(middles, [20, 4.5, 50], atol=0.5)
    assert [d.id for d in camera.published[0].detections] == ['1', '3']
    assert camera.statistics.without_depth == 10


@pytest.mark.parametrize('place', [0, 4])
@pytest.mark.parametrize('focal', [0.0, -50.0, 1e-320, 1e300, np.nan, np.inf])
def test_a_focal_length_that_no_camera_has_is_refused(place, focal):
    info = CameraInfo(height=48, width=64, k=INFO.k.copy())
    info.k[place] = focal
    camera = Camera(depth(), info)
    assert camera.published == []
    assert 'camera_info has the focal lengths' in camera.warnings[0]
