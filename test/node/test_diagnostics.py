# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The diagnostics of a camera, the reasons why nothing arrives, and the throttle of messages."""

from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile
from rclpy.qos import QoSReliabilityPolicy
from sensor_msgs.msg import Image

from gtr_ros.node.throttle import Throttle
from gtr_ros.node.topics import explain_silence
from gtr_ros.node.tracker.camera import STAGES
from gtr_ros.node.tracker.diagnostics import CameraReport
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.profiling import Profiler
from gtr_ros.tracking.reidentification import Reidentification

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


def test_a_topic_without_publishers_is_named_with_the_hint():
    text = silence('/robot/image', BEST_EFFORT, [])
    assert 'no image on /robot/image: no node publishes sensor_msgs/msg/Image there' in text
    assert text.endswith('Is it remapped?')


def test_a_publisher_with_incompatible_reliability_is_named_with_both_profiles():
    text = silence('/image', RELIABLE, [publisher(qos=BEST_EFFORT)])
    assert '/image, publishers there: 1' in text
    assert "/robot/camera's QoS (BEST_EFFORT, VOLATILE)" in text
    assert 'this subscription (RELIABLE, VOLATILE)' in text


def test_a_publisher_of_another_type_is_named_with_its_type():
    text = silence('/image', BEST_EFFORT, [publisher('sensor_msgs/msg/CompressedImage')])
    assert '/robot/camera publishes sensor_msgs/msg/CompressedImage there' in text


@pytest.mark.parametrize('qos', [RELIABLE, BEST_EFFORT])
def test_compatible_publishers_are_said_to_send_nothing(qos):
    text = silence('/image', BEST_EFFORT, [publisher(qos=qos), publisher()])
    assert '/image, publishers there: 2' in text
    assert 'nothing is sent' in text
    assert 'docs/troubleshooting.md' in text
    assert "'s QoS" not in text


def test_messages_that_differ_only_in_numbers_are_admitted_once_per_period():
    throttle = Throttle(5.0)
    assert throttle.admits('10 bytes are too few', 0.0)
    assert not throttle.admits('12 bytes are too few', 4.9)
    assert throttle.admits('another thing', 4.9)
    assert throttle.admits('9 bytes are too few', 5.0)


def test_a_message_that_goes_on_is_admitted_less_and_less_often():
    throttle = Throttle(5.0, most=30.0)
    admitted = [t for t in range(150) if throttle.admits(f'no image for {t} s', t)]
    assert admitted == [0, 5, 15, 35, 65, 95, 125]
    # After a pause it is news.
    assert throttle.admits('no image for 1 s', 170)
    assert not throttle.admits('no image for 4 s', 174)
    assert throttle.admits('no image for 5 s', 175)


def test_the_throttle_remembers_a_limited_number_of_kinds():
    throttle = Throttle(5.0)
    for i in range(10_000):
        throttle.admits(f'kind {"x" * (i % 500)}{"y" * (i // 500)}', 0.0)
    assert len(throttle) <= 64


def make_report(parameters: NodeParameters, **statistics: object) -> tuple[DiagnosticStatus, str]:
    """Return the diagnostics of a camera with these statistics, and the warning to log."""
    camera = SimpleNamespace(
        name='',
        inputs=SimpleNamespace(topic='/image'),
        statistics=CameraStatistics(**statistics),
        update_statistics=lambda: None,
    )
    pipeline = SimpleNamespace(place='cpu', association='none', device_megabytes='')
    made = CameraReport(camera, pipeline, Profiler(STAGES, enabled=False))
    return made.make('tracker', parameters, enabled=True)


def report(**statistics: object) -> dict[str, str]:
    status, warning = make_report(NodeParameters(), **statistics)
    assert (status.level, warning) == (DiagnosticStatus.OK, '')
    return {value.key: value.value for value in status.values}


def test_repaired_stamps_and_returns_are_reported():
    last_return = Reidentification(row=0, provisional_id=40, id=12, away=45.23)
    values = report(
        resets=1, repaired_stamps=7, returns=3, last_return=last_return, without_stamp=5
    )
    assert values['resets'] == '1'
    assert (values['repaired_stamps'], values['without_stamp']) == ('7', '5')
    assert (values['returns'], values['last_return']) == ('3', 'id 12 after 45.2 s')
    values = report()
    assert (values['repaired_stamps'], values['without_stamp']) == ('0', '0')
    assert (values['returns'], values['last_return']) == ('0', '')


def test_lost_images_are_warned_of_with_the_profile_of_fast_dds(monkeypatch):
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    monkeypatch.delenv('FASTRTPS_DEFAULT_PROFILES_FILE', raising=False)
    monkeypatch.delenv('FASTDDS_DEFAULT_PROFILES_FILE', raising=False)
    status, warning = make_report(NodeParameters(), received=12, lost=138)
    assert status.level == DiagnosticStatus.WARN
    assert status.message == warning
    assert '138 of 150 images of /image were lost' in warning
    assert 'config/fastdds_large_images.xml' in warning
    assert {'lost': '138'}.items() <= {v.key: v.value for v in status.values}.items()


def test_images_that_were_skipped_or_dropped_are_not_lost():
    report(received=300, skipped=200, dropped=50, publisher_rate=30.0)


def test_images_missing_between_stamps_are_shown_but_only_losses_are_warned_of():
    values = report(received=300, lost=0, publisher_rate=60.0, missing=0.5)
    assert (values['publisher_rate_hz'], values['missing_percent']) == ('60.00', '50')


def test_without_a_count_of_losses_the_stamps_decide():
    values = {'lost': None, 'publisher_rate': 30.0}
    report(missing=0.1, **values)
    status, warning = make_report(NodeParameters(), missing=0.7, **values)
    assert status.level == DiagnosticStatus.WARN
    assert '70 % of the images of /image do not arrive' in warning
    assert '30.0 images/s' in warning
