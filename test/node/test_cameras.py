# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS, as a robot stack has it: cameras, detectors, services, a lifecycle."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import signal

import numpy as np
from PIL import Image as Picture
import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from lifecycle_msgs.srv import GetState
from node_processes import ANSWER_SECONDS
from node_processes import Process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
from node_processes import tracker_node
from rcl_interfaces.msg import Parameter
from rcl_interfaces.msg import ParameterType
from rcl_interfaces.msg import ParameterValue
from rcl_interfaces.srv import GetParameters
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from rosgraph_msgs.msg import Clock
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
from gtr_ros.node.messages.tracks import detections_message
from gtr_ros.node.messages.tracks import nanoseconds_to_stamp
from gtr_ros.srv import SetClasses
from gtr_ros.structures import Tracks

pytestmark = pytest.mark.ros

HEIGHT, WIDTH = 96, 128
BOXES = np.array([[10, 20, 40, 80], [70, 10, 100, 60]], np.float32)
LATCHED = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)


class Robot:
    """The rest of a robot: publishes anything, keeps what comes back, calls services."""

    def __init__(self) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self.node = rclpy.create_node('robot', context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self._publishers = {}
        self.stamp = self.node.get_clock().now().nanoseconds

    def close(self) -> None:
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def spin_until(self, condition: Callable[[], bool], timeout: float = ANSWER_SECONDS) -> bool:
        deadline = self.node.get_clock().now().nanoseconds + timeout * 1e9
        while not condition() and self.node.get_clock().now().nanoseconds < deadline:
            self._executor.spin_once(timeout_sec=0.05)
        return condition()

    def listen(self, kind: type, topic: str, qos: QoSProfile | int = 10) -> list:
        """Return the list that a topic's messages will come into; its publisher is there."""
        kept = []
        self.node.create_subscription(kind, topic, kept.append, qos)
        assert self.spin_until(lambda: self.node.count_publishers(topic) > 0, START_SECONDS), topic
        return kept

    def publish(self, topic: str, message: object) -> None:
        if topic not in self._publishers:
            publisher = self.node.create_publisher(type(message), topic, 10)
            self._publishers[topic] = publisher
            assert self.spin_until(lambda: publisher.get_subscription_count() > 0), topic
        self._publishers[topic].publish(message)

    def header(self) -> Header:
        """Make the header of the next image, a tenth of a second on."""
        self.stamp += 100_000_000
        return Header(stamp=nanoseconds_to_stamp(self.stamp), frame_id='optical')

    def exchange(
        self, make: Callable[[Header], list[tuple[str, object]]], answers: list
    ) -> Detection2DArray:
        """Publish a frame's messages until its detections come: best effort may lose one."""
        for _ in range(3):
            header = self.header()
            for topic, message in make(header):
                self.publish(topic, message)
                self.spin_until(lambda: False, 0.05)
            if self.spin_until(
                lambda header=header: any(a.header == header for a in answers), ANSWER_SECONDS / 3
            ):
                assert answers[-1].header == header
                return answers[-1]
        raise AssertionError('no detections for three images')

    def call(self, kind: type, name: str, **fields: object) -> object:
        client = self.node.create_client(kind, name)
        assert self.spin_until(client.service_is_ready, START_SECONDS), name
        future = client.call_async(kind.Request(**fields))
        assert self.spin_until(future.done), f'{name} never answered'
        self.node.destroy_client(client)
        return future.result()


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@contextmanager
def robot() -> Iterator[Robot]:
    made = Robot()
    yield made
    made.close()


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def boxes_message(
    header: Header, scale: float = 1.0, name: str = 'forklift', boxes: np.ndarray = BOXES
) -> Detection2DArray:
    """Make what another detector publishes."""
    tracks = Tracks(
        ids=np.array([7, 8]),
        boxes=boxes * np.float32(scale),
        scores=np.array([0.9, 0.8], np.float32),
        labels=np.array([0, 0]),
        confirmed=np.array([True, True]),
    )
    return detections_message(tracks, header, [name])


def corners(message: Detection2DArray) -> np.ndarray:
    return np.array(
        [
            [
                d.bbox.center.position.x - d.bbox.size_x / 2,
                d.bbox.center.position.y - d.bbox.size_y / 2,
                d.bbox.center.position.x + d.bbox.size_x / 2,
                d.bbox.center.position.y + d.bbox.size_y / 2,
            ]
            for d in message.detections
        ]
    )


@pytest.fixture(scope='module')
def other_detector() -> Iterator[tuple[Process, Robot, list[Detection2DArray]]]:
    """Run a node that tracks another detector's boxes, found in an image of half the size."""
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
        yield node, user, user.listen(Detection2DArray, '/tracker/detections')


def exchange(user: Robot, answers: list, boxes_first: bool = False) -> Detection2DArray:
    """Send an image and its boxes; return what comes back."""

    def messages(header: Header) -> list[tuple[str, object]]:
        made = [
            ('/image', array_to_image(picture(), header)),
            ('/boxes', boxes_message(header, 0.5)),
        ]
        return made[::-1] if boxes_first else made

    return user.exchange(messages, answers)


def test_another_detectors_boxes_get_ids_that_stay_in_the_cameras_pixels(other_detector):
    _, user, answers = other_detector
    first, second = exchange(user, answers), exchange(user, answers, boxes_first=True)
    for message in (first, second):
        np.testing.assert_allclose(corners(message), BOXES, atol=1e-3)
        assert [d.results[0].hypothesis.class_id for d in message.detections] == ['0', '0']
        np.testing.assert_allclose(
            [d.results[0].hypothesis.score for d in message.detections], [0.9, 0.8], atol=1e-6
        )
    assert [d.id for d in first.detections] == [d.id for d in second.detections] == ['1', '2']


def test_an_image_without_boxes_is_counted_and_the_next_one_is_tracked(other_detector):
    _, user, answers = other_detector
    user.publish('/image', array_to_image(picture(), user.header()))
    assert len(exchange(user, answers).detections) == 2
    user.publish('/boxes', boxes_message(user.header(), float('nan')))
    user.publish('/image', array_to_image(picture(), user.header()))
    assert len(exchange(user, answers).detections) == 2


def test_a_box_that_is_no_number_is_refused_by_name(other_detector):
    node, user, answers = other_detector
    header = user.header()
    user.publish('/image', array_to_image(picture(), header))
    user.publish('/boxes', boxes_message(header, float('nan')))
    node.wait_for_output('detection 0 has the box [nan', ANSWER_SECONDS)
    assert len(exchange(user, answers).detections) == 2


def test_labels_and_method_are_told_to_those_who_come_later(other_detector):
    _, user, answers = other_detector
    exchange(user, answers)
    labels = user.listen(LabelInfo, '/tracker/label_info', LATCHED)
    assert user.spin_until(lambda: labels)
    assert [(c.class_id, c.class_name) for c in labels[-1].class_map] == [(0, 'forklift')]
    assert labels[-1].threshold == pytest.approx(0.4)
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    changes = [Parameter(name='score_threshold', value=value)]
    [result] = user.call(SetParameters, '/tracker/set_parameters', parameters=changes).results
    assert result.successful
    assert user.spin_until(lambda: labels[-1].threshold == pytest.approx(0.5))
    about = user.listen(VisionInfo, '/tracker/vision_info', LATCHED)
    assert user.spin_until(lambda: about)
    assert 'another detector' in about[-1].method
    assert about[-1].database_location == '/tracker/label_info'


def test_outlines_and_times_are_published(other_detector):
    _, user, answers = other_detector
    markers = user.listen(ImageMarker, '/tracker/image_marker')
    times = user.listen(Float64, '/tracker/debug/processing_time_ms')
    ages = user.listen(Float64, '/tracker/debug/pipeline_latency_ms')
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


def test_who_comes_back_after_minutes_is_known_again_and_it_is_told():
    image = np.array(Picture.open('docs/demo.jpg').convert('RGB').resize((640, 480)))
    people = np.array([[449, 225, 480, 301], [249, 147, 274, 207]], np.float32)

    with (
        tracker_node('__ns:=/back', threads=1, detections_topic='boxes') as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /back/image')
        answers = user.listen(Detection2DArray, '/back/tracker/detections')
        paths = user.listen(TrajectoryArray, '/back/tracker/trajectories')
        reports = user.listen(DiagnosticArray, '/diagnostics')

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

        def told() -> dict[str, str]:
            values = [v for r in reports for s in r.status if 'back' in s.name for v in s.values]
            return {value.key: value.value for value in values}

        assert user.spin_until(lambda: told().get('returns') == '2')
        assert told()['last_return'].startswith('id ')


def test_reset_gives_new_ids_and_never_old_ones(other_detector):
    _, user, answers = other_detector
    old = [int(d.id) for d in exchange(user, answers).detections]
    answer = user.call(Trigger, '/tracker/reset')
    assert answer.success
    new = [int(d.id) for d in exchange(user, answers).detections]
    assert min(new) > max(old)


def test_a_disabled_node_is_silent_and_tracks_again_when_enabled(other_detector):
    _, user, answers = other_detector
    before = [d.id for d in exchange(user, answers).detections]
    assert user.call(SetBool, '/tracker/enable', data=False).success
    count, header = len(answers), user.header()
    user.publish('/image', array_to_image(picture(), header))
    user.publish('/boxes', boxes_message(header, 0.5))
    assert not user.spin_until(lambda: len(answers) > count, 1.5)
    assert user.call(SetBool, '/tracker/enable', data=True).success
    assert [d.id for d in exchange(user, answers).detections] == before


def test_the_classes_can_be_chosen_while_it_runs(other_detector):
    _, user, answers = other_detector
    assert user.call(SetClasses, '/tracker/set_classes', class_names=['pallet']).success
    [value] = user.call(GetParameters, '/tracker/get_parameters', names=['class_names']).values
    assert list(value.string_array_value) == ['pallet']
    assert not exchange(user, answers).detections
    assert user.call(SetClasses, '/tracker/set_classes', class_names=[]).success
    assert len(exchange(user, answers).detections) == 2


def test_cameras_share_a_model_and_have_topics_and_ids_of_their_own():
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
            name: user.listen(Detection2DArray, f'/pair/tracker/{name}/detections')
            for name in ('front', 'left')
        }
        drawn = user.listen(CompressedImage, '/pair/tracker/left/debug_image/compressed')

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
        header = user.header()
        broken = CompressedImage(header=header, format='jpeg')
        user.publish('/pair/front/image/compressed', broken)
        user.publish('/pair/front/boxes', boxes_message(header))
        node.wait_for_output('skipped an image of /pair/front/image/compressed', ANSWER_SECONDS)
        assert len(send('left').detections) == 2
        assert len(send('front').detections) == 2


def test_a_lifecycle_manager_takes_the_node_through_every_transition():
    def change(to: int) -> bool:
        transition = Transition(id=to)
        return user.call(
            ChangeState, '/managed/tracker/change_state', transition=transition
        ).success

    def state() -> int:
        return user.call(GetState, '/managed/tracker/get_state').current_state.id

    with (
        tracker_node(
            '__ns:=/managed', checkpoint='/nowhere.pth', threads=1, autostart='false'
        ) as node,
        robot() as user,
    ):
        assert state() == State.PRIMARY_STATE_UNCONFIGURED
        for _ in range(2):
            assert not change(Transition.TRANSITION_CONFIGURE)
            node.wait_for_output('cannot configure: there are no weights at /nowhere.pth')
            assert state() == State.PRIMARY_STATE_UNCONFIGURED
    with (
        tracker_node(
            '__ns:=/managed',
            checkpoint='random',
            threads=1,
            autostart='false',
        ) as node,
        robot() as user,
    ):
        for _ in range(2):
            assert change(Transition.TRANSITION_CONFIGURE)
            assert change(Transition.TRANSITION_ACTIVATE)
            assert state() == State.PRIMARY_STATE_ACTIVE
            answers = user.listen(Detection2DArray, '/managed/tracker/detections')
            publisher_ready = user.node.count_subscribers
            assert user.spin_until(lambda ready=publisher_ready: ready('/managed/image') == 1)
            user.publish('/managed/image', array_to_image(picture(), user.header()))
            assert user.spin_until(lambda kept=answers: kept)
            assert change(Transition.TRANSITION_DEACTIVATE)
            assert user.spin_until(lambda ready=publisher_ready: ready('/managed/image') == 0)
            assert change(Transition.TRANSITION_CLEANUP)
            assert user.spin_until(
                lambda: user.node.count_publishers('/managed/tracker/detections') == 0
            )
        assert change(Transition.TRANSITION_UNCONFIGURED_SHUTDOWN)
        assert state() == State.PRIMARY_STATE_FINALIZED
        node.send(signal.SIGINT)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


def test_with_simulated_time_a_clock_that_jumps_back_begins_new_ids():
    def is_forgotten() -> bool:
        return 'every track was forgotten' in node.output

    with (
        tracker_node(
            '__ns:=/simulated', checkpoint='random', threads=1, use_sim_time='true'
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /simulated/image')
        # A recording played over and over, as its clock may lose ticks: best effort.
        for tick in range(int(10 * ANSWER_SECONDS)):
            now = nanoseconds_to_stamp((1 + tick % 10) * 1_000_000_000)
            user.publish('/clock', Clock(clock=now))
            if user.spin_until(is_forgotten, 0.1):
                break
        assert is_forgotten(), node.output


def test_objects_are_placed_in_space_by_an_aligned_depth_image():
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
        flat = user.listen(Detection2DArray, '/space/tracker/detections')
        solid = user.listen(Detection3DArray, '/space/tracker/detections_3d')
        markers = user.listen(MarkerArray, '/space/tracker/markers')
        # What is published before both sides know each other is lost: 3D needs all four.
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
            # A pixel of the calibration's middle is half a pixel of a box.
            tolerance = metres / focal
            assert centre.x == pytest.approx(((x1 + x2 - WIDTH) / 2) * tolerance, abs=tolerance)
            assert centre.y == pytest.approx(((y1 + y2 - HEIGHT) / 2) * tolerance, abs=tolerance)
            assert size.x == pytest.approx((x2 - x1) * tolerance, rel=0.01)
            assert size.y == pytest.approx((y2 - y1) * tolerance, rel=0.01)
        before = len(flat)
        said = info.k[0]
        info.k[0] = 0.0  # not calibrated: said, and the 2D goes on
        user.exchange(messages, flat)
        info.k[0] = said
        assert len(flat) > before
        node.wait_for_output('no objects of /space/image in 3D: camera_info has', ANSWER_SECONDS)
        assert markers[-1].markers[0].action == Marker.DELETEALL
        assert len(markers[-1].markers) == 1 + 2 * len(BOXES)


def test_a_camera_whose_qos_does_not_fit_is_named_with_its_qos():
    with (
        tracker_node(
            '__ns:=/strict',
            checkpoint='random',
            threads=1,
            **{'qos_overrides./strict/image.subscription.reliability': 'reliable'},
        ) as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /strict/image')
        qos = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
        user.node.create_publisher(Image, '/strict/image', qos)
        said = "/robot's QoS (BEST_EFFORT, VOLATILE) does not fit this subscription (RELIABLE"
        # At first the graph may not know yet who it is.
        assert user.spin_until(lambda: said in node.output), node.output
