# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What the node says about itself: why nothing arrives, and not the same thing all the time."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import Image

from gtr_ros.node.tracker.diagnostics import CameraReport
from gtr_ros.node.tracker.diagnostics import explain_silence
from gtr_ros.node.tracker.diagnostics import Throttle
from gtr_ros.node.tracker.inputs import Arrivals
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.pipeline import Events
from gtr_ros.node.tracker.steps import Camera
from gtr_ros.node.tracker.steps import STAGES
from gtr_ros.node.tracker.worker import Counts
from gtr_ros.profiling import Profiler
from gtr_ros.tracking.recognition import Return

IMAGE = 'sensor_msgs/msg/Image'
BEST_EFFORT = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=QoSReliabilityPolicy.RELIABLE)


def publisher(topic_type: str = IMAGE, qos: QoSProfile = RELIABLE) -> SimpleNamespace:
    return SimpleNamespace(
        node_name='camera', node_namespace='/robot', topic_type=topic_type, qos_profile=qos
    )


def silence(topic: str, qos: QoSProfile, publishers: list) -> str:
    subscription = SimpleNamespace(topic_name=topic, qos_profile=qos, msg_type=Image)
    return explain_silence('image', subscription, publishers, 'Is it remapped?')


def test_a_topic_without_publishers_is_named_with_the_way_out():
    text = silence('/robot/image', BEST_EFFORT, [])
    assert 'no image on /robot/image: nobody publishes sensor_msgs/msg/Image there' in text
    assert text.endswith('Is it remapped?')


def test_a_publisher_whose_reliability_does_not_fit_is_named_with_both_profiles():
    text = silence('/image', RELIABLE, [publisher(qos=BEST_EFFORT)])
    assert '/image, publishers there: 1' in text
    assert "/robot/camera's QoS (BEST_EFFORT, VOLATILE)" in text
    assert 'this subscription (RELIABLE, VOLATILE)' in text


def test_a_publisher_of_another_type_is_named_with_its_type():
    text = silence('/image', BEST_EFFORT, [publisher('sensor_msgs/msg/CompressedImage')])
    assert '/robot/camera publishes sensor_msgs/msg/CompressedImage there' in text


@pytest.mark.parametrize('qos', [RELIABLE, BEST_EFFORT])
def test_publishers_that_fit_are_said_to_send_nothing(qos):
    text = silence('/image', BEST_EFFORT, [publisher(qos=qos), publisher()])
    assert '/image, publishers there: 2' in text
    assert 'send nothing' in text
    assert "'s QoS" not in text


def test_messages_that_differ_in_numbers_are_one_kind_and_come_once_in_a_while():
    throttle = Throttle(5.0)
    assert throttle.admits('10 bytes are too few', 0.0)
    assert not throttle.admits('12 bytes are too few', 4.9)
    assert throttle.admits('another thing', 4.9)
    assert throttle.admits('9 bytes are too few', 5.0)


def test_many_kinds_of_messages_do_not_fill_the_memory():
    throttle = Throttle(5.0)
    for i in range(10_000):
        throttle.admits(f'kind {"x" * (i % 500)}{"y" * (i // 500)}', 0.0)
    assert len(throttle._times) <= 64


def report(events: Events, **camera: object) -> dict[str, str]:
    """Return the values of a camera whose tracks this became of."""
    inputs = SimpleNamespace(topic='/image', unmatched=0, arrivals=Arrivals())
    worker = SimpleNamespace(counts={'': Counts()}, dropped=lambda _: 0)
    pipeline = SimpleNamespace(
        events=lambda _: events, place='cpu', association='none', device_megabytes=''
    )
    camera = Camera(inputs, None, **camera)
    made = CameraReport('', camera, worker, pipeline, Profiler(STAGES, enabled=False))
    status, warning = made.make('tracker', NodeParameters(), enabled=True)
    assert (status.level, warning) == (DiagnosticStatus.OK, '')
    return {value.key: value.value for value in status.values}


def test_stamps_that_were_wrong_and_who_came_back_are_told():
    back = Return(row=0, began=40, id=12, away=45.23)
    values = report(Events(1, 7, 3, back), without_stamp=5)
    assert values['resets'] == '1'
    assert (values['repaired_stamps'], values['without_stamp']) == ('7', '5')
    assert (values['returns'], values['last_return']) == ('3', 'id 12 after 45.2 s')
    values = report(Events())
    assert (values['repaired_stamps'], values['without_stamp']) == ('0', '0')
    assert (values['returns'], values['last_return']) == ('0', '')
