# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS, as on a robot: several cameras, other detectors, services, depth."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from copy import deepcopy

import numpy as np
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from node_processes import ANSWER_SECONDS
from node_processes import Process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import tracker_node
from rcl_interfaces.msg import Parameter
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParameters
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from robot import BOXES
from robot import boxes_message
from robot import corners
from robot import HEIGHT
from robot import picture
from robot import Robot
from robot import robot
from robot import WIDTH
from sensor_msgs.msg import CameraInfo
from sensor_msgs.msg import CompressedImage
from sensor_msgs.msg import Image
from std_msgs.msg import Float64
from std_msgs.msg import Header
from std_srvs.srv import SetBool
from std_srvs.srv import Trigger
from vision_msgs.msg import Detection2DArray
from vision_msgs.msg import Detection3DArray
from vision_msgs.msg import LabelInfo
from vision_msgs.msg import VisionInfo
from visualization_msgs.msg import ImageMarker
from visualization_msgs.msg import Marker
from visualization_msgs.msg import MarkerArray

from gtr_ros.media.drawing import colour_of
from gtr_ros.msg import TrajectoryArray
from gtr_ros.node.messages.images import array_to_image
from gtr_ros.node.messages.images import compress
from gtr_ros.srv import SetClasses

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.fixture(scope='module')
def other_detector() -> Iterator[tuple[Process, Robot, list[Detection2DArray]]]:
    """Run a node that tracks another detector's boxes in an image of half the size."""
    with (
        tracker_node(
            checkpoint='random',
            min_hits=1,
            threads=1,
            detections_topic='boxes',
            detections_width=WIDTH // 2,
            detections_height=HEIGHT // 2,
            class_id_format='index',
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /image')
        yield node, user, user.subscribe(Detection2DArray, '/tracker/detections')


def exchange(user: Robot, answers: list, boxes_first: bool = False) -> Detection2DArray:
    """Publish an image and its boxes; return the detections."""

    def messages(header: Header) -> list[tuple[str, object]]:
        made = [
            ('/image', array_to_image(picture(), header)),
            ('/boxes', boxes_message(header, 0.5)),
        ]
        return made[::-1] if boxes_first else made

    return user.exchange(messages, answers)


def test_another_detectors_boxes_get_stable_ids_in_the_cameras_pixels(other_detector):
    _, user, answers = other_detector
    first, second = exchange(user, answers), exchange(user, answers, boxes_first=True)
    for message in (first, second):
        np.testing.assert_allclose(corners(message), BOXES, atol=1e-3)
        assert [d.results[0].hypothesis.class_id for d in message.detections] == ['0', '0']
        np.testing.assert_allclose(
            [d.results[0].hypothesis.score for d in message.detections], [0.9, 0.8], atol=1e-6
        )
    ids = [[d.id for d in message.detections] for message in (first, second)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 2


def test_an_image_without_boxes_is_counted_and_the_next_one_is_tracked(other_detector):
    _, user, answers = other_detector
    user.publish('/image', array_to_image(picture(), user.header()))
    assert len(exchange(user, answers).detections) == 2
    user.publish('/boxes', boxes_message(user.header(), float('nan')))
    user.publish('/image', array_to_image(picture(), user.header()))
    assert len(exchange(user, answers).detections) == 2


def test_a_box_that_is_not_finite_is_refused_with_its_index(other_detector):
    node, user, answers = other_detector

    def is_refused() -> bool:
        header = user.header()
        user.publish('/image', array_to_image(picture(), header))
        user.publish('/boxes', boxes_message(header, float('nan')))
        return 'detection 0 has the box [nan' in node.output

    assert user.spin_until(is_refused), node.output
    assert len(exchange(user, answers).detections) == 2


def test_labels_and_method_are_latched(other_detector):
    _, user, answers = other_detector
    exchange(user, answers)
    labels = user.subscribe(LabelInfo, '/tracker/label_info', LATCHED)
    assert user.spin_until(lambda: labels)
    assert [(c.class_id, c.class_name) for c in labels[-1].class_map] == [(0, 'forklift')]
    assert labels[-1].threshold == pytest.approx(0.4)
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    changes = [Parameter(name='score_threshold', value=value)]
    [result] = user.call(SetParameters, '/tracker/set_parameters', parameters=changes).results
    assert result.successful
    assert user.spin_until(lambda: labels[-1].threshold == pytest.approx(0.5))
    about = user.subscribe(VisionInfo, '/tracker/vision_info', LATCHED)
    assert user.spin_until(lambda: about)
    assert 'another detector' in about[-1].method
    assert about[-1].database_location == '/tracker/label_info'


def test_image_markers_and_times_are_published(other_detector):
    _, user, answers = other_detector
    markers = user.subscribe(ImageMarker, '/tracker/image_marker')
    times = user.subscribe(Float64, '/tracker/debug/processing_time_ms')
    ages = user.subscribe(Float64, '/tracker/debug/pipeline_latency_ms')
    for _ in range(3):
        message = exchange(user, answers)
    assert user.spin_until(lambda: markers and times and ages)
    marker = markers[-1]
    assert (marker.type, marker.action) == (ImageMarker.LINE_LIST, ImageMarker.ADD)
    assert len(marker.points) == 2 * len(marker.outline_colors) == 8 * len(message.detections)
    np.testing.assert_allclose([marker.points[0].x, marker.points[0].y], BOXES[0, :2], atol=1e-3)
    colour = marker.outline_colors[0]
    np.testing.assert_allclose(
        [colour.r, colour.g, colour.b],
        np.array(colour_of(int(message.detections[0].id))) / 255,
        atol=1e-6,
    )
    assert times[-1].data > 0
    assert np.isfinite(ages[-1].data)


def test_a_detector_whose_stamps_are_a_millisecond_off_is_told_by_how_much():
    with (
        tracker_node(
            '__ns:=/off', checkpoint='random', threads=1, detections_topic='boxes'
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /off/image')

        def is_told() -> bool:
            header = user.header()
            late = deepcopy(header)
            late.stamp.nanosec += 1_000_000 if late.stamp.nanosec < 998_000_000 else -1_000_000
            user.publish('/off/image', array_to_image(picture(), header))
            user.publish('/off/boxes', boxes_message(late))
            return 'their stamps differ by 0.001 s or more' in node.output

        assert user.spin_until(is_told, START_SECONDS)
        assert 'or set detections_slop' in node.output


def test_an_object_that_returns_after_minutes_is_reidentified_and_reported():
    image = np.array(Picture.open('docs/demo.jpg').convert('RGB').resize((640, 480)))
    people = np.array([[449, 225, 480, 301], [249, 147, 274, 207]], np.float32)

    with (
        tracker_node('__ns:=/back', threads=1, detections_topic='boxes') as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /back/image: boxes of boxes, features of model mobile')
        answers = user.subscribe(Detection2DArray, '/back/tracker/detections')
        paths = user.subscribe(TrajectoryArray, '/back/tracker/trajectories')
        reports = user.subscribe(DiagnosticArray, '/diagnostics')

        def see(seen: bool) -> Detection2DArray:
            return user.exchange(
                lambda header: [
                    ('/back/image', array_to_image(image, header)),
                    (
                        '/back/boxes',
                        boxes_message(header, name='person', boxes=people)
                        if seen
                        else Detection2DArray(header=header),
                    ),
                ],
                answers,
            )

        for _ in range(6):
            first = see(True)
        ids = [d.id for d in first.detections]
        assert len(ids) == 2
        see(False)
        user.stamp += 120_000_000_000
        see(False)
        for _ in range(12):
            again = see(True)
        assert [d.id for d in again.detections] == ids
        assert user.spin_until(lambda: paths and paths[-1].header == again.header)
        for trajectory in paths[-1].trajectories:
            assert trajectory.away == pytest.approx(120, abs=5)

        def reported() -> dict[str, str]:
            values = [v for r in reports for s in r.status if 'back' in s.name for v in s.values]
            return {value.key: value.value for value in values}

        assert user.spin_until(lambda: reported().get('returns') == '2')
        assert reported()['last_return'].startswith('id ')


def test_after_a_reset_all_ids_are_new(other_detector):
    _, user, answers = other_detector
    old = [int(d.id) for d in exchange(user, answers).detections]
    answer = user.call(Trigger, '/tracker/reset')
    assert answer.success
    new = [int(d.id) for d in exchange(user, answers).detections]
    assert min(new) > max(old)


def test_a_disabled_node_publishes_nothing_until_it_is_enabled(other_detector):
    _, user, answers = other_detector
    before = [d.id for d in exchange(user, answers).detections]
    assert user.call(SetBool, '/tracker/enable', data=False).success
    count, header = len(answers), user.header()
    user.publish('/image', array_to_image(picture(), header))
    user.publish('/boxes', boxes_message(header, 0.5))
    assert not user.spin_until(lambda: len(answers) > count, 1.5)
    assert user.call(SetBool, '/tracker/enable', data=True).success
    assert [d.id for d in exchange(user, answers).detections] == before


def test_classes_can_be_changed_while_the_node_runs(other_detector):
    _, user, answers = other_detector
    assert user.call(SetClasses, '/tracker/set_classes', class_names=['pallet']).success
    [value] = user.call(GetParameters, '/tracker/get_parameters', names=['class_names']).values
    assert list(value.string_array_value) == ['pallet']
    assert not exchange(user, answers).detections
    assert user.call(SetClasses, '/tracker/set_classes', class_names=[]).success
    assert len(exchange(user, answers).detections) == 2


def test_cameras_share_a_model_and_have_separate_topics_and_ids():
    with (
        tracker_node(
            '__ns:=/pair',
            checkpoint='random',
            threads=1,
            min_hits=1,
            cameras='[front, left]',
            image_transport='compressed',
            detections_topic='boxes',
        ) as node,
        robot() as user,
    ):
        node.wait_for_output(
            'tracking on /pair/front/image/compressed, /pair/left/image/compressed'
        )
        found = {
            name: user.subscribe(Detection2DArray, f'/pair/tracker/{name}/detections')
            for name in ('front', 'left')
        }
        drawn = user.subscribe(CompressedImage, '/pair/tracker/left/debug_image/compressed')

        def send(name: str) -> Detection2DArray:
            return user.exchange(
                lambda header: [
                    (f'/pair/{name}/image/compressed', compress(picture(), header)),
                    (f'/pair/{name}/boxes', boxes_message(header)),
                ],
                found[name],
            )

        for _ in range(2):
            for name in ('front', 'left'):
                message = send(name)
                assert [d.id for d in message.detections] == ['1', '2']
                assert message.detections[0].results[0].hypothesis.class_id == 'forklift'
        assert user.spin_until(lambda: drawn)
        assert drawn[-1].format.startswith('rgb8; jpeg')

        def is_skipped() -> bool:
            header = user.header()
            broken = CompressedImage(header=header, format='jpeg')
            user.publish('/pair/front/image/compressed', broken)
            user.publish('/pair/front/boxes', boxes_message(header))
            return 'skipped an image of /pair/front/image/compressed' in node.output

        assert user.spin_until(is_skipped), node.output
        assert len(send('left').detections) == 2
        assert len(send('front').detections) == 2


def test_objects_are_placed_in_3d_by_an_aligned_depth_image():
    focal, metres = 100.0, 2.0
    info = CameraInfo(
        width=WIDTH,
        height=HEIGHT,
        k=np.array([focal, 0, WIDTH / 2, 0, focal, HEIGHT / 2, 0, 0, 1]),
    )
    millimetres = np.full((HEIGHT, WIDTH), 1000 * metres, '<u2')
    data = array('B', millimetres.tobytes())

    def messages(header: Header) -> list[tuple[str, object]]:
        info.header = header
        depth = Image(
            header=header,
            height=HEIGHT,
            width=WIDTH,
            encoding='16UC1',
            step=2 * WIDTH,
            data=data,
        )
        return [
            ('/space/camera_info', info),
            ('/space/depth', depth),
            ('/space/image', array_to_image(picture(), header)),
            ('/space/boxes', boxes_message(header)),
        ]

    with (
        tracker_node(
            '__ns:=/space',
            checkpoint='random',
            threads=1,
            min_hits=1,
            depth='true',
            detections_topic='boxes',
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /space/image')
        flat = user.subscribe(Detection2DArray, '/space/tracker/detections')
        solid = user.subscribe(Detection3DArray, '/space/tracker/detections_3d')
        markers = user.subscribe(MarkerArray, '/space/tracker/markers')
        # Messages are lost until all subscriptions are matched, and 3D needs all four topics.
        for _ in range(3):
            user.exchange(messages, flat)
            if user.spin_until(lambda: solid and markers, 2.0):
                break
        assert solid
        assert markers
        message = solid[-1]
        [expected] = [m for m in flat if m.header == message.header]
        assert [d.id for d in message.detections] == [d.id for d in expected.detections]
        for detection, (x1, y1, x2, y2) in zip(message.detections, BOXES):
            centre, size = detection.bbox.center.position, detection.bbox.size
            assert centre.z == pytest.approx(metres, rel=0.01)
            # Calibrations count from the centre of a pixel, boxes from its edge.
            tolerance = metres / focal
            assert centre.x == pytest.approx(((x1 + x2 - WIDTH) / 2) * tolerance, abs=tolerance)
            assert centre.y == pytest.approx(((y1 + y2 - HEIGHT) / 2) * tolerance, abs=tolerance)
            assert size.x == pytest.approx((x2 - x1) * tolerance, rel=0.01)
            assert size.y == pytest.approx((y2 - y1) * tolerance, rel=0.01)
        before = len(flat)
        focal_length = info.k[0]
        info.k[0] = 0.0  # not calibrated: logged, and 2D detections continue
        user.exchange(messages, flat)
        info.k[0] = focal_length
        assert len(flat) > before
        node.wait_for_output('no objects of /space/image in 3D: camera_info has', ANSWER_SECONDS)
        assert markers[-1].markers[0].action == Marker.DELETEALL
        assert len(markers[-1].markers) == 1 + 2 * len(BOXES)
