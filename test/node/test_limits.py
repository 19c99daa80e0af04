# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node's pure parts at their limits: counters, thresholds, messages, arguments."""

from __future__ import annotations

from dataclasses import asdict
from dataclasses import fields
import math
from types import SimpleNamespace

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile

from gtr_ros.node import topics
from gtr_ros.node.arguments import is_typo
from gtr_ros.node.arguments import suggestion
from gtr_ros.node.throttle import shorten
from gtr_ros.node.throttle import Throttle
from gtr_ros.node.tracker import diagnostics
from gtr_ros.node.tracker.diagnostics import CameraReport
from gtr_ros.node.tracker.mailbox import Mailbox
from gtr_ros.node.tracker.missing import Arrivals
from gtr_ros.node.tracker.missing import LostImages
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.tracker.statistics import CameraStatistics
from gtr_ros.node.usage import tracker_usage
from gtr_ros.node.usage import video_parser
from gtr_ros.options import check
from gtr_ros.options import ConfigurationError
from gtr_ros.profiling import Profiler

SECOND = 1_000_000_000


def test_a_short_text_is_kept_and_a_long_one_loses_its_middle():
    assert shorten('a' * 500) == 'a' * 500
    assert shorten('a' * 300 + 'b' * 301) == (f'{"a" * 250} [101 characters left out] {"b" * 250}')
    assert shorten('abcdef', most=4) == 'ab [2 characters left out] ef'


def test_a_message_is_new_after_exactly_twice_the_period():
    throttle = Throttle(5.0)
    assert throttle.admits('late', 0.0)
    assert throttle.admits('late', 5.0)
    assert throttle.admits('late', 15.0)  # 10 seconds after the last: new, and due
    assert not throttle.admits('late', 19.9)  # of 5 seconds again, not 20
    assert throttle.admits('late', 20.0)


def test_the_depth_of_a_qos_is_limited():
    check = topics.overridable(QoSProfile(depth=3))['qos_overriding_options'].callback
    assert check(QoSProfile(depth=100_000)).successful
    assert check(QoSProfile(depth=1)).successful
    assert check(SimpleNamespace(depth=0)).successful
    assert not check(SimpleNamespace(depth=-1)).successful
    refused = check(QoSProfile(depth=100_001))
    assert not refused.successful
    assert refused.reason == 'depth is 100001; expected 0 to 100000'


def test_each_publisher_has_a_profile_of_its_own():
    qos = QoSProfile(depth=3)
    given = topics.overridable(qos)['qos_profile']
    given.depth = 7
    assert qos.depth == 3


@pytest.mark.parametrize('text', ["Invalid value for QoS override 'x'", 'something else'])
def test_only_errors_of_overrides_become_those_of_the_configuration(text):
    kind = ConfigurationError if 'QoS' in text else RuntimeError
    with pytest.raises(kind, match=text), topics.qos_overrides_checked():
        raise RuntimeError(text)


def node_named(*names: tuple[str, str]) -> SimpleNamespace:
    return SimpleNamespace(
        get_fully_qualified_name=lambda: '/robot/tracker',
        get_node_names_and_namespaces=lambda: list(names),
    )


def test_namesakes_are_counted_without_the_node_itself():
    own, other = ('tracker', '/robot'), ('tracker', '/')
    assert topics.explain_namesakes(node_named()) == ''
    assert topics.explain_namesakes(node_named(own, other)) == ''
    text = topics.explain_namesakes(node_named(own, own, other, own))
    assert text.startswith('2 other nodes are also named /robot/tracker')


@pytest.mark.parametrize(
    ('simulated', 'time', 'explained'),
    [(False, 0, False), (False, 5, False), (True, 5, False), (True, 0, True)],
)
def test_a_clock_is_missed_only_if_time_is_simulated_and_stands_at_0(simulated, time, explained):
    clock = SimpleNamespace(
        ros_time_is_active=simulated, now=lambda: SimpleNamespace(nanoseconds=time)
    )
    text = topics.explain_clock(SimpleNamespace(get_clock=lambda: clock))
    assert ('nothing was published on /clock' in text) == explained
    assert bool(text) == explained


def test_one_name_is_suggested_and_a_typo_is_close():
    known = ['score_threshold', 'score_thresholds', 'window']
    assert suggestion('score_treshold', known) == ' (did you mean score_threshold?)'
    assert suggestion('nothing', known) == ''
    assert is_typo('windows', known)
    assert not is_typo('win', known)


