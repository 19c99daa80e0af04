# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a user gives a node and nothing uses is named; what is meant in other words is accepted."""

from __future__ import annotations

import pytest

pytest.importorskip('rclpy', reason='needs rclpy')

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from std_msgs.msg import String

from gtr_ros.node.declaring import declare_all
from gtr_ros.node.running import run_node
from gtr_ros.node.topics import overridable
from gtr_ros.node.topics import qos_overrides_checked
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.unused import remappings
from gtr_ros.node.unused import warn_of_unused
from gtr_ros.options import ConfigurationError

QOS = QoSProfile(depth=10)


class Logger:
    """Collects warnings."""

    def __init__(self) -> None:
        self.warnings: list[str] = []

    def warning(self, text: str) -> None:
        self.warnings.append(text)


@pytest.fixture
def make_node():
    """Return a function that makes a node from command line arguments."""
    context = rclpy.Context()
    rclpy.init(context=context)
    nodes = []

    def make(*arguments: str) -> Node:
        node = Node('tracker', context=context, cli_args=['--ros-args', *arguments])
        nodes.append(node)
        return node

    yield make
    for node in nodes:
        node.destroy_node()
    rclpy.shutdown(context=context)


def subscribe(node: Node, topic: str) -> None:
    with qos_overrides_checked():
        node.create_subscription(String, topic, print, **overridable(QOS))


def warned(node: Node, *words: str) -> list[str]:
    logger = Logger()
    node.get_logger = lambda: logger
    warn_of_unused(node, ('depth',), ['--ros-args', *words])
    return logger.warnings


@pytest.mark.parametrize(
    ('name', 'meant'),
    [
        ('/imag.subscription.depth', '/image.subscription.depth'),
        ('/image.subscription.dept', '/image.subscription.depth'),
        ('/image.publisher.depth', '/image.subscription.depth'),
        ('/image.subscription.lifespan', '/image.subscription.'),
    ],
)
def test_a_qos_override_of_nothing_is_named_with_those_that_work(make_node, name, meant):
    node = make_node('-p', f'qos_overrides.{name}:=3')
    subscribe(node, 'image')
    [text] = warned(node)
    assert f'qos_overrides.{name} has no effect' in text
    assert f'did you mean qos_overrides.{meant}' in text
    assert 'can be overridden: qos_overrides./image.subscription.depth' in text


def test_an_override_concerns_one_topic_only(make_node):
    # rclpy writes it into the profile that it is given.
    node = make_node('-p', 'qos_overrides./image.subscription.depth:=3')
    subscribe(node, 'image')
    subscribe(node, 'depth')
    depths = {each.topic_name: each.qos_profile.depth for each in node.subscriptions}
    assert QOS.depth == 10
    assert node.get_parameter('qos_overrides./depth.subscription.depth').value == 10
    assert depths['/image'] in (3, 0)  # 0: a distribution that does not report it
    assert warned(node) == []


@pytest.mark.parametrize(
    ('policy', 'value', 'words'),
    [
        ('reliability', 'foo', ['`reliability`: `foo`', 'such as reliable or']),
        ('depth', '-1', ['/image', 'depth is -1; expected 0 to']),
        ('depth', '999999999', ['depth is 999999999']),
        ('depth', '"10"', ['qos_overrides./image.subscription.depth', 'STRING', 'INTEGER']),
        ('depth', 'many', ['qos_overrides./image.subscription.depth', "'many'"]),
        ('history', 'some', ['`history`: `some`']),
    ],
)
def test_an_invalid_override_is_named_in_one_line(make_node, policy, value, words):
    node = make_node('-p', f'qos_overrides./image.subscription.{policy}:={value}')
    with pytest.raises(ConfigurationError) as refusal:
        subscribe(node, 'image')
    text = str(refusal.value)
    assert [word for word in words if word not in text] == []
    assert '\n' not in text


@pytest.mark.parametrize('value', ['Reliable', 'RELIABLE', 'best_effort'])
def test_a_policy_may_be_in_any_case(make_node, value):
    node = make_node('-p', f'qos_overrides./image.subscription.reliability:={value}')
    subscribe(node, 'image')
    assert warned(node) == []


@pytest.mark.parametrize(
    'topic', ['bad topic', 'a//b', 'dets/', '/1x', 'a-b', 'a.b', 'ü', '{x}', '/']
)
def test_a_name_that_no_topic_can_have_is_named_in_one_line(make_node, topic):
    node = make_node()
    with pytest.raises(ConfigurationError, match=r'[Cc]orrect the parameter') as refusal:
        subscribe(node, topic)
    assert topic in str(refusal.value)
    assert '\n' not in str(refusal.value)


