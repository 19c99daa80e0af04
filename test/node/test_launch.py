# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch file reach the node."""

from dataclasses import fields
from pathlib import Path
import re
import runpy
import signal

import numpy as np
import pytest

pytest.importorskip('launch_ros', reason='needs launch_ros, which no package registry has')

import launching
from node_processes import ANSWER_SECONDS
from node_processes import Camera
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS
from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from robot import robot

from gtr_ros.node.tracker.parameters import NodeParameters

pytestmark = pytest.mark.ros

LAUNCH_FILE = Path('launch/tracker.launch.py')


def launch(*arguments: str):
    return launching.launch(LAUNCH_FILE, *arguments)


@pytest.fixture(autouse=True)
def environment():
    with ros_environment():
        yield


def test_the_node_tracks_on_the_topic_in_the_namespace_and_ends_on_interrupt(tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {device: nonsense, window: 7, min_hits: 1}}')
    with launch(
        'image_topic:=/front/image',
        'namespace:=robot',
        'device:=cpu',
        'checkpoint:=random',
        f'params_file:={parameters}',
        'log_level:=info',
    ) as launched:
        launched.wait_for_output('tracking on /front/image', START_SECONDS)
        camera = Camera('/robot/tracker', '/front/image')
        camera.wait_for_tracker()
        camera.exchange(np.zeros((20, 30, 3), np.uint8))
        camera.close()
        launched.send(signal.SIGINT)
        launched.wait(STOP_SECONDS)
        assert 'process has finished cleanly' in launched.output
        assert 'Traceback' not in launched.output


def test_two_robots_in_two_namespaces_do_not_collide(tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {threads: 1, min_hits: 1}}')
    common = ('checkpoint:=random', f'params_file:={parameters}')
    with (
        launch('namespace:=one', *common) as first,
        launch('namespace:=two', *common) as second,
    ):
        first.wait_for_output('tracking on /one/image', START_SECONDS)
        second.wait_for_output('tracking on /two/image', START_SECONDS)
        for name in ('one', 'two'):
            camera = Camera(f'/{name}/tracker', f'/{name}/image')
            camera.wait_for_tracker()
            camera.exchange(np.zeros((20, 30, 3), np.uint8))
            assert set(camera.detections) <= camera.sent  # none of the other robot's
            camera.close()


def test_without_autostart_the_node_waits_for_a_manager(tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {device: nonsense}}')
    with launch(f'params_file:={parameters}', 'autostart:=false') as launched:
        launched.wait_for_output('waiting to be configured', START_SECONDS)
        assert "device is 'nonsense'" not in launched.output


def test_without_arguments_the_parameter_file_applies(tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {device: nonsense, checkpoint: random}}')
    with launch(f'params_file:={parameters}') as launched:
        launched.wait_for_output("device is 'nonsense'", START_SECONDS)


def test_every_parameter_of_the_node_is_an_argument():
    description = runpy.run_path(str(LAUNCH_FILE))['generate_launch_description']()
    declared = {argument.name for argument in description.get_launch_arguments()}
    assert {spec.name for spec in fields(NodeParameters)} < declared


def test_arguments_override_the_file_in_the_types_of_the_parameters(tmp_path):
    parameters = tmp_path / 'parameters.yaml'
    parameters.write_text('/**: {ros__parameters: {autostart: false, window: 7, min_hits: 2}}')
    given = {
        'image_transport': 'compressed',
        'score_threshold': 0.3,
        'depth': True,
        'class_names': ['person'],
        'max_rate': 10.0,
        'min_hits': 3,
        'checkpoint': '1',
        'cameras': [''],
    }
    with (
        launch(
            f'params_file:={parameters}',
            'image_transport:=compressed',
            'score_threshold:=0.3',
            'depth:=true',
            "class_names:=['person']",
            'max_rate:=10',
            'min_hits:=3',
            'checkpoint:=1',
            'cameras:=[]',
        ) as launched,
        robot() as user,
    ):
        launched.wait_for_output('waiting to be configured', START_SECONDS)
        names = [*given, 'window']
        response = user.call(GetParameters, '/tracker/get_parameters', names=names)
        values = [parameter_value_to_python(value) for value in response.values]
        assert dict(zip(names, values)) == {**given, 'window': 7}


@pytest.mark.parametrize(
    ('argument', 'words'),
    [
        ('score_treshold:=0.3', ["'score_treshold'", 'did you mean score_threshold?']),
        ('nonsense:=1', ["'nonsense'", '--show-args']),
        ('score_threshold:=high', ["score_threshold is 'high'", 'a number, such as 0.4']),
        ('max_rate:=2000', ['max_rate is 2000', '0.0 to 1000.0']),
        ('params_file:=nowhere.yaml', ["params_file is 'nowhere.yaml'", 'not a file']),
    ],
)
def test_a_wrong_argument_is_refused_before_the_node_starts(argument, words):
    with launch(argument) as launched:
        assert launched.wait(ANSWER_SECONDS) == 1
        for word in words:
            assert word in launched.output
        assert 'process started' not in launched.output
        assert 'Traceback' not in launched.output


INCLUDING = """
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('score_tresholds', default_value='1'),
        GroupAction([IncludeLaunchDescription(
            PythonLaunchDescriptionSource({file!r}), launch_arguments={arguments!r}.items())])])
"""


def test_arguments_of_a_file_that_includes_this_one_are_not_refused(tmp_path):
    text = INCLUDING.format(file=str(LAUNCH_FILE.resolve()), arguments={'autostart': 'false'})
    (tmp_path / 'robot.launch.py').write_text(text)
    file = tmp_path / 'robot.launch.py'
    with launching.launch(file, 'score_tresholds:=2') as launched:
        launched.wait_for_output('waiting to be configured', START_SECONDS)


def test_a_wrong_argument_in_a_file_that_includes_this_one_is_refused(tmp_path):
    text = INCLUDING.format(file=str(LAUNCH_FILE.resolve()), arguments={'score_treshold': '0.3'})
    (tmp_path / 'robot.launch.py').write_text(text)
    file = tmp_path / 'robot.launch.py'
    with launching.launch(file, 'score_tresholds:=2') as launched:
        assert launched.wait(ANSWER_SECONDS) == 1
        assert "'score_treshold' (did you mean score_threshold?)" in launched.output
        assert "'score_tresholds'" not in launched.output


@pytest.mark.parametrize(('argument', 'used'), [('true', True), ('false', False)])
def test_the_node_uses_the_dds_profile_unless_it_is_off(monkeypatch, argument, used):
    monkeypatch.setenv('RMW_IMPLEMENTATION', 'rmw_fastrtps_cpp')
    for name in ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE'):
        monkeypatch.delenv(name)
    with launch('autostart:=false', f'dds_profile:={argument}') as launched:
        launched.wait_for_output('waiting to be configured', START_SECONDS)
        [pid] = re.findall(r'process started with pid \[(\d+)\]', launched.output)
        given = Path('/proc', pid, 'environ').read_text()
    assert ('fastdds_large_images.xml' in given) == used
    assert ('GTR_ROS_DDS_PROFILE=false' in given) != used
