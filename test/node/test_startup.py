# Copyright 2026 The gtr_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The node over real DDS: how it starts, refuses to start, and ends."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import signal

import pytest

pytest.importorskip('rclpy', reason='needs rclpy and the built messages')

from node_processes import ros_environment
from node_processes import STOP_SECONDS
from node_processes import tracker_node

pytestmark = pytest.mark.ros


@pytest.fixture(scope='module', autouse=True)
def environment() -> Iterator[None]:
    with ros_environment():
        yield


@pytest.mark.parametrize(
    'output', ['importing torch', 'these untrained weights', 'tracking on /image']
)
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_node_cleanly_at_any_time(number, output):
    with tracker_node(checkpoint='random', device='cpu') as node:
        node.wait_for_output(output)
        node.send(number)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


def test_a_second_interrupt_does_not_interrupt_the_shutdown():
    with tracker_node(checkpoint='random', device='cpu') as node:
        node.wait_for_output('tracking on /image')
        node.send(signal.SIGINT)
        node.send(signal.SIGINT)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert 'Traceback' not in node.output


@pytest.mark.parametrize(
    ('parameters', 'words'),
    [
        (
            {'checkpoint': '/nowhere/weights.safetensors'},
            ['no weights at /nowhere/weights.safetensors', 'for the default weights'],
        ),
        ({'model': 'mot'}, ['no weights at ', 'gtr_mot.safetensors', 'gtr weights convert']),
        ({'device': 'gpu', 'checkpoint': 'random'}, ["device is 'gpu'", 'auto', 'cuda:N']),
        (
            {'class_names': '[person, hamster]', 'checkpoint': 'random'},
            ["'hamster'", 'did you mean'],
        ),
        ({'window': '1', 'checkpoint': 'random'}, ['window', '1', 'Min: 2']),
        ({'score_treshold': '0.3'}, ["'score_treshold'", 'did you mean score_threshold?']),
        (
            {'device': 'cuda', 'checkpoint': 'random'},
            ["device is 'cuda'", '0 CUDA devices', 'cpu'],
        ),
    ],
)
def test_an_invalid_configuration_is_refused_with_the_reason(tmp_path, parameters, words):
    environment = {'XDG_CACHE_HOME': str(tmp_path), 'CUDA_VISIBLE_DEVICES': ''}
    with tracker_node(environment=environment, **parameters) as node:
        assert node.wait() == 1, node.output
        for word in words:
            assert word in node.output
        assert 'Traceback' not in node.output


def test_a_damaged_checkpoint_is_refused_with_its_path(tmp_path):
    damaged = tmp_path / 'damaged.safetensors'
    damaged.write_bytes(b'no weights')
    with tracker_node(checkpoint=damaged) as node:
        assert node.wait() == 1, node.output
        assert str(damaged) in node.output
        assert 'Traceback' not in node.output


def test_the_node_says_what_it_does_before_torch_is_imported(tmp_path):
    # A torch that only says that it is imported.
    (tmp_path / 'torch.py').write_text('print("torch begins"); raise ImportError("stand-in")')
    paths = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get('PYTHONPATH', '')]))
    with tracker_node(environment={'PYTHONPATH': paths}) as node:
        assert node.wait() == 1
        said, _, after = node.output.partition('torch begins')
        assert 'starting with model mobile: importing torch' in said
        assert 'Install torch and torchvision' in after


def shared_memory(domain: int) -> set[str]:
    """Return the names of the ports that Fast DDS has in shared memory for a domain."""
    first = 7400 + 250 * domain
    names = ('fastrtps_port', 'fastdds_port')  # of Fast DDS 2 (Jazzy) and 3 (Kilted)
    ports = {f'{name}{port}' for name in names for port in range(first, first + 250)}
    return {path.name for path in Path('/dev/shm').iterdir()} & ports


def test_a_node_leaves_no_shared_memory_behind():
    # Nodes that other tests have killed leave theirs.
    domain = next(number for number in range(1, 101) if not shared_memory(number))
    environment = {'ROS_DOMAIN_ID': str(domain)}
    with tracker_node(environment=environment, checkpoint='random', device='cpu') as node:
        node.wait_for_output('tracking on /image')
        assert shared_memory(domain)
        node.send(signal.SIGINT)
        assert node.wait(STOP_SECONDS) == 0, node.output
        assert not shared_memory(domain)


def test_each_test_run_has_its_own_domain_on_this_machine_only():
    assert os.environ['ROS_DOMAIN_ID'] != '0'
    assert os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'


def test_torchs_threads_in_the_node_spin_only_briefly():
    environment = {'OMP_DISPLAY_ENV': 'verbose'}
    with tracker_node('__ns:=/asleep', environment=environment, checkpoint='random') as node:
        node.wait_for_output("GOMP_SPINCOUNT = '1000'")
