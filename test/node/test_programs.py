# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The installed programs: they answer --help without starting, and start without a sourced ROS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
import os
from pathlib import Path
import subprocess
import sys

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import executable
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import tracker_node
from rclpy.node import NodeNameNonExistentError
from robot import robot

from gtr_ros.node.programs import own_arguments
from gtr_ros.node.tracker.parameters import NodeParameters
from gtr_ros.node.usage import tracker_usage
from gtr_ros.node.viewer.parameters import ViewerParameters

pytestmark = pytest.mark.ros

PROGRAMS = ('tracker_node', 'web_viewer', 'video_publisher')
#: all that a program started outside of a ROS 2 workspace needs
BARE = ('HOME', 'PATH', 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE')


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


def installed(name: str) -> Path:
    """Return the path of a program beside Python, where `make env` installs it."""
    path = Path(sys.prefix, 'bin', name)
    if not path.exists():
        pytest.skip(f'{path} does not exist: this environment was not made by `make env`')
    return path


def bare_environment() -> dict[str, str]:
    return {name: os.environ[name] for name in BARE if name in os.environ}


def answer(name: str, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [installed(name), *arguments],
        env=bare_environment(),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )


@pytest.mark.parametrize('name', PROGRAMS)
@pytest.mark.parametrize('word', ['-h', '--help'])
def test_help_is_printed_and_nothing_starts(name, word):
    run = answer(name, word, '--ros-args', '-p', 'device:=nonsense')
    assert (run.returncode, run.stderr) == (0, '')
    assert run.stdout.startswith(f'usage: {name} ')
    for title in ('topics:', 'Example', '--ros-args -r image:=/camera/image_raw'):
        assert title in run.stdout


@pytest.mark.parametrize('name', PROGRAMS)
def test_help_that_nobody_reads_to_its_end_is_no_error(name):
    reader, writer = os.pipe()
    os.close(reader)
    command = [*executable(name), '--help']
    run = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert run.stderr == ''


@pytest.mark.parametrize(
    ('name', 'kind'), [('tracker_node', NodeParameters), ('web_viewer', ViewerParameters)]
)
def test_help_describes_every_parameter_with_its_default(name, kind):
    text = ' '.join(answer(name, '--help').stdout.split())
    for spec in fields(kind):
        assert f' {spec.name}: ' in text
        assert ' '.join(spec.metadata['description'].split()) in text
    assert kind is not NodeParameters or 'score_threshold: 0.4 (live) Detections' in text


@pytest.mark.parametrize('name', ['tracker_node', 'web_viewer'])
def test_an_argument_that_is_not_for_ros_is_refused(name):
    run = answer(name, 'score_threshold:=0.3')
    assert run.returncode == 2
    assert "unknown argument 'score_threshold:=0.3'" in run.stderr
    assert f'{name} --ros-args -p NAME:=VALUE' in run.stderr


@pytest.mark.parametrize(
    ('override', 'said'),
    [
        ('use_sim_time:=1', "'use_sim_time' to '1' of type 'INTEGER', expecting type 'BOOL'"),
        ('qos_overrides./image.subscription.depth:=many', "'many' of type 'STRING', expecting"),
        (
            'qos_overrides./image.subscription.reliability:=fast',
            'QoS override for policy `reliability`: `fast`; expected a name of that policy',
        ),
        (
            'qos_overrides./tracker/detections.publisher.reliability:=for_ever',
            'QoS override for policy `reliability`: `for_ever`; expected a name of that policy',
        ),
    ],
)
def test_parameters_of_ros_that_are_wrong_are_one_line(override, said):
    run = answer(
        'tracker_node',
        '--ros-args',
        '-p',
        'checkpoint:=random',
        '-p',
        override,
        '-p',
        'threads:=1',
    )
    assert run.returncode == 1
    assert said in run.stdout + run.stderr
    assert 'Traceback' not in run.stdout + run.stderr


def test_the_video_publisher_refuses_to_start_without_a_video():
    run = answer('video_publisher', '--loop')
    assert run.returncode == 2
    assert 'source' in run.stderr


@pytest.mark.parametrize(
    ('words', 'own'),
    [
        ([], []),
        (['a', '--ros-args', '-p', 'x:=1'], ['a']),
        (['--ros-args', '-r', 'x:=--help', '--', 'b'], ['b']),
        (['a', '--ros-args', '--', 'b', '--ros-args', '-p', 'x:=1'], ['a', 'b']),
    ],
)
def test_arguments_for_ros_are_told_from_the_programs_own(words, own):
    assert own_arguments(words) == own


def test_the_tracker_starts_in_an_environment_without_ros_variables():
    program = installed('tracker_node')
    command = ['env', '-i', *(f'{name}={value}' for name, value in bare_environment().items())]
    command += [program, '--ros-args', '-p', 'checkpoint:=random', '-p', 'device:=cpu']
    with process(*command) as node:
        node.wait_for_output('tracking on /image')


#: of every node, not of this one
OF_ROS = ('rcl_interfaces/', 'rosgraph_msgs/', 'lifecycle_msgs/', 'type_description_interfaces/')


def test_help_names_the_topics_and_services_of_the_node():
    text = tracker_usage()
    with (
        tracker_node('__ns:=/helped', checkpoint='random', device='cpu', depth='true') as node,
        robot() as user,
    ):
        node.wait_for_output('tracking on /helped/image')
        ask = (
            user.node.get_publisher_names_and_types_by_node,
            user.node.get_subscriber_names_and_types_by_node,
            user.node.get_service_names_and_types_by_node,
        )

        found: list[tuple[str, list[str]]] = []

        def are_known() -> bool:
            try:
                each = [names('tracker', '/helped') for names in ask]
            except NodeNameNonExistentError:  # not discovered yet
                return False
            found[:] = [entry for entries in each for entry in entries]
            # They are discovered one after the other.
            return min(map(len, each)) > 2 and '/helped/tracker/detections' in dict(found)

        assert user.spin_until(are_known), found
    own = {name for name, kinds in found if not kinds[0].startswith(OF_ROS)}
    for name in own:
        short = name.replace('/helped/tracker/', '~/').replace('/helped/', '')
        assert short in text, f'{name} is not in the help'


def test_the_programs_that_ros2_run_starts_answer_alike():
    for name in PROGRAMS:
        command = [*executable(name), '--help']
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert run.stdout.startswith(f'usage: {name} ')
