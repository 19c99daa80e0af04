# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The launch files in examples/ start one node, with the right parameters and topics."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
import signal

from paths import REPOSITORY
import pytest

pytest.importorskip('launch_ros', reason='needs launch_ros, which no package registry has')

from launch.actions import ExecuteProcess
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch_ros.actions import Node
import launching
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
import yaml

from launch import LaunchContext
from launch import LaunchDescriptionEntity

pytestmark = pytest.mark.ros

EXAMPLES = REPOSITORY / 'examples'


@pytest.fixture(scope='module', autouse=True)
def environment():
    with ros_environment():
        yield


@pytest.fixture
def nodes_of(monkeypatch):
    """Return a function: name of a launch file, arguments -> the command of each of its nodes."""
    commands = []

    def prepare(node: Node, context: LaunchContext) -> None:
        node.prepare(context)
        commands.append(node.process_description.final_cmd)

    # Everything but the start of the process.
    monkeypatch.setattr(ExecuteProcess, 'execute', prepare)

    def nodes_of(name: str, **arguments: str) -> list[list[str]]:
        context = LaunchContext()
        context.launch_configurations.update(arguments)
        source = PythonLaunchDescriptionSource(str(EXAMPLES / name))

        def visit(entity: LaunchDescriptionEntity) -> None:
            for part in entity.visit(context) or ():
                visit(part)

        visit(source.get_launch_description(context))
        return commands

    return nodes_of


def parameters_of(command: list[str]) -> dict:
    """Return the parameters of a node; later files override earlier ones."""
    values = {}
    for flag, file in pairwise(command):
        if flag == '--params-file':
            # Launch writes a list as a tuple of Python.
            for node in yaml.load(Path(file).read_text(), yaml.FullLoader).values():
                values.update(node['ros__parameters'])
    return values


def remappings_of(command: list[str]) -> dict[str, str]:
    rules = [rule for flag, rule in pairwise(command) if flag == '-r']
    return dict(rule.split(':=') for rule in rules)


def test_two_cameras_share_one_node(nodes_of):
    [command] = nodes_of('two_cameras.launch.py')
    assert Path(command[0]).name == 'tracker_node'
    assert list(parameters_of(command)['cameras']) == ['front', 'left']
    remappings = remappings_of(command)
    assert remappings['front/image'] == '/front_camera/image_raw'
    assert remappings['left/image'] == '/left_camera/image_raw'


def test_arguments_of_the_tracker_can_be_given_to_the_example(nodes_of):
    [command] = nodes_of('two_cameras.launch.py', score_threshold='0.3')
    assert parameters_of(command)['score_threshold'] == 0.3


def test_two_depth_cameras_can_share_ids(nodes_of):
    shared = {'share_ids': 'true', 'target_frame': 'odom', 'depth': 'true'}
    [command] = nodes_of('two_cameras.launch.py', **shared)
    parameters, remappings = parameters_of(command), remappings_of(command)
    assert (parameters['share_ids'], parameters['target_frame']) == (True, 'odom')
    assert remappings['left/depth'] == '/left_camera/aligned_depth/image_raw'
    assert remappings['front/camera_info'] == '/front_camera/camera_info'


@pytest.mark.parametrize('camera', ['/camera/camera', '/front'])
def test_a_depth_camera_has_the_topics_of_its_driver(nodes_of, camera):
    given = {} if camera == '/camera/camera' else {'camera': camera}
    [command] = nodes_of('depth_camera.launch.py', **given)
    assert parameters_of(command)['depth'] is True
    remappings = remappings_of(command)
    assert remappings['image'] == f'{camera}/color/image_raw'
    assert remappings['depth'] == f'{camera}/aligned_depth_to_color/image_raw'
    assert remappings['camera_info'] == f'{camera}/color/camera_info'


@pytest.mark.parametrize('frame', ['odom', 'map'])
def test_obstacles_for_nav2_are_in_a_frame_that_does_not_move(nodes_of, frame):
    given = {} if frame == 'odom' else {'target_frame': frame}
    [command] = nodes_of('nav2_obstacles.launch.py', **given)
    assert parameters_of(command)['target_frame'] == frame
    assert parameters_of(command)['depth'] is True
    assert remappings_of(command)['depth'] == '/camera/camera/aligned_depth_to_color/image_raw'


@pytest.mark.parametrize(
    ('name', 'line'),
    [
        ('two_cameras', 'tracking on /front_camera/image_raw, /left_camera/image_raw'),
        ('depth_camera', 'tracking on /camera/camera/color/image_raw'),
        ('nav2_obstacles', 'tracking on /camera/camera/color/image_raw'),
    ],
)
def test_the_node_of_an_example_tracks_on_its_topics(name, line):
    file = EXAMPLES / f'{name}.launch.py'
    with launching.launch(file, 'checkpoint:=random') as launched:
        launched.wait_for_output(line, START_SECONDS)
        launched.send(signal.SIGINT)
        launched.wait(STOP_SECONDS)
        assert 'process has finished cleanly' in launched.output
        assert 'Traceback' not in launched.output