@pytest.mark.parametrize(
    ('words', 'said'),
    [
        (['-r', 'imagee:=/cam/image'], ['imagee:=/cam/image has no effect', 'mean image?']),
        (['--remap', '/image_raw:=/cam/image'], ['the node uses no /image_raw']),
        (['-r', 'tracker:other:=/x'], ['other:=/x has no effect']),
        (['-p', 'a:=1', '-r', 'x:=y'], ['x:=y has no effect']),
    ],
)
def test_a_remapping_of_nothing_is_named(make_node, words, said):
    node = make_node()
    subscribe(node, 'image')
    [text] = warned(node, *words)
    assert [word for word in said if word not in text] == []


@pytest.mark.parametrize(
    'words',
    [
        ['-r', 'image:=/cam/image'],
        ['-r', 'image:=cam/image'],
        ['-r', 'tracker:image:=/cam/image'],
        ['-r', '/image:=/cam/image'],
        ['-r', 'depth:=/cam/depth'],
        ['-r', '__ns:=/robot1', '-r', '__node:=other'],
        ['-r', 'viewer:image:=/x'],
        ['-p', 'x:=y'],
        [],
    ],
)
def test_a_remapping_that_works_or_is_not_for_this_node_is_not_named(make_node, words):
    node = make_node(*words)
    subscribe(node, 'image')
    assert warned(node, *words) == []


def test_remappings_end_with_the_ros_arguments():
    words = ['x', '-r', 'a:=b', '--ros-args', '-r', 'c:=d', '--', '-r', 'e:=f']
    assert list(remappings(words, 'tracker')) == [('c', 'd')]


@pytest.mark.parametrize(
    ('given', 'name', 'value'),
    [
        ('score_threshold:="0.3"', 'score_threshold', 0.3),
        ("score_threshold:='0.25'", 'score_threshold', 0.25),
        ('max_rate:=5', 'max_rate', 5.0),
        ('window:=8.0', 'window', 8),
        ('window:="8"', 'window', 8),
        ('depth:="true"', 'depth', True),
        ('depth:=yes', 'depth', True),
        ('depth:=on', 'depth', True),
        ('autostart:="off"', 'autostart', False),
    ],
)
def test_a_value_in_other_words_is_accepted(make_node, given, name, value):
    node = make_node('-p', given)
    assert getattr(declare_all(node, NodeParameters), name) == value
    assert node.get_parameter(name).value == value
    assert type(node.get_parameter(name).value) is type(value)


@pytest.mark.parametrize(
    'given',
    [
        'window:=8.5',
        'window:="eight"',
        'window:=true',
        'depth:=1',
        'depth:="ja"',
        'max_rate:="fast"',
        'max_rate:=true',
        'score_threshold:="40"',
        'device:=0',
        'image_transport:=true',
        'class_names:=person',
        'class_names:=[1, 2]',
    ],
)
def test_a_value_that_is_unclear_is_named(make_node, given):
    node = make_node('-p', given)
    with pytest.raises(ConfigurationError) as refusal:
        declare_all(node, NodeParameters)
    assert given.partition(':')[0] in str(refusal.value)
    assert 'xpected a value' in str(refusal.value)


@pytest.mark.parametrize(
    ('arguments', 'said'),
    [
        (['-p', 'use_sim_time:="true"'], 'use_sim_time; write true or false, without quotes'),
        (['-p', 'use_sim_time:=ja'], 'use_sim_time; write true or false, without quotes'),
        (['-p', 'use_sim_time:=1'], 'use_sim_time; write true or false, without quotes'),
        (['-r', '__ns:=robot1'], '-r __ns:=/robot1'),
        (['-r', '__node:=a-b'], '-r __node:=name'),
        (['-r', 'image:=/a b'], '-r NAME:=/topic'),
        (['-r', 'image:=/cam/'], 'separated by single /'),
    ],
)
def test_what_ros_refuses_is_answered_with_a_way_out(arguments, said, capfd):
    code = run_node(
        'tracker', lambda: Node('tracker'), lambda *_: 0, ['x', '--ros-args', *arguments]
    )
    assert code == 1
    output = ''.join(capfd.readouterr())
    assert said in output and 'Traceback' not in output
