# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The arguments of the launch file reach the node."""

from pathlib import Path
import signal
import sys

import numpy as np
import pytest

pytest.importorskip('launch_ros', reason='needs launch_ros, which no package registry has')

from node_processes import Camera
from node_processes import process
from node_processes import ros_environment
from node_processes import START_SECONDS
from node_processes import STOP_SECONDS

pytestmark = pytest.mark.ros

LAUNCH_FILE = Path('launch/tracker.launch.py')
# The same as `ros2 launch`, without the ros2 command.
LAUNCHER = """
import sys
from launch import LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
file, *arguments = sys.argv[1:]
service = LaunchService()
service.include_launch_description(IncludeLaunchDescription(
    PythonLaunchDescriptionSource(file),
    launch_arguments=[argument.split(':=') for argument in arguments]))
sys.exit(service.run())
"""


def launch(*arguments: str):
    return process(sys.executable, '-c', LAUNCHER, LAUNCH_FILE, *arguments)


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
            stamps = {camera.exchange(np.zeros((20, 30, 3), np.uint8)).header.stamp.nanosec}
            stamps |= {s % 1_000_000_000 for s in camera.detections}
            assert len(stamps) == 1  # none of the other robot's
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