def test_a_mailbox_says_whether_an_item_was_overwritten():
    mailbox = Mailbox()
    assert mailbox.put(1, 'front') is False
    assert mailbox.put(2, 'front') is True
    assert mailbox.put(3, 'back') is False
    mailbox.close()
    assert mailbox.put(4, 'left') is False


def test_counters_begin_at_0():
    counters = asdict(CameraStatistics())
    for name in ('last_arrival', 'age', 'last_return', 'last_error'):
        del counters[name]
    assert set(counters.values()) == {0}


def test_losses_are_warned_of_from_five_and_a_tenth_of_the_images():
    assert LostImages().add(4, 4) == (0, 0)
    assert LostImages().add(5, 5) == (5, 10)
    assert LostImages().add(90, 10) == (10, 100)
    assert LostImages().add(91, 10) == (0, 0)


def test_losses_count_only_in_the_last_seconds():
    lost = LostImages()
    assert lost.add(100, 50) == (50, 150)
    for _ in range(9):
        assert lost.add(100, 50) == (50, 150)
    assert lost.add(100, 50) == (0, 0)  # the start has gone
    assert lost.add(110, 60) == (10, 20)


def arrivals(*gaps: float) -> Arrivals:
    made, time = Arrivals(), 10 * SECOND
    made.add(time)
    for gap in gaps:
        time += round(gap * SECOND)
        made.add(time)
    return made


def test_64_gaps_are_needed_and_a_pause_starts_again():
    assert arrivals(*[0.1] * 63).estimate().rate == 0
    assert arrivals(*[0.1] * 64).estimate().rate == pytest.approx(10)
    assert arrivals(*[0.1] * 64, 5.0).estimate().rate == 0
    assert arrivals(*[0.1] * 64, 4.9).estimate().rate == pytest.approx(10)
    assert arrivals(*[0.1] * 64, 0.0).estimate().rate == 0


@pytest.mark.parametrize(('odd', 'rate'), [(6, 10), (7, 0)])
def test_a_rate_needs_nine_tenths_of_regular_gaps(odd, rate):
    # 58 of 64 is more than nine tenths; 57 is less.
    found = arrivals(*[0.1] * (64 - odd), *[0.13] * odd).estimate()
    assert found.rate == pytest.approx(rate, rel=0.01)


def test_every_second_image_left_out_is_a_pattern_and_not_a_loss():
    gaps = [0.1, 0.2] * 32
    assert arrivals(*gaps).estimate().missing == 0
    period = [0.1, 0.3, 0.1, 0.1, 0.2, 0.1, 0.1, 0.2] * 8
    assert arrivals(*period).estimate().missing == 0
    assert arrivals(*period).estimate().rate == pytest.approx(10)


class Clock:
    """A steady clock that a test sets."""

    def __init__(self) -> None:
        self.time = 100.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def reports(monkeypatch):
    """Return a function that reports after a second with changed counters."""
    clock = Clock()
    monkeypatch.setattr(diagnostics, 'monotonic', clock)
    statistics = CameraStatistics(last_arrival=100.0)
    camera = SimpleNamespace(
        name='front',
        inputs=SimpleNamespace(topic='/image', explain_silence=lambda: 'nobody publishes'),
        statistics=statistics,
        update_statistics=lambda: None,
    )
    pipeline = SimpleNamespace(place='cpu', association='none', device_megabytes=12)
    made = CameraReport(camera, pipeline, Profiler((), enabled=False))

    def report(
        seconds: float = 1.0, enabled: bool = True, max_age: float = 1.0, **changes: object
    ) -> tuple[DiagnosticStatus, dict[str, str], str]:
        clock.time += seconds
        statistics.last_arrival = clock.time
        for name, value in changes.items():
            setattr(statistics, name, value)
        settings = NodeParameters(max_age=max_age)
        status, warning = made.make('/tracker', settings, enabled)
        return status, {value.key: value.value for value in status.values}, warning

    return report


def test_rates_are_those_since_the_last_report(reports):
    status, values, _ = reports(2.0, received=60, processed=40)
    assert (values['rate_in_hz'], values['rate_hz']) == ('30.00', '20.00')
    assert (status.name, status.message) == ('/tracker: front', 'tracking at 20.0 frames/s')
    assert (values['topic'], values['device'], values['device_memory_mb']) == (
        '/image',
        'cpu',
        '12',
    )
    _, values, _ = reports(1.0, received=65, processed=44)
    assert (values['rate_in_hz'], values['rate_hz']) == ('5.00', '4.00')


@pytest.mark.parametrize(
    ('age', 'max_age', 'processed', 'late'),
    [(1.5, 1.0, 3, True), (1.0, 1.0, 3, False), (1.5, 0.0, 3, False), (1.5, 1.0, 0, False)],
)
def test_old_detections_are_warned_of_while_there_are_any(reports, age, max_age, processed, late):
    status, values, warning = reports(age=age, max_age=max_age, processed=processed)
    assert values['age_ms'] == f'{1000 * age:.1f}'
    assert (status.level == DiagnosticStatus.WARN) == late
    assert ('are 1.50 s old when they are published' in warning) == late


@pytest.mark.parametrize(('silent', 'warned'), [(4.9, False), (5.0, True)])
def test_silence_is_explained_after_five_seconds(reports, monkeypatch, silent, warned):
    reports()
    status, _, warning = reports(0.0)
    assert status.level == DiagnosticStatus.OK
    diagnostics.monotonic.time += silent
    statistics = CameraStatistics(last_arrival=diagnostics.monotonic.time - silent)
    camera = SimpleNamespace(
        name='',
        inputs=SimpleNamespace(topic='/image', explain_silence=lambda: 'nobody publishes'),
        statistics=statistics,
        update_statistics=lambda: None,
    )
    pipeline = SimpleNamespace(place='cpu', association='none', device_megabytes='')
    made = CameraReport(camera, pipeline, Profiler((), enabled=False))
    status, warning = made.make('/tracker', NodeParameters(), True)
    assert (status.level == DiagnosticStatus.WARN, warning) == (
        warned,
        'nobody publishes' if warned else '',
    )
    assert status.name == '/tracker: tracker'


def test_failures_are_errors_until_the_next_report(reports):
    status, _, _ = reports(failed=2, last_error='ValueError: broken')
    assert status.level == DiagnosticStatus.ERROR
    assert status.message == '2 images failed: ValueError: broken'
    assert reports()[0].level == DiagnosticStatus.OK


def test_a_disabled_camera_is_all_right(reports):
    status, _, warning = reports(enabled=False, age=9.0, processed=5)
    assert (status.level, status.message, warning) == (
        DiagnosticStatus.OK,
        'disabled by ~/enable',
        '',
    )


def test_the_arguments_of_the_video_publisher_have_defaults_and_limits(capsys):
    parser = video_parser()
    found = vars(parser.parse_args(['a.mp4']))
    assert found == {
        'source': 'a.mp4', 'rate': None, 'frames': None, 'loop': False, 'wait': 5.0,
        'frame_id': 'camera',
    }  # fmt: skip
    for text in ('--rate=0.001', '--rate=1000', '--frames=1', '--frames=2147483648', '--wait=0',
                 '--wait=86400'):  # fmt: skip
        parser.parse_args(['a.mp4', text])
    for text, said in (
        ('--rate=0', 'from 0.001 to 1000.0'),
        ('--rate=1001', 'from 0.001 to 1000.0'),
        ('--rate=nan', 'nan is not a number'),
        ('--frames=0', '0 is not a whole number from 1 to 2147483648'),
        ('--frames=1.5', 'is not a whole number'),
        ('--wait=-1', 'from 0.0 to 86400.0'),
    ):
        with pytest.raises(SystemExit):
            parser.parse_args(['a.mp4', text])
        assert said in capsys.readouterr().err


def test_the_help_of_the_video_publisher_names_what_it_takes():
    text = video_parser().format_help()
    assert text.startswith('usage: video_publisher')
    for word in ('HZ', '--frames N', '--wait S', 'Published topics:\n  image', 'video file'):
        assert word in text


def test_live_parameters_are_marked_in_the_help(monkeypatch):
    monkeypatch.setenv('COLUMNS', '70')
    text = tracker_usage()
    assert 'score_threshold: 0.4\n      (live) Detections' in text
    assert 'cameras: []\n      Names' in text
    assert 'Parameters (live: can be changed while the node runs):' in text
    paragraph = text.split('\n\n')[1].splitlines()
    assert len(paragraph) > 1
    assert max(map(len, paragraph)) <= 70


def test_every_number_has_limits_and_a_default_within_them():
    for spec in fields(NodeParameters):
        if isinstance(spec.default, int | float) and not isinstance(spec.default, bool):
            low, high = spec.metadata['limits']
            assert low <= spec.default <= high, spec.name
            for value in (low, high):
                check(spec, value)
            for value in (low - 1, high + 1, math.nan):
                with pytest.raises(ConfigurationError, match=f'{spec.name} is'):
                    check(spec, value)
